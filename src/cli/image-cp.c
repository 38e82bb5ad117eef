/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "image cp": into an image files are written as they are and directories as tar archives that the
 * service unpacks; out of it all comes as archives that it packs. Paths follow links in the image
 * as its guest would, never out of it.
 */
#include "tarball.h"
#include "cp-path.h"
#include "files-client.h"
#include "pack.h"
#include "verbs.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXTRACT_CHUNK 65536

typedef struct {
  BangerFilesTarget *target;
  BangerArgs *args;
  gboolean recursive;
  gboolean keep; /* owners as the originals' numbers */
  guint32 uid, gid;
  gboolean has_mode;
  guint32 mode;
  guint faults; /* that were told as they came */
  BangerMeter meter;
  guint64 done; /* bytes of the jobs that have ended */
} Copy;

/* Shows how many bytes there are while jobs run, by @bytes of @data. */
static void
measure (Copy *copy, BangerFilesBytes bytes, gpointer data)
{
  copy->target->meter = bytes != NULL ? &copy->meter : NULL;
  copy->target->bytes = bytes;
  copy->target->data = data;
}

static gboolean
set_misused (GError **error, const char *what)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger help image cp", "%s",
                    what);
  return FALSE;
}

static gboolean
refuse_directory (const char *path, GError **error)
{
  g_autofree char *shown = banger_text_escape (path, -1);

  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "-r",
                    _ ("'%s' is a directory"), shown);
  return FALSE;
}

/* "keep", or whose the copies are: "0:0" by default. */
static gboolean
take_owner (Copy *copy, GError **error)
{
  const char *owner = banger_args_text (copy->args, "owner");
  g_auto (GVariantDict) ids = G_VARIANT_DICT_INIT (NULL);

  copy->keep = g_strcmp0 (owner, "keep") == 0;
  if (owner == NULL || copy->keep)
    return TRUE;
  if (!banger_files_owner (copy->target, owner, &ids, error))
    return FALSE;
  g_variant_dict_lookup (&ids, "uid", "u", &copy->uid);
  g_variant_dict_lookup (&ids, "gid", "u", &copy->gid);
  return TRUE;
}

/* ── Into the image ──────────────────────────────────────────────────────────────────────────── */

/* What a call takes at once. */
typedef struct {
  Copy *copy;
  BangerFilesSteps steps;
  GPtrArray *packs; /* of BangerPack */
} Batch;

static void
batch_init (Batch *batch, Copy *copy)
{
  batch->copy = copy;
  banger_files_steps_init (&batch->steps);
  batch->packs = g_ptr_array_new ();
}

/* What was packed, and how far the service has read files: it has the very descriptors that are
 * here. */
static guint64
batch_bytes (gpointer data)
{
  Batch *batch = data;
  guint64 bytes = batch->copy->done;
  const int *fds = g_unix_fd_list_peek_fds (batch->steps.fds, NULL);

  for (guint i = 0; i < batch->packs->len; i++)
    bytes += banger_pack_bytes (batch->packs->pdata[i]);
  for (; *fds >= 0; fds++) {
    off_t at = lseek (*fds, 0, SEEK_CUR);

    bytes += MAX (at, 0);
  }
  return bytes;
}

/* Has the steps carried out, with how far they are. */
static gboolean
batch_send (Batch *batch, GError **error)
{
  gboolean ok = FALSE;

  measure (batch->copy, batch_bytes, batch);
  ok = banger_files_edit (batch->copy->target, &batch->steps, NULL, error);
  measure (batch->copy, NULL, NULL);
  batch->copy->done = batch_bytes (batch);
  return ok;
}

/* Waits for who packs; an error of theirs is the reason behind what the service says. */
static gboolean
batch_end (Batch *batch, gboolean ok, GError **error)
{
  banger_files_steps_clear (&batch->steps);
  for (guint i = 0; i < batch->packs->len; i++) {
    g_autoptr (GError) cause = NULL;

    if (banger_pack_finish (batch->packs->pdata[i], &cause))
      continue;
    g_clear_error (error);
    g_propagate_error (error, g_steal_pointer (&cause));
    ok = FALSE;
  }
  g_ptr_array_unref (batch->packs);
  return ok;
}

static gboolean
add_descriptor (Batch *batch, int fd, GVariantDict *args, GError **error)
{
  int index = g_unix_fd_list_append (batch->steps.fds, fd, error);

  if (index >= 0)
    g_variant_dict_insert (args, "file", "h", index);
  return index >= 0;
}

static void
add_ids (const Copy *copy, const struct stat *info, GVariantDict *args)
{
  g_variant_dict_insert (args, "uid", "u", copy->keep ? info->st_uid : copy->uid);
  g_variant_dict_insert (args, "gid", "u", copy->keep ? info->st_gid : copy->gid);
}

static gboolean
add_file (const Copy *copy, Batch *batch, const char *source, const struct stat *info,
          const char *path, GError **error)
{
  g_autofree char *shown = banger_text_escape (source, -1);
  banger_autofd int fd = open (source, O_RDONLY | O_CLOEXEC);
  g_auto (GVariantDict) args = G_VARIANT_DICT_INIT (NULL);

  if (fd < 0) {
    banger_set_error_errno (error, errno, NULL, _ ("cannot open '%s'"), shown);
    return FALSE;
  }
  add_ids (copy, info, &args);
  g_variant_dict_insert (&args, "mode", "u", copy->has_mode ? copy->mode : info->st_mode & 0777);
  g_variant_dict_insert (&args, "mtime", "x", (gint64)info->st_mtim.tv_sec);
  g_variant_dict_insert (&args, "mtime-nsec", "u", (guint32)info->st_mtim.tv_nsec);
  if (!add_descriptor (batch, fd, &args, error))
    return FALSE;
  banger_files_steps_add (&batch->steps, "write", path, &args);
  return TRUE;
}

/* An image grows by what comes, which a pipe does not tell. */
static gboolean
add_room (const Copy *copy, const char *source, const BangerTreeTarSpec *spec, GVariantDict *args,
          GError **error)
{
  guint64 bytes = 0, entries = 0;

  if (copy->target->kind != BANGER_OBJECT_IMAGE)
    return TRUE;
  if (!banger_tree_tar_measure (source, spec, &bytes, &entries, error))
    return FALSE;
  g_variant_dict_insert (args, "room-bytes", "t", bytes);
  g_variant_dict_insert (args, "room-entries", "t", entries);
  return TRUE;
}

/* The directory at @path is made with the archive, whose first name is its last one. */
static gboolean
add_tree (const Copy *copy, Batch *batch, const char *source, const char *path, GError **error)
{
  const BangerTreeOwner owner = { copy->uid, copy->gid };
  g_autofree char *base = banger_cp_base (path), *parent = banger_cp_parent (path);
  const BangerTreeTarSpec spec
      = { .prefix = base != NULL ? base : ".", .owner = copy->keep ? NULL : &owner };
  g_auto (GVariantDict) args = G_VARIANT_DICT_INIT (NULL);
  banger_autofd int fd = -1;
  BangerPack *pack = NULL;

  if (copy->has_mode)
    return set_misused (error, _ ("image cp: --mode is for files that are copied into an image"));
  if (!add_room (copy, source, &spec, &args, error))
    return FALSE;
  pack = banger_pack_start_tree (source, &spec, &fd, error);
  if (pack == NULL)
    return FALSE;
  g_ptr_array_add (batch->packs, pack);
  if (!add_descriptor (batch, fd, &args, error))
    return FALSE;
  banger_files_steps_add (&batch->steps, "unpack", parent, &args);
  return TRUE;
}

static gboolean
add_source (const Copy *copy, Batch *batch, const char *source, const char *path, GError **error)
{
  g_autofree char *shown = banger_text_escape (source, -1);
  struct stat info;

  if (stat (source, &info) < 0) {
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, g_strerror (errno), NULL,
                      _ ("cannot copy '%s'"), shown);
    return FALSE;
  }
  if (S_ISREG (info.st_mode))
    return add_file (copy, batch, source, &info, path, error);
  /* A pipe may be opened only when somebody writes, and has neither an end nor a size to tell. */
  if (!S_ISDIR (info.st_mode)) {
    banger_set_error (
        error, BANGER_ERROR_INVALID_ARGUMENT, NULL, _ ("it is a device, a pipe or a socket"),
        _ ("write to a file first what it gives, and copy that"), _ ("cannot copy '%s'"), shown);
    return FALSE;
  }
  if (!copy->recursive)
    return refuse_directory (source, error);
  return add_tree (copy, batch, source, path, error);
}

/* Where a copy of @source goes: into the directory @place, or to be what is called so. */
static char *
path_for (const char *source, const char *place, gboolean into, GError **error)
{
  g_autofree char *real = realpath (source, NULL);
  g_autofree char *base = banger_cp_base (real != NULL ? real : source);

  if (!into)
    return g_strdup (place);
  if (base != NULL)
    return g_build_filename (place, base, NULL);
  set_misused (error, _ ("image cp: what has no name needs one where it goes to"));
  return NULL;
}

static gboolean
upload_some (Copy *copy, const BangerCpPath *sources, guint n, gboolean into, GError **error)
{
  const char *place = copy->target->paths->pdata[0];
  gboolean ok = TRUE;
  Batch batch;

  batch_init (&batch, copy);
  for (guint i = 0; ok && i < n; i++) {
    g_autofree char *path = path_for (sources[i].path, place, into, error);

    ok = path != NULL && add_source (copy, &batch, sources[i].path, path, error);
  }
  ok = ok && batch_send (&batch, error);
  return batch_end (&batch, ok, error);
}

/* Whether there is a directory at the path that the target names. */
static gboolean
is_directory (Copy *copy, const char *path, gboolean *is, GError **error)
{
  g_autoptr (GError) cause = NULL;
  g_autofree char *type = banger_files_type (copy->target, path, &cause);

  *is = g_strcmp0 (type, "directory") == 0;
  if (type != NULL || g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_NOT_FOUND))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

static gboolean
upload (Copy *copy, const BangerCpPath *sources, guint n, GError **error)
{
  const char *place = copy->target->paths->pdata[0];
  gboolean into = FALSE;

  if (!is_directory (copy, place, &into, error))
    return FALSE;
  if (!into && (n > 1 || banger_cp_must_be_directory (place))) {
    g_autofree char *label = banger_files_label (copy->target, place);

    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, NULL, NULL,
                      _ ("'%s' is not a directory"), label);
    return FALSE;
  }
  for (guint i = 0; i < n; i += BANGER_FILE_STEPS_FDS) {
    if (!upload_some (copy, sources + i, MIN (n - i, BANGER_FILE_STEPS_FDS), into, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
from_input (Copy *copy, GError **error)
{
  g_auto (GVariantDict) args = G_VARIANT_DICT_INIT (NULL);
  gboolean ok = FALSE;
  Batch batch;

  batch_init (&batch, copy);
  if (banger_args_text (copy->args, "owner") != NULL && !copy->keep) {
    g_variant_dict_insert (&args, "uid", "u", copy->uid);
    g_variant_dict_insert (&args, "gid", "u", copy->gid);
  }
  ok = add_descriptor (&batch, STDIN_FILENO, &args, error);
  if (ok) {
    banger_files_steps_add (&batch.steps, "unpack", copy->target->paths->pdata[0], &args);
    ok = lseek (STDIN_FILENO, 0, SEEK_CUR) >= 0
             ? batch_send (&batch, error)
             : banger_files_edit (copy->target, &batch.steps, NULL, error);
  }
  return batch_end (&batch, ok, error);
}

/* ── Out of the image ────────────────────────────────────────────────────────────────────────── */

static gboolean
pack_to (Copy *copy, const char *path, int fd, GError **error)
{
  g_auto (BangerFilesSteps) steps;

  banger_files_steps_init (&steps);
  banger_files_steps_add (&steps, "pack", path, NULL);
  return banger_files_read (copy->target, &steps, fd, error);
}

static gboolean
to_output (Copy *copy, GError **error)
{
  if (isatty (STDOUT_FILENO)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      "banger image cp NAME:PATH - > FILE.tar",
                      _ ("an archive is not for a terminal"));
    return FALSE;
  }
  return pack_to (copy, copy->target->paths->pdata[0], STDOUT_FILENO, error);
}

/* The service's archive on its way into the current directory, in a thread: the main one waits for
 * the job. */
typedef struct {
  int fd;
  BangerArchiveSpec spec;
  GError *error;
  guint8 *chunk;
  gsize bytes; /* read so far, atomic */
} Extract;

static ssize_t
read_extract (struct archive *archive, void *data, const void **bytes)
{
  Extract *extract = data;
  ssize_t n = banger_read_some (extract->fd, extract->chunk, EXTRACT_CHUNK);

  *bytes = extract->chunk;
  if (n < 0)
    archive_set_error (archive, errno, "%s", g_strerror (errno));
  else
    g_atomic_pointer_add (&extract->bytes, n);
  return n < 0 ? ARCHIVE_FATAL : n;
}

static guint64
extract_bytes (gpointer data)
{
  Extract *extract = data;

  return (guint64)g_atomic_pointer_add (&extract->bytes, 0);
}

static gpointer
extract_thread (gpointer data)
{
  Extract *extract = data;
  /* libarchive reads names by the locale; what images call their files is UTF-8, or just bytes. */
  locale_t utf8 = newlocale (LC_CTYPE_MASK, "C.UTF-8", 0);
  g_autoptr (BangerArchiveReader) tar = archive_read_new ();

  uselocale (utf8);
  archive_read_support_format_tar (tar);
  archive_read_support_format_empty (tar);
  if (archive_read_open (tar, extract, NULL, read_extract, NULL) == ARCHIVE_OK)
    banger_archive_extract (tar, &extract->spec, &extract->error);
  /* What stopped in the middle is not read on: the service then hears that nobody does. */
  banger_clear_fd (&extract->fd);
  uselocale (LC_GLOBAL_LOCALE);
  if (utf8 != 0)
    freelocale (utf8);
  return NULL;
}

/* Packs @path there and extracts it here, in the current directory. */
static gboolean
fetch (Copy *copy, const char *path, const char *base, const char *rename, GError **error)
{
  g_autofree char *label = banger_files_label (copy->target, path);
  Extract extract = { .spec = { .name = base,
                                .rename = rename,
                                .from = label,
                                .keep = copy->keep,
                                .note = banger_archive_print_fault,
                                .data = &copy->faults } };
  g_autoptr (GError) cause = NULL;
  g_autofree guint8 *chunk = g_malloc (EXTRACT_CHUNK);
  GThread *thread = NULL;
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) < 0) {
    banger_set_error_errno (error, errno, NULL, _ ("cannot make a pipe"));
    return FALSE;
  }
  extract.fd = ends[0];
  extract.bytes = copy->done;
  extract.chunk = chunk;
  thread = g_thread_new ("extract", extract_thread, &extract);
  measure (copy, extract_bytes, &extract);
  pack_to (copy, path, ends[1], &cause);
  measure (copy, NULL, NULL);
  close (ends[1]);
  g_thread_join (thread);
  copy->done = extract_bytes (&extract);
  /* Why nobody read on says more than that nobody did; else an archive that is cut short less. */
  if (extract.error != NULL
      && (cause == NULL || !g_error_matches (extract.error, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE)
          || g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_FAILED))) {
    g_clear_error (&cause);
    cause = g_steal_pointer (&extract.error);
  }
  g_clear_error (&extract.error);
  if (cause == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

static gboolean
check_source (Copy *copy, const char *path, GError **error)
{
  g_autofree char *type = banger_files_type (copy->target, path, error);
  g_autofree char *label = banger_files_label (copy->target, path);

  if (type == NULL)
    return FALSE;
  return copy->recursive || strcmp (type, "directory") != 0 || refuse_directory (label, error);
}

static gboolean
download_one (Copy *copy, const char *path, const char *rename, GError **error)
{
  g_autofree char *base = banger_cp_base (path);

  if (base == NULL)
    return set_misused (error, _ ("image cp: name what to copy, or copy to - for an archive"));
  return check_source (copy, path, error) && fetch (copy, path, base, rename, error);
}

static gboolean
download (Copy *copy, const BangerCpPath *place, GError **error)
{
  const GPtrArray *paths = copy->target->paths;
  g_autofree char *directory = NULL, *rename = NULL;
  banger_autofd int here = open (".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  gboolean ok = TRUE;

  if (!banger_cp_place (place->path, paths->len == 1, "banger image cat NAME:PATH > FILE",
                        &directory, &rename, error))
    return FALSE;
  if (here < 0 || chdir (directory) < 0) {
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, g_strerror (errno), NULL,
                      _ ("cannot copy into '%s'"), directory);
    return FALSE;
  }
  for (guint i = 0; ok && i < paths->len; i++)
    ok = download_one (copy, paths->pdata[i], rename, error);
  if (fchdir (here) < 0 && ok) {
    banger_set_error_errno (error, errno, NULL, _ ("cannot go back to where this was started"));
    return FALSE;
  }
  return ok;
}

/* ── Both ────────────────────────────────────────────────────────────────────────────────────── */

static gboolean
check_words (const BangerCpPath *paths, guint n, GError **error)
{
  gboolean out = paths[n - 1].kind != BANGER_CP_GUEST;

  for (guint i = 0; i + 1 < n; i++) {
    if ((paths[i].kind == BANGER_CP_GUEST) != out)
      return set_misused (error, _ ("image cp: either all sources or the target are NAME:PATH"));
  }
  for (guint i = 0; i < n; i++) {
    if (paths[i].kind == BANGER_CP_STREAM && n != 2)
      return set_misused (error, _ ("image cp: - stands for one archive"));
  }
  return TRUE;
}

/* The words that name files of the image. */
static BangerFilesTarget *
target_of (BangerClient *client, BangerArgs *args, gboolean out, GError **error)
{
  const char *const *words = banger_args_words (args);
  guint n = g_strv_length ((char **)words);
  g_autofree const char **those = g_new0 (const char *, n + 1);

  for (guint i = 0; i + 1 < n && out; i++)
    those[i] = words[i];
  if (!out)
    those[0] = words[n - 1];
  return banger_files_target_new (client, args, those, FALSE, error);
}

static gboolean
copy_all (Copy *copy, const BangerCpPath *paths, guint n, GError **error)
{
  const char *mode = banger_args_text (copy->args, "mode");

  copy->has_mode = mode != NULL;
  if ((mode != NULL && !banger_files_mode (mode, &copy->mode, error)) || !take_owner (copy, error))
    return FALSE;
  if (copy->has_mode && (paths[n - 1].kind != BANGER_CP_GUEST || paths[0].kind == BANGER_CP_STREAM))
    return set_misused (error, _ ("image cp: --mode is for files that are copied into an image"));
  if (paths[n - 1].kind == BANGER_CP_STREAM)
    return to_output (copy, error);
  if (paths[0].kind == BANGER_CP_STREAM)
    return from_input (copy, error);
  if (paths[n - 1].kind == BANGER_CP_GUEST)
    return upload (copy, paths, n - 1, error);
  if (copy->keep && geteuid () != 0)
    return set_misused (error, _ ("--owner keep: only root can give files to others here"));
  return download (copy, &paths[n - 1], error);
}

int
banger_image_cp (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  guint n = g_strv_length ((char **)words);
  g_autofree BangerCpPath *paths = g_new0 (BangerCpPath, n);
  g_autoptr (BangerFilesTarget) target = NULL;
  Copy copy = { .args = args, .recursive = banger_args_flag (args, "recursive") };
  BangerProgressMode mode = BANGER_PROGRESS_NONE;
  gboolean ok = TRUE;

  for (guint i = 0; ok && i < n; i++)
    ok = banger_cp_path_parse (words[i], &paths[i], error);
  ok = ok && check_words (paths, n, error);
  if (ok)
    target = copy.target = target_of (client, args, paths[n - 1].kind != BANGER_CP_GUEST, error);
  if (target != NULL) {
    banger_progress_mode (banger_args_text (args, "progress"), &mode);
    banger_meter_begin (&copy.meter, mode);
    ok = copy_all (&copy, paths, n, error);
    banger_meter_end (&copy.meter, copy.done, ok && copy.faults == 0);
    if (ok && copy.faults > 0)
      banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL, _ ("not all was copied"));
  }
  for (guint i = 0; i < n; i++)
    banger_cp_path_clear (&paths[i]);
  return 0;
}
