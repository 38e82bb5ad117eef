/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUFFER_SIZE (256u << 10)
#define PIECE (1u << 20)
/* What fits the octal digits of a header; what does not is in a record of its own. */
#define ID_MAX 07777777u
#define SIZE_MAX_OCTAL 077777777777u

bool
agent_tar_writer_init (AgentTarWriter *writer, int fd)
{
  *writer = (AgentTarWriter){ .fd = fd, .buffer = malloc (BUFFER_SIZE) };
  return writer->buffer != NULL;
}

void
agent_tar_writer_clear (AgentTarWriter *writer)
{
  free (writer->buffer);
  agent_buffer_clear (&writer->pax);
}

static void
write_all (AgentTarWriter *writer, const uint8_t *bytes, size_t length)
{
  while (length > 0 && writer->error == 0) {
    ssize_t n = write (writer->fd, bytes, length);

    if (n < 0 && errno != EINTR)
      writer->error = errno;
    if (n <= 0)
      continue;
    bytes += n;
    length -= (size_t)n;
  }
}

static void
flush (AgentTarWriter *writer)
{
  write_all (writer, writer->buffer, writer->fill);
  writer->fill = 0;
}

void
agent_tar_write (AgentTarWriter *writer, const void *bytes, size_t length)
{
  const uint8_t *from = bytes;

  while (length > 0) {
    size_t n = BUFFER_SIZE - writer->fill;

    if (n > length)
      n = length;
    memcpy (writer->buffer + writer->fill, from, n);
    writer->fill += n;
    from += n;
    length -= n;
    if (writer->fill == BUFFER_SIZE)
      flush (writer);
  }
}

static void
write_zeros (AgentTarWriter *writer, uint64_t length)
{
  static const uint8_t zeros[16 * AGENT_TAR_BLOCK];

  while (length > 0 && writer->error == 0) {
    size_t n = length < sizeof zeros ? (size_t)length : sizeof zeros;

    agent_tar_write (writer, zeros, n);
    length -= n;
  }
}

void
agent_tar_pad (AgentTarWriter *writer, uint64_t length)
{
  write_zeros (writer, -length % AGENT_TAR_BLOCK);
}

/* Without a copy where the output is a pipe. */
static ssize_t
move_piece (AgentTarWriter *writer, int file, off_t *offset, size_t length)
{
  ssize_t n = splice (file, offset, writer->fd, NULL, length, 0);

  if (n >= 0 || (errno != EINVAL && errno != ENOSYS))
    return n;
  if (length > BUFFER_SIZE)
    length = BUFFER_SIZE;
  n = pread (file, writer->buffer, length, *offset);
  if (n > 0) {
    write_all (writer, writer->buffer, (size_t)n);
    *offset += n;
  }
  return n;
}

uint64_t
agent_tar_write_file (AgentTarWriter *writer, int file, uint64_t offset, uint64_t length)
{
  off_t at = (off_t)offset;
  uint64_t left = length;

  flush (writer);
  while (left > 0 && writer->error == 0) {
    ssize_t n = move_piece (writer, file, &at, left < PIECE ? (size_t)left : PIECE);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      break;
    left -= (uint64_t)n;
  }
  write_zeros (writer, left);
  return length - left;
}

static size_t
digits_of (size_t number)
{
  size_t digits = 1;

  for (; number >= 10; number /= 10)
    digits++;
  return digits;
}

/* "LENGTH KEY=VALUE\n", the length being that of all of it. */
static void
add_record (AgentTarWriter *writer, const char *key, const void *value, size_t length)
{
  size_t rest = strlen (key) + length + 3, total = rest + digits_of (rest);
  char head[320];
  int n;

  total = rest + digits_of (total);
  n = snprintf (head, sizeof head, "%zu %s=", total, key);
  if (n < 0 || (size_t)n >= sizeof head)
    return;
  if (!agent_buffer_append (&writer->pax, head, (size_t)n)
      || !agent_buffer_append (&writer->pax, value, length)
      || !agent_buffer_append (&writer->pax, "\n", 1))
    writer->error = ENOMEM;
}

static void
add_number (AgentTarWriter *writer, const char *key, uint64_t value)
{
  char text[24];

  snprintf (text, sizeof text, "%" PRIu64, value);
  add_record (writer, key, text, strlen (text));
}

static void
add_time (AgentTarWriter *writer, const struct timespec *time)
{
  long long seconds = (long long)time->tv_sec;
  long nanoseconds = time->tv_nsec;
  char text[40];

  /* A decimal number counts down from zero as a whole. */
  if (seconds < 0 && nanoseconds > 0) {
    seconds++;
    nanoseconds = 1000000000 - nanoseconds;
  }
  snprintf (text, sizeof text, "%s%lld.%09ld", time->tv_sec < 0 && seconds == 0 ? "-" : "", seconds,
            nanoseconds);
  add_record (writer, "mtime", text, strlen (text));
}

static void
put_octal (char *field, size_t size, uint64_t value)
{
  field[size - 1] = '\0';
  for (size_t i = size - 1; i-- > 0; value >>= 3)
    field[i] = (char)('0' + (value & 7));
}

static void
write_header (AgentTarWriter *writer, AgentTarHeader *header)
{
  unsigned sum = 0;

  memcpy (header->magic, "ustar", sizeof header->magic);
  memcpy (header->version, "00", sizeof header->version);
  memset (header->checksum, ' ', sizeof header->checksum);
  for (size_t i = 0; i < sizeof *header; i++)
    sum += ((const uint8_t *)header)[i];
  put_octal (header->checksum, 7, sum);
  agent_tar_write (writer, header, sizeof *header);
}

static void
write_pax (AgentTarWriter *writer)
{
  AgentTarHeader header = { .name = "PaxHeaders/entry", .type = 'x' };
  size_t length = writer->pax.length;

  if (length == 0)
    return;
  put_octal (header.mode, sizeof header.mode, 0644);
  put_octal (header.uid, sizeof header.uid, 0);
  put_octal (header.gid, sizeof header.gid, 0);
  put_octal (header.size, sizeof header.size, length);
  put_octal (header.mtime, sizeof header.mtime, 0);
  write_header (writer, &header);
  agent_tar_write (writer, agent_buffer_front (&writer->pax), length);
  agent_tar_pad (writer, length);
  agent_buffer_clear (&writer->pax);
}

/* A number in its field, or in a record if it does not fit. */
static void
set_number (AgentTarWriter *writer, const char *key, char *field, size_t size, uint64_t max,
            uint64_t value)
{
  if (value > max)
    add_number (writer, key, value);
  put_octal (field, size, value > max ? 0 : value);
}

/* A text that fits needs no NUL; one that does not is in a record. */
static void
set_text (AgentTarWriter *writer, const char *key, char *field, size_t size, const char *text)
{
  size_t length = strlen (text);

  if (length > size)
    add_record (writer, key, text, length);
  memcpy (field, text, length < size ? length : size);
}

static void
set_sparse (AgentTarWriter *writer, AgentTarHeader *header, const AgentTarEntry *entry)
{
  const char *base = strrchr (entry->path, '/');

  add_number (writer, "GNU.sparse.major", 1);
  add_number (writer, "GNU.sparse.minor", 0);
  add_record (writer, "GNU.sparse.name", entry->path, strlen (entry->path));
  add_number (writer, "GNU.sparse.realsize", entry->real_size);
  /* For readers that know nothing of all this. */
  snprintf (header->name, sizeof header->name, "GNUSparseFile.0/%.80s",
            base != NULL ? base + 1 : entry->path);
}

/* How many extents, then offset and size of each, a line each, in whole blocks. */
static void
make_map (const AgentTarEntry *entry, AgentText *map)
{
  agent_text_add (map, "%zu\n", entry->n_extents);
  for (size_t i = 0; i < entry->n_extents; i++)
    agent_text_add (map, "%" PRIu64 "\n%" PRIu64 "\n", entry->extents[i].offset,
                    entry->extents[i].size);
}

void
agent_tar_write_entry (AgentTarWriter *writer, const AgentTarEntry *entry)
{
  AgentTarHeader header = { .type = (char)entry->type };
  AgentText map = { .grows = true };
  uint64_t size = entry->size;

  if (entry->sparse) {
    make_map (entry, &map);
    size += map.length + -map.length % AGENT_TAR_BLOCK;
    if (map.overflow)
      writer->error = ENOMEM;
    set_sparse (writer, &header, entry);
  } else {
    set_text (writer, "path", header.name, sizeof header.name, entry->path);
  }
  if (entry->link != NULL)
    set_text (writer, "linkpath", header.link, sizeof header.link, entry->link);
  put_octal (header.mode, sizeof header.mode, entry->mode & 07777);
  set_number (writer, "uid", header.uid, sizeof header.uid, ID_MAX, entry->uid);
  set_number (writer, "gid", header.gid, sizeof header.gid, ID_MAX, entry->gid);
  set_number (writer, "size", header.size, sizeof header.size, SIZE_MAX_OCTAL, size);
  put_octal (header.mtime, sizeof header.mtime,
             entry->mtime.tv_sec >= 0 && (uint64_t)entry->mtime.tv_sec <= SIZE_MAX_OCTAL
                 ? (uint64_t)entry->mtime.tv_sec
                 : 0);
  put_octal (header.major, sizeof header.major, entry->major);
  put_octal (header.minor, sizeof header.minor, entry->minor);
  if (entry->mtime.tv_nsec != 0 || entry->mtime.tv_sec < 0
      || (uint64_t)entry->mtime.tv_sec > SIZE_MAX_OCTAL)
    add_time (writer, &entry->mtime);
  for (unsigned i = 0; i < entry->n_xattrs; i++) {
    char key[300];

    snprintf (key, sizeof key, "SCHILY.xattr.%s", entry->xattrs[i].name);
    add_record (writer, key, entry->xattrs[i].value, entry->xattrs[i].size);
  }
  write_pax (writer);
  write_header (writer, &header);
  if (map.length > 0) {
    agent_tar_write (writer, map.text, map.length);
    agent_tar_pad (writer, map.length);
  }
  free (map.text);
}

void
agent_tar_finish (AgentTarWriter *writer)
{
  write_zeros (writer, 2 * AGENT_TAR_BLOCK);
  flush (writer);
}
