/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the parts of a view share: the trees that it is made of, and ways through them. */
#pragma once

#include "fs.h"
#include "view.h"

#define BANGER_OVERLAY_XATTRS "trusted.overlay."
/* Of the upper disk's folder for the guest's writes, where an edit made it before the guest did. */
#define BANGER_FRESH_XATTR "trusted.banger.fresh"

/* A disk. */
typedef struct {
  ext2_filsys fs; /* NULL: there is none */
  int fd;
  gboolean marked; /* as in need of a check, until the view is finished */
} BangerLayer;

/* A tree of the view: a folder of a disk, perhaps over the root of a lower one. */
typedef struct {
  char *path; /* where it lies, "" is the root */
  BangerLayer *layer;
  ext2_filsys lower; /* NULL, or the file system below */
  ext2_ino_t top;    /* 0: not made yet, of an upper disk that no guest has had */
} BangerBranch;

/* What a name leads to: in one of a branch's trees, or for a folder in both. */
typedef struct {
  BangerBranch *branch;
  ext2_ino_t upper, lower; /* 0: not there */
  guint32 mode;
} BangerNode;

struct _BangerDiskView {
  BangerLayer root, lower, work;
  GPtrArray *branches; /* of BangerBranch: the root's first */
  gboolean write, no_links;
  gboolean home_is_link, home_changed;
  gboolean broken; /* a disk was found damaged amid a change */
  guint64 reserve_bytes;
  guint64 bytes;   /* of content that was written so far */
  guint64 room_at; /* from so many on the host is asked for its room */
  BangerDiskMovedFunc moved;
  gpointer data;   /* of moved */
  GError *stopped; /* why it ended a step, until that says so */
  guint64 unpack_bytes, unpack_entries;
  GHashTable *barred; /* NULL, or the paths of links that are not to be followed */
};

typedef struct {
  BangerNode node;
  char *name;   /* of the root NULL */
  gsize length; /* of the path up to here */
} BangerStep;

/* The way to what a path leads to, links resolved. */
typedef struct {
  BangerDiskView *view;
  const char *given; /* the path, for messages */
  GArray *steps;     /* of BangerStep: the root first */
  GString *path;     /* of the last step, without links, "" is the root */
  char *missing;     /* NULL, or the last name, which the last step's folder does not have */
  guint links;       /* that were followed */
} BangerWalk;

/* Sets the error of a failure in the trees: at @path while it was read, or changed. */
gboolean banger_view_fail (BangerDiskView *view, GError **error, errcode_t code, const char *path);
/* Call for each piece of content, and with 0 for each thing of a tree: a code for banger_view_fail
 * where the step is to end. */
errcode_t banger_view_moved (BangerDiskView *view, gsize length);
/* Before the first change of a disk; @path (without links) is what it is about. */
gboolean banger_view_begin (BangerWalk *walk, GError **error);

/* ── overlay.c ───────────────────────────────────────────────────────────────────────────────── */

static inline gboolean
banger_node_is_there (const BangerNode *node)
{
  return node->upper != 0 || node->lower != 0;
}

/* The tree that a node's inode lies in, and its number. */
static inline ext2_filsys
banger_node_fs (const BangerNode *node)
{
  return node->upper != 0 ? node->branch->layer->fs : node->branch->lower;
}

static inline ext2_ino_t
banger_node_ino (const BangerNode *node)
{
  return node->upper != 0 ? node->upper : node->lower;
}

/* What @name in the folder @dir leads to. NotSupported where only the kernel can tell. */
gboolean banger_node_child (BangerDiskView *view, const BangerNode *dir, const char *name,
                            BangerNode *child, const char *path, GError **error);
/* The names in @dir by their bytes; those that something is mounted at may be missing. */
gboolean banger_node_list (BangerDiskView *view, const BangerNode *dir, GPtrArray **names,
                           const char *path, GError **error);

/* Has step @index of @walk in the disk that is written, with all above it. */
gboolean banger_walk_copy_up (BangerWalk *walk, guint index, GError **error);
/* The same for the folder of the last step and all below it, which then hides what lies below. */
gboolean banger_walk_copy_up_tree (BangerWalk *walk, GError **error);
/* Before @name in @dir (which is in the upper tree) leads to the folder @ino: what the lower tree
 * has of that name is not to show through. */
gboolean banger_node_hide_below (BangerDiskView *view, const BangerNode *dir, const char *name,
                                 ext2_ino_t ino, const char *path, GError **error);
/* @name in @dir, which is in the upper tree, leads to @ino from now on; what it led to is dropped.
 */
gboolean banger_node_put (BangerDiskView *view, const BangerNode *dir, const char *name,
                          ext2_ino_t ino, guint32 mode, const char *path, GError **error);
/* Takes @name away. @keep: what it leads to has another name or place. Else it is dropped, with all
 * below. */
gboolean banger_node_cut (BangerDiskView *view, const BangerNode *dir, const char *name,
                          gboolean keep, const char *path, GError **error);

/* ── walk.c ──────────────────────────────────────────────────────────────────────────────────── */

/* Goes @path from the root, through links, and through one at its end if @follow. NotFound where
 * more than the last name is missing. */
gboolean banger_walk_init (BangerWalk *walk, BangerDiskView *view, const char *path,
                           gboolean follow, GError **error);
void banger_walk_clear (BangerWalk *walk);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerWalk, banger_walk_clear)
/* One name further, no link followed: FALSE without an error if it is not there. */
gboolean banger_walk_down (BangerWalk *walk, const char *name, GError **error);
void banger_walk_up (BangerWalk *walk);
BangerStep *banger_walk_last (BangerWalk *walk);
/* The folder that the path's last name is in; NULL for the root. */
BangerStep *banger_walk_parent (BangerWalk *walk);
const char *banger_walk_name (BangerWalk *walk);
/* NotFound if it is not there. */
gboolean banger_walk_require (BangerWalk *walk, GError **error);
/* Or InvalidArgument if it is something else than a folder. */
gboolean banger_walk_require_folder (BangerWalk *walk, GError **error);
/* Whether a disk or a folder of its own lies at or below the path. */
gboolean banger_walk_is_mounted (BangerWalk *walk);
/* The names in the last step's folder, with those that something is mounted at. */
gboolean banger_walk_list (BangerWalk *walk, GPtrArray **names, GError **error);
/* Sets an error about the path. */
void banger_walk_refuse (BangerWalk *walk, BangerErrorCode code, const char *cause,
                         const char *hint, GError **error);

/* Each thing at and below @walk's, a folder before what it has. FALSE of @func ends it. */
typedef gboolean (*BangerWalkFunc) (BangerWalk *walk, gpointer data, GError **error);
gboolean banger_walk_tree (BangerWalk *walk, BangerWalkFunc func, gpointer data, GError **error);

/* The path without links, also of what is not there. */
char *banger_walk_place (BangerWalk *walk);

/* edit.c: the folder of the path's last name, in the upper tree and fit to be changed; NULL if it
 * cannot be. */
const BangerNode *banger_walk_open_parent (BangerWalk *walk, GError **error);
/* Gives the new inode @ino the path's last name, in @dir, or drops it where that cannot be. */
gboolean banger_walk_name_inode (BangerWalk *walk, const BangerNode *dir, ext2_ino_t ino,
                                 guint32 mode, GError **error);
/* Exists where a folder that is not empty has the name. */
gboolean banger_walk_clear_way (BangerWalk *walk, GError **error);
/* Another name, @path, of the file @target; @replace: in place of what it leads to, but for a
 * folder that is not empty. */
gboolean banger_view_link (BangerDiskView *view, const char *path, const char *target,
                           gboolean replace, GError **error);

/* edit-read.c */
gboolean banger_node_stat (BangerDiskView *view, const BangerNode *node, BangerDiskStat *stat,
                           const char *path, GError **error);
