/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names in folders. */
#include "fs.h"

#include <string.h>

/* A folder with more blocks is not looked through each time: its names are kept, those of a few
 * such folders of a file system. */
#define PLAIN_BLOCKS 4
#define KNOWN_MAX 4

typedef struct {
  ext2_ino_t dir;     /* 0: none */
  GHashTable *inodes; /* by name */
  guint64 used;       /* bytes that the names take */
  guint64 at;         /* the block that had room last */
} Known;

typedef struct {
  Known folders[KNOWN_MAX];
  guint next; /* that is forgotten for another one */
} Memory;

static void
forget (Known *known)
{
  known->dir = 0;
  g_clear_pointer (&known->inodes, g_hash_table_unref);
}

void
banger_fs_forget_names (ext2_filsys fs)
{
  Memory *memory = fs->priv_data;

  for (guint i = 0; memory != NULL && i < KNOWN_MAX; i++)
    forget (&memory->folders[i]);
  g_free (memory);
  fs->priv_data = NULL;
}

/* What is known of @dir, or NULL. */
static Known *
get_known (ext2_filsys fs, ext2_ino_t dir)
{
  Memory *memory = fs->priv_data;

  for (guint i = 0; memory != NULL && i < KNOWN_MAX; i++) {
    if (memory->folders[i].dir == dir)
      return &memory->folders[i];
  }
  return NULL;
}

void
banger_fs_forget_folder (ext2_filsys fs, ext2_ino_t dir)
{
  Known *known = get_known (fs, dir);

  if (known != NULL)
    forget (known);
}

static errcode_t
learn (ext2_filsys fs, ext2_ino_t dir)
{
  g_autoptr (GArray) names = NULL;
  Memory *memory = fs->priv_data;
  Known *known = NULL;
  errcode_t code = banger_fs_list (fs, dir, &names);

  if (code != 0)
    return code;
  if (memory == NULL)
    fs->priv_data = memory = g_new0 (Memory, 1);
  known = &memory->folders[memory->next++ % KNOWN_MAX];
  forget (known);
  *known = (Known){ .dir = dir,
                    .inodes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) };
  for (guint i = 0; i < names->len; i++) {
    BangerFsName *name = &g_array_index (names, BangerFsName, i);

    known->used += EXT2_DIR_REC_LEN (strlen (name->name));
    if (!g_hash_table_contains (known->inodes, name->name))
      g_hash_table_insert (known->inodes, g_steal_pointer (&name->name),
                           GUINT_TO_POINTER (name->ino));
  }
  return 0;
}

errcode_t
banger_fs_find (ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t *ino)
{
  struct ext2_inode inode;
  errcode_t code = 0;

  *ino = 0;
  if (get_known (fs, dir) == NULL) {
    code = ext2fs_read_inode (fs, dir, &inode);
    if (code == 0 && LINUX_S_ISDIR (inode.i_mode)
        && EXT2_I_SIZE (&inode) > (guint64)PLAIN_BLOCKS * fs->blocksize)
      code = learn (fs, dir);
  }
  if (code != 0)
    return code;
  if (get_known (fs, dir) != NULL) {
    *ino = GPOINTER_TO_UINT (g_hash_table_lookup (get_known (fs, dir)->inodes, name));
    return 0;
  }
  code = ext2fs_lookup (fs, dir, name, (int)strlen (name), NULL, ino);
  if (code == EXT2_ET_FILE_NOT_FOUND) {
    *ino = 0;
    return 0;
  }
  return code == 0 && (*ino < EXT2_ROOT_INO || *ino > fs->super->s_inodes_count)
             ? EXT2_ET_DIR_CORRUPTED
             : code;
}

static int
get_file_type (ext2_filsys fs, guint32 mode)
{
  static const struct {
    guint32 mode;
    int type;
  } types[]
      = { { S_IFREG, EXT2_FT_REG_FILE }, { S_IFDIR, EXT2_FT_DIR },    { S_IFLNK, EXT2_FT_SYMLINK },
          { S_IFCHR, EXT2_FT_CHRDEV },   { S_IFBLK, EXT2_FT_BLKDEV }, { S_IFIFO, EXT2_FT_FIFO },
          { S_IFSOCK, EXT2_FT_SOCK } };

  for (guint i = 0; ext2fs_has_feature_filetype (fs->super) && i < G_N_ELEMENTS (types); i++) {
    if (types[i].mode == (mode & S_IFMT))
      return types[i].type;
  }
  return EXT2_FT_UNKNOWN;
}

/* Room for an entry of @length bytes in a block of a folder that ends at @end, or NULL. */
static struct ext2_dir_entry *
find_room (ext2_filsys fs, guint8 *block, guint end, guint length)
{
  for (guint at = 0; at + 8 <= end;) {
    struct ext2_dir_entry *entry = (struct ext2_dir_entry *)(block + at);
    guint size = entry->inode != 0 ? EXT2_DIR_REC_LEN (ext2fs_dirent_name_len (entry)) : 0;
    unsigned int all = 0;

    if (ext2fs_get_rec_len (fs, entry, &all) != 0 || all < MAX (8, size) || all % 4 != 0
        || at + all > end)
      return NULL;
    if (all >= size + length) {
      struct ext2_dir_entry *rest = (struct ext2_dir_entry *)(block + at + size);

      if (size > 0)
        ext2fs_set_rec_len (fs, size, entry);
      ext2fs_set_rec_len (fs, all - size, rest);
      return rest;
    }
    at += all;
  }
  return NULL;
}

/* The name that is to be put into a folder without index. */
typedef struct {
  ext2_filsys fs;
  ext2_ino_t dir;
  struct ext2_inode inode; /* the folder's */
  const char *name;
  ext2_ino_t ino;
  int type;
} Addition;

/* EXT2_ET_DIR_NO_SPACE where the block @logical of the folder is full. */
static errcode_t
add_to_block (Addition *addition, guint64 logical)
{
  ext2_filsys fs = addition->fs;
  ext2_ino_t dir = addition->dir;
  const char *name = addition->name;
  g_autofree guint8 *block = g_malloc (fs->blocksize);
  guint end
      = fs->blocksize
        - (ext2fs_has_feature_metadata_csum (fs->super) ? sizeof (struct ext2_dir_entry_tail) : 0);
  struct ext2_dir_entry *entry = NULL;
  blk64_t at = 0;
  errcode_t code = ext2fs_bmap2 (fs, dir, &addition->inode, NULL, 0, logical, NULL, &at);

  if (code == 0 && at == 0)
    code = EXT2_ET_DIR_CORRUPTED;
  if (code == 0)
    code = ext2fs_read_dir_block4 (fs, at, block, 0, dir);
  if (code != 0)
    return code;
  entry = find_room (fs, block, end, EXT2_DIR_REC_LEN (strlen (name)));
  if (entry == NULL)
    return EXT2_ET_DIR_NO_SPACE;
  entry->inode = addition->ino;
  ext2fs_dirent_set_name_len (entry, (int)strlen (name));
  ext2fs_dirent_set_file_type (entry, addition->type);
  memcpy (entry->name, name, strlen (name));
  return ext2fs_write_dir_block4 (fs, at, block, 0, dir);
}

/* Where names were removed there is room in other blocks than the last one. They are gone through
 * in a circle, so that not each name asks all of them, and only if a quarter of them all is free:
 * before each new block of a folder that is full it would be for nothing. */
static errcode_t
add_to_gap (Addition *addition)
{
  guint64 size = EXT2_I_SIZE (&addition->inode), blocks = size / addition->fs->blocksize;
  Known *known = get_known (addition->fs, addition->dir);
  errcode_t code = EXT2_ET_DIR_NO_SPACE;

  if (known == NULL || known->used > size / 4 * 3)
    return code;
  for (guint64 i = 0; code == EXT2_ET_DIR_NO_SPACE && i < blocks; i++) {
    code = add_to_block (addition, known->at % blocks);
    if (code == EXT2_ET_DIR_NO_SPACE)
      known->at++;
  }
  return code;
}

/* ext2fs_link looks through all blocks. */
static errcode_t
link_name (ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t ino, int type)
{
  Addition addition = { .fs = fs, .dir = dir, .name = name, .ino = ino, .type = type };
  errcode_t code = ext2fs_read_inode (fs, dir, &addition.inode);
  guint64 size = EXT2_I_SIZE (&addition.inode);

  if (code != 0)
    return code;
  if ((addition.inode.i_flags & (EXT2_INDEX_FL | EXT4_INLINE_DATA_FL)) != 0
      || size <= (guint64)PLAIN_BLOCKS * fs->blocksize)
    return ext2fs_link (fs, dir, name, ino, type);
  code = add_to_block (&addition, size / fs->blocksize - 1);
  return code == EXT2_ET_DIR_NO_SPACE ? add_to_gap (&addition) : code;
}

static errcode_t
add_name (ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t ino, int type)
{
  errcode_t code = link_name (fs, dir, name, ino, type);

  if (code != EXT2_ET_DIR_NO_SPACE)
    return code;
  code = ext2fs_expand_dir (fs, dir);
  return code == 0 ? link_name (fs, dir, name, ino, type) : code;
}

typedef struct {
  const char *name; /* or NULL: ".." */
  gsize length;
  ext2_ino_t ino;
  int type;
  gboolean done;
} Change;

static int
change_entry (ext2_ino_t dir, int kind, struct ext2_dir_entry *entry, int offset, int blocksize,
              char *buffer, void *data)
{
  Change *change = data;

  if (change->name == NULL ? kind != DIRENT_DOT_DOT_FILE
                           : (gsize)ext2fs_dirent_name_len (entry) != change->length
                                 || memcmp (entry->name, change->name, change->length) != 0)
    return 0;
  entry->inode = change->ino;
  if (change->name != NULL)
    ext2fs_dirent_set_file_type (entry, change->type);
  change->done = TRUE;
  return DIRENT_CHANGED | DIRENT_ABORT;
}

static errcode_t
change_name (ext2_filsys fs, ext2_ino_t dir, Change *change)
{
  errcode_t code = ext2fs_dir_iterate2 (fs, dir, 0, NULL, change_entry, change);

  return code == 0 && !change->done ? EXT2_ET_DIR_CORRUPTED : code;
}

errcode_t
banger_fs_put_name (ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t old,
                    ext2_ino_t ino, guint32 mode)
{
  Change change = { name, strlen (name), ino, get_file_type (fs, mode), FALSE };

  Known *known = get_known (fs, dir);
  errcode_t code
      = old != 0 ? change_name (fs, dir, &change) : add_name (fs, dir, name, ino, change.type);

  if (code == 0 && known != NULL && old == 0)
    known->used += EXT2_DIR_REC_LEN (strlen (name));
  if (code == 0 && known != NULL)
    g_hash_table_replace (known->inodes, g_strdup (name), GUINT_TO_POINTER (ino));
  return code;
}

errcode_t
banger_fs_cut_name (ext2_filsys fs, ext2_ino_t dir, const char *name, ext2_ino_t ino)
{
  Known *known = get_known (fs, dir);
  errcode_t code = ext2fs_unlink (fs, dir, name, ino, 0);

  if (code == 0 && known != NULL) {
    g_hash_table_remove (known->inodes, name);
    known->used -= EXT2_DIR_REC_LEN (strlen (name));
  }
  return code;
}

errcode_t
banger_fs_set_parent (ext2_filsys fs, ext2_ino_t ino, ext2_ino_t dir)
{
  Change change = { NULL, 0, dir, 0, FALSE };

  return change_name (fs, ino, &change);
}

static void
name_clear (gpointer data)
{
  g_free (((BangerFsName *)data)->name);
}

static gboolean
is_name (const char *name, int length)
{
  return *name != '\0' && strlen (name) == (gsize)length && strchr (name, '/') == NULL;
}

typedef struct {
  GArray *names;
  ext2_ino_t inodes;
  gboolean bad;
} List;

static int
add_to_list (ext2_ino_t dir, int kind, struct ext2_dir_entry *entry, int offset, int blocksize,
             char *buffer, void *data)
{
  List *list = data;
  int length = ext2fs_dirent_name_len (entry);
  BangerFsName name = { entry->inode, NULL };

  /* By their names: of folders that lie in their inodes libext2fs does not tell them apart. */
  if ((length == 1 && entry->name[0] == '.') || (length == 2 && memcmp (entry->name, "..", 2) == 0))
    return 0;
  name.name = g_strndup (entry->name, length);
  g_array_append_val (list->names, name);
  list->bad = !is_name (name.name, length) || name.ino < EXT2_ROOT_INO || name.ino > list->inodes;
  return list->bad ? DIRENT_ABORT : 0;
}

errcode_t
banger_fs_list (ext2_filsys fs, ext2_ino_t dir, GArray **names)
{
  List list
      = { g_array_new (FALSE, FALSE, sizeof (BangerFsName)), fs->super->s_inodes_count, FALSE };
  errcode_t code = 0;

  *names = list.names;
  g_array_set_clear_func (list.names, name_clear);
  code = ext2fs_dir_iterate2 (fs, dir, 0, NULL, add_to_list, &list);
  return code == 0 && list.bad ? EXT2_ET_DIR_CORRUPTED : code;
}
