/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A part of a view as a tar archive. */
#include "layers.h"

#include "common/tar-writer.h"

#include <string.h>

typedef struct {
  BangerDiskView *view;
  BangerTarWriter *tar;
  GHashTable *first; /* an inode with several names to the first path of it */
  gsize skip;        /* of a path without links: what comes before its first name here */
  gboolean root;     /* all of the view: names begin with "./" */
  GError **error;
} Pack;

static gboolean
tell (Pack *pack, gsize length, GError **error)
{
  if (banger_view_moved (pack->view, length) == 0)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&pack->view->stopped));
  return FALSE;
}

static gboolean
write_chunk (const void *bytes, gsize length, gpointer data)
{
  Pack *pack = data;

  return banger_tar_writer_data (pack->tar, bytes, length, pack->error)
         && tell (pack, length, pack->error);
}

static gboolean
write_part (BangerWalk *walk, Pack *pack, guint64 offset, guint64 length, GError **error)
{
  const BangerNode *node = &banger_walk_last (walk)->node;
  gboolean stopped = FALSE;
  errcode_t code = 0;

  pack->error = error;
  code = banger_fs_read_data (banger_node_fs (node), banger_node_ino (node), offset, length,
                              write_chunk, pack, &stopped);
  if (code != 0)
    return banger_view_fail (walk->view, error, code, walk->path->str);
  return !stopped;
}

static gboolean
write_data (BangerWalk *walk, Pack *pack, const BangerTarEntry *entry, GError **error)
{
  if (!S_ISREG (entry->mode) || entry->hard_link != NULL)
    return TRUE;
  if (entry->pieces == NULL)
    return write_part (walk, pack, 0, entry->size, error);
  for (guint i = 0; i < entry->pieces->len; i++) {
    const BangerTarPiece *piece = &g_array_index (entry->pieces, BangerTarPiece, i);

    if (!write_part (walk, pack, piece->offset, piece->length, error))
      return FALSE;
  }
  return TRUE;
}

/* The first path of the inode that the walk is at; NULL, and this is it from now on. */
static const char *
find_first (BangerWalk *walk, Pack *pack, const char *path)
{
  const BangerNode *node = &banger_walk_last (walk)->node;
  g_autofree char *key
      = g_strdup_printf ("%p %u", (void *)banger_node_fs (node), banger_node_ino (node));
  const char *first = g_hash_table_lookup (pack->first, key);

  if (first == NULL)
    g_hash_table_insert (pack->first, g_steal_pointer (&key), g_strdup (path));
  return first;
}

static gboolean
pack_one (BangerWalk *walk, gpointer data, GError **error)
{
  Pack *pack = data;
  const BangerNode node = banger_walk_last (walk)->node;
  g_autofree char *path = g_strconcat (pack->root ? "." : "", walk->path->str + pack->skip, NULL);
  g_auto (BangerDiskStat) stat = { 0 };
  g_autoptr (GArray) xattrs = NULL, pieces = NULL;
  BangerTarEntry entry = { .path = path };
  errcode_t code = 0;

  if (S_ISSOCK (node.mode))
    return TRUE;
  if (!banger_node_stat (walk->view, &node, &stat, walk->path->str, error))
    return FALSE;
  entry.mode = stat.meta.mode;
  entry.uid = stat.meta.uid;
  entry.gid = stat.meta.gid;
  entry.mtime = stat.meta.mtime;
  entry.mtime_nsec = stat.meta.mtime_nsec;
  entry.major = stat.meta.major;
  entry.minor = stat.meta.minor;
  entry.target = stat.meta.target;
  if (!S_ISDIR (node.mode) && stat.links > 1)
    entry.hard_link = find_first (walk, pack, path);
  entry.xattrs = xattrs = banger_fs_tar_xattrs (stat.xattrs);
  if (S_ISREG (node.mode)) {
    entry.size = stat.size;
    code = banger_fs_get_pieces (banger_node_fs (&node), banger_node_ino (&node), &pieces);
    entry.pieces = pieces;
  }
  if (code != 0)
    return banger_view_fail (walk->view, error, code, walk->path->str);
  return banger_tar_writer_add (pack->tar, &entry, error) && write_data (walk, pack, &entry, error);
}

gboolean
banger_disk_view_pack (BangerDiskView *view, const char *path, int output, GError **error)
{
  g_auto (BangerWalk) walk = { 0 };
  g_autoptr (BangerTarWriter) tar = banger_tar_writer_new (output);
  g_autoptr (GHashTable) first = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  Pack pack = { .view = view, .tar = tar, .first = first };

  if (!banger_walk_init (&walk, view, path, FALSE, error) || !banger_walk_require (&walk, error))
    return FALSE;
  if (S_ISSOCK (banger_walk_last (&walk)->node.mode)) {
    banger_walk_refuse (&walk, BANGER_ERROR_INVALID_ARGUMENT, "it is a socket", NULL, error);
    return FALSE;
  }
  pack.root = banger_walk_parent (&walk) == NULL;
  pack.skip = pack.root ? 0 : banger_walk_parent (&walk)->length + 1;
  return banger_walk_tree (&walk, pack_one, &pack, error) && banger_tar_writer_finish (tar, error);
}
