/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree.h"

#include <string.h>

#define NAME_BYTES_MAX 255      /* EXT2_NAME_LEN */
#define EXTENT_BLOCKS_MAX 32768 /* EXT_INIT_MAX_LEN */
#define ESCAPED_MAX 200
#define LINK_ROUNDS_MAX 64
/* Entries may come for each that may stay, the rest being replaced. */
#define REPLACED_MAX 4

typedef struct {
  char *path;
  char *target;
} PendingLink;

static void
pending_free (gpointer data)
{
  PendingLink *pending = data;

  g_free (pending->path);
  g_free (pending->target);
  g_free (pending);
}

static void
xattr_free (gpointer data)
{
  BangerXattr *xattr = data;

  g_free (xattr->name);
  g_free (xattr->value);
  g_free (xattr);
}

static guint32
hash_name (const BangerEntry *parent, const char *name, gsize length)
{
  guint64 hash = (guint64)(guintptr)parent * 0x9e3779b97f4a7c15u;

  for (gsize i = 0; i < length; i++)
    hash = (hash ^ (guint8)name[i]) * 0x100000001b3u;
  return hash ^ (hash >> 32);
}

static guint
entry_hash (gconstpointer key)
{
  return ((const BangerEntry *)key)->hash;
}

static gboolean
entry_equal (gconstpointer a, gconstpointer b)
{
  const BangerEntry *x = a, *y = b;

  return x->hash == y->hash && x->parent == y->parent && x->name_length == y->name_length
         && memcmp (x->name, y->name, x->name_length) == 0;
}

static void
inode_unref (BangerTree *tree, BangerInode *inode)
{
  if (--inode->names > 0)
    return;
  tree->n_extents -= inode->n_extents;
  if (inode->xattrs != NULL)
    g_ptr_array_unref (inode->xattrs);
  g_free (inode->extents);
  g_free (inode->target);
  g_free (inode);
}

static BangerEntry *
entry_new (BangerEntry *parent, const char *name, gsize length, BangerInode *inode)
{
  BangerEntry *entry = g_malloc (sizeof *entry + length);

  *entry = (BangerEntry){ .parent = parent,
                          .inode = inode,
                          .hash = hash_name (parent, name, length),
                          .depth = parent != NULL ? parent->depth + 1 : 0,
                          .name_length = length };
  memcpy (entry->name, name, length);
  inode->names++;
  return entry;
}

static void
attach (BangerTree *tree, BangerEntry *entry)
{
  BangerInode *dir = entry->parent->inode;

  entry->previous = dir->last_child;
  if (dir->last_child != NULL)
    dir->last_child->next = entry;
  else
    dir->first_child = entry;
  dir->last_child = entry;
  g_hash_table_add (tree->entries, entry);
}

static void
detach (BangerTree *tree, BangerEntry *entry)
{
  BangerInode *dir = entry->parent->inode;

  if (entry->previous != NULL)
    entry->previous->next = entry->next;
  else
    dir->first_child = entry->next;
  if (entry->next != NULL)
    entry->next->previous = entry->previous;
  else
    dir->last_child = entry->previous;
  g_hash_table_remove (tree->entries, entry);
}

/* With everything below it, deepest first, without recursion: depth is the archive's choice. */
static void
remove_entry (BangerTree *tree, BangerEntry *top)
{
  BangerEntry *entry = top;

  for (;;) {
    BangerEntry *parent = entry->parent;
    gboolean last = entry == top;

    if (entry->inode->first_child != NULL) {
      entry = entry->inode->first_child;
      continue;
    }
    detach (tree, entry);
    inode_unref (tree, entry->inode);
    g_free (entry);
    if (last)
      return;
    entry = parent;
  }
}

BangerTree *
banger_tree_new (void)
{
  BangerTree *tree = g_new0 (BangerTree, 1);
  BangerInode *inode = g_new0 (BangerInode, 1);

  inode->mode = S_IFDIR | 0755;
  tree->entries_max = BANGER_DISK_ENTRIES_MAX;
  tree->entries = g_hash_table_new (entry_hash, entry_equal);
  tree->pending = g_ptr_array_new_with_free_func (pending_free);
  tree->root = entry_new (NULL, "", 0, inode);
  tree->root->parent = tree->root;
  return tree;
}

void
banger_tree_free (BangerTree *tree)
{
  while (tree->root->inode->first_child != NULL)
    remove_entry (tree, tree->root->inode->first_child);
  tree->root->inode->names = 1;
  inode_unref (tree, tree->root->inode);
  g_free (tree->root);
  g_hash_table_unref (tree->entries);
  g_ptr_array_unref (tree->pending);
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

static void
refuse (GError **error, const char *path, const char *cause)
{
  g_autofree char *escaped = banger_disk_escape (path);

  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, NULL, cause, NULL, "entry '%s' cannot be stored",
                    escaped);
}

BangerEntry *
banger_tree_find (BangerTree *tree, BangerEntry *parent, const char *name, gsize length)
{
  g_autofree BangerEntry *key = g_malloc (sizeof *key + length);

  *key = (BangerEntry){ .parent = parent,
                        .hash = hash_name (parent, name, length),
                        .name_length = length };
  memcpy (key->name, name, length);
  return g_hash_table_lookup (tree->entries, key);
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

  if (g_hash_table_size (tree->entries) + count <= tree->entries_max
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
  BangerInode *inode = g_new0 (BangerInode, 1);
  BangerEntry *entry = entry_new (parent, name, length, inode);

  inode->mode = S_IFDIR | 0755;
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
      refuse (error, path, "its name climbs out with '..'");
      return NULL;
    }
    if (*length > NAME_BYTES_MAX || dir->depth >= BANGER_TREE_DEPTH_MAX) {
      refuse (error, path, "its name is too long or lies too deep");
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
      refuse (error, path,
              S_ISLNK (child->inode->mode)
                  ? "its path leads through a symbolic link"
                  : "its path leads through something that is not a directory");
      return NULL;
    }
    dir = child;
    *name = next;
    *length = next_length;
  }
  return dir;
}

static void
set_meta (BangerInode *inode, const BangerDiskMeta *meta)
{
  /* Linux gives every symbolic link this mode, whatever an archive says. */
  inode->mode = S_ISLNK (meta->mode) ? S_IFLNK | 0777 : meta->mode;
  inode->uid = meta->uid;
  inode->gid = meta->gid;
  inode->mtime = meta->mtime;
  inode->mtime_nsec = meta->mtime_nsec;
  inode->major = meta->major;
  inode->minor = meta->minor;
  g_clear_pointer (&inode->xattrs, g_ptr_array_unref);
}

BangerEntry *
banger_tree_add (BangerTree *tree, const char *path, const BangerDiskMeta *meta, GError **error)
{
  const char *name = NULL;
  gsize length = 0;
  BangerEntry *dir = find_parent (tree, path, &name, &length, error);
  BangerEntry *entry = NULL;

  if (dir == NULL)
    return NULL;
  entry = name != NULL ? banger_tree_find (tree, dir, name, length) : tree->root;
  if (!check_room (tree, entry == NULL ? 1 : 0, path, error))
    return NULL;
  if (entry == tree->root && !S_ISDIR (meta->mode)) {
    refuse (error, path, "the root must be a directory");
    return NULL;
  }
  if (entry != NULL && S_ISDIR (meta->mode) && S_ISDIR (entry->inode->mode)) {
    set_meta (entry->inode, meta);
    return entry;
  }
  if (entry != NULL)
    remove_entry (tree, entry);
  entry = entry_new (dir, name, length, g_new0 (BangerInode, 1));
  set_meta (entry->inode, meta);
  if (S_ISLNK (meta->mode) && strlen (meta->target) <= BANGER_FAST_TARGET_MAX) {
    entry->inode->target = g_strdup (meta->target);
    entry->inode->size = strlen (meta->target);
  }
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

static gboolean
link_to (BangerTree *tree, const char *path, BangerEntry *target, GError **error)
{
  const char *name = NULL;
  gsize length = 0;
  BangerEntry *dir = NULL, *old = NULL;

  if (S_ISDIR (target->inode->mode)) {
    refuse (error, path, "it is a hard link to a directory");
    return FALSE;
  }
  if (target->inode->names >= G_MAXUINT16 - 1) {
    refuse (error, path, "its target has more hard links than ext4 can count");
    return FALSE;
  }
  dir = find_parent (tree, path, &name, &length, error);
  if (dir == NULL)
    return FALSE;
  old = name != NULL ? banger_tree_find (tree, dir, name, length) : tree->root;
  if (!check_room (tree, old == NULL ? 1 : 0, path, error))
    return FALSE;
  if (old == target)
    return TRUE;
  if (old == tree->root || (old != NULL && S_ISDIR (old->inode->mode))) {
    refuse (error, path, "a hard link cannot take the place of a directory");
    return FALSE;
  }
  if (old != NULL && old->inode == target->inode)
    return TRUE;
  if (old != NULL)
    remove_entry (tree, old);
  attach (tree, entry_new (dir, name, length, target->inode));
  return TRUE;
}

gboolean
banger_tree_link (BangerTree *tree, const char *path, const char *target, GError **error)
{
  BangerEntry *there = look_up (tree, target);
  BangerEntry *old = look_up (tree, path);
  PendingLink *pending = NULL;

  if (there != NULL && there == old) {
    refuse (error, path, "it is a hard link to itself");
    return FALSE;
  }
  if (there != NULL)
    return link_to (tree, path, there, error);
  tree->pending_bytes += strlen (path) + strlen (target) + sizeof *pending;
  if (tree->pending_bytes > BANGER_TREE_PENDING_BYTES_MAX) {
    refuse (error, path, "too many hard links come before their targets");
    return FALSE;
  }
  if (old != NULL && !S_ISDIR (old->inode->mode))
    remove_entry (tree, old);
  pending = g_new (PendingLink, 1);
  *pending = (PendingLink){ g_strdup (path), g_strdup (target) };
  g_ptr_array_add (tree->pending, pending);
  return TRUE;
}

gboolean
banger_tree_settle (BangerTree *tree, GError **error)
{
  /* A link may wait for another, so go round; a chain that is longer than any real one is refused
   * below, as its length squared would be the time it takes. */
  for (guint round = 0; tree->pending->len > 0 && round < LINK_ROUNDS_MAX; round++) {
    for (guint i = 0; i < tree->pending->len;) {
      PendingLink *pending = tree->pending->pdata[i];
      BangerEntry *target = look_up (tree, pending->target);

      /* What came later at the link's own path has taken its place. */
      if (look_up (tree, pending->path) == NULL) {
        if (target == NULL) {
          i++;
          continue;
        }
        if (!link_to (tree, pending->path, target, error))
          return FALSE;
      }
      g_ptr_array_remove_index_fast (tree->pending, i);
    }
  }
  if (tree->pending->len > 0) {
    PendingLink *pending = tree->pending->pdata[0];

    refuse (error, pending->path, "it is a hard link to something that is not in the archive");
    return FALSE;
  }
  return TRUE;
}

gboolean
banger_tree_add_block (BangerTree *tree, BangerInode *inode, guint32 logical, guint64 physical)
{
  BangerExtent *last = inode->n_extents > 0 ? &inode->extents[inode->n_extents - 1] : NULL;

  if (last != NULL && last->length < EXTENT_BLOCKS_MAX && logical == last->logical + last->length
      && physical == last->physical + last->length) {
    last->length++;
    return TRUE;
  }
  if (tree->n_extents >= BANGER_TREE_EXTENTS_MAX)
    return FALSE;
  if ((inode->n_extents & (inode->n_extents - 1)) == 0)
    inode->extents = g_renew (BangerExtent, inode->extents, MAX (1, inode->n_extents * 2));
  inode->extents[inode->n_extents++] = (BangerExtent){ logical, 1, physical };
  tree->n_extents++;
  return TRUE;
}

gboolean
banger_tree_add_xattr (BangerTree *tree, BangerInode *inode, const char *name, const void *value,
                       gsize length)
{
  BangerXattr *xattr = NULL;

  tree->xattr_bytes += length + strlen (name) + sizeof *xattr;
  if (tree->xattr_bytes > BANGER_TREE_XATTR_BYTES_MAX)
    return FALSE;
  if (inode->xattrs == NULL)
    inode->xattrs = g_ptr_array_new_with_free_func (xattr_free);
  xattr = g_new (BangerXattr, 1);
  *xattr = (BangerXattr){ g_strdup (name), g_memdup2 (value, length), length };
  g_ptr_array_add (inode->xattrs, xattr);
  return TRUE;
}

BangerEntry *
banger_tree_next (const BangerEntry *entry)
{
  if (entry->inode->first_child != NULL)
    return entry->inode->first_child;
  while (entry->next == NULL) {
    if (entry->parent == entry)
      return NULL;
    entry = entry->parent;
  }
  return entry->next;
}
