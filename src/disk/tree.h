/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree that a writer collects: names, inodes and where their data lie. */
#pragma once

#include "disk/disk.h"
#include "index.h"
#include "pool.h"

/* What this writer takes on; ext4's own limits are higher. They bound its memory. */
#define BANGER_TREE_EXTENTS_MAX 1000000 /* of files with more than one */
#define BANGER_TREE_DEPTH_MAX 1024
#define BANGER_TREE_PENDING_BYTES_MAX (16u << 20)
/* A symbolic link's target of so many bytes lies in its inode, a longer one in a block. */
#define BANGER_FAST_TARGET_MAX 59

typedef struct {
  guint32 logical; /* first block of the file */
  guint32 physical;
  guint32 length; /* blocks, at most EXT_INIT_MAX_LEN */
} BangerExtent;

/* 64 bytes, as there may be millions. */
typedef struct {
  guint16 mode;  /* 0: a hard link whose target has not come; that is where @target leads */
  guint16 links; /* names that lead here; of a directory, once it is numbered, what ext4 counts, but
                    no more than BANGER_LINKS_MAX + 1 */
  guint32 uid, gid;
  guint32 xattrs; /* the number of its set (xattr.h); 0: none */
  guint64 time;   /* as ext4 has it: the seconds' low 32 bits, above them i_mtime_extra */
  guint64 size;
  guint32 ino; /* 0 until it is numbered */
  guint32 n_extents : 31;
  guint32 is_many : 1; /* they lie in @many; else there is one at most, of block 0 on */
  union {
    BangerExtent *many; /* room for a power of two */
    struct {
      guint32 physical, length;
    } one;
  } extents;
  union {
    struct {
      BangerEntry *first, *last;
    } children;
    struct {
      guint32 major, minor;
    } device;
    char *target; /* of a symbolic link, if it lies in the inode */
  };
} BangerInode;
G_STATIC_ASSERT (sizeof (BangerInode) <= 64);

/* ext4's EXT4_LINK_MAX: a directory with more says 1. */
#define BANGER_LINKS_MAX 65000u

/* 39 bytes and its name. */
struct BangerEntry {
  BangerEntry *parent; /* the root's is itself */
  BangerEntry *previous, *next;
  BangerInode *inode;
  guint32 hash; /* of the index */
  guint16 depth;
  guint8 name_length;
  char name[]; /* not NUL-terminated */
};

typedef struct {
  BangerEntry *root;
  BangerIndex index;
  BangerPool pool;
  guint64 entries_max; /* names */
  guint64 taken;       /* entries and links so far, those that were replaced too */
  guint64 n_extents;   /* that lie in arrays */
  guint64 n_pending;   /* hard links whose target has not come */
  guint64 pending_bytes;
} BangerTree;

BangerTree *banger_tree_new (void);
void banger_tree_free (BangerTree *tree);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerTree, banger_tree_free)

/* The entry at @path, made or replaced. NULL with BadImage where that cannot be. */
BangerEntry *
banger_tree_add (BangerTree *tree, const char *path, const BangerDiskMeta *meta, GError **error);
gboolean banger_tree_link (BangerTree *tree, const char *path, const char *target, GError **error);
/* Makes the hard links that wait. BadImage if one leads nowhere. */
gboolean banger_tree_settle (BangerTree *tree, GError **error);
/* The child of @parent, or NULL. */
BangerEntry *
banger_tree_find (BangerTree *tree, BangerEntry *parent, const char *name, gsize length);
/* Notes that the @count blocks of @inode from @logical on lie at @physical and behind. FALSE if
 * that is one extent too many. */
gboolean banger_tree_add_blocks (BangerTree *tree, BangerInode *inode, guint32 logical,
                                 guint32 physical, guint32 count);
/* The path of @entry from the root, for people: escaped. */
char *banger_tree_path (const BangerEntry *entry);
/* The entry @path of what is read cannot be stored; FALSE. */
gboolean banger_path_refuse (const char *path, const char *cause, GError **error);
/* The same of one that is there. */
gboolean banger_tree_refuse (const BangerEntry *entry, const char *cause, GError **error);
/* Next in an order where parents come before children; the first is the root; NULL at the end. */
BangerEntry *banger_tree_next (const BangerEntry *entry);
/* @bytes (of a name in an archive) as printable text of bounded length. */
char *banger_disk_escape (const char *bytes);

static inline BangerExtent
banger_inode_extent (const BangerInode *inode, guint32 i)
{
  if (inode->is_many)
    return inode->extents.many[i];
  return (BangerExtent){ 0, inode->extents.one.physical, inode->extents.one.length };
}
