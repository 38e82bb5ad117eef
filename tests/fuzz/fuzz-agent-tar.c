/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent's reader of archives: what it hands on keeps to its bounds, however the bytes come. */
#include "agent/tar.h"

#include "fuzz.h"

#include <unistd.h>

#define DATA 1500

typedef struct {
  const guint8 *bytes;
  gsize length, at;
  gsize piece; /* at most so many at once; 0: all */
} Source;

static ssize_t
on_read (void *data, void *bytes, size_t length)
{
  Source *source = data;
  gsize n = MIN (length, source->length - source->at);

  if (source->piece > 0)
    n = MIN (n, source->piece);
  memcpy (bytes, source->bytes + source->at, n);
  source->at += n;
  return (ssize_t)n;
}

/* An entry of each kind, as the agent writes them. */
static GBytes *
make_seed (FuzzChoice *choice)
{
  static const AgentTarType types[] = { AGENT_TAR_FILE,      AGENT_TAR_HARDLINK, AGENT_TAR_SYMLINK,
                                        AGENT_TAR_CHARACTER, AGENT_TAR_FOLDER,   AGENT_TAR_FIFO };
  GByteArray *bytes = g_byte_array_new ();
  AgentTarExtent extents[] = { { 0, 500 }, { 4096, 1000 }, { 9000, 0 } };
  g_autofree char *name = g_strnfill (1 + fuzz_below (choice, 300), 'n');
  AgentTarWriter writer;
  guint8 data[DATA] = "data", piece[4096];
  int ends[2];
  ssize_t n;

  g_assert_cmpint (pipe (ends), ==, 0);
  g_assert_true (agent_tar_writer_init (&writer, ends[1]));
  for (guint i = 0; i < 3; i++) {
    AgentTarEntry entry = { .type = types[fuzz_below (choice, G_N_ELEMENTS (types))],
                            .path = name,
                            .mode = 0644,
                            .uid = fuzz_below (choice, G_MAXUINT32),
                            .mtime = { (gint32)fuzz_below (choice, G_MAXUINT32), 500 },
                            .xattrs = { { "user.x", data, 9 } },
                            .n_xattrs = fuzz_below (choice, 2) };

    entry.link = entry.type == AGENT_TAR_HARDLINK || entry.type == AGENT_TAR_SYMLINK ? name : NULL;
    if (entry.type == AGENT_TAR_FILE) {
      entry.size = DATA;
      entry.sparse = fuzz_below (choice, 2) == 0;
      entry.real_size = 9000;
      entry.extents = extents;
      entry.n_extents = G_N_ELEMENTS (extents);
    }
    agent_tar_write_entry (&writer, &entry);
    agent_tar_write (&writer, data, entry.size);
    agent_tar_pad (&writer, entry.size);
  }
  agent_tar_finish (&writer);
  g_assert_cmpint (writer.error, ==, 0);
  agent_tar_writer_clear (&writer);
  close (ends[1]);
  while ((n = read (ends[0], piece, sizeof piece)) > 0)
    g_byte_array_append (bytes, piece, (guint)n);
  close (ends[0]);
  return g_byte_array_free_to_bytes (bytes);
}

/* Mutations that the checksum would give away reach nothing behind it. */
static void
mend_checksums (GByteArray *bytes)
{
  for (guint at = 0; at + AGENT_TAR_BLOCK <= bytes->len; at += AGENT_TAR_BLOCK) {
    AgentTarHeader *header = (AgentTarHeader *)(bytes->data + at);
    guint sum = 0;

    if (memcmp (header->magic, "ustar", 5) != 0)
      continue;
    memset (header->checksum, ' ', sizeof header->checksum);
    for (guint i = 0; i < AGENT_TAR_BLOCK; i++)
      sum += bytes->data[at + i];
    g_snprintf (header->checksum, sizeof header->checksum, "%06o", sum);
  }
}

static void
check_entry (const AgentTarEntry *entry)
{
  guint64 end = 0, sum = 0;

  g_assert_cmpuint (strlen (entry->path), >, 0);
  g_assert_cmpuint (strlen (entry->path), <=, AGENT_TAR_PATH_MAX);
  g_assert_true (entry->type >= '0' && entry->type <= '6');
  g_assert_cmpint (entry->link != NULL, ==,
                   entry->type == AGENT_TAR_HARDLINK || entry->type == AGENT_TAR_SYMLINK);
  if (entry->link != NULL)
    g_assert_cmpuint (strlen (entry->link), <=, AGENT_TAR_PATH_MAX);
  g_assert_cmpuint (entry->mode & ~07777u, ==, 0);
  g_assert_true (entry->mtime.tv_nsec >= 0 && entry->mtime.tv_nsec < 1000000000);
  if (entry->type != AGENT_TAR_FILE)
    g_assert_cmpuint (entry->size, ==, 0);
  for (gsize i = 0; i < entry->n_extents; i++) {
    g_assert_cmpuint (entry->extents[i].offset, >=, end);
    end = entry->extents[i].offset + entry->extents[i].size;
    sum += entry->extents[i].size;
  }
  g_assert_true (!entry->sparse || (end <= entry->real_size && sum == entry->size));
  for (guint i = 0; i < entry->n_xattrs; i++)
    g_assert_cmpuint (strlen (entry->xattrs[i].name), >, 0);
}

/* A sum over all that was read; @entries counts. */
static guint
read_all (const guint8 *bytes, gsize length, gsize piece, gsize step, guint *entries)
{
  Source source = { bytes, length, 0, piece };
  AgentTarReader *reader = agent_tar_reader_new (on_read, &source);
  g_autofree guint8 *data = g_malloc (step);
  const AgentTarEntry *entry;
  guint hash = 5381;

  while (agent_tar_next (reader, &entry) == NULL && entry != NULL) {
    guint64 left = entry->size;
    ssize_t n;

    check_entry (entry);
    ++*entries;
    hash = hash * 33 + g_str_hash (entry->path) + (guint)entry->mtime.tv_sec + (guint)entry->uid;
    while ((n = agent_tar_read (reader, data, step)) > 0) {
      g_assert_cmpuint ((guint64)n, <=, left);
      left -= (guint64)n;
      for (ssize_t i = 0; i < n; i++)
        hash = hash * 33 + data[i];
    }
  }
  agent_tar_reader_free (reader);
  return hash;
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  FuzzChoice choice = fuzz_choice (bytes, length);
  guint whole = 0, pieces = 0, hash = read_all (bytes, length, 0, 4096, &whole);

  g_assert_cmpuint (read_all (bytes, length, 1 + fuzz_below (&choice, 700),
                              1 + fuzz_below (&choice, 50), &pieces),
                    ==, hash);
  g_assert_cmpuint (whole, ==, pieces);
  return whole > 0;
}

static void
seeds (GPtrArray *all)
{
  FuzzChoice choice = fuzz_choice ((const guint8 *)"tar", 3);

  for (guint i = 0; i < 24; i++)
    g_ptr_array_add (all, make_seed (&choice));
}

const FuzzTarget fuzz_target
    = { .name = "agent-tar", .run = run, .mend = mend_checksums, .seeds = seeds };
