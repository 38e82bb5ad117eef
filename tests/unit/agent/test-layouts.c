/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the agent finds and changes in the trees of other distributions
 * (tests/fixtures/layouts.py). */
#include "agent/identity.h"
#include "agent/inits.h"
#include "agent/root.h"
#include "common/common.h"

#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  char kind; /* directory, link, file, program */
  const char *path, *what;
} LayoutNode;

typedef struct {
  const char *name, *init, *path;
  gboolean merged;
  const LayoutNode *nodes;
} Layout;

#include "layouts.h"

typedef struct {
  char *path;
  int fd;
} Tree;

static void
add_node (const Tree *tree, const LayoutNode *node)
{
  g_autofree char *path = g_build_filename (tree->path, node->path, NULL);

  switch (node->kind) {
  case 'f':
  case 'p':
    g_assert_true (g_file_set_contents (path, node->what, -1, NULL));
    g_assert_cmpint (chmod (path, node->kind == 'p' ? 0755 : 0644), ==, 0);
    break;
  case 'l':
    g_assert_cmpint (symlink (node->what, path), ==, 0);
    break;
  default:
    g_assert_cmpint (mkdir (path, 0755), ==, 0);
  }
}

static void
set_up (Tree *tree, gconstpointer data)
{
  const Layout *layout = data;

  tree->path = g_dir_make_tmp ("banger-layout-XXXXXX", NULL);
  g_assert_nonnull (tree->path);
  tree->fd = open (tree->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (const LayoutNode *node = layout->nodes; node->kind != 0; node++)
    add_node (tree, node);
}

static void
tear_down (Tree *tree, gconstpointer data)
{
  g_assert_true (banger_remove_tree_at (AT_FDCWD, tree->path, NULL));
  g_free (tree->path);
  close (tree->fd);
}

static char *
read_file (const Tree *tree, const char *name)
{
  g_autofree char *path = g_build_filename (tree->path, name, NULL);
  char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return text;
}

static void
test_init (Tree *tree, gconstpointer data)
{
  const Layout *layout = data;
  const char *path;

  g_assert_cmpstr (agent_init_to_string (agent_find_init (tree->fd, &path)), ==, layout->init);
  g_assert_cmpstr (path, ==, layout->path);
}

/* Both ways to the modules lead to what is mounted in one of them. */
static void
test_modules (Tree *tree, gconstpointer data)
{
  const Layout *layout = data;
  int usr = agent_make_dir_in (tree->fd, "/usr/lib/modules/6.1", 0755);
  int lib = agent_make_dir_in (tree->fd, "/lib/modules/6.1", 0755);
  struct stat a, b;

  g_assert_cmpint (fstat (usr, &a), ==, 0);
  g_assert_cmpint (fstat (lib, &b), ==, 0);
  g_assert_cmpint (a.st_ino == b.st_ino, ==, layout->merged);
  close (usr);
  close (lib);
}

/* /var/run is a link, and what is made below it lies in /run. */
static void
test_run (Tree *tree, gconstpointer data)
{
  int below = agent_make_dir_in (tree->fd, "/var/run/banger", 0755);
  g_autofree char *path = g_build_filename (tree->path, "run/banger", NULL);
  struct stat a, b;

  g_assert_cmpint (fstat (below, &a), ==, 0);
  g_assert_cmpint (stat (path, &b), ==, 0);
  g_assert_cmpuint (a.st_ino, ==, b.st_ino);
  close (below);
}

/* What mounts nothing that is missing here is left as it was. */
static void
test_identity (Tree *tree, gconstpointer data)
{
  AgentBootConf conf = { .search = "vm", .nameservers = { .items = { "1.1.1.1" }, .n = 1 } };
  AgentState state = { 0 };
  g_autofree char *before = read_file (tree, "etc/fstab");
  g_autofree char *after = NULL, *resolver = NULL;
  g_autofree char *id = g_build_filename (tree->path, "etc/machine-id", NULL);

  agent_trim_fstab (tree->fd);
  agent_write_machine_id (tree->fd, true);
  agent_write_resolver (&conf, &state, tree->fd);
  after = read_file (tree, "etc/fstab");
  resolver = read_file (tree, "etc/resolv.conf");
  g_assert_cmpstr (before, ==, after);
  g_assert_cmpstr (resolver, ==, "nameserver 1.1.1.1\nsearch vm\n");
  g_assert_false (g_file_test (id, G_FILE_TEST_EXISTS));
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*func) (Tree *tree, gconstpointer data);
  } tests[] = { { "init", test_init },
                { "modules", test_modules },
                { "run", test_run },
                { "identity", test_identity } };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (layouts); i++) {
    for (guint j = 0; j < G_N_ELEMENTS (tests); j++) {
      g_autofree char *path
          = g_strdup_printf ("/agent/layouts/%s/%s", layouts[i].name, tests[j].name);

      g_test_add (path, Tree, &layouts[i], set_up, tests[j].func, tear_down);
    }
  }
  return g_test_run ();
}
