/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IEEE Std 1003.1, "pax Interchange Format"; "Storing Sparse Files" of GNU tar's manual. */
#include "tar-writer.h"

#include "errors.h"
#include "io.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK 512
#define BUFFER_SIZE (256u << 10)
#define NSEC 1000000000u
#define ACL_VERSION 2
/* What readers take of an entry's records: libarchive no more than this. */
#define RECORDS_MAX (1u << 20)
/* What the octal digits of a header's fields hold. */
#define ID_FIELD_MAX 07777777u
#define LONG_FIELD_MAX 077777777777u

typedef struct {
  char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type, linkname[100];
  char magic[6], version[2], uname[32], gname[32], major[8], minor[8], prefix[155], padding[12];
} Header;
G_STATIC_ASSERT (sizeof (Header) == BLOCK);

typedef struct {
  guint16 tag, perm;
  guint32 id;
} AclEntry;

struct _BangerTarWriter {
  int fd;
  guint8 *buffer;
  gsize fill;
  guint64 wanted; /* data of the entry that have not come */
  guint padding;  /* after them */
  gboolean unread;
  gsize *bytes; /* written so far; may be NULL */
};

BangerTarWriter *
banger_tar_writer_new (int fd)
{
  BangerTarWriter *writer = g_new0 (BangerTarWriter, 1);

  writer->fd = fd;
  writer->buffer = g_malloc (BUFFER_SIZE);
  return writer;
}

void
banger_tar_writer_free (BangerTarWriter *writer)
{
  g_free (writer->buffer);
  g_free (writer);
}

void
banger_tar_writer_count (BangerTarWriter *writer, gsize *bytes)
{
  writer->bytes = bytes;
}

gboolean
banger_tar_writer_is_unread (BangerTarWriter *writer)
{
  return writer->unread;
}

static gboolean
write_out (BangerTarWriter *writer, const void *data, gsize length, GError **error)
{
  if (banger_write_whole (writer->fd, data, length)) {
    if (writer->bytes != NULL)
      g_atomic_pointer_add (writer->bytes, (gssize)length);
    return TRUE;
  }
  writer->unread = errno == EPIPE;
  banger_set_error_errno (error, errno, NULL, "the archive cannot be written");
  return FALSE;
}

static gboolean
flush (BangerTarWriter *writer, GError **error)
{
  gsize fill = writer->fill;

  writer->fill = 0;
  return write_out (writer, writer->buffer, fill, error);
}

static gboolean
put (BangerTarWriter *writer, const void *data, gsize length, GError **error)
{
  if (writer->fill + length > BUFFER_SIZE && !flush (writer, error))
    return FALSE;
  if (length >= BUFFER_SIZE)
    return write_out (writer, data, length, error);
  memcpy (writer->buffer + writer->fill, data, length);
  writer->fill += length;
  return TRUE;
}

static gboolean
put_zeros (BangerTarWriter *writer, guint length, GError **error)
{
  static const guint8 zeros[2 * BLOCK];

  return put (writer, zeros, length, error);
}

static guint
padding_of (guint64 length)
{
  return -length % BLOCK;
}

/* "LENGTH KEY=VALUE\n", where LENGTH is that of all of it. */
static void
add_record (GString *records, const char *key, const void *value, gsize length)
{
  gsize rest = 1 + strlen (key) + 1 + length + 1, total = rest, digits = 0;
  char number[24];

  do {
    digits = g_snprintf (number, sizeof number, "%" G_GSIZE_FORMAT, total);
    total = rest + digits;
  } while ((gsize)g_snprintf (number, sizeof number, "%" G_GSIZE_FORMAT, total) != digits);
  g_string_append (records, number);
  g_string_append_c (records, ' ');
  g_string_append (records, key);
  g_string_append_c (records, '=');
  g_string_append_len (records, value, length);
  g_string_append_c (records, '\n');
}

static void
add_text (GString *records, const char *key, const char *text)
{
  add_record (records, key, text, strlen (text));
}

static void
add_number (GString *records, const char *key, guint64 number)
{
  char text[24];

  g_snprintf (text, sizeof text, "%" G_GUINT64_FORMAT, number);
  add_text (records, key, text);
}

/* The fraction has the sign of the whole: half a second before 1970 is -0.5. */
static void
add_time (GString *records, const BangerTarEntry *entry)
{
  gboolean negative = entry->mtime < 0;
  guint64 seconds = negative ? -(guint64)entry->mtime : (guint64)entry->mtime;
  guint32 nsec = entry->mtime_nsec;
  char text[40];
  gsize length = 0;

  if (nsec == 0 && !negative && seconds <= LONG_FIELD_MAX)
    return;
  if (negative && nsec > 0) {
    seconds--;
    nsec = NSEC - nsec;
  }
  length = g_snprintf (text, sizeof text, "%s%" G_GUINT64_FORMAT ".%09u", negative ? "-" : "",
                       seconds, nsec);
  while (text[length - 1] == '0')
    length--;
  if (text[length - 1] == '.')
    length--;
  add_record (records, "mtime", text, length);
}

/* As GNU tar has it: a record's key ends at its first "=". */
static void
add_xattr (GString *records, const BangerTarXattr *xattr)
{
  g_autoptr (GString) key = g_string_new ("SCHILY.xattr.");

  for (const char *p = xattr->name; *p != '\0'; p++) {
    if (*p == '%' || *p == '=')
      g_string_append_printf (key, "%%%02X", (guchar)*p);
    else
      g_string_append_c (key, *p);
  }
  add_record (records, key->str, xattr->value, xattr->length);
}

/* An access control list in words, as acl(5) writes it with numbers; NULL where it is none that
 * linux/posix_acl_xattr.h describes. */
static char *
acl_text (const guint8 *value, gsize length)
{
  static const struct {
    guint16 tag;
    const char *word;
    gboolean has_id;
  } tags[] = { { 0x01, "user", FALSE }, { 0x02, "user", TRUE },  { 0x04, "group", FALSE },
               { 0x08, "group", TRUE }, { 0x10, "mask", FALSE }, { 0x20, "other", FALSE } };
  g_autoptr (GString) text = g_string_new (NULL);
  guint32 version = 0;

  if (length < sizeof version || (length - sizeof version) % sizeof (AclEntry) != 0)
    return NULL;
  memcpy (&version, value, sizeof version);
  if (GUINT32_FROM_LE (version) != ACL_VERSION)
    return NULL;
  for (gsize at = sizeof version; at < length; at += sizeof (AclEntry)) {
    AclEntry entry;
    guint i = 0, perm = 0;

    memcpy (&entry, value + at, sizeof entry);
    perm = GUINT16_FROM_LE (entry.perm);
    while (i < G_N_ELEMENTS (tags) && tags[i].tag != GUINT16_FROM_LE (entry.tag))
      i++;
    if (i == G_N_ELEMENTS (tags) || perm > 7)
      return NULL;
    g_string_append_printf (text, "%s%s:", text->len > 0 ? "," : "", tags[i].word);
    if (tags[i].has_id)
      g_string_append_printf (text, "%u", GUINT32_FROM_LE (entry.id));
    g_string_append_printf (text, ":%c%c%c", perm & 4 ? 'r' : '-', perm & 2 ? 'w' : '-',
                            perm & 1 ? 'x' : '-');
  }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static void
add_xattrs (GString *records, const GArray *xattrs)
{
  for (guint i = 0; xattrs != NULL && i < xattrs->len; i++) {
    const BangerTarXattr *xattr = &g_array_index (xattrs, BangerTarXattr, i);
    const char *key = NULL;
    g_autofree char *text = NULL;

    if (g_str_equal (xattr->name, "system.posix_acl_access"))
      key = "SCHILY.acl.access";
    else if (g_str_equal (xattr->name, "system.posix_acl_default"))
      key = "SCHILY.acl.default";
    if (key != NULL)
      text = acl_text (xattr->value, xattr->length);
    if (text != NULL)
      add_text (records, key, text);
    else
      add_xattr (records, xattr);
  }
}

/* How many of the file's bytes lie in the archive, and the map before them, made of lines. */
static guint64
map_pieces (const BangerTarEntry *entry, GString *map)
{
  guint64 sum = 0, end = 0;
  /* A hole at the end is a piece of no length, which says where that is. */
  gboolean closed = FALSE;

  for (guint i = 0; i < entry->pieces->len; i++) {
    const BangerTarPiece *piece = &g_array_index (entry->pieces, BangerTarPiece, i);

    sum += piece->length;
    end = piece->offset + piece->length;
  }
  closed = end == entry->size && entry->pieces->len > 0;
  g_string_append_printf (map, "%u\n", entry->pieces->len + !closed);
  for (guint i = 0; i < entry->pieces->len; i++) {
    const BangerTarPiece *piece = &g_array_index (entry->pieces, BangerTarPiece, i);

    g_string_append_printf (map, "%" G_GUINT64_FORMAT "\n%" G_GUINT64_FORMAT "\n", piece->offset,
                            piece->length);
  }
  if (!closed)
    g_string_append_printf (map, "%" G_GUINT64_FORMAT "\n0\n", entry->size);
  for (guint i = padding_of (map->len); i > 0; i--)
    g_string_append_c (map, '\0');
  return sum;
}

static void
add_sparse (GString *records, const BangerTarEntry *entry)
{
  add_text (records, "GNU.sparse.major", "1");
  add_text (records, "GNU.sparse.minor", "0");
  add_text (records, "GNU.sparse.name", entry->path);
  add_number (records, "GNU.sparse.realsize", entry->size);
}

/* What a header's fields cannot hold. @size: of what lies in the archive. */
static void
add_records (GString *records, const BangerTarEntry *entry, const char *path, const char *link,
             guint64 size)
{
  gboolean has_path = entry->pieces != NULL || strlen (path) > sizeof ((Header *)NULL)->name;
  gboolean has_link = link != NULL && strlen (link) > sizeof ((Header *)NULL)->linkname;

  /* Records are UTF-8 unless they say otherwise, which GNU tar warns of and does not need. */
  if ((has_path && !g_utf8_validate (path, -1, NULL))
      || (has_link && !g_utf8_validate (link, -1, NULL)))
    add_text (records, "hdrcharset", "BINARY");
  if (entry->pieces != NULL)
    add_sparse (records, entry);
  else if (has_path)
    add_text (records, "path", path);
  if (has_link)
    add_text (records, "linkpath", link);
  if (size > LONG_FIELD_MAX)
    add_number (records, "size", size);
  if (entry->uid > ID_FIELD_MAX)
    add_number (records, "uid", entry->uid);
  if (entry->gid > ID_FIELD_MAX)
    add_number (records, "gid", entry->gid);
  add_time (records, entry);
  add_xattrs (records, entry->xattrs);
}

/* @number in octal, or 0 where it is not held and a record has it. */
static void
set_field (char *field, gsize length, guint64 number)
{
  guint64 most = (G_GUINT64_CONSTANT (1) << (3 * (length - 1))) - 1;

  for (gsize i = length - 1; i-- > 0; number >>= 3)
    field[i] = '0' + (number <= most ? number & 7 : 0);
}

static void
set_text (char *field, gsize length, const char *text)
{
  memcpy (field, text, MIN (length, strlen (text)));
}

static gboolean
put_header (BangerTarWriter *writer, Header *header, GError **error)
{
  guint sum = 0;

  memcpy (header->magic, "ustar", 6);
  memcpy (header->version, "00", 2);
  memset (header->sum, ' ', sizeof header->sum);
  for (gsize i = 0; i < sizeof *header; i++)
    sum += ((const guint8 *)header)[i];
  set_field (header->sum, 7, sum);
  header->sum[6] = '\0';
  return put (writer, header, sizeof *header, error);
}

static char
type_of (const BangerTarEntry *entry)
{
  if (entry->hard_link != NULL)
    return '1';
  switch (entry->mode & S_IFMT) {
  case S_IFLNK:
    return '2';
  case S_IFCHR:
    return '3';
  case S_IFBLK:
    return '4';
  case S_IFDIR:
    return '5';
  case S_IFIFO:
    return '6';
  default:
    return '0';
  }
}

static gboolean
put_records (BangerTarWriter *writer, const GString *records, const char *path, GError **error)
{
  Header header = { .type = 'x' };
  g_autofree char *name = g_strconcat ("PaxHeaders/", path, NULL);

  if (records->len == 0)
    return TRUE;
  if (records->len > RECORDS_MAX) {
    banger_set_error (error, BANGER_ERROR_NOT_SUPPORTED, NULL,
                      "its name and extended attributes take more than 1 MiB", NULL,
                      "an entry does not fit into a tar archive");
    return FALSE;
  }
  set_text (header.name, sizeof header.name, name);
  set_field (header.mode, sizeof header.mode, 0644);
  set_field (header.uid, sizeof header.uid, 0);
  set_field (header.gid, sizeof header.gid, 0);
  set_field (header.size, sizeof header.size, records->len);
  set_field (header.mtime, sizeof header.mtime, 0);
  return put_header (writer, &header, error) && put (writer, records->str, records->len, error)
         && put_zeros (writer, padding_of (records->len), error);
}

static gboolean
put_entry (BangerTarWriter *writer, const BangerTarEntry *entry, const char *path, guint64 size,
           GError **error)
{
  const char *link = entry->hard_link != NULL ? entry->hard_link : entry->target;
  Header header = { .type = type_of (entry) };

  set_text (header.name, sizeof header.name, path);
  set_field (header.mode, sizeof header.mode, entry->mode & 07777);
  set_field (header.uid, sizeof header.uid, entry->uid);
  set_field (header.gid, sizeof header.gid, entry->gid);
  set_field (header.size, sizeof header.size, size);
  set_field (header.mtime, sizeof header.mtime, MAX (entry->mtime, 0));
  if (link != NULL)
    set_text (header.linkname, sizeof header.linkname, link);
  set_field (header.major, sizeof header.major, entry->major);
  set_field (header.minor, sizeof header.minor, entry->minor);
  return put_header (writer, &header, error);
}

gboolean
banger_tar_writer_add (BangerTarWriter *writer, const BangerTarEntry *entry, GError **error)
{
  gboolean slash = S_ISDIR (entry->mode) && !g_str_has_suffix (entry->path, "/");
  g_autofree char *path = g_strconcat (entry->path, slash ? "/" : NULL, NULL);
  const char *link = entry->hard_link != NULL ? entry->hard_link : entry->target;
  gboolean has_data = S_ISREG (entry->mode) && entry->hard_link == NULL;
  g_autoptr (GString) records = g_string_new (NULL), map = g_string_new (NULL);
  guint64 data = has_data ? entry->size : 0;

  g_return_val_if_fail (writer->wanted == 0, FALSE);
  if (entry->pieces != NULL)
    data = map_pieces (entry, map);
  add_records (records, entry, path, link, data + map->len);
  writer->wanted = data;
  writer->padding = padding_of (data);
  return put_records (writer, records, path, error)
         && put_entry (writer, entry, path, data + map->len, error)
         && put (writer, map->str, map->len, error);
}

gboolean
banger_tar_writer_data (BangerTarWriter *writer, const void *data, gsize length, GError **error)
{
  g_return_val_if_fail (length <= writer->wanted, FALSE);
  writer->wanted -= length;
  return put (writer, data, length, error)
         && (writer->wanted > 0 || put_zeros (writer, writer->padding, error));
}

gboolean
banger_tar_writer_finish (BangerTarWriter *writer, GError **error)
{
  g_return_val_if_fail (writer->wanted == 0, FALSE);
  return put_zeros (writer, 2 * BLOCK, error) && flush (writer, error);
}
