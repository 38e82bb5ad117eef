/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/guest.h"

#include "archive-util.h"
#include "gunzip.h"

#include "common/common.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAGE "extracting"
#define FILE_MAX (512ull * 1024 * 1024)
#define TOTAL_MAX (8ull * 1024 * 1024 * 1024)
#define PATH_LENGTH_MAX 512
#define DEPTH_MAX 24
/* What may follow the end of an archive: padding. */
#define TRAILER_MAX (64ull * 1024 * 1024)

#define DEB_HINT "give a linux-image package as Debian ships it"
#define TAR_HINT "give a tar archive of lib/modules/RELEASE"

struct _BangerPackage {
  BangerArchive *outer; /* the ar archive of a package, else NULL */
  BangerArchive *tar;
  BangerGunzip source; /* of the tar */
  int fd;              /* borrowed */
  guint8 *chunk;       /* without an ar archive: what was read last */
  gboolean is_deb;
  guint64 file_size; /* 0: a pipe */
  guint64 taken;     /* without an ar archive: bytes read */
  guint64 total;
  char *release;
};

void
banger_package_free (BangerPackage *package)
{
  g_clear_pointer (&package->tar, banger_archive_free);
  g_clear_pointer (&package->outer, banger_archive_free);
  banger_gunzip_clear (&package->source);
  g_free (package->chunk);
  g_free (package->release);
  g_free (package);
}

void
banger_package_entry_clear (BangerPackageEntry *entry)
{
  g_clear_pointer (&entry->path, g_free);
  g_clear_pointer (&entry->content, g_bytes_unref);
}

static const char *
hint_of (BangerPackage *package)
{
  return package->is_deb ? DEB_HINT : TAR_HINT;
}

static gboolean
refuse (BangerPackage *package, GError **error, const char *cause)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, STAGE, cause, hint_of (package),
                    package->is_deb ? "package: not a Debian package of a kernel"
                                    : "modules: not an archive of a kernel's modules");
  return FALSE;
}

static gboolean
damaged (BangerPackage *package, BangerArchive *archive, GError **error)
{
  const char *cause = archive_error_string (archive);

  return refuse (package, error, cause != NULL ? cause : "it is damaged");
}

/* ARCHIVE_WARN is about names or attributes in a way that nothing here needs. */
static gboolean
usable (int status)
{
  return status == ARCHIVE_OK || status == ARCHIVE_WARN;
}

static gboolean
find_data_member (BangerPackage *package, GError **error)
{
  struct archive_entry *entry;
  int status;

  while (usable (status = archive_read_next_header (package->outer, &entry))) {
    const char *name = archive_entry_pathname (entry);

    if (name != NULL && g_str_has_prefix (name, "data.tar"))
      return TRUE;
  }
  if (status == ARCHIVE_EOF)
    return refuse (package, error, "it has no data.tar");
  return damaged (package, package->outer, error);
}

static gssize
pull_member (gpointer data, const void **bytes, const char **cause)
{
  BangerPackage *package = data;
  la_int64_t offset;
  size_t length;
  int status = archive_read_data_block (package->outer, bytes, &length, &offset);

  if (status == ARCHIVE_EOF)
    return 0;
  if (usable (status))
    return length;
  *cause = "the package is cut off or damaged";
  return -1;
}

static gssize
pull_fd (gpointer data, const void **bytes, const char **cause)
{
  BangerPackage *package = data;
  ssize_t n = TEMP_FAILURE_RETRY (read (package->fd, package->chunk, BANGER_ARCHIVE_BLOCK));

  *bytes = package->chunk;
  if (n < 0)
    *cause = g_strerror (errno);
  else
    package->taken += n;
  return n;
}

static la_ssize_t
read_source (struct archive *archive, void *data, const void **bytes)
{
  BangerPackage *package = data;
  const char *cause = NULL;
  gssize n = banger_gunzip_read (&package->source, bytes, &cause);

  if (n < 0)
    archive_set_error (archive, EIO, "%s", cause);
  return n;
}

static void
support_tar (BangerArchive *archive)
{
  archive_read_support_filter_xz (archive);
  archive_read_support_filter_zstd (archive);
  archive_read_support_filter_bzip2 (archive);
  archive_read_support_filter_lzma (archive);
  archive_read_support_filter_lz4 (archive);
  archive_read_support_format_tar (archive);
}

static BangerPackage *
package_new (int fd, gboolean is_deb)
{
  BangerPackage *package = g_new0 (BangerPackage, 1);
  struct stat st;

  package->is_deb = is_deb;
  package->fd = fd;
  package->chunk = g_malloc (BANGER_ARCHIVE_BLOCK);
  if (fstat (fd, &st) == 0 && S_ISREG (st.st_mode))
    package->file_size = st.st_size;
  package->tar = archive_read_new ();
  support_tar (package->tar);
  banger_gunzip_init (&package->source, is_deb ? pull_member : pull_fd, package);
  return package;
}

BangerPackage *
banger_package_open_deb (int fd, GError **error)
{
  g_autoptr (BangerPackage) package = package_new (fd, TRUE);

  package->outer = archive_read_new ();
  archive_read_support_format_ar (package->outer);
  if (archive_read_open_fd (package->outer, fd, BANGER_ARCHIVE_BLOCK) != ARCHIVE_OK) {
    damaged (package, package->outer, error);
    return NULL;
  }
  if (!find_data_member (package, error))
    return NULL;
  if (archive_read_open (package->tar, package, NULL, read_source, NULL) != ARCHIVE_OK) {
    damaged (package, package->tar, error);
    return NULL;
  }
  return g_steal_pointer (&package);
}

BangerPackage *
banger_package_open_modules (int fd, GError **error)
{
  g_autoptr (BangerPackage) package = package_new (fd, FALSE);

  if (archive_read_open (package->tar, package, NULL, read_source, NULL) != ARCHIVE_OK) {
    damaged (package, package->tar, error);
    return NULL;
  }
  return g_steal_pointer (&package);
}

double
banger_package_fraction (BangerPackage *package)
{
  guint64 taken = package->outer != NULL ? (guint64)archive_filter_bytes (package->outer, -1)
                                         : package->taken;

  if (package->file_size == 0)
    return -1;
  return CLAMP ((double)taken / package->file_size, 0, 1);
}

const char *
banger_package_release (BangerPackage *package)
{
  return package->release;
}

/* The path without "./" and "/" before it; NULL if it leads out or is out of bounds. */
static const char *
clean_path (const char *path)
{
  guint depth = 0;

  if (path == NULL || !g_utf8_validate (path, -1, NULL))
    return NULL;
  while (path[0] == '/' || g_str_has_prefix (path, "./"))
    path += path[0] == '/' ? 1 : 2;
  if (strlen (path) > PATH_LENGTH_MAX)
    return NULL;
  for (const char *part = path; part != NULL; part = strchr (part, '/')) {
    part += part != path;
    if (g_str_equal (part, "..") || g_str_has_prefix (part, "../") || g_str_has_prefix (part, "./")
        || part[0] == '/' || ++depth > DEPTH_MAX)
      return NULL;
  }
  return path;
}

/* The part of @path from the release on, NULL if it is not below a folder of modules. */
static const char *
module_part (BangerPackage *package, const char *path)
{
  static const char *const tops[] = { "usr/lib/modules/", "lib/modules/" };
  static const char *const others[] = { "usr/", "lib/", "boot/", "etc/" };

  for (guint i = 0; i < G_N_ELEMENTS (tops); i++) {
    if (g_str_has_prefix (path, tops[i]))
      return path + strlen (tops[i]);
  }
  for (guint i = 0; !package->is_deb && i < G_N_ELEMENTS (others); i++) {
    if (g_str_has_prefix (path, others[i]))
      return NULL;
  }
  return package->is_deb ? NULL : path;
}

static gboolean
note_release (BangerPackage *package, const char *part, gsize length, GError **error)
{
  g_autofree char *release = g_strndup (part, length);

  if (!banger_release_is_valid (release))
    return refuse (package, error, "the folder of its modules is not named like a release");
  if (package->release == NULL)
    package->release = g_steal_pointer (&release);
  else if (!g_str_equal (package->release, release))
    return refuse (package, error, "it holds the modules of more than one kernel");
  return TRUE;
}

/* Says what the file at @path is. FALSE with an error if it cannot be taken. */
static gboolean
classify (BangerPackage *package, const char *path, BangerPackageEntry *entry, GError **error)
{
  const char *part = module_part (package, path);
  const char *slash = part != NULL ? strchr (part, '/') : NULL;

  entry->kind = BANGER_PACKAGE_OTHER;
  if (package->is_deb && g_str_has_prefix (path, "boot/vmlinuz-")) {
    entry->kind = BANGER_PACKAGE_KERNEL;
  } else if (package->is_deb && g_str_has_prefix (path, "boot/config-")) {
    entry->kind = BANGER_PACKAGE_CONFIG;
  } else if (slash != NULL && slash[1] != '\0') {
    if (!note_release (package, part, slash - part, error))
      return FALSE;
    entry->kind = BANGER_PACKAGE_MODULE_FILE;
    entry->path = g_strdup (slash + 1);
  }
  return TRUE;
}

static gboolean
read_content (BangerPackage *package, struct archive_entry *header, BangerPackageEntry *entry,
              GError **error)
{
  guint64 size = archive_entry_size (header);
  g_autoptr (GByteArray) content = g_byte_array_new ();
  g_autofree guint8 *chunk = g_malloc (BANGER_ARCHIVE_BLOCK);
  la_ssize_t n;

  if (size > FILE_MAX || (package->total += size) > TOTAL_MAX)
    return refuse (package, error, "it is too large");
  /* What a header says is no reason to allocate it. */
  while ((n = archive_read_data (package->tar, chunk, BANGER_ARCHIVE_BLOCK)) > 0)
    g_byte_array_append (content, chunk, n);
  if (n < 0 || content->len != size)
    return damaged (package, package->tar, error);
  entry->content = g_byte_array_free_to_bytes (g_steal_pointer (&content));
  entry->mtime = archive_entry_mtime (header);
  return TRUE;
}

/* One entry of the archive, which may be of no interest: path and content are then NULL. */
static gboolean
take (BangerPackage *package, struct archive_entry *header, BangerPackageEntry *entry,
      GError **error)
{
  const char *path = clean_path (archive_entry_pathname (header));

  if (path == NULL)
    return refuse (package, error, "it names a file outside of itself, or in a way not allowed");
  if (archive_entry_filetype (header) != AE_IFREG || archive_entry_hardlink (header) != NULL) {
    entry->kind = BANGER_PACKAGE_OTHER;
    return TRUE;
  }
  if (!classify (package, path, entry, error))
    return FALSE;
  return entry->kind == BANGER_PACKAGE_OTHER || read_content (package, header, entry, error);
}

/* The tar ends before its source does: what follows holds checksums, and a package that lacks it
 * was cut. A tar that stops without the block of zeros at its end was cut between two entries. */
static gboolean
finish (BangerPackage *package, GError **error)
{
  const char *cause = NULL;
  const void *bytes;
  guint64 trailer = 0;
  gssize n;

  if (archive_filter_bytes (package->tar, 0) <= archive_read_header_position (package->tar))
    return refuse (package, error, "it stops without the mark that ends a tar archive");
  do {
    n = banger_gunzip_read (&package->source, &bytes, &cause);
    trailer += MAX (n, 0);
  } while (n > 0 && trailer <= TRAILER_MAX);
  /* A gzip stream may be followed by what is none. */
  while (n == 0 && trailer <= TRAILER_MAX
         && (n = package->source.pull (package->source.data, &bytes, &cause)) > 0)
    trailer += n;
  if (n < 0)
    return refuse (package, error, cause);
  return trailer <= TRAILER_MAX || refuse (package, error, "more than 64 MiB follow its end");
}

gboolean
banger_package_next (BangerPackage *package, BangerPackageEntry *entry, GError **error)
{
  struct archive_entry *header;

  do {
    int status = archive_read_next_header (package->tar, &header);

    *entry = (BangerPackageEntry){ .kind = BANGER_PACKAGE_END };
    if (status == ARCHIVE_EOF)
      return finish (package, error);
    if (!usable (status))
      return damaged (package, package->tar, error);
    if (!take (package, header, entry, error)) {
      banger_package_entry_clear (entry);
      return FALSE;
    }
  } while (entry->kind == BANGER_PACKAGE_OTHER);
  return TRUE;
}
