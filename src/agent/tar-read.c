/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tar.h"

#include "tar-pax.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_SIZE (256u << 10)
/* No file system has larger files; sums of two of these still fit. */
#define BYTES_MAX ((uint64_t)1 << 60)

/* GNU's own format tells of a sparse file's extents where ustar has a prefix, four of them, and in
 * blocks of 21 more before the data: pairs of numbers of 12 bytes each. After them: do more follow?
 * https://www.gnu.org/software/tar/manual/html_node/Standard.html */
#define OLD_EXTENTS 386
#define OLD_EXTENTS_END 482
#define OLD_REAL_SIZE 483
#define OLD_BLOCK_END 504
#define OLD_NUMBER 12
#define BAD_MAP "a sparse file's map is wrong"

struct AgentTarReader {
  AgentTarSource source;
  void *data;
  uint8_t *buffer;
  size_t start;
  size_t fill;
  uint64_t left; /* of the entry's data */
  unsigned padding;
  AgentTarPax global;
  AgentTarPax own; /* of the next entry */
  char path[AGENT_TAR_PATH_MAX + 1];
  char link[AGENT_TAR_PATH_MAX + 1];
  bool has_long_path; /* GNU's */
  bool has_long_link;
  AgentTarEntry entry;
};

AgentTarReader *
agent_tar_reader_new (AgentTarSource source, void *data)
{
  AgentTarReader *reader = calloc (1, sizeof *reader);

  if (reader == NULL)
    return NULL;
  reader->source = source;
  reader->data = data;
  reader->buffer = malloc (BUFFER_SIZE);
  if (reader->buffer != NULL)
    return reader;
  free (reader);
  return NULL;
}

void
agent_tar_reader_free (AgentTarReader *reader)
{
  agent_tar_pax_clear (&reader->global);
  agent_tar_pax_clear (&reader->own);
  free (reader->entry.extents);
  free (reader->buffer);
  free (reader);
}

static ssize_t
read_source (AgentTarReader *reader, void *bytes, size_t length)
{
  ssize_t n;

  do
    n = reader->source (reader->data, bytes, length);
  while (n < 0 && errno == EINTR);
  return n;
}

/* At most @length bytes; what is large does not go through the buffer. */
static ssize_t
take (AgentTarReader *reader, void *bytes, size_t length)
{
  size_t n = reader->fill - reader->start;

  if (n == 0 && length >= BUFFER_SIZE)
    return read_source (reader, bytes, length);
  if (n == 0) {
    ssize_t came = read_source (reader, reader->buffer, BUFFER_SIZE);

    if (came <= 0)
      return came;
    reader->start = 0;
    reader->fill = n = (size_t)came;
  }
  if (n > length)
    n = length;
  memcpy (bytes, reader->buffer + reader->start, n);
  reader->start += n;
  return (ssize_t)n;
}

/* 1, 0 if there is nothing at all any more, -1 if it is cut off. */
static int
take_all (AgentTarReader *reader, void *bytes, size_t length)
{
  uint8_t *to = bytes;

  for (size_t done = 0; done < length;) {
    ssize_t n = take (reader, to + done, length - done);

    if (n <= 0)
      return n == 0 && done == 0 ? 0 : -1;
    done += (size_t)n;
  }
  return 1;
}

static bool
skip (AgentTarReader *reader, uint64_t length)
{
  uint8_t piece[4096];

  while (length > 0) {
    ssize_t n = take (reader, piece, length < sizeof piece ? (size_t)length : sizeof piece);

    if (n <= 0)
      return false;
    length -= (uint64_t)n;
  }
  return true;
}

ssize_t
agent_tar_read (AgentTarReader *reader, void *bytes, size_t length)
{
  ssize_t n;

  if (reader->left == 0 || reader->entry.type != AGENT_TAR_FILE)
    return 0;
  n = take (reader, bytes, length < reader->left ? length : (size_t)reader->left);
  if (n <= 0)
    return -1;
  reader->left -= (uint64_t)n;
  return n;
}

/* Octal digits up to a blank or NUL, or GNU's binary form: the first bit set, then big-endian. */
static bool
parse_number (const char *field, size_t size, uint64_t *value)
{
  size_t i = 0;

  *value = 0;
  if (field[0] & 0x80) {
    /* Negative numbers begin with 0xff. */
    if ((uint8_t)field[0] != 0x80)
      return false;
    for (i = 1; i < size; i++) {
      if (*value >> 52 != 0)
        return false;
      *value = *value << 8 | (uint8_t)field[i];
    }
    return true;
  }
  while (i < size && field[i] == ' ')
    i++;
  for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
    *value = *value << 3 | (uint64_t)(field[i] - '0');
  return i == size || field[i] == ' ' || field[i] == '\0';
}

static bool
checksum_is_right (const AgentTarHeader *header)
{
  const uint8_t *bytes = (const uint8_t *)header;
  size_t from = offsetof (AgentTarHeader, checksum);
  uint64_t wanted, sum = 0;

  for (size_t i = 0; i < sizeof *header; i++)
    sum += i >= from && i < from + sizeof header->checksum ? ' ' : bytes[i];
  return parse_number (header->checksum, sizeof header->checksum, &wanted) && wanted == sum;
}

static bool
is_zero (const AgentTarHeader *header)
{
  static const AgentTarHeader zero;

  return memcmp (header, &zero, sizeof zero) == 0;
}

/* A record's value or GNU's long name: text that ends at its NUL, if it has one. */
static const char *
set_path (char *to, const char *text, size_t length)
{
  length = strnlen (text, length);
  if (length > AGENT_TAR_PATH_MAX)
    return "a name is too long";
  memcpy (to, text, length);
  to[length] = '\0';
  return NULL;
}

static const char *
read_long_name (AgentTarReader *reader, char *to, bool *has)
{
  char text[AGENT_TAR_PATH_MAX + 1];
  size_t length = (size_t)reader->left;

  if (reader->left > sizeof text)
    return "a name is too long";
  if (take_all (reader, text, length) != 1)
    return "it is cut off";
  reader->left = 0;
  *has = true;
  return set_path (to, text, length);
}

static const char *
read_pax (AgentTarReader *reader, AgentTarPax *pax)
{
  size_t length = (size_t)reader->left;
  char *text = reader->left <= AGENT_TAR_PAX_MAX ? malloc (length + 1) : NULL;

  agent_tar_pax_clear (pax);
  if (text == NULL)
    return "a header is too large";
  if (take_all (reader, text, length) != 1) {
    free (text);
    return "it is cut off";
  }
  reader->left = 0;
  return agent_tar_pax_parse (pax, text, length);
}

static const char *
set_names (AgentTarReader *reader, const AgentTarHeader *header)
{
  const AgentTarPax *pax = &reader->own;
  const char *path = pax->sparse_name != NULL ? pax->sparse_name : pax->path;
  size_t prefix = strnlen (header->prefix, sizeof header->prefix);
  bool posix = header->magic[5] == '\0';
  const char *fault = NULL;

  if (path != NULL) {
    fault = set_path (reader->path, path, strlen (path));
  } else if (!reader->has_long_path) {
    size_t length = strnlen (header->name, sizeof header->name);
    char *to = reader->path;

    /* GNU's own format has other things where the prefix would be. */
    if (posix && prefix > 0) {
      memcpy (to, header->prefix, prefix);
      to += prefix;
      *to++ = '/';
    }
    memcpy (to, header->name, length);
    to[length] = '\0';
  }
  if (fault == NULL && pax->link != NULL)
    fault = set_path (reader->link, pax->link, strlen (pax->link));
  else if (fault == NULL && !reader->has_long_link)
    fault = set_path (reader->link, header->link, sizeof header->link);
  return fault;
}

static const char *
set_type (AgentTarReader *reader, char type)
{
  AgentTarEntry *entry = &reader->entry;
  size_t length = strlen (reader->path);

  /* '7' is a contiguous file, which is one; a NUL is what ustar says to take for one. */
  if (type == '\0' || type == '7')
    type = AGENT_TAR_FILE;
  if (type < '0' || type > '6')
    return "it has an entry of a kind that is not known";
  entry->type = (AgentTarType)type;
  if (type == AGENT_TAR_FILE && length > 0 && reader->path[length - 1] == '/')
    entry->type = AGENT_TAR_FOLDER;
  if (entry->type != AGENT_TAR_FILE) {
    if (entry->size > 0 && entry->type != AGENT_TAR_HARDLINK && entry->type != AGENT_TAR_FOLDER)
      return "an entry that is no file has data";
    /* Some give these the size of what they stand for; no data follow. */
    entry->size = 0;
  }
  entry->link = type == AGENT_TAR_HARDLINK || type == AGENT_TAR_SYMLINK ? reader->link : NULL;
  if (entry->link != NULL && entry->link[0] == '\0')
    return "a link leads nowhere";
  return reader->path[0] != '\0' ? NULL : "an entry has no name";
}

static const char *
set_numbers (AgentTarReader *reader, const AgentTarHeader *header)
{
  AgentTarEntry *entry = &reader->entry;
  uint64_t mode, mtime, major = 0, minor = 0;

  if (!parse_number (header->mode, sizeof header->mode, &mode)
      || !parse_number (header->uid, sizeof header->uid, &entry->uid)
      || !parse_number (header->gid, sizeof header->gid, &entry->gid)
      || !parse_number (header->mtime, sizeof header->mtime, &mtime))
    return "a header has a number that is none";
  if ((header->type == AGENT_TAR_CHARACTER || header->type == AGENT_TAR_BLOCK_DEVICE)
      && (!parse_number (header->major, sizeof header->major, &major)
          || !parse_number (header->minor, sizeof header->minor, &minor) || major > UINT32_MAX
          || minor > UINT32_MAX))
    return "a header has a number that is none";
  entry->mode = (mode_t)(mode & 07777);
  entry->mtime.tv_sec = (time_t)mtime;
  entry->major = (unsigned)major;
  entry->minor = (unsigned)minor;
  entry->size = reader->left;
  agent_tar_pax_apply (&reader->global, entry);
  agent_tar_pax_apply (&reader->own, entry);
  return entry->uid <= UINT32_MAX && entry->gid <= UINT32_MAX ? NULL : "an owner is too large";
}

/* A decimal number and its newline from the entry's data, *@used of which were taken. */
static bool
read_map_number (AgentTarReader *reader, uint64_t *value, uint64_t *used)
{
  unsigned digits = 0;
  char c;

  for (*value = 0; agent_tar_read (reader, &c, 1) == 1 && ++*used && c != '\n'; digits++) {
    if (c < '0' || c > '9' || digits >= 19)
      return false;
    *value = *value * 10 + (uint64_t)(c - '0');
  }
  return digits > 0 && c == '\n';
}

/* Extents are in order, apart, and within the file. */
static const char *
add_extent (AgentTarEntry *entry, const AgentTarExtent *extent)
{
  size_t n = entry->n_extents;
  uint64_t end = n > 0 ? entry->extents[n - 1].offset + entry->extents[n - 1].size : 0;

  if (n >= AGENT_TAR_EXTENTS_MAX || extent->offset < end || extent->offset > entry->real_size
      || extent->size > entry->real_size - extent->offset)
    return BAD_MAP;
  /* Doubled as it is filled: what the archive says of their number costs nothing. */
  if ((n & (n - 1)) == 0) {
    AgentTarExtent *more = realloc (entry->extents, (n == 0 ? 1 : 2 * n) * sizeof *more);

    if (more == NULL)
      return "there is no memory";
    entry->extents = more;
  }
  entry->extents[entry->n_extents++] = *extent;
  return NULL;
}

static const char *
check_sum (const AgentTarEntry *entry)
{
  uint64_t sum = 0;

  for (size_t i = 0; i < entry->n_extents; i++)
    sum += entry->extents[i].size;
  return sum == entry->size ? NULL : BAD_MAP;
}

static const char *
read_map (AgentTarReader *reader)
{
  AgentTarEntry *entry = &reader->entry;
  const char *fault = NULL;
  uint64_t n, used = 0;

  if (!read_map_number (reader, &n, &used) || n > AGENT_TAR_EXTENTS_MAX)
    return BAD_MAP;
  for (uint64_t i = 0; i < n && fault == NULL; i++) {
    AgentTarExtent extent;

    if (!read_map_number (reader, &extent.offset, &used)
        || !read_map_number (reader, &extent.size, &used))
      return BAD_MAP;
    fault = add_extent (entry, &extent);
  }
  if (fault != NULL)
    return fault;
  used = -used % AGENT_TAR_BLOCK;
  if (used > reader->left || !skip (reader, used))
    return BAD_MAP;
  reader->left -= used;
  entry->size = reader->left;
  return check_sum (entry);
}

/* The pairs at @at, up to the first without a size. */
static const char *
add_old_extents (AgentTarEntry *entry, const char *at, size_t length)
{
  const char *fault = NULL;

  for (size_t i = 0; i < length && at[i + OLD_NUMBER] != '\0' && fault == NULL;
       i += 2 * OLD_NUMBER) {
    AgentTarExtent extent;

    if (!parse_number (at + i, OLD_NUMBER, &extent.offset)
        || !parse_number (at + i + OLD_NUMBER, OLD_NUMBER, &extent.size))
      return BAD_MAP;
    fault = add_extent (entry, &extent);
  }
  return fault;
}

static const char *
read_old_map (AgentTarReader *reader, const AgentTarHeader *header)
{
  AgentTarEntry *entry = &reader->entry;
  const char *bytes = (const char *)header, *fault;
  bool more = bytes[OLD_EXTENTS_END] != '\0';
  char block[AGENT_TAR_BLOCK];

  if (!parse_number (bytes + OLD_REAL_SIZE, OLD_NUMBER, &entry->real_size)
      || entry->real_size > BYTES_MAX)
    return BAD_MAP;
  fault = add_old_extents (entry, bytes + OLD_EXTENTS, OLD_EXTENTS_END - OLD_EXTENTS);
  while (more && fault == NULL) {
    if (take_all (reader, block, sizeof block) != 1)
      return "it is cut off";
    fault = add_old_extents (entry, block, OLD_BLOCK_END);
    more = block[OLD_BLOCK_END] != '\0';
  }
  return fault != NULL ? fault : check_sum (entry);
}

static const char *
begin_entry (AgentTarReader *reader, const AgentTarHeader *header)
{
  const AgentTarPax *pax = &reader->own;
  AgentTarEntry *entry = &reader->entry;
  bool old_sparse = header->type == 'S' && header->magic[5] == ' ';
  const char *fault;

  fault = set_numbers (reader, header);
  if (fault == NULL)
    fault = set_names (reader, header);
  if (fault == NULL)
    fault = set_type (reader, old_sparse ? (char)AGENT_TAR_FILE : header->type);
  if (fault != NULL)
    return fault;
  entry->path = reader->path;
  entry->sparse = pax->sparse || old_sparse;
  if (!entry->sparse)
    return NULL;
  if (entry->type != AGENT_TAR_FILE)
    return "a sparse file's header is wrong";
  if (old_sparse)
    return read_old_map (reader, header);
  if (!pax->has_real_size || pax->real_size > BYTES_MAX)
    return "a sparse file's header is wrong";
  entry->real_size = pax->real_size;
  return read_map (reader);
}

/* Passes over what is left of the entry before. */
static bool
leave_entry (AgentTarReader *reader)
{
  bool good = skip (reader, reader->left) && skip (reader, reader->padding);

  reader->left = 0;
  reader->padding = 0;
  return good;
}

/* Reads one header. *@done: the entry is whole, or the archive ends. */
static const char *
step (AgentTarReader *reader, bool *done, bool *end)
{
  AgentTarHeader header;
  int came = take_all (reader, &header, sizeof header);
  uint64_t size;

  if (came != 1)
    return "it is cut off";
  *end = *done = is_zero (&header);
  if (*end)
    return NULL;
  if (memcmp (header.magic, "ustar", 5) != 0
      || (header.magic[5] != '\0' && memcmp (header.magic + 5, "  ", 3) != 0)
      || !checksum_is_right (&header))
    return "this is no tar archive, or it is damaged";
  if (!parse_number (header.size, sizeof header.size, &size))
    return "a header has a number that is none";
  if (strchr ("xgLK", header.type) == NULL || header.type == '\0') {
    if (reader->own.has_size)
      size = reader->own.size;
    /* Links and folders have no data, whatever their header says. */
    if (strchr ("15", header.type) != NULL && header.type != '\0')
      size = 0;
    *done = true;
  }
  if (size > BYTES_MAX)
    return "a size is too large";
  reader->left = size;
  reader->padding = (unsigned)(-size % AGENT_TAR_BLOCK);
  if (*done)
    return begin_entry (reader, &header);
  if (header.type == 'L')
    return read_long_name (reader, reader->path, &reader->has_long_path);
  if (header.type == 'K')
    return read_long_name (reader, reader->link, &reader->has_long_link);
  return read_pax (reader, header.type == 'x' ? &reader->own : &reader->global);
}

const char *
agent_tar_next (AgentTarReader *reader, const AgentTarEntry **entry)
{
  const char *fault = NULL;
  bool done = false, end = false;

  *entry = NULL;
  agent_tar_pax_clear (&reader->own);
  free (reader->entry.extents);
  reader->entry = (AgentTarEntry){ .n_extents = 0 };
  reader->has_long_path = reader->has_long_link = false;
  while (!done && fault == NULL) {
    if (!leave_entry (reader))
      return "it is cut off";
    fault = step (reader, &done, &end);
  }
  if (fault == NULL && !end)
    *entry = &reader->entry;
  return fault;
}
