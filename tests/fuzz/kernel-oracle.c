/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel-oracle.h"

#include "disk/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/posix_acl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* What of a file is compared: holes may make it endless. */
#define CONTENT_MAX (1u << 20)
#define ATTEMPTS 20

typedef struct {
  BangerDiskView *view;
  int root; /* where it is mounted */
  guint64 names;
} Walk;

static void G_GNUC_NORETURN
die (const char *name, const char *what)
{
  g_autofree char *shown = g_strescape (name, NULL);

  fprintf (stderr, "the kernel's view: '%s': %s\n", shown, what);
  abort ();
}

static void
expect (gboolean same, const char *name, const char *what)
{
  if (!same)
    die (name, what);
}

/* A loop device that goes away with its last user; -1 where there is none. */
static int
attach (int image, char *path, gsize room)
{
  banger_autofd int control = open ("/dev/loop-control", O_RDWR | O_CLOEXEC);
  const struct loop_config config
      = { .fd = image, .info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR };

  /* Another may take the free one first. */
  for (guint i = 0; control >= 0 && i < ATTEMPTS; i++) {
    int number = ioctl (control, LOOP_CTL_GET_FREE);
    banger_autofd int loop = -1;

    if (number < 0)
      return -1;
    g_snprintf (path, room, "/dev/loop%d", number);
    loop = open (path, O_RDONLY | O_CLOEXEC);
    if (loop >= 0 && ioctl (loop, LOOP_CONFIGURE, &config) == 0)
      return banger_steal_fd (&loop);
    if (errno != EBUSY)
      return -1;
  }
  return -1;
}

/* The root of @image, which is mounted as long as that is open; -1 where no device is free. */
static int
mount_image (int image)
{
  g_autofree char *point = NULL;
  char path[32];
  banger_autofd int loop = attach (image, path, sizeof path);
  int root = -1;

  if (loop < 0)
    return -1;
  point = g_dir_make_tmp ("banger-oracle-XXXXXX", NULL);
  g_assert_nonnull (point);
  if (mount (path, point, "ext4", MS_RDONLY | MS_NODEV | MS_NOSUID | MS_NOEXEC, "") < 0)
    die (path, g_strerror (errno));
  root = open (point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_assert_cmpint (umount2 (point, MNT_DETACH), ==, 0);
  g_assert_cmpint (rmdir (point), ==, 0);
  return root;
}

gboolean
kernel_oracle_is_there (void)
{
  banger_autofd int image = banger_memfd_new ("probe", "", 0, NULL), loop = -1;
  char path[32];

  if (geteuid () != 0 || ftruncate (image, 1 << 20) < 0)
    return FALSE;
  loop = attach (image, path, sizeof path);
  /* What is mounted is nobody else's. */
  return loop >= 0 && unshare (CLONE_NEWNS) == 0
         && mount ("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

typedef struct {
  const char *name;
  int fd;
  guint64 offset;
} Content;

static gboolean
compare_content (const void *bytes, gsize length, gpointer data, GError **error)
{
  Content *content = data;
  g_autofree guint8 *theirs = g_malloc (MAX (length, 1));

  expect (pread (content->fd, theirs, length, content->offset) == (gssize)length, content->name,
          "it is shorter");
  expect (memcmp (bytes, theirs, length) == 0, content->name, "its content differs");
  content->offset += length;
  return TRUE;
}

static void
compare_file (Walk *walk, const char *name, const BangerDiskStat *stat)
{
  banger_autofd int fd = openat (walk->root, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  const guint64 length = MIN (stat->size, CONTENT_MAX);
  g_autofree char *path = g_strconcat ("/", name, NULL);
  Content content = { name, fd, 0 };
  g_autoptr (GError) error = NULL;

  expect (fd >= 0, name, "it cannot be opened");
  if (!banger_disk_view_read (walk->view, path, 0, length, compare_content, &content, &error))
    die (name, error->message);
  expect (content.offset == length, name, "our content is shorter");
}

/* Two lists say the same whatever they have for the number of an entry that has none:
 * linux/posix_acl_xattr.h. */
static gboolean
is_same_list (const guint8 *a, const guint8 *b, gsize length)
{
  for (gsize at = 0; at < length; at++) {
    gboolean is_id = at >= 4 && (at - 4) % 8 >= 4;
    guint8 tag = is_id ? a[4 + (at - 4) / 8 * 8] : 0;

    if ((!is_id || tag == ACL_USER || tag == ACL_GROUP) && a[at] != b[at])
      return FALSE;
  }
  return TRUE;
}

static gboolean
is_same_value (const BangerDiskXattr *xattr, const char *value, gssize length)
{
  if (length < 0 || (gsize)length != xattr->length)
    return FALSE;
  return memcmp (value, xattr->value, length) == 0
         || (g_str_has_prefix (xattr->name, "system.posix_acl_")
             && is_same_list (xattr->value, (const guint8 *)value, length));
}

static void
compare_xattrs (const char *proc, const char *name, const BangerDiskStat *stat)
{
  char value[XATTR_SIZE_MAX], list[XATTR_LIST_MAX];
  ssize_t length = listxattr (proc, list, sizeof list);
  guint count = 0;

  expect (length >= 0, name, "its attributes cannot be listed");
  /* The view shows none that overlayfs keeps for itself. */
  for (const char *p = list; p < list + length; p += strlen (p) + 1)
    count += !g_str_has_prefix (p, "trusted.overlay.");
  expect (count == stat->xattrs->len, name, "its attributes are others");
  for (guint i = 0; i < stat->xattrs->len; i++) {
    const BangerDiskXattr *xattr = stat->xattrs->pdata[i];

    length = getxattr (proc, xattr->name, value, sizeof value);
    expect (is_same_value (xattr, value, length), name, xattr->name);
  }
}

static void
compare_meta (const char *name, const BangerDiskStat *ours, const struct stat *theirs)
{
  const BangerDiskMeta *meta = &ours->meta;

  expect (meta->mode == theirs->st_mode, name, "mode");
  expect (meta->uid == theirs->st_uid && meta->gid == theirs->st_gid, name, "owner");
  expect (meta->mtime == theirs->st_mtim.tv_sec, name, "time");
  expect (meta->mtime_nsec == (guint32)theirs->st_mtim.tv_nsec, name, "nanoseconds");
  expect (S_ISDIR (meta->mode) || ours->size == (guint64)theirs->st_size, name, "size");
  expect (ours->links == theirs->st_nlink, name, "links");
  if (S_ISCHR (meta->mode) || S_ISBLK (meta->mode))
    expect (meta->major == major (theirs->st_rdev) && meta->minor == minor (theirs->st_rdev), name,
            "device number");
}

static gboolean
compare_entry (const char *name, const BangerDiskStat *stat, gpointer data, GError **error)
{
  Walk *walk = data;
  banger_autofd int fd = -1;
  char proc[64], target[PATH_MAX];
  struct stat theirs;

  walk->names++;
  /* What no program can name. */
  if (strlen (name) >= PATH_MAX)
    return TRUE;
  fd = openat (walk->root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  expect (fd >= 0 && fstat (fd, &theirs) == 0, name, "it is not there");
  compare_meta (name, stat, &theirs);
  g_snprintf (proc, sizeof proc, "/proc/self/fd/%d", fd);
  compare_xattrs (proc, name, stat);
  if (S_ISREG (theirs.st_mode))
    compare_file (walk, name, stat);
  if (S_ISLNK (theirs.st_mode)) {
    ssize_t length = readlinkat (fd, "", target, sizeof target);

    expect (length == (gssize)strlen (stat->meta.target)
                && memcmp (target, stat->meta.target, length) == 0,
            name, "target");
  }
  return TRUE;
}

/* How many names the kernel finds below @fd, which is closed. */
static guint64
count_names (int fd)
{
  DIR *dir = fdopendir (fd);
  struct dirent *entry = NULL;
  guint64 count = 0;

  g_assert_nonnull (dir);
  while ((entry = readdir (dir)) != NULL) {
    if (strcmp (entry->d_name, ".") == 0 || strcmp (entry->d_name, "..") == 0)
      continue;
    count++;
    if (entry->d_type == DT_DIR) {
      int below = openat (dirfd (dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

      expect (below >= 0, entry->d_name, "the directory cannot be opened");
      count += count_names (below);
    }
  }
  closedir (dir);
  return count;
}

void
kernel_oracle_compare (int image)
{
  const BangerDiskViewSpec spec = { .root = image, .lower = -1, .work = -1 };
  g_autoptr (GError) error = NULL;
  banger_autofd int root = mount_image (image);
  Walk walk = { .root = root };

  /* No device is free at the moment. */
  if (root < 0)
    return;
  walk.view = banger_disk_view_open (&spec, &error);
  if (walk.view == NULL
      || !banger_disk_view_list (walk.view, "/", TRUE, compare_entry, &walk, &error))
    die ("/", error->message);
  banger_disk_view_free (walk.view);
  expect (count_names (dup (root)) == walk.names, "/", "the number of names");
}
