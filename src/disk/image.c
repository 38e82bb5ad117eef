/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whole images: checked, copied, grown, made empty. */
#include "ext4.h"

#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define IMAGE_FD 3
#define IMAGE_PATH "/proc/self/fd/3"
#define COPY_CHUNK (1u << 30)
#define LAST_LINES 300

/* Runs one of the e2fsprogs on @image, the last of @argv being IMAGE_PATH. -1 if it did not end by
 * itself, else its status. */
static int
run_tool (int image, const char *const *argv, char **output, GError **error)
{
  const BangerRunFd fd = { image, IMAGE_FD };
  const BangerRunSpec spec = { .argv = argv, .fds = &fd, .n_fds = 1, .die_with_us = TRUE };
  int status = 0;

  if (!banger_run_wait (&spec, output, &status, error))
    return -1;
  if (WIFEXITED (status))
    return WEXITSTATUS (status);
  banger_set_error (error, BANGER_ERROR_INTERRUPTED, NULL, NULL, NULL, "%s was ended by signal %d",
                    argv[0], WTERMSIG (status));
  return -1;
}

static void
set_tool_error (BangerErrorCode code, const char *what, char *output, GError **error)
{
  gsize length = strlen (output);
  g_autofree char *cause
      = g_utf8_make_valid (output + (length > LAST_LINES ? length - LAST_LINES : 0), -1);

  if (strstr (output, "No space left") != NULL || strstr (output, "Disk quota") != NULL)
    code = BANGER_ERROR_NO_SPACE;
  banger_set_error (error, code, NULL, g_strdelimit (g_strstrip (cause), "\n", ' '), NULL, "%s",
                    what);
}

gboolean
banger_disk_check (int image, GError **error)
{
  const char *const argv[] = { "e2fsck", "-fn", IMAGE_PATH, NULL };
  g_autofree char *output = NULL;
  int status = run_tool (image, argv, &output, error);

  /* Bit 4: errors that were not mended; else it could not look. e2fsck(8). */
  if (status > 0 && (status & 4) != 0)
    set_tool_error (BANGER_ERROR_BAD_IMAGE, "e2fsck finds fault with the image", output, error);
  else if (status > 0)
    set_tool_error (BANGER_ERROR_FAILED, "e2fsck cannot check the image", output, error);
  return status == 0;
}

/* From @start, the next data of @source; FALSE where there is none. */
static gboolean
next_data (int source, off_t *start, off_t *end)
{
  *start = lseek (source, *end, SEEK_DATA);
  if (*start < 0)
    return FALSE;
  *end = lseek (source, *start, SEEK_HOLE);
  return *end >= 0;
}

static gboolean
copy_range (int source, int copy, off_t start, off_t end, GError **error)
{
  off_t out = start;

  while (start < end) {
    ssize_t n = copy_file_range (source, &start, copy, &out, MIN (end - start, COPY_CHUNK), 0);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      banger_set_error_state (error, n < 0 ? errno : EIO, NULL, "the disk cannot be copied");
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
banger_disk_clone (int source, int copy, gboolean *shared, GError **error)
{
  gboolean cloned = ioctl (copy, FICLONE, source) == 0;
  off_t start = 0, end = 0;
  struct stat st;

  if (shared != NULL)
    *shared = cloned;
  if (cloned)
    return TRUE;
  if (fstat (source, &st) < 0 || ftruncate (copy, st.st_size) < 0) {
    banger_set_error_state (error, errno, NULL, "the disk cannot be copied");
    return FALSE;
  }
  while (next_data (source, &start, &end)) {
    if (!copy_range (source, copy, start, end, error))
      return FALSE;
  }
  if (errno != ENXIO) {
    banger_set_error_state (error, errno, NULL, "the disk cannot be copied");
    return FALSE;
  }
  return TRUE;
}

static gboolean
mend (int image, const char *how, const char *failure, GError **error)
{
  const char *const argv[] = { "e2fsck", how, IMAGE_PATH, NULL };
  g_autofree char *output = NULL;
  int status = banger_ext4_seal (image, error) ? run_tool (image, argv, &output, error) : -1;

  if (status > 1)
    set_tool_error (BANGER_ERROR_BAD_IMAGE, failure, output, error);
  return status == 0 || status == 1;
}

/* resize2fs refuses what e2fsck has not seen since it was last mounted. */
gboolean
banger_ext4_repair (int image, GError **error)
{
  return mend (image, "-fy", "the disk's file system cannot be repaired", error);
}

gboolean
banger_ext4_preen (int image, GError **error)
{
  return mend (image, "-fp", "the disk's file system has faults", error);
}

static gboolean
resize (int image, GError **error)
{
  const char *const argv[] = { "resize2fs", IMAGE_PATH, NULL };
  g_autofree char *output = NULL;
  int status = run_tool (image, argv, &output, error);

  if (status > 0)
    set_tool_error (BANGER_ERROR_FAILED, "the disk's file system cannot be grown", output, error);
  return status == 0;
}

gboolean
banger_ext4_finish_growth (int image, dgrp_t first, gboolean journal, GError **error)
{
  ext2_filsys fs = banger_ext4_open (image, TRUE, error);

  if (fs == NULL)
    return FALSE;
  if (journal && !ext2fs_has_feature_journal (fs->super) && !banger_ext4_add_journal (fs, error)) {
    ext2fs_free (fs);
    return FALSE;
  }
  banger_ext4_mark_tables_zeroed (fs, first);
  return banger_ext4_close (&fs, "the disk's file system cannot be written", error);
}

gboolean
banger_ext4_resize (int image, guint64 size_bytes, GError **error)
{
  if (!banger_ext4_repair (image, error))
    return FALSE;
  if (ftruncate (image, size_bytes) == 0)
    return resize (image, error);
  banger_set_error_state (error, errno, NULL, "the disk cannot be made larger");
  return FALSE;
}

gboolean
banger_disk_grow (int image, guint64 size_bytes, GError **error)
{
  ext2_filsys fs = banger_ext4_open (image, FALSE, error);
  guint64 now = 0;
  dgrp_t groups = 0;

  if (fs == NULL)
    return FALSE;
  now = ext2fs_blocks_count (fs->super) * fs->blocksize;
  groups = fs->group_desc_count;
  ext2fs_close_free (&fs);
  if (size_bytes > now ? !banger_ext4_resize (image, size_bytes, error)
                       : !banger_ext4_repair (image, error))
    return FALSE;
  return banger_ext4_finish_growth (image, groups, TRUE, error);
}

gboolean
banger_disk_make_empty (int image, const char *label, guint64 size_bytes, GError **error)
{
  g_autoptr (BangerDiskWriter) writer = banger_disk_writer_new (image);
  const BangerDiskLayout layout = { .label = label, .size_bytes = size_bytes, .journal = TRUE };

  return banger_disk_writer_finish (writer, &layout, NULL, error);
}
