/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ways through a view: from a path to what it leads to. */
#include "layers.h"

#include <string.h>

#define LINKS_FOLLOWED_MAX 40 /* as Linux: path_resolution(7) */
#define PATH_BYTES_MAX 4095
/* A guest can nest deeper than it can name. */
#define DEPTH_MAX 4096

static void
step_clear (gpointer data)
{
  g_free (((BangerStep *)data)->name);
}

BangerStep *
banger_walk_last (BangerWalk *walk)
{
  return &g_array_index (walk->steps, BangerStep, walk->steps->len - 1);
}

BangerStep *
banger_walk_parent (BangerWalk *walk)
{
  if (walk->missing != NULL)
    return banger_walk_last (walk);
  return walk->steps->len < 2 ? NULL
                              : &g_array_index (walk->steps, BangerStep, walk->steps->len - 2);
}

const char *
banger_walk_name (BangerWalk *walk)
{
  return walk->missing != NULL ? walk->missing : banger_walk_last (walk)->name;
}

char *
banger_walk_place (BangerWalk *walk)
{
  if (walk->missing != NULL)
    return g_strconcat (walk->path->str, "/", walk->missing, NULL);
  return g_strdup (walk->path->len > 0 ? walk->path->str : "/");
}

void
banger_walk_refuse (BangerWalk *walk, BangerErrorCode code, const char *cause, const char *hint,
                    GError **error)
{
  g_autofree char *escaped = banger_disk_escape (walk->given);

  banger_set_error (error, code, NULL, cause, hint, "'%s' cannot be used", escaped);
}

gboolean
banger_walk_require (BangerWalk *walk, GError **error)
{
  if (walk->missing != NULL)
    banger_walk_refuse (walk, BANGER_ERROR_NOT_FOUND, "it is not there", NULL, error);
  return walk->missing == NULL;
}

gboolean
banger_walk_require_folder (BangerWalk *walk, GError **error)
{
  if (!banger_walk_require (walk, error))
    return FALSE;
  if (S_ISDIR (banger_walk_last (walk)->node.mode))
    return TRUE;
  banger_walk_refuse (walk, BANGER_ERROR_INVALID_ARGUMENT, "it is no folder", NULL, error);
  return FALSE;
}

/* The branch that begins at @path, or NULL. */
static BangerBranch *
branch_at (BangerDiskView *view, const char *path)
{
  for (guint i = 1; i < view->branches->len; i++) {
    BangerBranch *branch = view->branches->pdata[i];

    if (g_str_equal (branch->path, path))
      return branch;
  }
  return NULL;
}

static gboolean
lies_below (const char *path, const char *folder)
{
  gsize length = strlen (folder);

  return strncmp (path, folder, length) == 0 && path[length] == '/';
}

gboolean
banger_walk_is_mounted (BangerWalk *walk)
{
  for (guint i = 0; i < walk->view->branches->len; i++) {
    const BangerBranch *branch = walk->view->branches->pdata[i];

    if (g_str_equal (branch->path, walk->path->str) || lies_below (branch->path, walk->path->str))
      return TRUE;
  }
  return FALSE;
}

static void
push (BangerWalk *walk, const BangerNode *node, const char *name)
{
  BangerStep step = { *node, g_strdup (name), 0 };

  if (name != NULL)
    g_string_append_printf (walk->path, "/%s", name);
  step.length = walk->path->len;
  g_array_append_val (walk->steps, step);
}

void
banger_walk_up (BangerWalk *walk)
{
  g_array_set_size (walk->steps, walk->steps->len - 1);
  g_string_truncate (walk->path, banger_walk_last (walk)->length);
}

static BangerNode
top_of (BangerBranch *branch)
{
  return (BangerNode){ branch, branch->top, branch->lower != NULL ? EXT2_ROOT_INO : 0, S_IFDIR };
}

gboolean
banger_walk_down (BangerWalk *walk, const char *name, GError **error)
{
  g_autofree char *path = g_strconcat (walk->path->str, "/", name, NULL);
  BangerBranch *branch = branch_at (walk->view, path);
  BangerNode node;

  if (branch != NULL)
    node = top_of (branch);
  else if (!banger_node_child (walk->view, &banger_walk_last (walk)->node, name, &node, walk->given,
                               error))
    return FALSE;
  if (!banger_node_is_there (&node) && branch == NULL)
    return FALSE;
  push (walk, &node, name);
  return TRUE;
}

/* What is still to be gone: the next name last. */
static void
add_names (GPtrArray *todo, const char *path)
{
  g_auto (GStrv) names = g_strsplit (path, "/", -1);

  for (guint n = g_strv_length (names); n > 0; n--) {
    if (*names[n - 1] != '\0' && !g_str_equal (names[n - 1], "."))
      g_ptr_array_add (todo, g_strdup (names[n - 1]));
  }
}

static gboolean
follow_link (BangerWalk *walk, GPtrArray *todo, GError **error)
{
  const BangerNode node = banger_walk_last (walk)->node;
  char target[BANGER_TARGET_MAX];
  BangerRawInode inode;
  errcode_t code = 0;

  if (walk->view->no_links) {
    banger_walk_refuse (walk, BANGER_ERROR_BAD_IMAGE, "a link takes the place of a folder above it",
                        "start the VM and look at it there", error);
    return FALSE;
  }
  if (walk->view->barred != NULL && g_hash_table_contains (walk->view->barred, walk->path->str)) {
    banger_walk_refuse (walk, BANGER_ERROR_BAD_IMAGE, "the archive leads through a link of its own",
                        NULL, error);
    return FALSE;
  }
  if (++walk->links > LINKS_FOLLOWED_MAX) {
    banger_walk_refuse (walk, BANGER_ERROR_INVALID_ARGUMENT,
                        "too many links follow one another, or they lead in a circle", NULL, error);
    return FALSE;
  }
  code = banger_fs_read_inode (banger_node_fs (&node), banger_node_ino (&node), &inode);
  if (code == 0)
    code = banger_fs_read_target (banger_node_fs (&node), banger_node_ino (&node), &inode, target);
  if (code != 0)
    return banger_view_fail (walk->view, error, code, walk->given);
  banger_walk_up (walk);
  while (*target == '/' && walk->steps->len > 1)
    banger_walk_up (walk);
  add_names (todo, target);
  return TRUE;
}

static gboolean
take_name (BangerWalk *walk, const char *name, GPtrArray *todo, gboolean follow, GError **error)
{
  g_autoptr (GError) failure = NULL;

  if (!S_ISDIR (banger_walk_last (walk)->node.mode)) {
    banger_walk_refuse (walk, BANGER_ERROR_NOT_FOUND, "what should be a folder above it is none",
                        NULL, error);
    return FALSE;
  }
  if (g_str_equal (name, "..")) {
    if (walk->steps->len > 1)
      banger_walk_up (walk);
    return TRUE;
  }
  if (strlen (name) > EXT2_NAME_LEN) {
    banger_walk_refuse (walk, BANGER_ERROR_INVALID_ARGUMENT, "a name has more than 255 bytes", NULL,
                        error);
    return FALSE;
  }
  if (banger_walk_down (walk, name, &failure))
    return !S_ISLNK (banger_walk_last (walk)->node.mode) || (todo->len == 0 && !follow)
           || follow_link (walk, todo, error);
  if (failure != NULL) {
    g_propagate_error (error, g_steal_pointer (&failure));
    return FALSE;
  }
  if (todo->len > 0) {
    banger_walk_refuse (walk, BANGER_ERROR_NOT_FOUND, "a folder above it is not there", NULL,
                        error);
    return FALSE;
  }
  walk->missing = g_strdup (name);
  return TRUE;
}

static gboolean
check_path (BangerWalk *walk, GError **error)
{
  gsize length = strlen (walk->given);

  if (length > 0 && length <= PATH_BYTES_MAX)
    return TRUE;
  banger_walk_refuse (walk, BANGER_ERROR_INVALID_ARGUMENT,
                      length == 0 ? "a path is not empty" : "a path has at most 4095 bytes", NULL,
                      error);
  return FALSE;
}

gboolean
banger_walk_init (BangerWalk *walk, BangerDiskView *view, const char *path, gboolean follow,
                  GError **error)
{
  g_autoptr (GPtrArray) todo = g_ptr_array_new_with_free_func (g_free);
  gboolean folder = g_str_has_suffix (path, "/");
  BangerNode top = top_of (view->branches->pdata[0]);

  *walk = (BangerWalk){ .view = view, .given = path };
  walk->steps = g_array_new (FALSE, TRUE, sizeof (BangerStep));
  g_array_set_clear_func (walk->steps, step_clear);
  walk->path = g_string_new (NULL);
  push (walk, &top, NULL);
  if (!check_path (walk, error))
    return FALSE;
  add_names (todo, path);
  while (todo->len > 0) {
    g_autofree char *name = g_ptr_array_steal_index (todo, todo->len - 1);

    if (!take_name (walk, name, todo, follow || folder, error))
      return FALSE;
  }
  return !folder || walk->missing != NULL || banger_walk_require_folder (walk, error);
}

void
banger_walk_clear (BangerWalk *walk)
{
  g_clear_pointer (&walk->steps, g_array_unref);
  g_clear_pointer (&walk->missing, g_free);
  if (walk->path != NULL)
    g_string_free (g_steal_pointer (&walk->path), TRUE);
}

static void
add_mounted (BangerWalk *walk, GPtrArray *names)
{
  for (guint i = 1; i < walk->view->branches->len; i++) {
    const char *path = ((BangerBranch *)walk->view->branches->pdata[i])->path;
    const char *name = strrchr (path, '/') + 1;

    if ((gsize)(name - 1 - path) == walk->path->len && g_str_has_prefix (path, walk->path->str)
        && !g_ptr_array_find_with_equal_func (names, name, g_str_equal, NULL))
      g_ptr_array_add (names, g_strdup (name));
  }
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

gboolean
banger_walk_list (BangerWalk *walk, GPtrArray **names, GError **error)
{
  guint own = 0;

  if (!banger_node_list (walk->view, &banger_walk_last (walk)->node, names, walk->given, error))
    return FALSE;
  own = (*names)->len;
  add_mounted (walk, *names);
  if ((*names)->len > own)
    g_ptr_array_sort (*names, compare_names);
  return TRUE;
}

/* ── Whole trees ─────────────────────────────────────────────────────────────────────────────── */

/* A guest can write a folder that lies in itself: none is entered twice. */
static gboolean
note_folder (BangerWalk *walk, GHashTable *seen, GError **error)
{
  const BangerNode *node = &banger_walk_last (walk)->node;
  /* Layers are few: a number of an inode of theirs fits beside their own. */
  guint64 place
      = node->upper != 0 ? (guint64)(node->branch->layer->fd + 1) << 32 | node->upper : node->lower;

  if (walk->steps->len <= DEPTH_MAX && g_hash_table_add (seen, g_memdup2 (&place, sizeof place)))
    return TRUE;
  banger_walk_refuse (walk, BANGER_ERROR_BAD_IMAGE, "folders lie in themselves, or too deep",
                      "start the VM and look at it there", error);
  return FALSE;
}

static gboolean
walk_tree (BangerWalk *walk, GHashTable *seen, BangerWalkFunc func, gpointer data, GError **error)
{
  g_autoptr (GPtrArray) names = NULL;
  errcode_t code = 0;

  code = banger_view_moved (walk->view, 0);
  if (code != 0)
    return banger_view_fail (walk->view, error, code, walk->path->str);
  if (!func (walk, data, error))
    return FALSE;
  if (!S_ISDIR (banger_walk_last (walk)->node.mode))
    return TRUE;
  if (!note_folder (walk, seen, error) || !banger_walk_list (walk, &names, error))
    return FALSE;
  for (guint i = 0; i < names->len; i++) {
    g_autoptr (GError) failure = NULL;
    gboolean ok = TRUE;

    if (!banger_walk_down (walk, names->pdata[i], &failure)) {
      if (failure == NULL)
        continue;
      g_propagate_error (error, g_steal_pointer (&failure));
      return FALSE;
    }
    ok = walk_tree (walk, seen, func, data, error);
    banger_walk_up (walk);
    if (!ok)
      return FALSE;
  }
  return TRUE;
}

gboolean
banger_walk_tree (BangerWalk *walk, BangerWalkFunc func, gpointer data, GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_int64_hash, g_int64_equal, g_free, NULL);

  return walk_tree (walk, seen, func, data, error);
}
