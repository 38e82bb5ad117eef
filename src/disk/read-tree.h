/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A walk over the tree of a file system that is there and may be anybody's: ext2, ext3 or ext4.
 * What it holds is given as it is, and only what no kernel would make of it is refused.
 */
#pragma once

#include "ext4.h"
#include "view.h"

/* Holes are told apart in pieces of this. */
#define BANGER_READ_BLOCK 4096u

/* Of which the data are read as they are asked for. */
typedef struct _BangerReadData BangerReadData;

typedef struct {
  const char *path;  /* relative to the top, which is "" */
  const char *first; /* the path that it had first, if that was another one */
  BangerDiskMeta meta;
  guint64 size; /* of a regular file */
  /* What follows is told with the first path only. */
  const GPtrArray *xattrs; /* of BangerDiskXattr, in the order of their names */
  BangerReadData *data;    /* of a regular file */
} BangerReadItem;

typedef struct {
  /* Parents come before their children, which come in the order of their names' bytes. */
  gboolean (*item) (const BangerReadItem *item, gpointer data, GError **error);
  /* Something was left out; may be NULL. */
  void (*note) (const char *path, const char *text, gpointer data);
  gpointer data;
} BangerReadVisitor;

/* Visits @top and what lies below. Sockets, what is encrypted, attributes that Linux does not know
 * and an empty lost+found such as every image has are left out. */
gboolean
banger_read_tree (ext2_filsys fs, ext2_ino_t top, const BangerReadVisitor *visitor, GError **error);

/* Parts of a file in their order; @bytes is NULL where there are only zeros. */
typedef gboolean (*BangerReadFunc) (const guint8 *bytes, guint64 length, gpointer data,
                                    GError **error);

/* All of the file. Whole blocks of zeros, the file's last one too, are told as such where at least
 * @hole bytes lie in a row, a multiple of BANGER_READ_BLOCK, whether the file system has them or
 * not: what is told depends on the contents alone. */
gboolean banger_read_data (const BangerReadItem *item, guint64 hole, BangerReadFunc func,
                           gpointer data, GError **error);

/* copy-tree.c: adds it to an image that is being written, without its data. */
gboolean
banger_read_add_item (const BangerReadItem *item, BangerDiskWriter *writer, GError **error);
