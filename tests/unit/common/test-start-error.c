/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What bangerd leaves for clients that it could not serve: start-error.h. */
#include "common/common.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  char *top;
  char *runtime; /* not made yet */
  char *path;    /* of the file */
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  self->top = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  self->runtime = g_build_filename (self->top, "banger", NULL);
  self->path = g_build_filename (self->runtime, "start-error", NULL);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_assert_true (banger_remove_tree_at (AT_FDCWD, self->top, NULL));
  g_free (self->top);
  g_free (self->runtime);
  g_free (self->path);
}

static void
write_busy (Fixture *self)
{
  g_autoptr (GError) error = NULL;

  banger_set_error (&error, BANGER_ERROR_BUSY, NULL, "another\nruns", "end 'it'", "\xff cannot");
  banger_start_error_write (self->runtime, error);
}

static void
test_round_trip (Fixture *self, gconstpointer data)
{
  gint64 since = banger_start_error_clock ();
  g_autoptr (GError) error = NULL;
  struct stat st;

  write_busy (self);
  g_assert_cmpint (stat (self->path, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 07777, ==, 0600);
  g_assert_cmpint (stat (self->runtime, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 07777, ==, 0700);
  error = banger_start_error_read (self->runtime, since);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  g_assert_cmpstr (error->message, ==, "\xef\xbf\xbd cannot");
  g_assert_cmpstr (banger_error_cause (error), ==, "another runs");
  g_assert_cmpstr (banger_error_hint (error), ==, "end 'it'");
}

/* An error of another domain has neither cause nor hint. */
static void
test_foreign (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) written = g_error_new (G_IO_ERROR, G_IO_ERROR_NO_SPACE, "full");
  g_autoptr (GError) error = NULL;

  banger_start_error_write (self->runtime, written);
  error = banger_start_error_read (self->runtime, 0);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_cmpstr (error->message, ==, "full");
  g_assert_null (banger_error_cause (error));
}

/* What an earlier start failed for says nothing of this one. */
static void
test_old (Fixture *self, gconstpointer data)
{
  struct timespec times[2] = { { .tv_sec = 1000, .tv_nsec = 5 }, { .tv_sec = 1000, .tv_nsec = 5 } };
  const gint64 stamp = G_GINT64_CONSTANT (1000000000005);
  g_autoptr (GError) error = NULL;

  write_busy (self);
  g_assert_cmpint (utimensat (AT_FDCWD, self->path, times, 0), ==, 0);
  g_assert_null (banger_start_error_read (self->runtime, banger_start_error_clock ()));
  g_assert_null (banger_start_error_read (self->runtime, stamp + 1));
  error = banger_start_error_read (self->runtime, stamp);
  g_assert_nonnull (error);
}

static void
test_remove (Fixture *self, gconstpointer data)
{
  banger_start_error_remove (self->runtime);
  write_busy (self);
  banger_start_error_remove (self->runtime);
  g_assert_false (g_file_test (self->path, G_FILE_TEST_EXISTS));
  g_assert_null (banger_start_error_read (self->runtime, 0));
}

static void
assert_not_read (Fixture *self)
{
  g_assert_null (banger_start_error_read (self->runtime, 0));
}

static void
test_what_is_not_ours (Fixture *self, gconstpointer data)
{
  g_autofree char *other = g_build_filename (self->top, "other", NULL);
  g_autofree char *long_text = g_strnfill (1 << 17, ' ');
  const char *const bad[] = { "", "nothing", "[1]", "@a{sv} {}", long_text };

  write_busy (self);
  g_assert_cmpint (rename (self->path, other), ==, 0);
  g_assert_cmpint (symlink (other, self->path), ==, 0);
  assert_not_read (self);
  g_assert_cmpint (unlink (self->path), ==, 0);
  g_assert_cmpint (mkfifo (self->path, 0600), ==, 0);
  assert_not_read (self);
  g_assert_cmpint (unlink (self->path), ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_assert_true (g_file_set_contents (self->path, bad[i], -1, NULL));
    assert_not_read (self);
  }
  if (geteuid () != 0)
    return;
  write_busy (self);
  g_assert_cmpint (chown (self->path, 1, 1), ==, 0);
  assert_not_read (self);
  g_assert_cmpint (chown (self->path, 0, 0), ==, 0);
  g_assert_cmpint (chown (self->runtime, 1, 1), ==, 0);
  assert_not_read (self);
}

/* That it cannot be written is no trouble of its own. */
static void
test_nowhere (Fixture *self, gconstpointer data)
{
  g_assert_true (g_file_set_contents (self->runtime, "a file", -1, NULL));
  write_busy (self);
  banger_start_error_remove (self->runtime);
  assert_not_read (self);
}

int
main (int argc, char **argv)
{
  const struct {
    const char *name;
    void (*run) (Fixture *, gconstpointer);
  } tests[] = {
    { "/start-error/round-trip", test_round_trip },
    { "/start-error/foreign", test_foreign },
    { "/start-error/old", test_old },
    { "/start-error/remove", test_remove },
    { "/start-error/what-is-not-ours", test_what_is_not_ours },
    { "/start-error/nowhere", test_nowhere },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].name, Fixture, NULL, set_up, tests[i].run, tear_down);
  return g_test_run ();
}
