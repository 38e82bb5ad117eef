/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests: what the disk image FILE holds, as banger reads it.
 *
 *   read-blocks copy FILE COPY       all of it into a file, holes where it is known to be zero
 *   read-blocks partitions FILE      a line each: number, offset, length, what is on it
 */
#include "common/common.h"
#include "disk/blocks.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (100u * 1000) /* which is no multiple of a cluster */

static gboolean
copy (BangerBlocks *blocks, const char *path, GError **error)
{
  banger_autofd int out = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  g_autofree guint8 *chunk = g_malloc (CHUNK);
  guint64 size = banger_blocks_size (blocks);

  g_assert_cmpint (ftruncate (out, size), ==, 0);
  for (guint64 at = 0; at < size;) {
    guint64 zeros = banger_blocks_zeros (blocks, at);
    gsize n = MIN (CHUNK, size - at);

    g_assert_cmpuint (zeros, <=, size - at);
    if (zeros > 0) {
      at += zeros;
      continue;
    }
    if (!banger_blocks_read (blocks, at, chunk, n, error))
      return FALSE;
    g_assert_cmpint (pwrite (out, chunk, n, at), ==, n);
    at += n;
  }
  return TRUE;
}

static gboolean
list (BangerBlocks *blocks, GError **error)
{
  g_autoptr (GPtrArray) partitions = banger_partitions_read (blocks, error);
  const char *whole = banger_filesystem_guess (blocks);

  if (partitions == NULL)
    return FALSE;
  printf ("0 0 %" G_GUINT64_FORMAT " %s\n", banger_blocks_size (blocks),
          whole != NULL ? whole : "-");
  for (guint i = 0; i < partitions->len; i++) {
    const BangerPartition *p = partitions->pdata[i];
    g_autoptr (BangerBlocks) part = banger_blocks_slice (blocks, p->offset, p->length);
    const char *held = banger_filesystem_guess (part);

    printf ("%u %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %s\n", p->number, p->offset, p->length,
            held != NULL ? held : "-");
  }
  return TRUE;
}

int
main (int argc, char **argv)
{
  g_autoptr (BangerBlocks) blocks = NULL;
  g_autoptr (GError) error = NULL;
  banger_autofd int fd = argc >= 3 ? open (argv[2], O_RDONLY | O_CLOEXEC) : -1;

  if (fd < 0)
    return 2;
  blocks = strcmp (banger_blocks_detect (fd), "qcow2") == 0 ? banger_blocks_new_qcow2 (fd, &error)
                                                            : banger_blocks_new_raw (fd, &error);
  if (blocks != NULL && (argc == 4 ? copy (blocks, argv[3], &error) : list (blocks, &error)))
    return 0;
  fprintf (stderr, "%s: %s: %s\n", banger_error_nick (error->code), error->message,
           banger_error_cause (error));
  return 1;
}
