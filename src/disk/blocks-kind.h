/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For what gives blocks: the functions behind banger_blocks_read() and its like. */
#pragma once

#include "blocks.h"

typedef struct {
  /* Within the size. */
  gboolean (*read) (BangerBlocks *blocks, guint64 offset, guint8 *data, gsize length,
                    GError **error);
  guint64 (*zeros) (BangerBlocks *blocks, guint64 offset);
  void (*free) (BangerBlocks *blocks);
} BangerBlocksKind;

struct _BangerBlocks {
  const BangerBlocksKind *kind;
  guint refs;
  guint64 size;
};

/* The size of the regular file @fd; FALSE with InvalidArgument if it is none. */
gboolean banger_blocks_file_size (int fd, guint64 *size, GError **error);
/* Reads from the file @fd: BadImage if it ends before. */
gboolean banger_blocks_read_file (int fd, guint64 offset, void *data, gsize length, GError **error);

guint32 banger_be32 (const guint8 *bytes);
guint64 banger_be64 (const guint8 *bytes);
guint32 banger_le32 (const guint8 *bytes);
guint64 banger_le64 (const guint8 *bytes);
