/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The blocks of an image that is being written: given out in ascending order, never taken back, and
 * written through one large buffer. It leaves out what the superblocks and group descriptors of a
 * sparse_super file system may need, so that its size can be settled when all data are there.
 */
#pragma once

#include <glib.h>

#define BANGER_BLOCK_SIZE 4096u
#define BANGER_GROUP_BLOCKS 32768u
/* Descriptors are of 64 bytes: this many blocks of them make 256 GiB the largest image written. */
#define BANGER_GDT_BLOCKS 32u
#define BANGER_GROUPS_MAX (BANGER_GDT_BLOCKS * BANGER_BLOCK_SIZE / 64)
#define BANGER_BLOCKS_MAX ((guint64)BANGER_GROUPS_MAX * BANGER_GROUP_BLOCKS)

typedef struct {
  int fd;
  guint64 next;   /* the block that is given out next */
  guint8 *buffer; /* what is not yet written, for the block at start on */
  guint64 start;
  gsize fill;
} BangerSpace;

void banger_space_init (BangerSpace *space, int fd);
void banger_space_clear (BangerSpace *space);

/* The first of @count free blocks in a row, which are then taken. 0 if the image is full. */
guint64 banger_space_take (BangerSpace *space, guint32 count);
/* As many blocks in a row as are free, up to @want: the first of them, and how many. They go on
 * where the last ones ended, but for what is left out. 0 if the image is full. */
guint64 banger_space_take_run (BangerSpace *space, guint32 want, guint32 *got);
/* How many of the @count blocks at @data are zero, or are not, before the first that is the other.
 */
guint32 banger_space_count_zeros (const guint8 *data, guint32 count);
guint32 banger_space_count_data (const guint8 *data, guint32 count);
/* Writes @length bytes at the start of @block; what is left of the last block is zero. Cheapest
 * where @block follows the one before. */
gboolean banger_space_write (BangerSpace *space, guint64 block, const void *data, gsize length,
                             GError **error);
/* Writes what waits in the buffer. The disk begins with it at once: the last sync is short then. */
gboolean banger_space_flush (BangerSpace *space, GError **error);
/* Sets the error for an image that is full. */
void banger_space_set_full (GError **error);
