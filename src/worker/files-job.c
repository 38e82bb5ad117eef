/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* read-files, edit-files and settle-image: files of an image or of a VM's disks. */
#include "file-lines.h"
#include "job.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* So much of what is read is kept until it is written to the caller. */
#define OUTPUT_BYTES (128u << 10)
/* A file of more pieces than these counts from there on as if it had no holes. */
#define PIECES_MAX 65536
#define ROOM_BYTES_MAX (1ULL << 40)
#define ROOM_ENTRIES_MAX (1ULL << 32)

typedef struct {
  BangerMessage *message;
  BangerReport *report;
  BangerDiskView *view;
  GVariant *steps;
  int root, lower, work;
  int files[BANGER_FILE_STEPS_FDS]; /* that came with the steps */
  char **binds;
  int output; /* of what is read */
  GString *lines;
  guint step; /* that is carried out, from 1 */
  const char *stage;
  double fraction;
} Files;

static void
files_clear (Files *files)
{
  g_clear_pointer (&files->view, banger_disk_view_free);
  g_clear_pointer (&files->steps, g_variant_unref);
  g_clear_pointer (&files->binds, g_strfreev);
  banger_clear_fd (&files->root);
  banger_clear_fd (&files->lower);
  banger_clear_fd (&files->work);
  banger_clear_fd (&files->output);
  for (guint i = 0; i < G_N_ELEMENTS (files->files); i++)
    banger_clear_fd (&files->files[i]);
  if (files->lines != NULL)
    g_string_free (files->lines, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Files, files_clear)

static gboolean
take_fd (Files *files, const char *key, gboolean needed, int *fd, GError **error)
{
  if (!needed && !g_variant_lookup (files->message->args, key, "h", NULL))
    return TRUE;
  *fd = banger_message_get_fd (files->message, key, error);
  return *fd >= 0;
}

/* They were checked by who sent them, and are once more: what is carried out is what was checked.
 */
static gboolean
take_steps (Files *files, gboolean edit, GError **error)
{
  banger_autofd int fd = -1;
  g_autofree char *bytes = NULL;
  g_autoptr (GBytes) held = NULL;
  struct stat info;

  if (!take_fd (files, "steps", TRUE, &fd, error))
    return FALSE;
  if (fstat (fd, &info) < 0 || info.st_size > BANGER_FILE_STEPS_BYTES) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "the steps cannot be read");
    return FALSE;
  }
  bytes = g_malloc (info.st_size + 1);
  if (pread (fd, bytes, info.st_size, 0) != info.st_size) {
    banger_set_error_errno (error, errno, NULL, "the steps cannot be read");
    return FALSE;
  }
  held = g_bytes_new_take (g_steal_pointer (&bytes), info.st_size);
  /* In normal form, as bangerd has it: to make sure of that takes longer than the edits do. */
  files->steps = g_variant_ref_sink (
      g_variant_new_from_bytes (G_VARIANT_TYPE (BANGER_FILE_STEPS_TYPE), held, TRUE));
  return banger_file_steps_check (files->steps, edit, BANGER_FILE_STEPS_FDS, error);
}

static gboolean
take_all (Files *files, gboolean edit, GError **error)
{
  if (!take_steps (files, edit, error) || !take_fd (files, "root", TRUE, &files->root, error)
      || !take_fd (files, "lower", FALSE, &files->lower, error)
      || !take_fd (files, "work", FALSE, &files->work, error)
      || !take_fd (files, "output", !edit, &files->output, error))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (files->files); i++) {
    g_autofree char *key = g_strdup_printf ("file-%u", i);

    if (!take_fd (files, key, FALSE, &files->files[i], error))
      return FALSE;
  }
  g_variant_lookup (files->message->args, "binds", "^as", &files->binds);
  return TRUE;
}

/* While content goes through, that it does: who is not heard of for long is taken for stalled. */
static gboolean
on_moved (gsize length, gpointer data, GError **error)
{
  Files *files = data;

  banger_report_progress (files->report, files->stage, files->fraction);
  return TRUE;
}

static BangerDiskViewSpec
view_spec (Files *files)
{
  return (BangerDiskViewSpec){
    .root = files->root,
    .lower = files->lower,
    .work = files->work,
    .binds = (const char *const *)files->binds,
    .moved = on_moved,
    .data = files,
  };
}

/* ── Reading ─────────────────────────────────────────────────────────────────────────────────── */

static gboolean
put (Files *files, const void *bytes, gsize length, GError **error)
{
  g_autoptr (GError) cause = NULL;

  if (banger_write_all (files->output, bytes, length, &cause))
    return TRUE;
  banger_set_error (
      error,
      g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_NO_SPACE) ? BANGER_ERROR_NO_SPACE
                                                                   : BANGER_ERROR_FAILED,
      NULL, banger_error_cause (cause) != NULL ? banger_error_cause (cause) : cause->message,
      banger_error_hint (cause), "what was read cannot be written to the caller's descriptor");
  return FALSE;
}

static gboolean
flush (Files *files, GError **error)
{
  gboolean done = put (files, files->lines->str, files->lines->len, error);

  g_string_truncate (files->lines, 0);
  return done;
}

static gboolean
on_entry (const char *name, const BangerDiskStat *stat, gpointer data, GError **error)
{
  Files *files = data;

  banger_file_lines_add (files->lines, files->step, name, stat);
  if (files->lines->len < OUTPUT_BYTES)
    return TRUE;
  banger_report_progress (files->report, files->stage, files->fraction);
  return flush (files, error);
}

static gboolean
on_data (const void *bytes, gsize length, gpointer data, GError **error)
{
  return on_moved (length, data, error) && put (data, bytes, length, error);
}

static gboolean
flag (GVariant *args, const char *key)
{
  gboolean value = FALSE;

  g_variant_lookup (args, key, "b", &value);
  return value;
}

static gboolean
stat_one (Files *files, const char *path, GVariant *args, GError **error)
{
  g_auto (BangerDiskStat) stat = { 0 };

  if (!banger_disk_view_stat (files->view, path, flag (args, "follow"), &stat, error))
    return FALSE;
  banger_file_lines_add (files->lines, files->step, path, &stat);
  return TRUE;
}

static gboolean
read_step (Files *files, const char *verb, const char *path, GVariant *args, GError **error)
{
  guint64 offset = 0, length = G_MAXUINT64;

  if (g_str_equal (verb, "list"))
    return banger_disk_view_list (files->view, path, flag (args, "recursive"), on_entry, files,
                                  error);
  if (g_str_equal (verb, "stat"))
    return stat_one (files, path, args, error);
  /* What the steps before said comes first. */
  if (!flush (files, error))
    return FALSE;
  if (g_str_equal (verb, "pack"))
    return banger_disk_view_pack (files->view, path, files->output, error);
  g_variant_lookup (args, "offset", "t", &offset);
  g_variant_lookup (args, "length", "t", &length);
  return banger_disk_view_read (files->view, path, offset, length, on_data, files, error);
}

/* ── Editing ─────────────────────────────────────────────────────────────────────────────────── */

static guint
take_meta (GVariant *args, BangerDiskMeta *meta)
{
  guint what = 0;

  memset (meta, 0, sizeof *meta);
  if (g_variant_lookup (args, "mode", "u", &meta->mode))
    what |= BANGER_DISK_MODE;
  if (g_variant_lookup (args, "uid", "u", &meta->uid))
    what |= BANGER_DISK_UID;
  if (g_variant_lookup (args, "gid", "u", &meta->gid))
    what |= BANGER_DISK_GID;
  if (g_variant_lookup (args, "mtime", "x", &meta->mtime))
    what |= BANGER_DISK_MTIME;
  g_variant_lookup (args, "mtime-nsec", "u", &meta->mtime_nsec);
  return what;
}

/* The caller's descriptor that the step names, still @files'. */
static int
file_of (Files *files, GVariant *args, GError **error)
{
  gint32 index = -1;

  if (g_variant_lookup (args, "file", "h", &index) && index >= 0
      && index < (gint32)G_N_ELEMENTS (files->files) && files->files[index] >= 0)
    return files->files[index];
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    "its descriptor is missing");
  return -1;
}

static gboolean
write_file (Files *files, const char *path, GVariant *args, GError **error)
{
  g_autoptr (GVariant) content
      = g_variant_lookup_value (args, "content", G_VARIANT_TYPE_BYTESTRING);
  g_autoptr (GVariant) file = g_variant_lookup_value (args, "file", G_VARIANT_TYPE_HANDLE);
  BangerDiskMeta meta;
  guint what = take_meta (args, &meta);
  gsize length = 0;
  const guint8 *bytes
      = content != NULL ? g_variant_get_fixed_array (content, &length, sizeof *bytes) : NULL;
  int fd = file != NULL ? file_of (files, args, error) : -1;

  if ((file != NULL && fd < 0)
      || (flag (args, "parents") && !banger_disk_view_make_parents (files->view, path, error)))
    return FALSE;
  return fd >= 0
             ? banger_disk_view_write (files->view, path, fd, what, &meta, error)
             : banger_disk_view_write_bytes (files->view, path, bytes, length, what, &meta, error);
}

static gboolean
unpack (Files *files, const char *path, GVariant *args, GError **error)
{
  BangerDiskMeta meta;
  guint what = take_meta (args, &meta);
  int fd = file_of (files, args, error);

  return fd >= 0 && banger_disk_view_unpack (files->view, path, fd, what, &meta, error);
}

static gboolean
make_folder (Files *files, const char *path, GVariant *args, GError **error)
{
  BangerDiskMeta meta;
  guint what = take_meta (args, &meta);

  return banger_disk_view_mkdir (files->view, path, flag (args, "parents"), what, &meta, error);
}

static gboolean
make_symlink (Files *files, const char *path, GVariant *args, GError **error)
{
  g_autofree char *target = banger_file_step_path (args, "target");
  BangerDiskMeta meta;
  guint what = take_meta (args, &meta);

  meta.target = target;
  return banger_disk_view_symlink (files->view, path, what, &meta, error);
}

static gboolean
make_link (Files *files, const char *path, GVariant *args, GError **error)
{
  g_autofree char *target = banger_file_step_path (args, "target");

  return banger_disk_view_link (files->view, path, target, error);
}

static gboolean
move (Files *files, const char *path, GVariant *args, GError **error)
{
  g_autofree char *to = banger_file_step_path (args, "to");

  return banger_disk_view_rename (files->view, path, to, error);
}

static gboolean
remove_file (Files *files, const char *path, GVariant *args, GError **error)
{
  g_autoptr (GError) cause = NULL;

  if (banger_disk_view_remove (files->view, path, flag (args, "recursive"), &cause)
      || (flag (args, "missing-ok")
          && g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_NOT_FOUND)))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

static gboolean
set_rights (Files *files, const char *path, GVariant *args, GError **error)
{
  BangerDiskMeta meta;
  guint what = take_meta (args, &meta);

  return banger_disk_view_set (files->view, path, flag (args, "recursive"), what, &meta, error);
}

static const struct {
  const char *verb;
  gboolean (*func) (Files *files, const char *path, GVariant *args, GError **error);
} edits[] = {
  { "write", write_file },     { "unpack", unpack },  { "mkdir", make_folder },
  { "symlink", make_symlink }, { "link", make_link }, { "rename", move },
  { "remove", remove_file },   { "set", set_rights },
};

static gboolean
edit_step (Files *files, const char *verb, const char *path, GVariant *args, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (edits); i++) {
    if (g_str_equal (edits[i].verb, verb))
      return edits[i].func (files, path, args, error);
  }
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL, "it is not known");
  return FALSE;
}

/* ── Both ────────────────────────────────────────────────────────────────────────────────────── */

/* Carries them out until one fails, whose number the error then begins with where they are several.
 */
static gboolean
run_steps (Files *files, gboolean edit, GError **error)
{
  gsize n = g_variant_n_children (files->steps);

  for (gsize i = 0; i < n; i++) {
    g_autoptr (GVariant) args = NULL;
    g_autofree char *path = NULL;
    const char *verb = NULL;

    files->step = i + 1;
    files->fraction = (double)i / n;
    banger_report_progress (files->report, files->stage, files->fraction);
    g_variant_get_child (files->steps, i, "(&s@a{sv})", &verb, &args);
    path = banger_file_step_path (args, "path");
    if (edit ? edit_step (files, verb, path, args, error)
             : read_step (files, verb, path, args, error))
      continue;
    if (n > 1)
      g_prefix_error (error, "step %u (%s): ", files->step, verb);
    banger_error_set_stage (error, files->stage);
    return FALSE;
  }
  return TRUE;
}

/* To read them, what the journals of a guest's disks hold is brought into place first. */
static gboolean
recover (Files *files, GError **error)
{
  if (!flag (files->message->args, "recover"))
    return TRUE;
  /* No stage that people see: bangerd waits for this as long as it takes. */
  banger_report_progress (files->report, "recovering", -1);
  return banger_disk_recover (files->root, FALSE, error)
         && (files->work < 0 || banger_disk_recover (files->work, FALSE, error));
}

static gboolean
open_to_read (Files *files, GError **error)
{
  const BangerDiskViewSpec spec = view_spec (files);

  files->view = banger_disk_view_open (&spec, error);
  return files->view != NULL;
}

GVariant *
banger_job_read_files (BangerMessage *message, BangerReport *report, GError **error)
{
  g_auto (Files) files = { .message = message,
                           .report = report,
                           .stage = "reading",
                           .root = -1,
                           .lower = -1,
                           .work = -1,
                           .output = -1 };

  memset (files.files, -1, sizeof files.files);
  files.lines = g_string_new (NULL);
  banger_report_progress (report, files.stage, -1);
  if (take_all (&files, FALSE, error) && recover (&files, error) && open_to_read (&files, error)) {
    gboolean done = run_steps (&files, FALSE, error);

    /* What the steps before one that failed said is said all the same. */
    if (flush (&files, done ? error : NULL) && done)
      return banger_no_args ();
  }
  banger_error_set_stage (error, "reading");
  return NULL;
}

/* What lies in the file from where it is read on, without its holes. */
static guint64
count_data (int file, const struct stat *info)
{
  off_t start = lseek (file, 0, SEEK_CUR), at = start;
  guint64 sum = 0;

  for (guint i = 0; i < PIECES_MAX && at >= 0 && at < info->st_size; i++) {
    off_t data = lseek (file, at, SEEK_DATA);

    if (data < 0 && errno == ENXIO) {
      at = info->st_size;
      break;
    }
    at = data >= 0 ? lseek (file, data, SEEK_HOLE) : data;
    sum += at >= 0 ? at - data : 0;
  }
  if (start >= 0)
    lseek (file, start, SEEK_SET);
  /* What is not known to be a hole is none. */
  if (at < 0)
    return info->st_size;
  return sum + (info->st_size > at ? info->st_size - at : 0);
}

/* What a step's file will take, as far as it shows, or as its caller says. */
static void
measure_file (int file, const char *verb, GVariant *args, guint64 *bytes, guint64 *entries)
{
  guint64 said_bytes = 0, said_entries = 0;
  struct stat info;

  *bytes = 0;
  *entries = 1;
  if (fstat (file, &info) == 0 && S_ISREG (info.st_mode)) {
    if (g_str_equal (verb, "unpack"))
      banger_disk_measure_tar (file, bytes, entries);
    else
      *bytes = count_data (file, &info);
  }
  g_variant_lookup (args, "room-bytes", "t", &said_bytes);
  g_variant_lookup (args, "room-entries", "t", &said_entries);
  *bytes = MAX (*bytes, said_bytes);
  *entries = MAX (*entries, said_entries);
}

/* An image has no more room than a margin: it grows by what comes, as far as that is known. */
static void
measure_steps (Files *files, guint64 *bytes, guint64 *entries)
{
  for (gsize i = 0; i < g_variant_n_children (files->steps); i++) {
    g_autoptr (GVariant) args = NULL;
    g_autoptr (GVariant) content = NULL;
    const char *verb = NULL;
    guint64 more_bytes = 0, more_entries = 1;
    gint32 file = -1;

    g_variant_get_child (files->steps, i, "(&s@a{sv})", &verb, &args);
    content = g_variant_lookup_value (args, "content", G_VARIANT_TYPE_BYTESTRING);
    if (content != NULL)
      more_bytes = g_variant_get_size (content);
    if (g_variant_lookup (args, "file", "h", &file) && file >= 0
        && file < (gint32)G_N_ELEMENTS (files->files) && files->files[file] >= 0)
      measure_file (files->files[file], verb, args, &more_bytes, &more_entries);
    /* More than any image holds, and little enough to reckon with. */
    *bytes = MIN (*bytes + MIN (more_bytes, ROOM_BYTES_MAX), ROOM_BYTES_MAX);
    *entries = MIN (*entries + MIN (more_entries, ROOM_ENTRIES_MAX), ROOM_ENTRIES_MAX);
  }
}

static gboolean
open_to_edit (Files *files, gboolean image, GError **error)
{
  BangerDiskViewSpec spec = view_spec (files);

  spec.write = TRUE;
  g_variant_lookup (files->message->args, "reserve-bytes", "t", &spec.reserve_bytes);
  if (image)
    measure_steps (files, &spec.room_bytes, &spec.room_entries);
  files->view = banger_disk_view_open (&spec, error);
  return files->view != NULL;
}

/* What new VMs get as their /root, made anew where it has changed, and brought to the disk. */
static gboolean
make_seed (int image, int seed, GError **error)
{
  if (banger_disk_copy_tree (image, "/root", seed, "banger-work", error)) {
    if (fsync (seed) == 0)
      return TRUE;
    banger_set_error_errno (error, errno, NULL, "it cannot be written");
  }
  banger_error_set_stage (error, "seed");
  return FALSE;
}

/* The image as it is now. */
static gboolean
add_size (GVariantDict *done, int image, GError **error)
{
  struct stat info;

  if (fstat (image, &info) < 0) {
    banger_set_error_errno (error, errno, "editing", "the size of the image is not known");
    return FALSE;
  }
  g_variant_dict_insert (done, "size-bytes", "t", (guint64)info.st_size);
  return TRUE;
}

static gboolean
end_image (Files *files, int seed, gboolean changed_home, GVariantDict *done, GError **error)
{
  if (changed_home)
    banger_report_progress (files->report, "seed", -1);
  if ((changed_home && !make_seed (files->root, seed, error))
      || !add_size (done, files->root, error))
    return FALSE;
  g_variant_dict_insert (done, "seed", "b", changed_home);
  return TRUE;
}

GVariant *
banger_job_edit_files (BangerMessage *message, BangerReport *report, GError **error)
{
  g_auto (Files) files = { .message = message,
                           .report = report,
                           .stage = "editing",
                           .root = -1,
                           .lower = -1,
                           .work = -1,
                           .output = -1 };
  g_auto (GVariantDict) done = G_VARIANT_DICT_INIT (NULL);
  g_autoptr (GError) failure = NULL;
  banger_autofd int seed = -1;
  gboolean changed_home = FALSE;

  memset (files.files, -1, sizeof files.files);
  /* No stage of the job's: what is done here waits for nobody outside, however long it takes. */
  banger_report_progress (report, "recovering", -1);
  if (!take_all (&files, TRUE, error) || !take_fd (&files, "seed", FALSE, &seed, error)
      || !open_to_edit (&files, seed >= 0, error)) {
    banger_error_set_stage (error, "editing");
    return NULL;
  }
  /* A step that fails ends them, and what was done before it is brought to the disk. */
  if (run_steps (&files, TRUE, &failure))
    files.step++;
  changed_home = banger_disk_view_changed_home (files.view);
  banger_report_progress (report, "syncing", -1);
  if (!banger_disk_view_finish (files.view, failure == NULL ? error : NULL)) {
    /* Then no step stays done, and this one says why. */
    if (failure != NULL)
      g_propagate_error (error, g_steal_pointer (&failure));
    banger_error_set_stage (error, "editing");
    return NULL;
  }
  g_clear_pointer (&files.view, banger_disk_view_free);
  if (seed >= 0 && !end_image (&files, seed, changed_home, &done, error))
    return NULL;
  g_variant_dict_insert (&done, "done", "u", files.step - 1);
  if (failure != NULL)
    g_variant_dict_insert_value (&done, "error", banger_error_to_variant (failure));
  return g_variant_dict_end (&done);
}

GVariant *
banger_job_settle_image (BangerMessage *message, BangerReport *report, GError **error)
{
  banger_autofd int root = banger_message_get_fd (message, "root", error);
  banger_autofd int seed = root >= 0 ? banger_message_get_fd (message, "seed", error) : -1;
  g_auto (GVariantDict) done = G_VARIANT_DICT_INIT (NULL);
  guint64 freed = 0;

  if (seed < 0 || !banger_disk_recover (root, TRUE, error))
    return NULL;
  /* What the edit wrote in vain; where it cannot be given back, it is room and no more. */
  banger_disk_trim (root, &freed, NULL);
  if (!banger_job_end_image (root, seed, report, error) || !add_size (&done, root, error))
    return NULL;
  return g_variant_dict_end (&done);
}
