/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "vm cp": tar archives between files here and the agent's builtins pack and unpack. Whether a path
 * in a guest is a directory is found out by unpacking an archive there that holds nothing.
 */
#include "tarball.h"
#include "cp-path.h"
#include "exec-pipe.h"
#include "interrupt.h"
#include "meter.h"
#include "verbs.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  BangerClient *client;
  const char *user;
  gboolean keep;
  BangerMeter meter;
  guint64 done; /* bytes of the streams that have ended */
  guint faults; /* that were told as they came */
} Copy;

/* One end of a copy in a guest. */
typedef struct {
  Copy *copy;
  char *label;
  BangerExecPipe *pipe;
  BangerExecDefaults defaults;
  GError *error; /* of a callback of libarchive, which can carry none */
} Guest;

static void
guest_clear (Guest *guest)
{
  if (guest->pipe != NULL)
    guest->copy->done += banger_exec_pipe_bytes (guest->pipe);
  g_clear_pointer (&guest->pipe, banger_exec_pipe_free);
  g_clear_error (&guest->error);
  g_free (guest->label);
  banger_exec_defaults_clear (&guest->defaults);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Guest, guest_clear)

static gboolean
guest_open (Guest *guest, Copy *copy, const BangerCpPath *path, const char *builtin,
            const char *argument, const char *rename, GError **error)
{
  const char *argv[] = { argument, NULL };
  BangerExecSpec spec = { .argv = argv, .builtin = builtin, .rename = rename };
  g_autofree char *vm = banger_client_find (copy->client, BANGER_OBJECT_VM, path->vm, error);

  guest->copy = copy;
  guest->label = banger_label (BANGER_OBJECT_VM, path->vm);
  if (vm == NULL || !banger_exec_defaults (copy->client, vm, &guest->defaults, error))
    return FALSE;
  spec.user = copy->user != NULL ? copy->user : guest->defaults.user;
  spec.owner = copy->keep && strcmp (builtin, "unpack") == 0 ? "keep" : NULL;
  guest->pipe = banger_exec_pipe_open (copy->client, vm, guest->label, &spec, error);
  return guest->pipe != NULL;
}

static void
draw (Guest *guest)
{
  banger_meter_update (&guest->copy->meter,
                       guest->copy->done + banger_exec_pipe_bytes (guest->pipe));
}

static ssize_t
read_guest (struct archive *archive, void *data, const void **bytes)
{
  Guest *guest = data;
  const guint8 *piece = NULL;
  gssize n = banger_exec_pipe_read (guest->pipe, &piece, &guest->error);

  draw (guest);
  *bytes = piece;
  return n < 0 ? ARCHIVE_FATAL : n;
}

static ssize_t
write_guest (struct archive *archive, void *data, const void *bytes, size_t length)
{
  Guest *guest = data;

  /* An archive that is given up is ended all the same. */
  if (guest->error != NULL)
    return ARCHIVE_FATAL;
  draw (guest);
  return banger_exec_pipe_write (guest->pipe, bytes, length, &guest->error) ? (ssize_t)length
                                                                            : ARCHIVE_FATAL;
}

/* The builtin's end. Its own words stand above. */
static gboolean
guest_finish (Guest *guest, GError **error)
{
  int status = 0;

  if (guest->error != NULL) {
    g_propagate_error (error, g_steal_pointer (&guest->error));
    return FALSE;
  }
  if (!banger_exec_pipe_finish (guest->pipe, &status, error))
    return FALSE;
  if (status != 0)
    guest->copy->faults++;
  return TRUE;
}

static BangerArchiveWriter *
writer_to (Guest *guest)
{
  BangerArchiveWriter *tar = archive_write_new ();

  archive_write_set_format_pax_restricted (tar);
  archive_write_set_bytes_per_block (tar, 65536);
  archive_write_set_bytes_in_last_block (tar, 1);
  archive_write_open (tar, guest, NULL, write_guest, NULL);
  return tar;
}

/* NULL with an error where the guest sends no archive. */
static BangerArchiveReader *
reader_from (Guest *guest, GError **error)
{
  g_autoptr (BangerArchiveReader) tar = archive_read_new ();

  archive_read_support_format_tar (tar);
  archive_read_support_format_empty (tar);
  if (archive_read_open (tar, guest, NULL, read_guest, NULL) == ARCHIVE_OK)
    return g_steal_pointer (&tar);
  if (guest->error != NULL)
    g_propagate_error (error, g_steal_pointer (&guest->error));
  else
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, archive_error_string (tar), NULL,
                      _ ("%s: what it sent is no archive"), guest->label);
  return NULL;
}

/* Where copies of what has the name @base go: into @directory, by the name @rename or their own. */
typedef struct {
  char *directory;
  char *rename;
} Place;

static void
place_clear (Place *place)
{
  g_free (place->directory);
  g_free (place->rename);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Place, place_clear)

static gboolean
is_guest_directory (Copy *copy, const BangerCpPath *path, gboolean *is_directory, GError **error)
{
  static const char end_of_archive[1024];
  g_auto (Guest) guest = { 0 };
  int status = 0;

  if (!guest_open (&guest, copy, path, "unpack", path->path, NULL, error))
    return FALSE;
  banger_exec_pipe_be_quiet (guest.pipe);
  if (!banger_exec_pipe_write (guest.pipe, end_of_archive, sizeof end_of_archive, error)
      && *error != NULL)
    return FALSE;
  if (!banger_exec_pipe_finish (guest.pipe, &status, error))
    return FALSE;
  *is_directory = status == 0;
  return TRUE;
}

/* As cp(1) and scp(1): into a directory that is there, else @target is the copy's own name. */
static gboolean
find_place (Copy *copy, const BangerCpPath *target, gboolean only_one, Place *place, GError **error)
{
  gboolean is_directory = TRUE;

  if (target->kind == BANGER_CP_LOCAL)
    return banger_cp_place (target->path, only_one, "banger vm exec NAME cat PATH > FILE",
                            &place->directory, &place->rename, error);
  if (only_one && !banger_cp_must_be_directory (target->path)
      && banger_cp_base (target->path) != NULL
      && !is_guest_directory (copy, target, &is_directory, error))
    return FALSE;
  place->directory = is_directory ? g_strdup (target->path) : banger_cp_parent (target->path);
  place->rename = is_directory ? NULL : banger_cp_base (target->path);
  return TRUE;
}

/* What a source here is called in the archive: "." and "/" have names, too. */
static char *
local_name (const char *path)
{
  char *base = banger_cp_base (path);
  g_autofree char *whole = NULL;

  if (base != NULL)
    return base;
  whole = g_canonicalize_filename (path, NULL);
  base = banger_cp_base (whole);
  return base != NULL ? base : g_strdup ("root");
}

static gboolean
check_local (const BangerCpPath *sources, guint n, GError **error)
{
  for (guint i = 0; i < n; i++) {
    struct stat st;

    if (lstat (sources[i].path, &st) == 0)
      continue;
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, g_strerror (errno), NULL,
                      _ ("cannot copy '%s'"), sources[i].path);
    return FALSE;
  }
  return TRUE;
}

static gboolean
upload (Copy *copy, const BangerCpPath *sources, guint n, const BangerCpPath *target,
        GError **error)
{
  g_auto (Guest) guest = { 0 };
  g_auto (Place) place = { 0 };
  g_autoptr (BangerArchiveWriter) tar = NULL;
  struct archive_entry_linkresolver *links = NULL;
  gboolean ok = TRUE;

  if (!check_local (sources, n, error) || !find_place (copy, target, n == 1, &place, error)
      || !guest_open (&guest, copy, target, "unpack", place.directory, place.rename, error))
    return FALSE;
  tar = writer_to (&guest);
  links = archive_entry_linkresolver_new ();
  archive_entry_linkresolver_set_strategy (links, archive_format (tar));
  for (guint i = 0; ok && i < n; i++) {
    g_autofree char *name = local_name (sources[i].path);

    ok = banger_archive_add_tree (tar, sources[i].path, name, links, banger_archive_print_fault,
                                  &copy->faults);
  }
  archive_entry_linkresolver_free (links);
  archive_write_close (tar);
  return guest_finish (&guest, error);
}

static gboolean
set_nameless (const BangerCpPath *source, GError **error)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                    _ ("name what to copy, or copy to - for an archive"),
                    _ ("'%s:%s' has no name that a copy could have"), source->vm, source->path);
  return FALSE;
}

/* What the user called it, without slashes at its end. */
static char *
name_of (const BangerCpPath *source)
{
  char *name = g_strdup_printf ("%s:%s", source->vm, source->path);
  gsize length = strlen (name);

  while (length > 0 && name[length - 1] == '/')
    name[--length] = '\0';
  return name;
}

/* The guest's archive, into the current directory. */
static gboolean
extract_here (Guest *guest, const BangerArchiveSpec *spec, GError **error)
{
  g_autoptr (BangerArchiveReader) tar = reader_from (guest, error);

  if (tar == NULL)
    return FALSE;
  if (banger_archive_extract (tar, spec, error))
    return TRUE;
  /* The stream's own error says more than that its archive is cut short. */
  if (guest->error != NULL) {
    g_clear_error (error);
    g_propagate_error (error, g_steal_pointer (&guest->error));
  }
  return FALSE;
}

static gboolean
download (Copy *copy, const BangerCpPath *source, const BangerCpPath *target, gboolean only_one,
          GError **error)
{
  g_auto (Guest) guest = { 0 };
  g_auto (Place) place = { 0 };
  g_autofree char *base = banger_cp_base (source->path);
  g_autofree char *from = name_of (source);
  BangerArchiveSpec spec = { .name = base,
                             .from = from,
                             .keep = copy->keep,
                             .note = banger_archive_print_fault,
                             .data = &copy->faults };
  banger_autofd int here = open (".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  gboolean ok = FALSE;

  if (base == NULL)
    return set_nameless (source, error);
  if (!find_place (copy, target, only_one, &place, error)
      || !guest_open (&guest, copy, source, "pack", source->path, NULL, error))
    return FALSE;
  spec.rename = place.rename;
  if (here < 0 || chdir (place.directory) < 0) {
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, g_strerror (errno), NULL,
                      _ ("cannot copy into '%s'"), place.directory);
    return FALSE;
  }
  ok = extract_here (&guest, &spec, error);
  if (fchdir (here) < 0 && ok) {
    banger_set_error_errno (error, errno, NULL, _ ("cannot go back to where this was started"));
    return FALSE;
  }
  return ok && guest_finish (&guest, error);
}

static gboolean
pass_on (Guest *from, Guest *to, const BangerArchiveSpec *spec, GError **error)
{
  g_autoptr (BangerArchiveReader) source = reader_from (from, error);
  g_autoptr (BangerArchiveWriter) target = NULL;
  g_autoptr (GError) cause = NULL;

  if (source == NULL)
    return FALSE;
  target = writer_to (to);
  banger_archive_pass (source, target, spec, &cause);
  if (from->error != NULL)
    g_propagate_error (error, g_steal_pointer (&from->error));
  else if (cause != NULL)
    g_propagate_error (error, g_steal_pointer (&cause));
  /* An archive that is cut short must not look whole to who unpacks it. */
  if (*error == NULL)
    archive_write_close (target);
  else if (to->error == NULL)
    to->error = g_error_copy (*error);
  return *error == NULL;
}

static gboolean
between (Copy *copy, const BangerCpPath *source, const BangerCpPath *target, gboolean only_one,
         GError **error)
{
  g_auto (Guest) from = { 0 }, to = { 0 };
  g_auto (Place) place = { 0 };
  g_autofree char *base = banger_cp_base (source->path);
  g_autofree char *name = name_of (source);
  BangerArchiveSpec spec
      = { .name = base, .from = name, .note = banger_archive_print_fault, .data = &copy->faults };

  if (base == NULL)
    return set_nameless (source, error);
  if (!find_place (copy, target, only_one, &place, error)
      || !guest_open (&from, copy, source, "pack", source->path, NULL, error)
      || !guest_open (&to, copy, target, "unpack", place.directory, place.rename, error))
    return FALSE;
  if (!pass_on (&from, &to, &spec, error))
    return FALSE;
  /* One that takes no more says why; what the other still has to send is for nobody then. */
  if (!banger_exec_pipe_has_ended (to.pipe) && !guest_finish (&from, error))
    return FALSE;
  return guest_finish (&to, error);
}

static gboolean
to_output (Copy *copy, const BangerCpPath *source, GError **error)
{
  g_auto (Guest) guest = { 0 };
  const guint8 *bytes = NULL;
  gssize n = 0;

  if (isatty (STDOUT_FILENO)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      "banger cp VM:PATH - > FILE.tar", _ ("an archive is not for a terminal"));
    return FALSE;
  }
  if (!guest_open (&guest, copy, source, "pack", source->path, NULL, error))
    return FALSE;
  while ((n = banger_exec_pipe_read (guest.pipe, &bytes, error)) > 0) {
    draw (&guest);
    if (!banger_write_all (STDOUT_FILENO, bytes, (gsize)n, NULL)) {
      banger_set_error (error, BANGER_ERROR_FAILED, NULL, g_strerror (errno), NULL,
                        _ ("cannot write to standard output"));
      return FALSE;
    }
  }
  return n == 0 && guest_finish (&guest, error);
}

static gboolean
from_input (Copy *copy, const BangerCpPath *target, GError **error)
{
  g_auto (Guest) guest = { 0 };
  g_autofree guint8 *bytes = g_malloc (65536);
  ssize_t n = 0;

  if (!guest_open (&guest, copy, target, "unpack", target->path, NULL, error))
    return FALSE;
  while ((n = read (STDIN_FILENO, bytes, 65536)) > 0) {
    draw (&guest);
    if (!banger_exec_pipe_write (guest.pipe, bytes, (gsize)n, error))
      return *error == NULL && guest_finish (&guest, error);
  }
  if (banger_interrupt_came ()) {
    banger_set_error (error, BANGER_ERROR_CANCELLED, NULL, NULL, NULL, _ ("%s: interrupted"),
                      guest.label);
    return FALSE;
  }
  if (n < 0) {
    banger_set_error_errno (error, errno, NULL, _ ("cannot read the archive"));
    return FALSE;
  }
  return guest_finish (&guest, error);
}

static gboolean
set_misused (GError **error, const char *what)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger help vm cp", "%s",
                    what);
  return FALSE;
}

static gboolean
check_words (const BangerCpPath *paths, guint n, GError **error)
{
  const BangerCpPath *target = &paths[n - 1];
  guint guests = 0, streams = 0;

  for (guint i = 0; i < n; i++) {
    guests += paths[i].kind == BANGER_CP_GUEST;
    streams += paths[i].kind == BANGER_CP_STREAM;
  }
  if (guests == 0)
    return set_misused (error, _ ("vm cp: neither here nor there is a VM: VM:PATH"));
  if (streams > 0 && (n != 2 || guests != 1))
    return set_misused (error, _ ("vm cp: - stands for one archive from or to one VM"));
  for (guint i = 0; target->kind == BANGER_CP_GUEST && i + 1 < n; i++) {
    if (paths[i].kind != paths[0].kind)
      return set_misused (error, _ ("vm cp: sources here and in VMs are for two commands"));
  }
  for (guint i = 0; target->kind == BANGER_CP_LOCAL && i + 1 < n; i++) {
    if (paths[i].kind == BANGER_CP_LOCAL)
      return set_misused (error, _ ("vm cp: a file here is copied to a file here: use cp"));
  }
  return TRUE;
}

static gboolean
copy_all (Copy *copy, const BangerCpPath *paths, guint n, GError **error)
{
  const BangerCpPath *target = &paths[n - 1];
  gboolean only_one = n == 2, ok = TRUE;

  if (target->kind == BANGER_CP_STREAM)
    return to_output (copy, &paths[0], error);
  if (paths[0].kind == BANGER_CP_STREAM)
    return from_input (copy, target, error);
  if (target->kind == BANGER_CP_GUEST && paths[0].kind == BANGER_CP_LOCAL)
    return upload (copy, paths, n - 1, target, error);
  for (guint i = 0; ok && i + 1 < n; i++)
    ok = target->kind == BANGER_CP_LOCAL ? download (copy, &paths[i], target, only_one, error)
                                         : between (copy, &paths[i], target, only_one, error);
  return ok;
}

static gboolean
take_options (Copy *copy, BangerArgs *args, GError **error)
{
  const char *owner = banger_args_text (args, "owner");
  BangerProgressMode mode = BANGER_PROGRESS_NONE;

  banger_progress_mode (banger_args_text (args, "progress"), &mode);
  if (owner != NULL && strcmp (owner, "keep") != 0 && strcmp (owner, "user") != 0)
    return set_misused (error, _ ("--owner: there is keep and user"));
  copy->user = banger_args_text (args, "user");
  copy->keep = g_strcmp0 (owner, "keep") == 0;
  banger_meter_begin (&copy->meter, banger_args_flag (args, "quiet") ? BANGER_PROGRESS_NONE : mode);
  return TRUE;
}

static void
finish_error (Copy *copy, GError **error)
{
  if (*error == NULL && copy->faults > 0)
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL, _ ("not all was copied"));
  if (!banger_interrupt_came ())
    return;
  g_clear_error (error);
  banger_set_error (error, BANGER_ERROR_CANCELLED, NULL, NULL, NULL,
                    _ ("interrupted: what was copied whole before is there, nothing is there by "
                       "halves"));
}

int
banger_vm_cp (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  guint n = g_strv_length ((char **)words);
  g_autofree BangerCpPath *paths = g_new0 (BangerCpPath, n);
  Copy copy = { .client = client };
  /* libarchive reads names by the locale; what guests call their files is UTF-8, or just bytes. */
  locale_t utf8 = newlocale (LC_CTYPE_MASK, "C.UTF-8", 0), before = uselocale (utf8);
  gboolean ok = take_options (&copy, args, error);

  for (guint i = 0; ok && i < n; i++)
    ok = banger_cp_path_parse (words[i], &paths[i], error);
  ok = ok && check_words (paths, n, error);
  if (ok && copy.keep && paths[n - 1].kind == BANGER_CP_LOCAL && geteuid () != 0)
    ok = set_misused (error, _ ("--owner keep: only root can give files to others here"));
  if (ok) {
    ok = copy_all (&copy, paths, n, error);
    banger_meter_end (&copy.meter, copy.done, ok && copy.faults == 0);
    finish_error (&copy, error);
  }
  for (guint i = 0; i < n; i++)
    banger_cp_path_clear (&paths[i]);
  uselocale (before);
  if (utf8 != 0)
    freelocale (utf8);
  return 0;
}
