/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inodes, names and contents of one file system that is there, by libext2fs. What fails for want of
 * room (banger_fs_is_full) has changed nothing that a name leads to.
 */
#pragma once

#include "ext4.h"

#define BANGER_TARGET_MAX 4096 /* with its NUL */

typedef struct ext2_inode_large BangerRawInode;

gboolean banger_fs_is_full (errcode_t code);

/* ── Inodes ──────────────────────────────────────────────────────────────────────────────────── */

errcode_t banger_fs_read_inode (ext2_filsys fs, ext2_ino_t ino, BangerRawInode *inode);
errcode_t banger_fs_write_inode (ext2_filsys fs, ext2_ino_t ino, BangerRawInode *inode);
/* All but the target. */
void banger_fs_get_meta (const BangerRawInode *inode, BangerDiskMeta *meta);
/* Permissions, owner, group and time where @what says so, else the time is left. */
void banger_fs_set_meta (BangerRawInode *inode, guint what, const BangerDiskMeta *meta);
/* Says that @ino was changed now, with @content (of a folder: a name) or in its attributes only. */
errcode_t banger_fs_touch (ext2_filsys fs, ext2_ino_t ino, gboolean content);
/* The target of a link into @target, of BANGER_TARGET_MAX bytes. */
errcode_t
banger_fs_read_target (ext2_filsys fs, ext2_ino_t ino, const BangerRawInode *inode, char *target);
/* A new inode of any type that no name leads to. A folder's parent, @dir, counts it from now on. */
errcode_t
banger_fs_make (ext2_filsys fs, ext2_ino_t dir, const BangerDiskMeta *meta, ext2_ino_t *ino);
/* One name of @ino is gone: with its last one all that it holds. A folder must be empty; @dir
 * counts it no more. */
errcode_t banger_fs_drop (ext2_filsys fs, ext2_ino_t dir, ext2_ino_t ino);
/* The same for a folder with all below it: @tell is called for each thing in it. */
errcode_t banger_fs_drop_tree (ext2_filsys fs, ext2_ino_t dir, ext2_ino_t ino,
                               void (*tell) (gpointer data), gpointer data);
errcode_t banger_fs_count_name (ext2_filsys fs, ext2_ino_t ino, int change);
/* A folder's links, of which one is that of each folder in it. */
errcode_t banger_fs_count_folder (ext2_filsys fs, ext2_ino_t dir, int change);

/* ── Names (fs-names.c) ────────────────────────────────────────────────────────────────────── */

/* What is known of large folders, in fs->priv_data: before the file system is freed. */
void banger_fs_forget_names (ext2_filsys fs);
/* The inode @dir is a folder no more. */
void banger_fs_forget_folder (ext2_filsys fs, ext2_ino_t dir);
/* 0 if there is none. */
errcode_t banger_fs_find (ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t *ino);
/* @name leads to @ino, of type @mode, from now on: @old is what it led to, 0 for a new name. */
errcode_t banger_fs_put_name (ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t old,
                              ext2_ino_t ino, guint32 mode);
errcode_t banger_fs_cut_name (ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t ino);
/* Has ".." of the folder @ino lead to @dir. */
errcode_t banger_fs_set_parent (ext2_filsys fs, ext2_ino_t ino, ext2_ino_t dir);

typedef struct {
  ext2_ino_t ino;
  char *name;
} BangerFsName;

/* The names in @dir, "." and ".." left out, to @names (of BangerFsName, with its clear function). A
 * name that no kernel would take is EXT2_ET_DIR_CORRUPTED. */
errcode_t banger_fs_list (ext2_filsys fs, ext2_ino_t dir, GArray **names);

/* ── Attributes (fs-data.c) ──────────────────────────────────────────────────────────────────── */

/* As the kernel gives them, by name; of BangerDiskXattr. */
errcode_t banger_fs_get_xattrs (ext2_filsys fs, ext2_ino_t ino, GPtrArray **xattrs);
/* The same as a tar takes them, of BangerTarXattr: good as long as @xattrs are. */
GArray *banger_fs_tar_xattrs (const GPtrArray *xattrs);
/* The value of one, NULL where there is none. */
errcode_t banger_fs_get_xattr (ext2_filsys fs, ext2_ino_t ino, const char *name, GBytes **value);
errcode_t banger_fs_set_xattr (ext2_filsys fs, ext2_ino_t ino, const char *name, const void *value,
                               gsize length);
/* That it is not there is no error. */
errcode_t banger_fs_remove_xattr (ext2_filsys fs, ext2_ino_t ino, const char *name);
/* All of them from one inode to another, perhaps of another file system, without those whose name
 * begins with @but. */
errcode_t banger_fs_copy_xattrs (ext2_filsys from_fs, ext2_ino_t from, ext2_filsys to_fs,
                                 ext2_ino_t to, const char *but);

/* Has the ACL of an inode, if it has one, say what its new mode says. */
errcode_t banger_fs_fit_acl (ext2_filsys fs, ext2_ino_t ino, guint32 mode);

/* ── Contents (fs-data.c) ────────────────────────────────────────────────────────────────────── */

/* The contents of a file that is new. Blocks of zeros in longer rows take no room. What would make
 * it larger than a file can be is EXT2_ET_FILE_TOO_BIG. */
typedef struct {
  ext2_filsys fs;
  ext2_ino_t ino;
  struct ext2_inode inode;
  ext2_extent_handle_t extents; /* NULL: of a file system that has none */
  ext2_file_t file;
  guint64 start; /* of what waits in the chunk; a block's begin */
  guint64 goal;
  guint8 *chunk;
  gsize fill;
} BangerFsStream;

errcode_t banger_fs_stream_open (BangerFsStream *stream, ext2_filsys fs, ext2_ino_t ino);
errcode_t banger_fs_stream_data (BangerFsStream *stream, const void *bytes, gsize length);
errcode_t banger_fs_stream_hole (BangerFsStream *stream, guint64 length);
/* Frees it, after @code of what was done with it; writes what waits only if that is 0. */
errcode_t banger_fs_stream_close (BangerFsStream *stream, errcode_t code);

typedef gboolean (*BangerFsDataFunc) (const void *bytes, gsize length, gpointer data);

/* What is read from @offset on, at most @length bytes; FALSE of @func ends it, as *@stopped says.
 */
errcode_t banger_fs_read_data (ext2_filsys fs, ext2_ino_t ino, guint64 offset, guint64 length,
                               BangerFsDataFunc func, gpointer data, gboolean *stopped);
/* The parts of a file that are no holes, for a tar; NULL where there are none. */
errcode_t banger_fs_get_pieces (ext2_filsys fs, ext2_ino_t ino, GArray **pieces);
