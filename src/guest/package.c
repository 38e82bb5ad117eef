/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest/guest.h"

#include "package.h"

#include "common/common.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (512ull * 1024 * 1024)
#define TOTAL_MAX (8ull * 1024 * 1024 * 1024)
/* Of the tar, whatever it holds: as much as an image may have that nobody has allowed more. */
#define DECODED_MAX (32ull * 1024 * 1024 * 1024)
/* What may belong to the headers of one entry: libarchive holds their map of holes in memory. */
#define HEADERS_MAX (8ull * 1024 * 1024)
/* What may follow the end of an archive: padding. */
#define TRAILER_MAX (64ull * 1024 * 1024)
#define OUT (256u << 10)
#define PIECE (1u << 20) /* of a file, at a time */
#define AR_MAGIC "!<arch>\n"

void
banger_package_free (BangerPackage *package)
{
  g_clear_pointer (&package->tar, banger_archive_free);
  g_clear_pointer (&package->outer, banger_archive_free);
  g_clear_pointer (&package->decoder, banger_decoder_free);
  g_clear_pointer (&package->head, g_byte_array_unref);
  g_free (package->out);
  g_clear_pointer (&package->releases, g_hash_table_unref);
  g_free (package->chunk);
  g_free (package->wanted);
  g_free (package->release);
  g_free (package);
}

void
banger_package_entry_clear (BangerPackageEntry *entry)
{
  g_clear_pointer (&entry->path, g_free);
  g_clear_pointer (&entry->content, g_bytes_unref);
}

gboolean
banger_package_refuse (BangerPackage *package, const char *cause, const char *hint, GError **error)
{
  static const struct {
    const char *what, *hint;
  } forms[] = {
    [BANGER_PACKAGE_DEB] = { "package: not a Debian package of a kernel",
                             "give a linux-image package as Debian ships it" },
    [BANGER_PACKAGE_MODULES] = { "modules: not an archive of a kernel's modules",
                                 "give a tar archive of lib/modules/RELEASE, or a Debian package "
                                 "that holds it" },
    [BANGER_PACKAGE_TREE]
    = { "tree: not an archive of a tree with a kernel",
        "give a tar archive of boot/vmlinuz-RELEASE and lib/modules/RELEASE" },
  };

  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, BANGER_PACKAGE_STAGE, cause,
                    hint != NULL ? hint : forms[package->form].hint, "%s",
                    forms[package->form].what);
  return FALSE;
}

static gboolean
refuse (BangerPackage *package, GError **error, const char *cause)
{
  return banger_package_refuse (package, cause, NULL, error);
}

static gboolean
damaged (BangerPackage *package, BangerArchive *archive, GError **error)
{
  const char *cause = archive_error_string (archive);

  /* EIO is what read_source() says, in our own words. */
  if (archive == package->tar && archive_errno (archive) != EIO
      && archive_file_count (archive) == 0)
    cause = "it does not begin as a tar archive does";
  /* libarchive's word for an entry that has no name is no word for people. */
  else if (cause == NULL || strstr (cause, "(null)") != NULL)
    cause = "it is damaged";
  return refuse (package, error, cause);
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
pull_member (BangerPackage *package, const void **bytes, const char **cause)
{
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

/* What has been read ahead comes first. */
static gssize
pull_fd (BangerPackage *package, const void **bytes, const char **cause)
{
  ssize_t n = package->ahead;

  package->ahead = 0;
  if (n == 0)
    n = TEMP_FAILURE_RETRY (read (package->fd, package->chunk, BANGER_ARCHIVE_BLOCK));
  *bytes = package->chunk;
  if (n < 0)
    *cause = g_strerror (errno);
  else
    package->taken += n;
  return n;
}

static la_ssize_t
read_outer (struct archive *archive, void *data, const void **bytes)
{
  const char *cause = NULL;
  gssize n = pull_fd (data, bytes, &cause);

  if (n < 0)
    archive_set_error (archive, EIO, "%s", cause);
  return n;
}

/* The tar's next bytes, as they are packed. */
static gssize
pull (BangerPackage *package, const void **bytes, const char **cause)
{
  return package->outer != NULL ? pull_member (package, bytes, cause)
                                : pull_fd (package, bytes, cause);
}

/* Enough to know how it is packed, which a pipe, or the end of a block, may give in pieces. */
static gssize
pull_first (BangerPackage *package, const void **bytes, const char **cause)
{
  BangerCodec codec;
  gssize n;

  package->began = TRUE;
  package->head = g_byte_array_new ();
  do {
    n = pull (package, bytes, cause);
    if (n > 0)
      g_byte_array_append (package->head, *bytes, n);
  } while (n > 0 && package->head->len < BANGER_CODEC_MAGIC);
  if (n < 0)
    return n;
  *bytes = package->head->data;
  codec = banger_codec_detect (package->head->data, package->head->len);
  if (codec != BANGER_CODEC_NONE) {
    package->decoder = banger_decoder_new (codec);
    package->out = g_malloc (OUT);
    package->in = package->head->data;
    package->in_length = package->head->len;
  }
  return package->head->len;
}

/* Lets the decoder have more. 0 where there is no more, and that is well. */
static gssize
refill (BangerPackage *package, BangerDecodeState state, const char **cause)
{
  const void *bytes = NULL;
  gssize n;

  /* What follows and begins no other member is no part of it, as gzip(1) has it. */
  if (package->in_length > 0)
    return 0;
  n = pull (package, &bytes, cause);
  if (n == 0 && state != BANGER_DECODE_BETWEEN) {
    *cause = "it is cut off";
    return -1;
  }
  package->in = bytes;
  package->in_length = MAX (n, 0);
  return n;
}

/* The tar's next bytes: their number, 0 at the end, -1 with *@cause (static text). */
static gssize
read_tar (BangerPackage *package, const void **bytes, const char **cause)
{
  gboolean first = !package->began;
  gssize n = first ? pull_first (package, bytes, cause) : 1;

  if (package->decoder == NULL)
    return first ? n : pull (package, bytes, cause);
  while (n > 0) {
    BangerDecodeStep step = { package->in, package->in_length, package->out, OUT, NULL };
    BangerDecodeState state = banger_decoder_run (package->decoder, &step);

    package->in = step.in;
    package->in_length = step.in_length;
    *bytes = package->out;
    *cause = step.cause;
    if (state == BANGER_DECODE_FAULT)
      return -1;
    if (step.out_length < OUT)
      return OUT - step.out_length;
    n = refill (package, state, cause);
  }
  return n;
}

static la_ssize_t
read_source (struct archive *archive, void *data, const void **bytes)
{
  BangerPackage *package = data;
  const char *cause = NULL;
  gssize n = read_tar (package, bytes, &cause);

  package->decoded += MAX (n, 0);
  if (n >= 0 && package->decoded > package->bound) {
    cause = package->bound < package->decoded_max
                ? "an entry's name, attributes and holes take more than 8 MiB"
                : "it is larger than 32 GiB when it is decompressed";
    n = -1;
  }
  if (n < 0)
    archive_set_error (archive, EIO, "%s", cause);
  return n;
}

static BangerPackage *
package_new (int fd, BangerPackageForm form, const char *release)
{
  BangerPackage *package = g_new0 (BangerPackage, 1);
  struct stat st;

  package->form = form;
  package->fd = fd;
  package->wanted = g_strdup (release);
  package->bound = package->decoded_max = DECODED_MAX;
  package->releases = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  package->chunk = g_malloc (BANGER_ARCHIVE_BLOCK);
  if (fstat (fd, &st) == 0 && S_ISREG (st.st_mode))
    package->file_size = st.st_size;
  package->tar = archive_read_new ();
  archive_read_support_format_tar (package->tar);
  return package;
}

/* Reads enough to see what it is; a pipe may give less at a time. */
static gboolean
read_ahead (BangerPackage *package, GError **error)
{
  while (package->ahead < BANGER_CODEC_MAGIC) {
    ssize_t n = TEMP_FAILURE_RETRY (
        read (package->fd, package->chunk + package->ahead, BANGER_ARCHIVE_BLOCK - package->ahead));

    if (n < 0)
      return refuse (package, error, g_strerror (errno));
    if (n == 0)
      break;
    package->ahead += n;
  }
  return TRUE;
}

static gboolean
is_ar (BangerPackage *package)
{
  return package->ahead >= strlen (AR_MAGIC)
         && memcmp (package->chunk, AR_MAGIC, strlen (AR_MAGIC)) == 0;
}

static gboolean
open_outer (BangerPackage *package, GError **error)
{
  if (!is_ar (package))
    return banger_package_refuse (package, "it is no ar archive, as those are",
                                  "give a linux-image package as Debian ships it; a tar archive "
                                  "of boot/ and lib/modules/ goes with --tree",
                                  error);
  package->outer = archive_read_new ();
  archive_read_support_format_ar (package->outer);
  if (archive_read_open (package->outer, package, NULL, read_outer, NULL) != ARCHIVE_OK)
    return damaged (package, package->outer, error);
  return find_data_member (package, error);
}

static BangerPackage *
package_open (int fd, BangerPackageForm form, const char *release, GError **error)
{
  g_autoptr (BangerPackage) package = package_new (fd, form, release);

  if (!read_ahead (package, error))
    return NULL;
  if (form == BANGER_PACKAGE_DEB || (form == BANGER_PACKAGE_MODULES && is_ar (package))) {
    if (!open_outer (package, error))
      return NULL;
  }
  if (archive_read_open (package->tar, package, NULL, read_source, NULL) != ARCHIVE_OK) {
    damaged (package, package->tar, error);
    return NULL;
  }
  return g_steal_pointer (&package);
}

BangerPackage *
banger_package_open_deb (int fd, GError **error)
{
  return package_open (fd, BANGER_PACKAGE_DEB, NULL, error);
}

BangerPackage *
banger_package_open_modules (int fd, GError **error)
{
  return package_open (fd, BANGER_PACKAGE_MODULES, NULL, error);
}

BangerPackage *
banger_package_open_tree (int fd, const char *release, GError **error)
{
  return package_open (fd, BANGER_PACKAGE_TREE, release, error);
}

double
banger_package_fraction (BangerPackage *package)
{
  if (package->file_size == 0)
    return -1;
  return CLAMP ((double)package->taken / package->file_size, 0, 1);
}

const char *
banger_package_release (BangerPackage *package)
{
  return package->release;
}

static gboolean
read_content (BangerPackage *package, struct archive_entry *header, BangerPackageEntry *entry,
              GError **error)
{
  guint64 size = archive_entry_size (header);
  g_autoptr (GByteArray) content = g_byte_array_sized_new (1); /* an empty file's is no NULL */
  guint64 done = 0;
  la_ssize_t n = 0;

  if (size > FILE_MAX || (package->total += size) > TOTAL_MAX)
    return refuse (package, error, "it is too large");
  /* What a header says is no reason to allocate it all. */
  do {
    done += n;
    g_byte_array_set_size (content, MIN (size, done + PIECE));
    n = archive_read_data (package->tar, content->data + done, content->len - done);
  } while (n > 0);
  if (n < 0 || done != size)
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
  gboolean is_file
      = archive_entry_filetype (header) == AE_IFREG && archive_entry_hardlink (header) == NULL;

  if (!banger_package_classify (package, archive_entry_pathname (header), is_file, entry, error))
    return FALSE;
  if (entry->kind == BANGER_PACKAGE_OTHER)
    return TRUE;
  return read_content (package, header, entry, error)
         && (entry->kind != BANGER_PACKAGE_UNNAMED
             || banger_package_name_kernel (package, entry, error));
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
    n = read_tar (package, &bytes, &cause);
    trailer += MAX (n, 0);
  } while (n > 0 && trailer <= TRAILER_MAX);
  /* A compressed stream may be followed by what is none. */
  while (n == 0 && trailer <= TRAILER_MAX && (n = pull (package, &bytes, &cause)) > 0)
    trailer += n;
  if (n < 0)
    return refuse (package, error, cause);
  return trailer <= TRAILER_MAX || refuse (package, error, "more than 64 MiB follow its end");
}

/* What is left of the entry before is no part of the headers. */
static int
next_header (BangerPackage *package, struct archive_entry **header)
{
  int status = ARCHIVE_OK;

  if (archive_file_count (package->tar) > 0)
    status = archive_read_data_skip (package->tar);
  if (!usable (status) && status != ARCHIVE_EOF)
    return status;
  package->bound = MIN (package->decoded_max, package->decoded + HEADERS_MAX);
  status = archive_read_next_header (package->tar, header);
  package->bound = package->decoded_max;
  return status;
}

gboolean
banger_package_next (BangerPackage *package, BangerPackageEntry *entry, GError **error)
{
  struct archive_entry *header;

  do {
    int status = next_header (package, &header);

    *entry = (BangerPackageEntry){ .kind = BANGER_PACKAGE_END };
    if (status == ARCHIVE_EOF)
      return finish (package, error) && banger_package_settle (package, error);
    if (!usable (status))
      return damaged (package, package->tar, error);
    if (!take (package, header, entry, error)) {
      banger_package_entry_clear (entry);
      return FALSE;
    }
  } while (entry->kind == BANGER_PACKAGE_OTHER);
  return TRUE;
}
