/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Tar archives as they cross the line: POSIX.1-2001 (pax) with GNU's sparse format 1.0 and
 * SCHILY.xattr. The writer writes what the reader and GNU tar read; the reader knows GNU's own
 * format, too.
 *
 * https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html
 * https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html
 */
#pragma once

#include "buffer.h"

#include <sys/types.h>
#include <time.h>

#define AGENT_TAR_BLOCK 512
#define AGENT_TAR_PATH_MAX 16384
#define AGENT_TAR_XATTRS_MAX 16
#define AGENT_TAR_PAX_MAX (1u << 20)
#define AGENT_TAR_EXTENTS_MAX (1u << 20)

typedef struct {
  char name[100];
  char mode[8];
  char uid[8];
  char gid[8];
  char size[12];
  char mtime[12];
  char checksum[8];
  char type;
  char link[100];
  char magic[6];
  char version[2];
  char user[32];
  char group[32];
  char major[8];
  char minor[8];
  char prefix[155];
  char padding[12];
} AgentTarHeader;

typedef enum {
  AGENT_TAR_FILE = '0',
  AGENT_TAR_HARDLINK = '1',
  AGENT_TAR_SYMLINK = '2',
  AGENT_TAR_CHARACTER = '3',
  AGENT_TAR_BLOCK_DEVICE = '4',
  AGENT_TAR_FOLDER = '5',
  AGENT_TAR_FIFO = '6',
} AgentTarType;

typedef struct {
  uint64_t offset;
  uint64_t size;
} AgentTarExtent;

typedef struct {
  const char *name;
  const uint8_t *value;
  size_t size;
} AgentTarXattr;

typedef struct {
  AgentTarType type;
  const char *path;
  const char *link; /* NULL but of links */
  mode_t mode;      /* without the type */
  uint64_t uid;
  uint64_t gid;
  struct timespec mtime;
  uint64_t size; /* of the data that follow; of a sparse file, of its extents together */
  unsigned major;
  unsigned minor;
  bool sparse;
  uint64_t real_size; /* of a sparse file */
  AgentTarExtent *extents;
  size_t n_extents;
  AgentTarXattr xattrs[AGENT_TAR_XATTRS_MAX];
  unsigned n_xattrs;
} AgentTarEntry;

/* Writing: errors are kept in @error (an errno), after which nothing is written. */
typedef struct {
  int fd;
  int error;
  size_t fill;
  uint8_t *buffer;
  AgentBuffer pax;
} AgentTarWriter;

bool agent_tar_writer_init (AgentTarWriter *writer, int fd);
void agent_tar_writer_clear (AgentTarWriter *writer);
/* What stands before the data; after these, agent_tar_pad. */
void agent_tar_write_entry (AgentTarWriter *writer, const AgentTarEntry *entry);
void agent_tar_write (AgentTarWriter *writer, const void *bytes, size_t length);
/* @length bytes of @file from @offset. Returns how many of them there were; zeros stand for the
 * others. */
uint64_t agent_tar_write_file (AgentTarWriter *writer, int file, uint64_t offset, uint64_t length);
/* Completes the last block of data of @length bytes. */
void agent_tar_pad (AgentTarWriter *writer, uint64_t length);
void agent_tar_finish (AgentTarWriter *writer);

/* Reading. As read(2), from wherever the archive comes. */
typedef ssize_t (*AgentTarSource) (void *data, void *bytes, size_t length);
typedef struct AgentTarReader AgentTarReader;

AgentTarReader *agent_tar_reader_new (AgentTarSource source, void *data);
void agent_tar_reader_free (AgentTarReader *reader);
/* The next entry, the reader's own until the next call; NULL in *@entry at the archive's end. What
 * was not read of the one before is passed over. NULL, or what is wrong with the archive. */
const char *agent_tar_next (AgentTarReader *reader, const AgentTarEntry **entry);
/* Data of the entry: at most @length, 0 at their end, -1 if the archive is cut off. */
ssize_t agent_tar_read (AgentTarReader *reader, void *bytes, size_t length);
