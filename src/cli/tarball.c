/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tarball.h"

#include "text.h"

#include "common/common.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAULTS_MAX 20 /* that are said; the others are only counted */

gboolean
banger_archive_copy_data (struct archive *from, struct archive *to, struct archive **failed)
{
  static const char zeros[65536];
  const void *block = NULL;
  size_t length = 0;
  int64_t offset = 0, done = 0;

  for (;;) {
    int result = archive_read_data_block (from, &block, &length, &offset);

    if (failed != NULL)
      *failed = result < ARCHIVE_WARN ? from : to;
    /* libarchive writes a sparse file's map with the first byte, be it within a hole. */
    if (result == ARCHIVE_EOF)
      return done > 0 || archive_write_data (to, zeros, 1) >= 0;
    if (result < ARCHIVE_WARN)
      return FALSE;
    while (done < offset) {
      size_t gap = MIN ((int64_t)sizeof zeros, offset - done);

      if (archive_write_data (to, zeros, gap) < 0)
        return FALSE;
      done += gap;
    }
    if (archive_write_data (to, block, length) < 0)
      return FALSE;
    done += length;
  }
}

/* The entry's path below @name instead of @path. */
static char *
name_below (const char *path, const char *name, const char *entry)
{
  gsize length = strlen (path);

  while (length > 1 && path[length - 1] == '/')
    length--;
  if (entry == NULL || strncmp (entry, path, length) != 0)
    return NULL;
  entry += length;
  while (*entry == '/')
    entry++;
  return *entry == '\0' ? g_strdup (name) : g_build_filename (name, entry, NULL);
}

static gboolean
is_carried (mode_t mode)
{
  return S_ISREG (mode) || S_ISDIR (mode) || S_ISLNK (mode);
}

/* One entry of the tree; FALSE if @to takes no more. */
static gboolean
add_entry (struct archive *disk, struct archive *to, BangerArchiveEntry *entry,
           struct archive_entry_linkresolver *links, const char *name, BangerArchiveNote note,
           gpointer data)
{
  g_autofree char *path = g_strdup (archive_entry_pathname (entry));
  struct archive_entry *linked = entry, *spare = NULL;
  struct archive *failed = NULL;

  archive_entry_set_pathname (entry, name);
  if (!is_carried (archive_entry_filetype (entry))) {
    note (path, _ ("left out: it is no file, directory or link"), data);
    return TRUE;
  }
  archive_entry_linkify (links, &linked, &spare);
  if (archive_write_header (to, linked) < ARCHIVE_WARN)
    return FALSE;
  if (archive_entry_size (linked) == 0 || banger_archive_copy_data (disk, to, &failed))
    return TRUE;
  if (failed == disk)
    note (path, archive_error_string (disk), data);
  return failed == disk;
}

gboolean
banger_archive_add_tree (struct archive *to, const char *path, const char *name,
                         struct archive_entry_linkresolver *links, BangerArchiveNote note,
                         gpointer data)
{
  g_autoptr (BangerArchiveReader) disk = archive_read_disk_new ();
  g_autoptr (BangerArchiveEntry) entry = archive_entry_new ();

  archive_read_disk_set_symlink_physical (disk);
  archive_read_disk_set_behavior (disk, ARCHIVE_READDISK_NO_XATTR | ARCHIVE_READDISK_NO_ACL
                                            | ARCHIVE_READDISK_NO_FFLAGS);
  if (archive_read_disk_open (disk, path) != ARCHIVE_OK) {
    note (path, archive_error_string (disk), data);
    return TRUE;
  }
  for (;;) {
    int result = archive_read_next_header2 (disk, entry);
    g_autofree char *below = NULL;

    if (result == ARCHIVE_EOF)
      return TRUE;
    if (result < ARCHIVE_WARN) {
      note (path, archive_error_string (disk), data);
      if (result == ARCHIVE_FATAL)
        return TRUE;
      continue;
    }
    if (archive_read_disk_can_descend (disk))
      archive_read_disk_descend (disk);
    below = name_below (path, name, archive_entry_pathname (entry));
    if (below != NULL && !add_entry (disk, to, entry, links, below, note, data))
      return FALSE;
  }
}

char *
banger_archive_name (const BangerArchiveSpec *spec, const char *name)
{
  g_autoptr (GString) clean = g_string_new (NULL);
  g_auto (GStrv) parts = NULL;
  gboolean first = TRUE;

  if (name == NULL || *name == '/' || *name == '\0')
    return NULL;
  parts = g_strsplit (name, "/", -1);
  for (guint i = 0; parts[i] != NULL; i++) {
    if (*parts[i] == '\0' || strcmp (parts[i], ".") == 0)
      continue;
    if (strcmp (parts[i], "..") == 0 || (first && strcmp (parts[i], spec->name) != 0))
      return NULL;
    if (!first)
      g_string_append_c (clean, '/');
    g_string_append (clean, first && spec->rename != NULL ? spec->rename : parts[i]);
    first = FALSE;
  }
  return first ? NULL : g_string_free (g_steal_pointer (&clean), FALSE);
}

static gboolean
set_hostile (const char *name, const char *cause, GError **error)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause,
                    _ ("nothing more of it was taken; do not trust this guest"),
                    _ ("the archive has '%s', which it may not"), name != NULL ? name : "?");
  return FALSE;
}

static void
set_unreadable (struct archive *from, GError **error)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, archive_error_string (from), NULL,
                    _ ("the guest's archive cannot be read"));
}

/* Checks the names of @entry and sets them as they are to be. */
static gboolean
clean_entry (struct archive_entry *entry, const BangerArchiveSpec *spec, GError **error)
{
  const char *given = archive_entry_pathname (entry), *target = archive_entry_hardlink (entry);
  g_autofree char *name = banger_archive_name (spec, given), *link = NULL;

  if (name == NULL)
    return set_hostile (given, _ ("it is not below what was asked for"), error);
  if (target != NULL) {
    link = banger_archive_name (spec, target);
    if (link == NULL)
      return set_hostile (given, _ ("it links to what was not asked for"), error);
    archive_entry_set_hardlink (entry, link);
  }
  archive_entry_set_pathname (entry, name);
  return TRUE;
}

typedef struct {
  struct archive *from;
  const BangerArchiveSpec *spec;
  char *there;      /* the name in the archive of the entry that it is at */
  GHashTable *left; /* names, made clean, of what was not copied: no link leads there */
} Reading;

static void
reading_clear (Reading *reading)
{
  g_free (reading->there);
  g_hash_table_unref (reading->left);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Reading, reading_clear)

static Reading
reading_of (struct archive *from, const BangerArchiveSpec *spec)
{
  GHashTable *left = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  return (Reading){ .from = from, .spec = spec, .left = left };
}

/* What the user knows as @name, of the archive. */
static char *
name_there (const BangerArchiveSpec *spec, const char *name)
{
  const char *rest = NULL;

  while (g_str_has_prefix (name, "./"))
    name += 2;
  rest = strchr (name, '/');
  return spec->from != NULL ? g_strconcat (spec->from, rest, NULL) : g_strdup (name);
}

static void
leave_out (Reading *reading, struct archive_entry *entry, const char *why)
{
  g_autofree char *shown = name_there (reading->spec, reading->there);

  g_hash_table_add (reading->left, g_strdup (archive_entry_pathname (entry)));
  reading->spec->note (shown, why, reading->spec->data);
}

/* Leaves out a hard link to what was left out: then TRUE. */
static gboolean
leave_out_link (Reading *reading, struct archive_entry *entry)
{
  const char *target = archive_entry_hardlink (entry);

  if (target == NULL || !g_hash_table_contains (reading->left, target))
    return FALSE;
  leave_out (reading, entry, _ ("left out: it is a link to what was not copied"));
  return TRUE;
}

/* The next entry with its names made clean; 0 at the end, -1 with an error. */
static int
next_entry (Reading *reading, struct archive_entry **entry, GError **error)
{
  for (;;) {
    int result = archive_read_next_header (reading->from, entry);

    if (result == ARCHIVE_EOF)
      return 0;
    if (result < ARCHIVE_WARN) {
      set_unreadable (reading->from, error);
      return -1;
    }
    g_free (reading->there);
    reading->there = g_strdup (archive_entry_pathname (*entry));
    if (!clean_entry (*entry, reading->spec, error))
      return -1;
    if (archive_entry_hardlink (*entry) != NULL)
      return 1;
    if (is_carried (archive_entry_filetype (*entry))) {
      g_hash_table_remove (reading->left, archive_entry_pathname (*entry));
      return 1;
    }
    leave_out (reading, *entry, _ ("left out: it is no file, directory or link"));
  }
}

gboolean
banger_archive_pass (struct archive *from, struct archive *to, const BangerArchiveSpec *spec,
                     GError **error)
{
  g_auto (Reading) reading = reading_of (from, spec);
  struct archive_entry *entry = NULL;
  struct archive *failed = NULL;
  int result = 0;

  while ((result = next_entry (&reading, &entry, error)) > 0) {
    if (leave_out_link (&reading, entry))
      continue;
    if (archive_write_header (to, entry) < ARCHIVE_WARN)
      return FALSE;
    if (archive_entry_size (entry) == 0 || banger_archive_copy_data (from, to, &failed))
      continue;
    if (failed == from)
      set_unreadable (from, error);
    return FALSE;
  }
  return result == 0;
}

typedef struct {
  const BangerArchiveSpec *spec;
  Reading *reading;
  struct archive *disk;
  GHashTable *files; /* that came from the archive: what hard links may lead to */
  char *safe;        /* the directory that was last seen to have no link on its way */
  char *lost;        /* the directory that was last told not to be there: nothing of it is */
} Extract;

/* No file of the archive's has @name: it was told why, or of a directory that it is in. */
static void
miss (Extract *extract, const char *name)
{
  g_hash_table_remove (extract->files, name);
  g_hash_table_add (extract->reading->left, g_strdup (name));
}

static void
note (Extract *extract, const char *name, const char *what)
{
  extract->spec->note (name, what, extract->spec->data);
}

static gboolean
set_through_link (const char *name, const char *link, GError **error)
{
  g_autofree char *cause = g_strdup_printf (_ ("'%s' is a symbolic link"), link);

  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause,
                    _ ("nothing is written through links: copy to where it leads, or remove it"),
                    _ ("'%s' was not copied, nor what follows it"), name);
  return FALSE;
}

/* Is every directory on the way to @name a real one, or not there yet? libarchive looks too, but
 * would replace some links instead of stopping. */
static gboolean
check_way (Extract *extract, const char *name, GError **error)
{
  g_autofree char *directory = g_path_get_dirname (name);
  const char *slash = name;
  struct stat st;

  if (g_strcmp0 (directory, extract->safe) == 0)
    return TRUE;
  while ((slash = strchr (slash + 1, '/')) != NULL) {
    g_autofree char *path = g_strndup (name, slash - name);

    if (lstat (path, &st) == 0 && S_ISLNK (st.st_mode))
      return set_through_link (name, path, error);
  }
  g_free (extract->safe);
  extract->safe = g_steal_pointer (&directory);
  return TRUE;
}

/* Does what has the place of @name already make way? FALSE where it is noted. */
static gboolean
check_place (Extract *extract, const char *name, gboolean is_directory)
{
  struct stat st;

  if (lstat (name, &st) < 0 || (is_directory && S_ISDIR (st.st_mode)))
    return TRUE;
  if (!is_directory && (S_ISREG (st.st_mode) || S_ISLNK (st.st_mode)))
    return TRUE;
  if (!is_directory && !S_ISDIR (st.st_mode)) {
    note (extract, name, _ ("a device, a pipe or a socket has its place"));
    return FALSE;
  }
  if (!is_directory) {
    note (extract, name, _ ("a directory has its place"));
    return FALSE;
  }
  note (extract, name, _ ("what has its place is no directory"));
  return FALSE;
}

static gboolean
extract_data (struct archive *from, struct archive *disk, struct archive **failed)
{
  const void *block = NULL;
  size_t length = 0;
  int64_t offset = 0;

  for (;;) {
    int result = archive_read_data_block (from, &block, &length, &offset);

    *failed = result < ARCHIVE_WARN ? from : disk;
    if (result == ARCHIVE_EOF)
      return TRUE;
    if (result < ARCHIVE_WARN)
      return FALSE;
    /* libarchive calls a write(2) that failed a warning; what it lacks is lost all the same. */
    if (archive_write_data_block (disk, block, length, offset) < ARCHIVE_OK)
      return FALSE;
  }
}

/* A name beside @name that nobody else uses. */
static char *
temporary_name (const char *name)
{
  const char *slash = strrchr (name, '/');

  return g_strdup_printf ("%.*s.banger-%08x%08x", slash != NULL ? (int)(slash + 1 - name) : 0, name,
                          g_random_int (), g_random_int ());
}

/* Why an entry could not be written. libarchive's own words name a file that the user does not
 * know, or only what was tried. */
static const char *
cause_of (struct archive *disk)
{
  int number = archive_errno (disk);

  return number > 0 ? g_strerror (number) : archive_error_string (disk);
}

/* An owner, a mode or a time that could not be given: the copy is there all the same. Without the
 * owner libarchive gives no set-id bits. */
static void
note_warning (Extract *extract, const char *name, const char *temporary)
{
  g_auto (GStrv) parts = g_strsplit (archive_error_string (extract->disk), temporary, -1);
  g_autofree char *what = g_strjoinv (name, parts);

  note (extract, name, what);
}

/* What could not be written. FALSE where nothing else could be either, which is not told of each.
 */
static gboolean
note_failure (Extract *extract, const char *name, GError **error)
{
  int number = archive_errno (extract->disk);

  if (number != ENOSPC && number != EDQUOT && number != EROFS) {
    note (extract, name, cause_of (extract->disk));
    return TRUE;
  }
  banger_set_error (error, number == EROFS ? BANGER_ERROR_FAILED : BANGER_ERROR_NO_SPACE, NULL,
                    g_strerror (number),
                    number == EROFS ? NULL : _ ("make room there, or copy to elsewhere"),
                    _ ("cannot write '%s'"), name);
  return FALSE;
}

/* A regular file: under another name until it is whole. FALSE ends all. */
static gboolean
extract_file (Extract *extract, struct archive *from, struct archive_entry *entry, GError **error)
{
  g_autofree char *name = g_strdup (archive_entry_pathname (entry));
  g_autofree char *temporary = temporary_name (name);
  struct archive *failed = extract->disk;
  int result = ARCHIVE_FAILED;

  archive_entry_set_pathname (entry, temporary);
  if (archive_write_header (extract->disk, entry) >= ARCHIVE_WARN
      && (archive_entry_size (entry) == 0 || extract_data (from, extract->disk, &failed)))
    result = archive_write_finish_entry (extract->disk);
  if (result >= ARCHIVE_WARN) {
    if (rename (temporary, name) == 0) {
      if (result == ARCHIVE_WARN)
        note_warning (extract, name, temporary);
      g_hash_table_add (extract->files, g_steal_pointer (&name));
      return TRUE;
    }
    archive_set_error (extract->disk, errno, "%s", g_strerror (errno));
  }
  unlink (temporary);
  if (failed == from) {
    set_unreadable (from, error);
    return FALSE;
  }
  miss (extract, name);
  return note_failure (extract, name, error);
}

static void
lose (Extract *extract, const char *directory)
{
  g_free (extract->lost);
  extract->lost = g_strconcat (directory, "/", NULL);
}

static gboolean
extract_other (Extract *extract, struct archive_entry *entry, GError **error)
{
  const char *name = archive_entry_pathname (entry), *target = archive_entry_hardlink (entry);
  int result = ARCHIVE_FAILED;

  if (target != NULL && !g_hash_table_contains (extract->files, target))
    return set_hostile (name, _ ("it links to a file that is not the archive's"), error);
  archive_entry_unset_size (entry);
  if (archive_write_header (extract->disk, entry) >= ARCHIVE_WARN)
    result = archive_write_finish_entry (extract->disk);
  if (result == ARCHIVE_WARN)
    note (extract, name, archive_error_string (extract->disk));
  if (result < ARCHIVE_WARN && !note_failure (extract, name, error))
    return FALSE;
  if (result < ARCHIVE_WARN && target == NULL && archive_entry_filetype (entry) == AE_IFDIR)
    lose (extract, name);
  if (result < ARCHIVE_WARN)
    miss (extract, name);
  else if (target != NULL)
    g_hash_table_add (extract->files, g_strdup (name));
  /* What is on the way to others may be this link. */
  g_clear_pointer (&extract->safe, g_free);
  return TRUE;
}

static gboolean
extract_entry (Extract *extract, struct archive *from, struct archive_entry *entry, GError **error)
{
  const char *name = archive_entry_pathname (entry);
  gboolean is_link = archive_entry_hardlink (entry) != NULL;
  gboolean is_directory = !is_link && archive_entry_filetype (entry) == AE_IFDIR;
  struct stat st;

  if (extract->lost != NULL && g_str_has_prefix (name, extract->lost)) {
    miss (extract, name);
    return TRUE;
  }
  if (leave_out_link (extract->reading, entry))
    return TRUE;
  if (!check_way (extract, name, error))
    return FALSE;
  if (is_directory && lstat (name, &st) == 0 && S_ISLNK (st.st_mode))
    return set_through_link (name, name, error);
  if (!check_place (extract, name, is_directory)) {
    miss (extract, name);
    if (is_directory)
      lose (extract, name);
    return TRUE;
  }
  if (!is_link && archive_entry_filetype (entry) == AE_IFREG)
    return extract_file (extract, from, entry, error);
  return extract_other (extract, entry, error);
}

gboolean
banger_archive_extract (struct archive *from, const BangerArchiveSpec *spec, GError **error)
{
  g_autoptr (BangerArchiveDisk) disk = archive_write_disk_new ();
  g_autoptr (GHashTable) files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_auto (Reading) reading = reading_of (from, spec);
  Extract extract = { .spec = spec, .reading = &reading, .disk = disk, .files = files };
  struct archive_entry *entry = NULL;
  int flags = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS
              | ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;
  int result = 0;

  if (spec->keep)
    flags |= ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM;
  archive_write_disk_set_options (disk, flags);
  while ((result = next_entry (&reading, &entry, error)) > 0) {
    if (!extract_entry (&extract, from, entry, error))
      break;
  }
  g_free (extract.safe);
  g_free (extract.lost);
  /* Directories get their modes and times now. */
  if (archive_write_close (disk) < ARCHIVE_WARN)
    spec->note (spec->name, archive_error_string (disk), spec->data);
  return result == 0;
}

void
banger_archive_print_fault (const char *name, const char *what, gpointer faults)
{
  guint *count = faults;
  g_autofree char *shown = banger_text_escape (name, -1);
  g_autofree char *why = banger_text_escape (what != NULL ? what : _ ("no reason given"), -1);

  if (++*count <= FAULTS_MAX)
    g_printerr ("banger: '%s': %s\n", shown, why);
  else if (*count == FAULTS_MAX + 1)
    g_printerr ("banger: %s\n", _ ("there is more of this, which is not shown"));
}
