/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tree-tar.h"

#include "text.h"

#include "common/common.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CHUNK (256u << 10)

typedef struct {
  int fd;
  GPtrArray *names;  /* sorted by their bytes */
  guint next;        /* of the names */
  gsize path_length; /* of the directory's path, with a slash behind it */
} Level;

typedef struct {
  dev_t device;
  ino_t inode;
} LinkKey;

typedef struct {
  const char *directory;
  const BangerTreeTarSpec *spec;
  BangerTarWriter *tar;   /* NULL: it is only measured */
  guint64 bytes, entries; /* so far, where it is */
  GArray *levels;         /* of Level, from the directory down */
  GString *path;          /* of what is looked at, below the directory */
  GHashTable *links;      /* LinkKey to the name in the archive of what has several names */
  dev_t device;
  char *chunk;
} Walk;

/* What is known of an entry: its descriptor, which reads nothing, and all that hangs on it. */
typedef struct {
  int fd;
  char proc[32]; /* the way to what @fd is, through which it can be opened and asked */
  struct stat st;
  char *name; /* in the archive */
  char *target;
  GArray *xattrs;
  GArray *pieces;
} Node;

static guint
link_hash (gconstpointer key)
{
  const LinkKey *link = key;
  guint64 hash = (link->inode ^ (link->device << 32)) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  return hash >> 32;
}

static gboolean
link_equal (gconstpointer a, gconstpointer b)
{
  const LinkKey *x = a, *y = b;

  return x->device == y->device && x->inode == y->inode;
}

static void
level_clear (gpointer data)
{
  Level *level = data;

  banger_clear_fd (&level->fd);
  g_ptr_array_unref (level->names);
}

static void
xattr_clear (gpointer data)
{
  BangerTarXattr *xattr = data;

  g_free ((char *)xattr->name);
  g_free ((void *)xattr->value);
}

static void
node_clear (Node *node)
{
  banger_clear_fd (&node->fd);
  g_free (node->name);
  g_free (node->target);
  g_clear_pointer (&node->xattrs, g_array_unref);
  g_clear_pointer (&node->pieces, g_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Node, node_clear)

static void
walk_clear (Walk *walk)
{
  g_array_unref (walk->levels);
  g_hash_table_unref (walk->links);
  g_string_free (walk->path, TRUE);
  g_free (walk->chunk);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Walk, walk_clear)

static gboolean
fail (Walk *walk, int errnum, GError **error)
{
  g_autofree char *path
      = g_build_filename (walk->directory, walk->path->len > 0 ? walk->path->str : NULL, NULL);
  g_autofree char *shown = banger_text_escape (path, -1);

  banger_set_error (error, errnum == ENOENT ? BANGER_ERROR_NOT_FOUND : BANGER_ERROR_FAILED,
                    "receiving", g_strerror (errnum),
                    errnum == EACCES || errnum == EPERM ? walk->spec->hint : NULL,
                    _ ("cannot read '%s'"), shown);
  return FALSE;
}

static void
note (Walk *walk, const char *what)
{
  if (walk->tar != NULL)
    walk->spec->note (walk->path->str, what, walk->spec->data);
}

gboolean
banger_tree_tar_excludes (const char *const *exclude, const char *path)
{
  const char *slash = strrchr (path, '/');
  const char *name = slash != NULL ? slash + 1 : path;

  for (guint i = 0; exclude != NULL && exclude[i] != NULL; i++) {
    g_autofree char *glob = g_strdup (exclude[i] + strspn (exclude[i], "/"));

    while (g_str_has_suffix (glob, "/"))
      glob[strlen (glob) - 1] = '\0';
    if (strchr (exclude[i], '/') != NULL ? fnmatch (glob, path, FNM_PATHNAME) == 0
                                         : fnmatch (glob, name, 0) == 0)
      return TRUE;
  }
  return FALSE;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *)a, *(char *const *)b);
}

/* The names in the directory @fd, sorted; NULL with errno. */
static GPtrArray *
read_names (int fd)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  int held = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  DIR *dir = held >= 0 ? fdopendir (held) : NULL;
  struct dirent *entry = NULL;
  int errnum = 0;

  if (dir == NULL) {
    banger_clear_fd (&held);
    return NULL;
  }
  errno = 0;
  while ((entry = readdir (dir)) != NULL) {
    if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
      g_ptr_array_add (names, g_strdup (entry->d_name));
    errno = 0;
  }
  errnum = errno;
  closedir (dir);
  errno = errnum;
  if (errnum != 0)
    return NULL;
  g_ptr_array_sort (names, compare_names);
  return g_steal_pointer (&names);
}

/* Goes on with what is in the directory at the walk's path. */
static gboolean
descend (Walk *walk, int fd, GError **error)
{
  Level level = { .fd = fd, .names = read_names (fd) };

  if (level.names == NULL) {
    fail (walk, errno, error);
    banger_clear_fd (&fd);
    return FALSE;
  }
  if (walk->path->len > 0)
    g_string_append_c (walk->path, '/');
  level.path_length = walk->path->len;
  g_array_append_val (walk->levels, level);
  return TRUE;
}

static gboolean
is_kept_xattr (const char *name)
{
  return g_str_has_prefix (name, "user.") || g_str_has_prefix (name, "trusted.")
         || g_str_has_prefix (name, "security.") || g_str_equal (name, "system.posix_acl_access")
         || g_str_equal (name, "system.posix_acl_default");
}

static int
compare_xattrs (gconstpointer a, gconstpointer b)
{
  return strcmp (((const BangerTarXattr *)a)->name, ((const BangerTarXattr *)b)->name);
}

/* A file system without attributes has none; one that went away meanwhile neither. */
static gboolean
read_xattrs (Walk *walk, Node *node, GError **error)
{
  g_autofree char *list = NULL;
  ssize_t length = listxattr (node->proc, NULL, 0), got = 0;

  if (length <= 0)
    return length == 0 || errno == ENOTSUP || fail (walk, errno, error);
  list = g_malloc (XATTR_LIST_MAX);
  length = listxattr (node->proc, list, XATTR_LIST_MAX);
  if (length < 0)
    return fail (walk, errno, error);
  node->xattrs = g_array_new (FALSE, FALSE, sizeof (BangerTarXattr));
  g_array_set_clear_func (node->xattrs, xattr_clear);
  for (const char *name = list; name < list + length; name += strlen (name) + 1) {
    BangerTarXattr xattr = { 0 };

    if (!is_kept_xattr (name))
      continue;
    got = getxattr (node->proc, name, walk->chunk, XATTR_SIZE_MAX);
    if (got < 0 && errno == ENODATA)
      continue;
    if (got < 0)
      return fail (walk, errno, error);
    xattr = (BangerTarXattr){ g_strdup (name), g_memdup2 (walk->chunk, got), got };
    g_array_append_val (node->xattrs, xattr);
  }
  g_array_sort (node->xattrs, compare_xattrs);
  return TRUE;
}

static gboolean
read_target (Walk *walk, Node *node, GError **error)
{
  char target[PATH_MAX];
  ssize_t length = readlinkat (node->fd, "", target, sizeof target);

  if (length < 0)
    return fail (walk, errno, error);
  node->target = g_strndup (target, length);
  return TRUE;
}

static gboolean
may_have_holes (const struct stat *st)
{
  return (guint64)st->st_blocks * 512 < (guint64)st->st_size;
}

/* Where the file's data lie; NULL if it has no holes. */
static GArray *
find_pieces (int fd, const struct stat *st)
{
  g_autoptr (GArray) pieces = g_array_new (FALSE, FALSE, sizeof (BangerTarPiece));
  off_t end = 0;

  if (!may_have_holes (st))
    return NULL;
  while (end < st->st_size) {
    BangerTarPiece piece = { 0 };
    off_t data = lseek (fd, end, SEEK_DATA);

    if (data < 0 && errno == ENXIO)
      break;
    end = data >= 0 ? lseek (fd, data, SEEK_HOLE) : -1;
    if (end < 0)
      return NULL;
    if (data >= st->st_size)
      break;
    end = MIN (end, st->st_size);
    piece = (BangerTarPiece){ data, end - data };
    if (piece.length == (guint64)st->st_size)
      return NULL;
    g_array_append_val (pieces, piece);
  }
  return g_steal_pointer (&pieces);
}

/* A file that became shorter is filled up with zeros: what follows must be where it was said. */
static gboolean
copy_piece (Walk *walk, int fd, const BangerTarPiece *piece, gboolean *cut, GError **error)
{
  guint64 done = 0;

  while (done < piece->length) {
    gsize want = MIN (CHUNK, piece->length - done);
    ssize_t n = TEMP_FAILURE_RETRY (pread (fd, walk->chunk, want, piece->offset + done));

    if (n < 0)
      return fail (walk, errno, error);
    if (n == 0) {
      *cut = TRUE;
      memset (walk->chunk, 0, want);
      n = want;
    }
    if (!banger_tar_writer_data (walk->tar, walk->chunk, n, error))
      return FALSE;
    done += n;
  }
  return TRUE;
}

static gboolean
copy_data (Walk *walk, Node *node, int fd, GError **error)
{
  const BangerTarPiece all = { 0, node->st.st_size };
  guint n = node->pieces != NULL ? node->pieces->len : 1;
  gboolean cut = FALSE;

  for (guint i = 0; i < n; i++) {
    const BangerTarPiece *piece
        = node->pieces != NULL ? &g_array_index (node->pieces, BangerTarPiece, i) : &all;

    if (!copy_piece (walk, fd, piece, &cut, error))
      return FALSE;
  }
  if (cut)
    note (walk, _ ("became shorter while it was read, zeros took the place of its end"));
  return TRUE;
}

/* The name under which the archive already has the file, or NULL; the first is kept in mind. */
static const char *
find_link (Walk *walk, const Node *node)
{
  const LinkKey key = { node->st.st_dev, node->st.st_ino };
  const char *first = NULL;

  if (S_ISDIR (node->st.st_mode) || node->st.st_nlink < 2)
    return NULL;
  first = g_hash_table_lookup (walk->links, &key);
  if (first == NULL)
    g_hash_table_insert (walk->links, g_memdup2 (&key, sizeof key), g_strdup (node->name));
  return first;
}

/* What the writer refuses is about the entry, unless nobody reads any more. */
static gboolean
add_entry (Walk *walk, const BangerTarEntry *entry, GError **error)
{
  g_autofree char *shown = NULL, *label = NULL;

  if (banger_tar_writer_add (walk->tar, entry, error))
    return TRUE;
  shown = banger_text_escape (walk->path->str, -1);
  label = g_strdup_printf ("'%s'", shown);
  banger_error_name_object (error, label);
  return FALSE;
}

static gboolean
add_node (Walk *walk, Node *node, GError **error)
{
  const struct stat *st = &node->st;
  const BangerTreeOwner *owner = walk->spec->owner;
  banger_autofd int fd = -1;
  BangerTarEntry entry = { .path = node->name,
                           .mode = st->st_mode,
                           .uid = owner != NULL ? owner->uid : st->st_uid,
                           .gid = owner != NULL ? owner->gid : st->st_gid,
                           .mtime = st->st_mtim.tv_sec,
                           .mtime_nsec = st->st_mtim.tv_nsec,
                           .major = major (st->st_rdev),
                           .minor = minor (st->st_rdev) };

  entry.hard_link = find_link (walk, node);
  if (entry.hard_link != NULL)
    return add_entry (walk, &entry, error);
  if (!read_xattrs (walk, node, error)
      || (S_ISLNK (st->st_mode) && !read_target (walk, node, error)))
    return FALSE;
  if (S_ISREG (st->st_mode)) {
    fd = open (node->proc, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
      return fail (walk, errno, error);
    node->pieces = find_pieces (fd, st);
  }
  entry.size = st->st_size;
  entry.target = node->target;
  entry.xattrs = node->xattrs;
  entry.pieces = node->pieces;
  return add_entry (walk, &entry, error) && (fd < 0 || copy_data (walk, node, fd, error));
}

static void
measure_node (Walk *walk, Node *node)
{
  banger_autofd int fd = -1;

  walk->entries++;
  if (!S_ISREG (node->st.st_mode) || find_link (walk, node) != NULL)
    return;
  if (may_have_holes (&node->st))
    fd = open (node->proc, O_RDONLY | O_CLOEXEC);
  node->pieces = fd >= 0 ? find_pieces (fd, &node->st) : NULL;
  for (guint i = 0; node->pieces != NULL && i < node->pieces->len; i++)
    walk->bytes += g_array_index (node->pieces, BangerTarPiece, i).length;
  if (node->pieces == NULL)
    walk->bytes += node->st.st_size;
}

static gboolean
take_node (Walk *walk, Node *node, GError **error)
{
  if (walk->tar != NULL)
    return add_node (walk, node, error);
  measure_node (walk, node);
  return TRUE;
}

static gboolean
enter (Walk *walk, Node *node, GError **error)
{
  int fd = -1;

  if (node->st.st_dev != walk->device) {
    note (walk, _ ("another file system is mounted there, its files were left out"));
    return TRUE;
  }
  fd = open (node->proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return fd >= 0 ? descend (walk, fd, error) : fail (walk, errno, error);
}

/* What has @name in the directory @dir, and with that the walk's path. */
static gboolean
visit (Walk *walk, int dir, const char *name, GError **error)
{
  g_auto (Node) node = { .fd = openat (dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) };

  if (node.fd < 0 && errno == ENOENT) {
    note (walk, _ ("it went away while the directory was read"));
    return TRUE;
  }
  if (node.fd < 0 || fstat (node.fd, &node.st) < 0)
    return fail (walk, errno, error);
  if (S_ISSOCK (node.st.st_mode)) {
    note (walk, _ ("left out: it is a socket"));
    return TRUE;
  }
  g_snprintf (node.proc, sizeof node.proc, "/proc/self/fd/%d", node.fd);
  node.name = g_build_filename (walk->spec->prefix, walk->path->str, NULL);
  return take_node (walk, &node, error)
         && (!S_ISDIR (node.st.st_mode) || enter (walk, &node, error));
}

/* The directory itself; a link to it is followed. */
static gboolean
visit_top (Walk *walk, GError **error)
{
  banger_autofd int fd = open (walk->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  g_auto (Node) node = { .fd = -1, .name = g_strdup (walk->spec->prefix) };

  if (fd < 0 || fstat (fd, &node.st) < 0)
    return fail (walk, errno, error);
  walk->device = node.st.st_dev;
  g_snprintf (node.proc, sizeof node.proc, "/proc/self/fd/%d", fd);
  return take_node (walk, &node, error) && descend (walk, banger_steal_fd (&fd), error);
}

static gboolean
walk_all (Walk *walk, GError **error)
{
  walk->levels = g_array_new (FALSE, FALSE, sizeof (Level));
  g_array_set_clear_func (walk->levels, level_clear);
  walk->path = g_string_new (NULL);
  walk->links = g_hash_table_new_full (link_hash, link_equal, g_free, g_free);
  walk->chunk = g_malloc (CHUNK);
  if (!visit_top (walk, error))
    return FALSE;
  while (walk->levels->len > 0) {
    Level *level = &g_array_index (walk->levels, Level, walk->levels->len - 1);
    const char *name = NULL;

    if (level->next == level->names->len) {
      g_array_set_size (walk->levels, walk->levels->len - 1);
      continue;
    }
    name = level->names->pdata[level->next++];
    g_string_truncate (walk->path, level->path_length);
    g_string_append (walk->path, name);
    if (!banger_tree_tar_excludes (walk->spec->exclude, walk->path->str)
        && !visit (walk, level->fd, name, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
banger_tree_tar_write (const char *directory, BangerTarWriter *tar, const BangerTreeTarSpec *spec,
                       GError **error)
{
  g_auto (Walk) walk = { .directory = directory, .spec = spec, .tar = tar };

  return walk_all (&walk, error) && banger_tar_writer_finish (tar, error);
}

gboolean
banger_tree_tar_measure (const char *directory, const BangerTreeTarSpec *spec, guint64 *bytes,
                         guint64 *entries, GError **error)
{
  g_auto (Walk) walk = { .directory = directory, .spec = spec };
  gboolean ok = walk_all (&walk, error);

  *bytes = walk.bytes;
  *entries = walk.entries;
  return ok;
}
