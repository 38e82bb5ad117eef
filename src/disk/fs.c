/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inodes. */
#include "fs.h"

#include "view.h"

#include <string.h>

/* Up to i_atime_extra: from there on an inode of 256 bytes has nanoseconds. */
#define EXTRA_WITH_TIMES 16
#define LINKS_MAX 65000u /* EXT4_LINK_MAX: a folder with more says 1 */

gboolean
banger_fs_is_full (errcode_t code)
{
  return code == ENOSPC || code == EDQUOT || code == EXT2_ET_BLOCK_ALLOC_FAIL
         || code == EXT2_ET_INODE_ALLOC_FAIL || code == EXT2_ET_EA_NO_SPACE
         || code == EXT2_ET_EXTENT_NO_SPACE || code == EXT2_ET_DIR_NO_SPACE;
}

errcode_t
banger_fs_read_inode (ext2_filsys fs, ext2_ino_t ino, BangerRawInode *inode)
{
  memset (inode, 0, sizeof *inode);
  return ext2fs_read_inode_full (fs, ino, (struct ext2_inode *)inode, sizeof *inode);
}

errcode_t
banger_fs_write_inode (ext2_filsys fs, ext2_ino_t ino, BangerRawInode *inode)
{
  return ext2fs_write_inode_full (fs, ino, (struct ext2_inode *)inode, sizeof *inode);
}

static gint64
read_time (guint32 low, guint32 extra)
{
  return (gint64)(gint32)low + ((gint64)(extra & 3) << 32);
}

static gboolean
has_extra_times (const BangerRawInode *inode)
{
  return inode->i_extra_isize >= EXTRA_WITH_TIMES;
}

void
banger_fs_get_meta (const BangerRawInode *inode, BangerDiskMeta *meta)
{
  guint32 extra = has_extra_times (inode) ? inode->i_mtime_extra : 0;

  *meta = (BangerDiskMeta){ .mode = inode->i_mode,
                            .uid = inode->i_uid | (guint32)inode->osd2.linux2.l_i_uid_high << 16,
                            .gid = inode->i_gid | (guint32)inode->osd2.linux2.l_i_gid_high << 16,
                            .mtime = read_time (inode->i_mtime, extra),
                            .mtime_nsec = (extra >> 2) % 1000000000 };
  if (!S_ISCHR (inode->i_mode) && !S_ISBLK (inode->i_mode))
    return;
  if (inode->i_block[0] != 0) {
    meta->major = inode->i_block[0] >> 8 & 0xff;
    meta->minor = inode->i_block[0] & 0xff;
  } else {
    meta->major = inode->i_block[1] >> 8 & 0xfff;
    meta->minor = (inode->i_block[1] & 0xff) | (inode->i_block[1] >> 12 & 0xfff00);
  }
}

static void
put_time (gint64 seconds, guint32 nsec, guint32 *low, guint32 *extra)
{
  gint64 clamped = CLAMP (seconds, BANGER_DISK_TIME_MIN, BANGER_DISK_TIME_MAX);

  *low = (guint32)clamped;
  *extra = ((guint32)((clamped - (gint32)*low) >> 32) & 3) | nsec << 2;
}

/* An inode without room for it loses the nanoseconds and what lies after 2038. */
static void
set_time (const BangerRawInode *inode, gint64 seconds, guint32 nsec, guint32 *low, guint32 *extra)
{
  guint32 rest = 0;

  put_time (seconds, nsec, low, &rest);
  if (has_extra_times (inode))
    *extra = rest;
}

static void
get_now (gint64 *seconds, guint32 *nsec)
{
  gint64 now = g_get_real_time ();

  *seconds = now / G_USEC_PER_SEC;
  *nsec = now % G_USEC_PER_SEC * 1000;
}

static void
set_change_time (BangerRawInode *inode, gboolean content)
{
  gint64 seconds = 0;
  guint32 nsec = 0;

  get_now (&seconds, &nsec);
  set_time (inode, seconds, nsec, &inode->i_ctime, &inode->i_ctime_extra);
  if (content)
    set_time (inode, seconds, nsec, &inode->i_mtime, &inode->i_mtime_extra);
}

void
banger_fs_set_meta (BangerRawInode *inode, guint what, const BangerDiskMeta *meta)
{
  if ((what & BANGER_DISK_MODE) != 0)
    inode->i_mode = (inode->i_mode & LINUX_S_IFMT) | (meta->mode & 07777);
  if ((what & BANGER_DISK_UID) != 0) {
    inode->i_uid = meta->uid & 0xffff;
    inode->osd2.linux2.l_i_uid_high = meta->uid >> 16;
  }
  if ((what & BANGER_DISK_GID) != 0) {
    inode->i_gid = meta->gid & 0xffff;
    inode->osd2.linux2.l_i_gid_high = meta->gid >> 16;
  }
  if ((what & BANGER_DISK_MTIME) != 0)
    set_time (inode, meta->mtime, meta->mtime_nsec, &inode->i_mtime, &inode->i_mtime_extra);
  set_change_time (inode, FALSE);
}

errcode_t
banger_fs_touch (ext2_filsys fs, ext2_ino_t ino, gboolean content)
{
  BangerRawInode inode;
  errcode_t code = banger_fs_read_inode (fs, ino, &inode);

  if (code != 0)
    return code;
  set_change_time (&inode, content);
  return banger_fs_write_inode (fs, ino, &inode);
}

errcode_t
banger_fs_read_target (ext2_filsys fs, ext2_ino_t ino, const BangerRawInode *inode, char *target)
{
  ext2_file_t file = NULL;
  unsigned int length = MIN (inode->i_size, BANGER_TARGET_MAX - 1);
  errcode_t code = 0;

  if (ext2fs_is_fast_symlink ((struct ext2_inode *)inode)
      && (inode->i_flags & EXT4_INLINE_DATA_FL) == 0) {
    length = MIN (length, sizeof inode->i_block);
    memcpy (target, inode->i_block, length);
  } else {
    code = ext2fs_file_open (fs, ino, 0, &file);
    if (code == 0)
      code = ext2fs_file_read (file, target, length, &length);
    if (file != NULL)
      ext2fs_file_close (file);
  }
  target[length] = '\0';
  return code == 0 && *target == '\0' ? EXT2_ET_INODE_CORRUPTED : code;
}

static errcode_t
make_plain (ext2_filsys fs, ext2_ino_t ino, const BangerDiskMeta *meta)
{
  struct ext2_inode inode = { .i_mode = meta->mode, .i_links_count = 1 };
  ext2_extent_handle_t extents = NULL;
  errcode_t code = 0;

  if (S_ISCHR (meta->mode) || S_ISBLK (meta->mode)) {
    banger_ext4_put_device (meta->major, meta->minor, inode.i_block);
  } else if (S_ISREG (meta->mode) && ext2fs_has_feature_extents (fs->super)) {
    code = ext2fs_extent_open2 (fs, ino, &inode, &extents); /* makes the empty tree */
    if (code != 0)
      return code;
    ext2fs_extent_free (extents);
  }
  code = ext2fs_write_new_inode (fs, ino, &inode);
  if (code == 0)
    ext2fs_inode_alloc_stats2 (fs, ino, +1, 0);
  return code;
}

errcode_t
banger_fs_count_folder (ext2_filsys fs, ext2_ino_t dir, int change)
{
  BangerRawInode inode;
  guint links = 0;
  errcode_t code = banger_fs_read_inode (fs, dir, &inode);

  if (code != 0)
    return code;
  if (inode.i_links_count <= 1 || (change < 0 && inode.i_links_count <= 2))
    return 0; /* it has ceased to count */
  links = inode.i_links_count + change;
  inode.i_links_count = links > LINKS_MAX ? 1 : links;
  return banger_fs_write_inode (fs, dir, &inode);
}

/* Of the parent's count the library takes no care where it is at its end. */
static errcode_t
make_folder (ext2_filsys fs, ext2_ino_t dir, ext2_ino_t ino)
{
  BangerRawInode parent;
  guint16 links = 0;
  errcode_t code = banger_fs_read_inode (fs, dir, &parent);

  if (code != 0)
    return code;
  links = parent.i_links_count;
  code = ext2fs_mkdir (fs, dir, ino, NULL);
  if (code == 0)
    code = banger_fs_read_inode (fs, dir, &parent);
  if (code != 0)
    return code;
  parent.i_links_count = links <= 1 || links >= LINKS_MAX ? 1 : links + 1;
  return banger_fs_write_inode (fs, dir, &parent);
}

errcode_t
banger_fs_make (ext2_filsys fs, ext2_ino_t dir, const BangerDiskMeta *meta, ext2_ino_t *ino)
{
  const guint all = BANGER_DISK_MODE | BANGER_DISK_UID | BANGER_DISK_GID | BANGER_DISK_MTIME;
  BangerRawInode inode;
  errcode_t code = ext2fs_new_inode (fs, dir, meta->mode, NULL, ino);

  if (code != 0)
    return code;
  if (S_ISDIR (meta->mode))
    code = make_folder (fs, dir, *ino);
  else if (S_ISLNK (meta->mode))
    code = ext2fs_symlink (fs, dir, *ino, NULL, meta->target);
  else
    code = make_plain (fs, *ino, meta);
  if (code == 0)
    code = banger_fs_read_inode (fs, *ino, &inode);
  if (code != 0)
    return code;
  banger_fs_set_meta (&inode, all, meta);
  return banger_fs_write_inode (fs, *ino, &inode);
}

/* Values of attributes that lie in inodes of their own are counted there. Those in a block that
 * other files share are counted once for all of them: such a block is only let go of. */
static errcode_t
drop_large_xattrs (ext2_filsys fs, ext2_ino_t ino)
{
  g_autoptr (GPtrArray) xattrs = NULL;
  g_autofree void *block = g_malloc (fs->blocksize);
  const struct ext2_ext_attr_header *header = block;
  BangerRawInode inode;
  blk64_t at = 0;
  errcode_t code = banger_fs_read_inode (fs, ino, &inode);

  if (code == 0)
    at = ext2fs_file_acl_block (fs, (struct ext2_inode *)&inode);
  if (code == 0 && at != 0)
    code = ext2fs_read_ext_attr3 (fs, at, block, ino);
  if (code == 0 && at != 0 && header->h_refcount > 1)
    code = ext2fs_free_ext_attr (fs, ino, NULL);
  if (code == 0)
    code = banger_fs_get_xattrs (fs, ino, &xattrs);
  for (guint i = 0; code == 0 && i < xattrs->len; i++) {
    const BangerDiskXattr *xattr = xattrs->pdata[i];

    code = banger_fs_remove_xattr (fs, ino, xattr->name);
  }
  return code;
}

static int
free_block (ext2_filsys fs, blk64_t *block, e2_blkcnt_t index, blk64_t above, int offset,
            void *damaged)
{
  if (*block < fs->super->s_first_data_block || *block >= ext2fs_blocks_count (fs->super)
      || !ext2fs_test_block_bitmap2 (fs->block_map, *block)) {
    *(gboolean *)damaged = TRUE;
    return BLOCK_ABORT;
  }
  ext2fs_block_alloc_stats2 (fs, *block, -1);
  return 0;
}

/* ext2fs_punch of libext2fs 1.47.0 refuses an extent that reaches the last block of the disk. */
static errcode_t
free_blocks (ext2_filsys fs, ext2_ino_t ino)
{
  gboolean damaged = FALSE;
  errcode_t code
      = ext2fs_block_iterate3 (fs, ino, BLOCK_FLAG_READ_ONLY, NULL, free_block, &damaged);

  return code == 0 && damaged ? EXT2_ET_BAD_BLOCK_NUM : code;
}

static errcode_t
free_inode (ext2_filsys fs, ext2_ino_t ino)
{
  struct ext2_inode inode;
  errcode_t code = ext2fs_has_feature_ea_inode (fs->super) ? drop_large_xattrs (fs, ino) : 0;

  if (code == 0)
    code = ext2fs_free_ext_attr (fs, ino, NULL);
  if (code == 0)
    code = ext2fs_read_inode (fs, ino, &inode);
  if (code == 0 && ext2fs_inode_has_valid_blocks2 (fs, &inode))
    code = free_blocks (fs, ino);
  if (code != 0)
    return code;
  banger_fs_forget_folder (fs, ino);
  /* e2fsck looks at free inodes too: extents without their header would be garbage. */
  inode.i_flags = 0;
  memset (inode.i_block, 0, sizeof inode.i_block);
  ext2fs_iblk_set (fs, &inode, 0);
  inode.i_size = inode.i_size_high = 0;
  inode.i_links_count = 0;
  inode.i_dtime = (guint32)(g_get_real_time () / G_USEC_PER_SEC);
  code = ext2fs_write_inode (fs, ino, &inode);
  if (code == 0)
    ext2fs_inode_alloc_stats2 (fs, ino, -1, LINUX_S_ISDIR (inode.i_mode));
  return code;
}

errcode_t
banger_fs_count_name (ext2_filsys fs, ext2_ino_t ino, int change)
{
  BangerRawInode inode;
  errcode_t code = banger_fs_read_inode (fs, ino, &inode);

  if (code != 0)
    return code;
  if (change > 0 && inode.i_links_count >= LINKS_MAX)
    return EMLINK;
  inode.i_links_count += change;
  set_change_time (&inode, FALSE);
  return banger_fs_write_inode (fs, ino, &inode);
}

errcode_t
banger_fs_drop (ext2_filsys fs, ext2_ino_t dir, ext2_ino_t ino)
{
  struct ext2_inode inode;
  errcode_t code = ext2fs_read_inode (fs, ino, &inode);

  if (code != 0)
    return code;
  if (!LINUX_S_ISDIR (inode.i_mode) && inode.i_links_count > 1)
    return banger_fs_count_name (fs, ino, -1);
  code = free_inode (fs, ino);
  if (code == 0 && LINUX_S_ISDIR (inode.i_mode))
    code = banger_fs_count_folder (fs, dir, -1);
  return code;
}

/* Drops what lies in @dir and adds the folders among it to @waiting. */
static errcode_t
drop_children (ext2_filsys fs, ext2_ino_t dir, GArray *waiting, void (*tell) (gpointer data),
               gpointer data)
{
  g_autoptr (GArray) names = NULL;
  errcode_t code = banger_fs_list (fs, dir, &names);

  for (guint i = 0; code == 0 && i < names->len; i++) {
    ext2_ino_t ino = g_array_index (names, BangerFsName, i).ino;
    struct ext2_inode inode;

    tell (data);
    code = ext2fs_read_inode (fs, ino, &inode);
    if (code == 0 && LINUX_S_ISDIR (inode.i_mode))
      g_array_append_val (waiting, ino);
    else if (code == 0)
      code = banger_fs_drop (fs, dir, ino);
  }
  return code;
}

errcode_t
banger_fs_drop_tree (ext2_filsys fs, ext2_ino_t dir, ext2_ino_t ino, void (*tell) (gpointer data),
                     gpointer data)
{
  g_autoptr (GArray) waiting = g_array_new (FALSE, FALSE, sizeof (ext2_ino_t));
  errcode_t code = 0;

  g_array_append_val (waiting, ino);
  while (code == 0 && waiting->len > 0) {
    ext2_ino_t last = g_array_index (waiting, ext2_ino_t, waiting->len - 1);

    g_array_set_size (waiting, waiting->len - 1);
    /* A guest can write a folder that lies in itself. */
    if (last < EXT2_FIRST_INO (fs->super) || !ext2fs_test_inode_bitmap2 (fs->inode_map, last))
      return EXT2_ET_DIR_CORRUPTED;
    code = drop_children (fs, last, waiting, tell, data);
    if (code == 0)
      code = free_inode (fs, last);
  }
  return code == 0 ? banger_fs_count_folder (fs, dir, -1) : code;
}
