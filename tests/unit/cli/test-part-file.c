/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files under another name until they are whole, with others about that write the same one. */
#include "cli/part-file.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PART "out.part"

static int lock_error;             /* of the next flock, 0: none */
static void (*before_lock) (void); /* what others do just then */

/* In place of the C library's, which has no file system here that fails it. */
int
flock (int fd, int operation)
{
  void (*others) (void) = g_steal_pointer (&before_lock);

  if (others != NULL)
    others ();
  if (lock_error == 0)
    return (int)syscall (SYS_flock, fd, operation);
  errno = lock_error;
  return -1;
}

typedef struct {
  char *base;
  char *part;
  int fd;
  GError *error;
} Fixture;

static void
set_up (Fixture *f, gconstpointer data)
{
  f->base = g_dir_make_tmp ("banger-part-XXXXXX", NULL);
  g_assert_cmpint (g_chdir (f->base), ==, 0);
  f->fd = -1;
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_assert_cmpint (g_chdir ("/"), ==, 0);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, f->base, NULL));
  g_free (f->base);
  g_free (f->part);
  banger_clear_fd (&f->fd);
  g_clear_error (&f->error);
}

static gboolean
open_part (Fixture *f, gboolean force)
{
  f->fd = banger_part_open ("out", force, &f->part, &f->error);
  return f->fd >= 0;
}

static gboolean
end_part (Fixture *f, gboolean whole)
{
  return banger_part_end (f->fd, f->part, "out", whole, &f->error);
}

static void
assert_text (const char *path, const char *expected)
{
  g_autofree char *text = NULL;

  g_assert_cmpint (g_file_get_contents (path, &text, NULL, NULL), ==, expected != NULL);
  g_assert_cmpstr (text, ==, expected);
}

static void
write_part (const char *text)
{
  g_assert_true (g_file_set_contents (PART, text, -1, NULL));
}

static void
replace_part (void)
{
  g_assert_cmpint (g_unlink (PART), ==, 0);
  write_part ("theirs");
}

static void
remove_part (void)
{
  g_assert_cmpint (g_unlink (PART), ==, 0);
}

static void
test_whole (Fixture *f, gconstpointer data)
{
  g_assert_true (open_part (f, FALSE));
  g_assert_cmpstr (f->part, ==, PART);
  g_assert_cmpint (write (f->fd, "mine", 4), ==, 4);
  g_assert_true (end_part (f, TRUE));
  assert_text ("out", "mine");
  assert_text (PART, NULL);
}

static void
test_cut_short (Fixture *f, gconstpointer data)
{
  g_assert_true (open_part (f, FALSE));
  g_assert_false (end_part (f, FALSE));
  g_assert_no_error (f->error); /* that is told by whoever cut it short */
  assert_text (PART, NULL);
}

/* What another one writes does not get our name, and is not taken away. */
static void
test_replaced (Fixture *f, gconstpointer data)
{
  g_assert_true (open_part (f, FALSE));
  replace_part ();
  g_assert_false (end_part (f, TRUE));
  g_assert_error (f->error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_nonnull (strstr (f->error->message, "'" PART "'"));
  g_clear_error (&f->error);
  g_assert_false (end_part (f, FALSE));
  g_assert_no_error (f->error);
  assert_text ("out", NULL);
  assert_text (PART, "theirs");
}

static void
test_taken_away (Fixture *f, gconstpointer data)
{
  g_assert_true (open_part (f, FALSE));
  remove_part ();
  g_assert_false (end_part (f, TRUE));
  g_assert_error (f->error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_nonnull (strstr (f->error->message, "'" PART "'"));
}

/* A --force that comes between the file's making and its lock has the name from then on. */
static void
test_taken_at_once (Fixture *f, gconstpointer data)
{
  before_lock = replace_part;
  g_assert_false (open_part (f, FALSE));
  g_assert_error (f->error, BANGER_ERROR, BANGER_ERROR_EXISTS);
  g_clear_error (&f->error);
  remove_part ();
  lock_error = EWOULDBLOCK;
  g_assert_false (open_part (f, FALSE));
  lock_error = 0;
  g_assert_error (f->error, BANGER_ERROR, BANGER_ERROR_EXISTS);
}

static void
test_force (Fixture *f, gconstpointer data)
{
  banger_autofd int other = -1;

  write_part ("left");
  other = open (PART, O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (flock (other, LOCK_EX), ==, 0);
  g_assert_false (open_part (f, TRUE));
  g_assert_error (f->error, BANGER_ERROR, BANGER_ERROR_EXISTS);
  g_clear_error (&f->error);
  assert_text (PART, "left");
  banger_clear_fd (&other);
  g_assert_false (open_part (f, FALSE));
  g_clear_error (&f->error);
  g_assert_true (open_part (f, TRUE));
  g_assert_no_error (f->error);
  assert_text (PART, "");
}

/* It takes away what it has locked, not what has come after that. */
static void
test_force_late (Fixture *f, gconstpointer data)
{
  write_part ("left");
  before_lock = replace_part;
  g_assert_false (open_part (f, TRUE));
  g_assert_error (f->error, BANGER_ERROR, BANGER_ERROR_EXISTS);
  assert_text (PART, "theirs");
}

/* Where there are no locks, nobody knows whether it is still written. */
static void
test_no_locks (Fixture *f, gconstpointer data)
{
  lock_error = ENOLCK;
  g_assert_true (open_part (f, FALSE));
  g_assert_true (end_part (f, TRUE));
  g_clear_pointer (&f->part, g_free);
  banger_clear_fd (&f->fd);
  write_part ("left");
  g_assert_false (open_part (f, TRUE));
  lock_error = 0;
  g_assert_error (f->error, BANGER_ERROR, BANGER_ERROR_EXISTS);
  g_assert_cmpstr (banger_error_cause (f->error), ==, g_strerror (ENOLCK));
  assert_text (PART, "left");
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*func) (Fixture *, gconstpointer);
  } tests[] = {
    { "/part-file/whole", test_whole },
    { "/part-file/cut-short", test_cut_short },
    { "/part-file/replaced", test_replaced },
    { "/part-file/taken-away", test_taken_away },
    { "/part-file/taken-at-once", test_taken_at_once },
    { "/part-file/force", test_force },
    { "/part-file/force-late", test_force_late },
    { "/part-file/no-locks", test_no_locks },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].name, Fixture, NULL, set_up, tests[i].func, tear_down);
  return g_test_run ();
}
