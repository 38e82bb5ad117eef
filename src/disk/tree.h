/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree that a writer collects: names, inodes and where their data lie. */
#pragma once

#include "disk/disk.h"

/* What this writer takes on; ext4's own limits are higher. They bound its memory. */
#define BANGER_TREE_EXTENTS_MAX 8000000
#define BANGER_TREE_DEPTH_MAX 1024
#define BANGER_TREE_XATTR_BYTES_MAX (256u << 20)
#define BANGER_TREE_PENDING_BYTES_MAX (256u << 20)
/* A symbolic link's target of so many bytes lies in its inode, a longer one in a block. */
#define BANGER_FAST_TARGET_MAX 59

typedef struct {
  guint32 logical; /* first block of the file */
  guint32 length;  /* blocks, at most EXT_INIT_MAX_LEN */
  guint64 physical;
} BangerExtent;

typedef struct {
  char *name;
  guint8 *value;
  gsize length;
} BangerXattr;

typedef struct BangerEntry BangerEntry;

typedef struct {
  guint32 mode, uid, gid;
  guint32 mtime_nsec;
  gint64 mtime;
  guint32 major, minor;
  guint32 names;    /* entries that share this inode */
  guint32 subdirs;  /* counted when the inodes are numbered */
  guint32 ino;      /* 0 until then */
  gboolean indexed; /* a directory with a hash tree */
  guint32 n_extents;
  guint64 size;
  char *target;             /* of a symbolic link, if it lies in the inode */
  GPtrArray *xattrs;        /* of BangerXattr, or NULL */
  BangerExtent *extents;    /* room for a power of two */
  BangerEntry *first_child; /* of a directory */
  BangerEntry *last_child;
} BangerInode;

struct BangerEntry {
  BangerEntry *parent; /* the root's is itself */
  BangerEntry *previous, *next;
  BangerInode *inode;
  guint32 hash;
  guint16 depth;
  guint8 name_length;
  char name[]; /* not NUL-terminated */
};

typedef struct {
  BangerEntry *root;
  GHashTable *entries; /* by parent and name */
  GPtrArray *pending;  /* hard links whose target has not come */
  guint64 entries_max; /* names */
  guint64 taken;       /* entries and links so far, those that were replaced too */
  guint64 n_extents;
  guint64 xattr_bytes;
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
/* Notes that block @logical of @inode lies at @physical. FALSE if that is one extent too many. */
gboolean
banger_tree_add_block (BangerTree *tree, BangerInode *inode, guint32 logical, guint64 physical);
gboolean banger_tree_add_xattr (BangerTree *tree, BangerInode *inode, const char *name,
                                const void *value, gsize length);
/* The path of @entry from the root, for people: escaped. */
char *banger_tree_path (const BangerEntry *entry);
/* Next in an order where parents come before children; the first is the root; NULL at the end. */
BangerEntry *banger_tree_next (const BangerEntry *entry);
/* @bytes (of a name in an archive) as printable text of bounded length. */
char *banger_disk_escape (const char *bytes);
