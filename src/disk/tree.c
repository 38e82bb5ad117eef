/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree.h"

#include <string.h>

#define NAME_BYTES_MAX 255      /* EXT2_NAME_LEN */
#define EXTENT_BLOCKS_MAX 32768 /* EXT_INIT_MAX_LEN */
#define NSEC_MAX 999999999u
#define ESCAPED_MAX 200
#define LINK_ROUNDS_MAX 64
/* Entries may come for each that may stay, the rest being replaced. */
#define REPLACED_MAX 4

static gboolean
has_target (const BangerInode *inode)
{
  return S_ISLNK (inode->mode) && inode->target != NULL;
}

static BangerInode *
inode_new (BangerTree *tree)
{
  BangerInode *inode = banger_pool_take (&tree->pool, sizeof *inode);

  *inode = (BangerInode){ 0 };
  return inode;
}

static guint32
in_array (const BangerInode *inode)
{
  return inode->is_many ? inode->n_extents : 0;
}

/* One of the names that lead to @inode is gone, or is made to lead elsewhere. */
static void
inode_unref (BangerTree *tree, BangerInode *inode)
{
  if (--inode->links > 0)
    return;
  tree->n_extents -= in_array (inode);
  if (inode->is_many)
    g_free (inode->extents.many);
  if (has_target (inode))
    banger_pool_give_back (&tree->pool, inode->target, inode->size + 1);
  if (inode->mode == 0) {
    tree->n_pending--;
    tree->pending_bytes -= strlen (inode->target);
    g_free (inode->target);
  }
  banger_pool_give_back (&tree->pool, inode, sizeof *inode);
}

static gsize
entry_size (gsize name_length)
{
  return G_STRUCT_OFFSET (BangerEntry, name) + name_length;
}

static BangerEntry *
entry_new (BangerTree *tree, BangerEntry *parent, const char *name, gsize length,
           BangerInode *inode)
{
  BangerEntry *entry = banger_pool_take (&tree->pool, MAX (entry_size (length), sizeof *entry));

  *entry = (BangerEntry){ .parent = parent,
                          .inode = inode,
                          .depth = parent != NULL ? parent->depth + 1 : 0,
                          .name_length = length };
  memcpy (entry->name, name, length);
  inode->links++;
  return entry;
}

static void
attach (BangerTree *tree, BangerEntry *entry)
{
  BangerInode *dir = entry->parent->inode;

  entry->previous = dir->children.last;
  if (dir->children.last != NULL)
    dir->children.last->next = entry;
  else
    dir->children.first = entry;
  dir->children.last = entry;
  banger_index_add (&tree->index, entry);
}

static void
detach (BangerTree *tree, BangerEntry *entry)
{
  BangerInode *dir = entry->parent->inode;

  if (entry->previous != NULL)
    entry->previous->next = entry->next;
  else
    dir->children.first = entry->next;
  if (entry->next != NULL)
    entry->next->previous = entry->previous;
  else
    dir->children.last = entry->previous;
  banger_index_remove (&tree->index, entry);
}

static BangerEntry *
first_child (const BangerEntry *entry)
{
  return S_ISDIR (entry->inode->mode) ? entry->inode->children.first : NULL;
}

/* With everything below it, deepest first, without recursion: depth is the archive's choice. */
static void
remove_entry (BangerTree *tree, BangerEntry *top)
{
  BangerEntry *entry = top;

  for (;;) {
    BangerEntry *parent = entry->parent;
    gboolean last = entry == top;

    if (first_child (entry) != NULL) {
      entry = first_child (entry);
      continue;
    }
    detach (tree, entry);
    inode_unref (tree, entry->inode);
    banger_pool_give_back (&tree->pool, entry,
                           MAX (entry_size (entry->name_length), sizeof *entry));
    if (last)
      return;
    entry = parent;
  }
}

BangerTree *
banger_tree_new (void)
{
  BangerTree *tree = g_new0 (BangerTree, 1);
  BangerInode *inode = NULL;

  banger_pool_init (&tree->pool);
  banger_index_init (&tree->index);
  inode = inode_new (tree);
  inode->mode = S_IFDIR | 0755;
  tree->entries_max = BANGER_DISK_ENTRIES_MAX;
  tree->root = entry_new (tree, NULL, "", 0, inode);
  tree->root->parent = tree->root;
  return tree;
}

void
banger_tree_free (BangerTree *tree)
{
  /* The pool takes all but what a few inodes have elsewhere. */
  for (BangerEntry *entry = tree->root; entry != NULL; entry = banger_tree_next (entry)) {
    BangerInode *inode = entry->inode;

    if (inode->is_many)
      g_clear_pointer (&inode->extents.many, g_free);
    if (inode->mode == 0)
      g_clear_pointer (&inode->target, g_free);
  }
  banger_index_clear (&tree->index);
  banger_pool_clear (&tree->pool);
  g_free (tree);
}

char *
banger_disk_escape (const char *bytes)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (const char *p = bytes; *p != '\0' && text->len < ESCAPED_MAX;) {
    gunichar c = g_utf8_get_char_validated (p, -1);

    if (c >= (gunichar)-2 || !g_unichar_isprint (c) || c == '\\' || c == '\'') {
      g_string_append_printf (text, "\\x%02x", (guint8)*p++);
    } else {
      g_string_append_unichar (text, c);
      p = g_utf8_next_char (p);
    }
  }
  if (text->len >= ESCAPED_MAX)
    g_string_append (text, "…");
  return g_string_free (g_steal_pointer (&text), FALSE);
}

char *
banger_tree_path (const BangerEntry *entry)
{
  g_autoptr (GString) path = g_string_new (NULL);

  for (; entry->parent != entry; entry = entry->parent) {
    g_string_prepend_len (path, entry->name, entry->name_length);
    g_string_prepend_c (path, '/');
  }
  return path->len > 0 ? banger_disk_escape (path->str) : g_strdup ("/");
}

static gboolean
refuse_escaped (const char *escaped, const char *cause, GError **error)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, NULL, "entry '%s' cannot be stored",
                    escaped);
  return FALSE;
}

gboolean
banger_path_refuse (const char *path, const char *cause, GError **error)
{
  g_autofree char *escaped = banger_disk_escape (path);

  return refuse_escaped (escaped, cause, error);
}

gboolean
banger_tree_refuse (const BangerEntry *entry, const char *cause, GError **error)
{
  g_autofree char *escaped = banger_tree_path (entry);

  return refuse_escaped (escaped, cause, error);
}

BangerEntry *
banger_tree_find (BangerTree *tree, BangerEntry *parent, const char *name, gsize length)
{
  return banger_index_find (&tree->index, parent, name, length);
}

/* The next component of *@path that counts, or NULL at the end; *@path moves behind it. */
static const char *
next_component (const char **path, gsize *length)
{
  for (;;) {
    const char *start = *path + strspn (*path, "/");

    *length = strcspn (start, "/");
    *path = start + *length;
    if (*length == 0)
      return NULL;
    if (*length != 1 || start[0] != '.')
      return start;
  }
}

/* Whether @count more names may be there. Counts what comes and not only what stays, as each costs
 * time, whatever it replaces. */
static gboolean
check_room (BangerTree *tree, guint count, const char *path, GError **error)
{
  g_autofree char *escaped = NULL, *cause = NULL;

  if (tree->index.used + count <= tree->entries_max
      && tree->taken++ < tree->entries_max * REPLACED_MAX)
    return TRUE;
  escaped = banger_disk_escape (path);
  cause = g_strdup_printf ("there are more than %" G_GUINT64_FORMAT " entries", tree->entries_max);
  banger_set_error (
      error, BANGER_ERROR_BAD_IMAGE, NULL, cause,
      tree->entries_max < BANGER_DISK_ENTRIES_MAX
          ? "allow more with --max-entries, up to " G_STRINGIFY (BANGER_DISK_ENTRIES_MAX)
          : NULL,
      "entry '%s' cannot be stored", escaped);
  return FALSE;
}

static BangerEntry *
make_parent (BangerTree *tree, BangerEntry *parent, const char *name, gsize length)
{
  BangerInode *inode = inode_new (tree);
  BangerEntry *entry = NULL;

  inode->mode = S_IFDIR | 0755;
  entry = entry_new (tree, parent, name, length, inode);
  attach (tree, entry);
  return entry;
}

/* The directory that @path's last component stands in, made if need be. *@name and *@length are
 * that component, or NULL where @path is the root. */
static BangerEntry *
find_parent (BangerTree *tree, const char *path, const char **name, gsize *length, GError **error)
{
  BangerEntry *dir = tree->root;
  const char *rest = path;

  *name = next_component (&rest, length);
  while (*name != NULL) {
    gsize next_length = 0;
    const char *next = NULL;
    BangerEntry *child = NULL;

    if (*length == 2 && memcmp (*name, "..", 2) == 0) {
      banger_path_refuse (path, "its name climbs out with '..'", error);
      return NULL;
    }
    if (*length > NAME_BYTES_MAX || dir->depth >= BANGER_TREE_DEPTH_MAX) {
      banger_path_refuse (path, "its name is too long or lies too deep", error);
      return NULL;
    }
    next = next_component (&rest, &next_length);
    if (next == NULL)
      return dir;
    child = banger_tree_find (tree, dir, *name, *length);
    if (child == NULL && !check_room (tree, 1, path, error))
      return NULL;
    if (child == NULL)
      child = make_parent (tree, dir, *name, *length);
    if (!S_ISDIR (child->inode->mode)) {
      banger_path_refuse (path,
                          S_ISLNK (child->inode->mode)
                              ? "its path leads through a symbolic link"
                              : "its path leads through something that is not a directory",
                          error);
      return NULL;
    }
    dir = child;
    *name = next;
    *length = next_length;
  }
  return dir;
}

/* Seconds outside ext4's reach become the nearest, without a fraction, as in the kernel. */
static guint64
pack_time (gint64 seconds, guint32 nsec)
{
  gint64 clamped = CLAMP (seconds, BANGER_DISK_TIME_MIN, BANGER_DISK_TIME_MAX);
  guint32 low = (guint32)clamped;
  guint32 extra = (guint32)((clamped - (gint32)low) >> 32) & 3;

  if (clamped == seconds)
    extra |= MIN (nsec, NSEC_MAX) << 2;
  return (guint64)extra << 32 | low;
}

static void
set_meta (BangerInode *inode, const BangerDiskMeta *meta)
{
  /* Linux gives every symbolic link this mode, whatever an archive says. */
  inode->mode = S_ISLNK (meta->mode) ? S_IFLNK | 0777 : meta->mode;
  inode->uid = meta->uid;
  inode->gid = meta->gid;
  inode->time = pack_time (meta->mtime, meta->mtime_nsec);
  inode->xattrs = 0;
}

BangerEntry *
banger_tree_add (BangerTree *tree, const char *path, const BangerDiskMeta *meta, GError **error)
{
  const char *name = NULL;
  gsize length = 0;
  BangerEntry *dir = find_parent (tree, path, &name, &length, error);
  BangerEntry *entry = NULL;
  BangerInode *inode = NULL;

  if (dir == NULL)
    return NULL;
  entry = name != NULL ? banger_tree_find (tree, dir, name, length) : tree->root;
  if (!check_room (tree, entry == NULL ? 1 : 0, path, error))
    return NULL;
  if (entry == tree->root && !S_ISDIR (meta->mode)) {
    banger_path_refuse (path, "the root must be a directory", error);
    return NULL;
  }
  if (entry != NULL && S_ISDIR (meta->mode) && S_ISDIR (entry->inode->mode)) {
    set_meta (entry->inode, meta);
    return entry;
  }
  if (entry != NULL)
    remove_entry (tree, entry);
  inode = inode_new (tree);
  set_meta (inode, meta);
  if (S_ISCHR (meta->mode) || S_ISBLK (meta->mode)) {
    inode->device.major = meta->major;
    inode->device.minor = meta->minor;
  } else if (S_ISLNK (meta->mode) && strlen (meta->target) <= BANGER_FAST_TARGET_MAX) {
    inode->size = strlen (meta->target);
    inode->target = banger_pool_take (&tree->pool, inode->size + 1);
    memcpy (inode->target, meta->target, inode->size + 1);
  }
  entry = entry_new (tree, dir, name, length, inode);
  attach (tree, entry);
  return entry;
}

/* The entry at @path, reached through directories only; NULL if there is none. */
static BangerEntry *
look_up (BangerTree *tree, const char *path)
{
  BangerEntry *entry = tree->root;
  gsize length = 0;

  for (const char *name = next_component (&path, &length); name != NULL && entry != NULL;
       name = next_component (&path, &length))
    entry = length <= NAME_BYTES_MAX ? banger_tree_find (tree, entry, name, length) : NULL;
  return entry;
}

/* Why @inode cannot have one name more, or NULL. */
static const char *
check_links (const BangerInode *inode)
{
  if (S_ISDIR (inode->mode))
    return "it is a hard link to a directory";
  if (inode->links >= G_MAXUINT16 - 1)
    return "its target has more hard links than ext4 can count";
  return NULL;
}

/* An inode that stands for the target until it comes. */
static BangerInode *
inode_new_pending (BangerTree *tree, const char *path, const char *target, GError **error)
{
  BangerInode *inode = NULL;

  if (tree->pending_bytes + strlen (target) > BANGER_TREE_PENDING_BYTES_MAX) {
    banger_path_refuse (path, "too many hard links come before their targets", error);
    return NULL;
  }
  inode = inode_new (tree);
  inode->target = g_strdup (target);
  tree->n_pending++;
  tree->pending_bytes += strlen (target);
  return inode;
}

gboolean
banger_tree_link (BangerTree *tree, const char *path, const char *target, GError **error)
{
  const char *name = NULL;
  gsize length = 0;
  BangerEntry *there = look_up (tree, target);
  BangerEntry *dir = NULL, *old = NULL, *entry = NULL;
  BangerInode *inode = NULL;

  if (there != NULL && check_links (there->inode) != NULL)
    return banger_path_refuse (path, check_links (there->inode), error);
  dir = find_parent (tree, path, &name, &length, error);
  if (dir == NULL)
    return FALSE;
  old = name != NULL ? banger_tree_find (tree, dir, name, length) : tree->root;
  if (!check_room (tree, old == NULL ? 1 : 0, path, error))
    return FALSE;
  if (old != NULL && old == there)
    return banger_path_refuse (path, "it is a hard link to itself", error);
  if (old == tree->root)
    return banger_path_refuse (path, "the root must be a directory", error);
  if (old != NULL && there != NULL && old->inode == there->inode)
    return TRUE;
  /* What waits is linked when all is there: another may take its place until then. */
  if (there != NULL && there->inode->mode != 0)
    inode = there->inode;
  else
    inode = inode_new_pending (tree, path, target, error);
  if (inode == NULL)
    return FALSE;
  /* Made first, as the target may lie in the directory that gives way. */
  entry = entry_new (tree, dir, name, length, inode);
  if (old != NULL)
    remove_entry (tree, old);
  attach (tree, entry);
  return TRUE;
}

/* Makes @entry, which waits, a name of its target's inode; FALSE with the error where that is none
 * that can be linked to. Does nothing while the target waits or is not there. */
static gboolean
settle_entry (BangerTree *tree, BangerEntry *entry, GError **error)
{
  BangerEntry *target = look_up (tree, entry->inode->target);

  if (target == NULL || target->inode->mode == 0)
    return TRUE;
  if (check_links (target->inode) != NULL)
    return banger_tree_refuse (entry, check_links (target->inode), error);
  inode_unref (tree, entry->inode);
  entry->inode = target->inode;
  entry->inode->links++;
  return TRUE;
}

static GPtrArray *
find_pending (BangerTree *tree)
{
  GPtrArray *pending = g_ptr_array_new ();

  for (BangerEntry *entry = tree->root; entry != NULL && pending->len < tree->n_pending;
       entry = banger_tree_next (entry)) {
    if (entry->inode->mode == 0)
      g_ptr_array_add (pending, entry);
  }
  return pending;
}

gboolean
banger_tree_settle (BangerTree *tree, GError **error)
{
  g_autoptr (GPtrArray) pending = find_pending (tree);

  /* A link may wait for another, so go round; a chain that is longer than any real one is refused
   * below, as its length squared would be the time it takes. */
  for (guint round = 0; pending->len > 0 && round < LINK_ROUNDS_MAX; round++) {
    for (guint i = 0; i < pending->len;) {
      BangerEntry *entry = pending->pdata[i];

      if (!settle_entry (tree, entry, error))
        return FALSE;
      if (entry->inode->mode != 0)
        g_ptr_array_remove_index_fast (pending, i);
      else
        i++;
    }
  }
  if (pending->len > 0) {
    return banger_tree_refuse (pending->pdata[0],
                               "it is a hard link to something that is not in the archive", error);
  }
  return TRUE;
}

/* Makes room for one extent more, and counts it. */
static void
make_room (BangerTree *tree, BangerInode *inode, guint32 logical)
{
  BangerExtent one = banger_inode_extent (inode, 0);
  guint32 before = in_array (inode);

  if (inode->is_many) {
    if ((inode->n_extents & (inode->n_extents - 1)) == 0)
      inode->extents.many
          = g_renew (BangerExtent, inode->extents.many, (gsize)inode->n_extents * 2);
  } else if (inode->n_extents > 0 || logical > 0) {
    inode->extents.many = g_new (BangerExtent, inode->n_extents + 1);
    inode->extents.many[0] = one;
    inode->is_many = TRUE;
  }
  inode->n_extents++;
  tree->n_extents += in_array (inode) - before;
}

static BangerExtent *
last_extent (BangerInode *inode, BangerExtent *one)
{
  *one = banger_inode_extent (inode, 0);
  return inode->is_many ? &inode->extents.many[inode->n_extents - 1] : one;
}

gboolean
banger_tree_add_blocks (BangerTree *tree, BangerInode *inode, guint32 logical, guint32 physical,
                        guint32 count)
{
  while (count > 0) {
    BangerExtent one;
    BangerExtent *last = inode->n_extents > 0 ? last_extent (inode, &one) : NULL;
    guint32 run = 0;

    if (last == NULL || last->length == EXTENT_BLOCKS_MAX || logical != last->logical + last->length
        || physical != last->physical + last->length) {
      if (tree->n_extents >= BANGER_TREE_EXTENTS_MAX && (last != NULL || logical > 0))
        return FALSE;
      make_room (tree, inode, logical);
      last = last_extent (inode, &one);
      *last = (BangerExtent){ logical, physical, 0 };
    }
    run = MIN (count, EXTENT_BLOCKS_MAX - last->length);
    last->length += run;
    if (!inode->is_many) {
      inode->extents.one.physical = one.physical;
      inode->extents.one.length = one.length;
    }
    logical += run;
    physical += run;
    count -= run;
  }
  return TRUE;
}

BangerEntry *
banger_tree_next (const BangerEntry *entry)
{
  if (first_child (entry) != NULL)
    return first_child (entry);
  while (entry->next == NULL) {
    if (entry->parent == entry)
      return NULL;
    entry = entry->parent;
  }
  return entry->next;
}
