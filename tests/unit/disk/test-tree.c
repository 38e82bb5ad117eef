/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tree knows of its files' blocks. */
#include "disk/tree.h"

static const BangerDiskMeta file = { .mode = S_IFREG | 0644 };

static BangerEntry *
add (BangerTree *tree, const char *path)
{
  BangerEntry *entry = banger_tree_add (tree, path, &file, NULL);

  g_assert_nonnull (entry);
  return entry;
}

static void
assert_extent (const BangerInode *inode, guint32 i, guint32 logical, guint32 physical,
               guint32 length)
{
  BangerExtent extent = banger_inode_extent (inode, i);

  g_assert_cmpuint (i, <, inode->n_extents);
  g_assert_cmpuint (extent.logical, ==, logical);
  g_assert_cmpuint (extent.physical, ==, physical);
  g_assert_cmpuint (extent.length, ==, length);
}

/* Blocks that follow each other are one extent, up to the most that one holds. */
static void
test_extents (void)
{
  g_autoptr (BangerTree) tree = banger_tree_new ();
  BangerInode *inode = add (tree, "file")->inode;

  g_assert_true (banger_tree_add_blocks (tree, inode, 0, 100, 5));
  g_assert_true (banger_tree_add_blocks (tree, inode, 5, 105, 1));
  g_assert_cmpuint (inode->n_extents, ==, 1);
  assert_extent (inode, 0, 0, 100, 6);
  g_assert_cmpuint (tree->n_extents, ==, 0); /* it takes no memory of its own */
  g_assert_true (banger_tree_add_blocks (tree, inode, 7, 106, 1));
  g_assert_true (banger_tree_add_blocks (tree, inode, 8, 200, 70000));
  g_assert_cmpuint (inode->n_extents, ==, 5);
  assert_extent (inode, 0, 0, 100, 6);
  assert_extent (inode, 1, 7, 106, 1);
  assert_extent (inode, 2, 8, 200, 32768);
  assert_extent (inode, 3, 32776, 32968, 32768);
  assert_extent (inode, 4, 65544, 65736, 4464);
  g_assert_cmpuint (tree->n_extents, ==, 5);
}

static void
test_hole_first (void)
{
  g_autoptr (BangerTree) tree = banger_tree_new ();
  BangerInode *inode = add (tree, "file")->inode;

  g_assert_true (banger_tree_add_blocks (tree, inode, 3, 100, 1));
  g_assert_true (banger_tree_add_blocks (tree, inode, 4, 101, 1));
  g_assert_true (banger_tree_add_blocks (tree, inode, 9, 102, 1));
  g_assert_cmpuint (inode->n_extents, ==, 2);
  assert_extent (inode, 0, 3, 100, 2);
  assert_extent (inode, 1, 9, 102, 1);
}

/* Files in many pieces have a bound together, but not those in one; what is replaced does not
 * count. */
static void
test_extents_max (void)
{
  g_autoptr (BangerTree) tree = banger_tree_new ();
  BangerInode *inode = add (tree, "pieces")->inode;

  for (guint32 i = 0; i < BANGER_TREE_EXTENTS_MAX; i++)
    g_assert_true (banger_tree_add_blocks (tree, inode, i * 2, 1 + i, 1));
  g_assert_false (banger_tree_add_blocks (tree, inode, 2 * BANGER_TREE_EXTENTS_MAX, 9, 1));
  g_assert_true (banger_tree_add_blocks (tree, add (tree, "whole")->inode, 0, 9, 1));
  inode = add (tree, "pieces")->inode;
  g_assert_cmpuint (tree->n_extents, ==, 0);
  g_assert_true (banger_tree_add_blocks (tree, inode, 0, 1, 1));
  g_assert_true (banger_tree_add_blocks (tree, inode, 2, 2, 1));
  g_assert_cmpuint (tree->n_extents, ==, 2);
}

/* A hard link that comes before its target is an entry; another may take its place. */
static void
test_pending_links (void)
{
  g_autoptr (BangerTree) tree = banger_tree_new ();
  g_autoptr (GError) error = NULL;
  BangerEntry *late = NULL;

  g_assert_true (banger_tree_link (tree, "early", "late", &error));
  g_assert_true (banger_tree_link (tree, "chained", "early", &error));
  g_assert_true (banger_tree_link (tree, "replaced", "nowhere", &error));
  g_assert_cmpuint (tree->index.used, ==, 3);
  g_assert_cmpuint (tree->n_pending, ==, 3);
  add (tree, "replaced");
  late = add (tree, "late");
  g_assert_cmpuint (tree->n_pending, ==, 2);
  g_assert_true (banger_tree_settle (tree, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (tree->n_pending, ==, 0);
  g_assert_cmpuint (tree->pending_bytes, ==, 0);
  g_assert_cmpuint (late->inode->links, ==, 3);
  g_assert_true (banger_tree_find (tree, tree->root, "chained", 7)->inode == late->inode);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/tree/extents", test_extents);
  g_test_add_func ("/tree/extents/hole-first", test_hole_first);
  g_test_add_func ("/tree/extents/max", test_extents_max);
  g_test_add_func ("/tree/pending-links", test_pending_links);
  return g_test_run ();
}
