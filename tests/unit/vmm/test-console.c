/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/common.h"
#include "vmm/console.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINE_SIZE 10

/* How often the disk takes something before it is full. */
static guint room = G_MAXUINT;

/* In place of the C library's. */
ssize_t
pwrite (int fd, const void *bytes, size_t length, off_t at)
{
  if (room == 0) {
    errno = ENOSPC;
    return -1;
  }
  room -= room < G_MAXUINT ? 1 : 0;
  return syscall (SYS_pwrite64, fd, bytes, length, at);
}

/* All that comes until the end, the main loop running. */
static GByteArray *
drain (int fd)
{
  GByteArray *bytes = g_byte_array_new ();
  char chunk[65536];

  for (;;) {
    ssize_t n = 0;

    while (g_main_context_iteration (NULL, FALSE))
      ;
    n = read (fd, chunk, sizeof chunk);
    g_assert_cmpint (n, >=, 0);
    if (n == 0)
      return bytes;
    g_byte_array_append (bytes, (guint8 *)chunk, n);
  }
}

static void
on_all_read (gpointer data)
{
  *(gboolean *)data = TRUE;
}

static void
write_text (BangerConsole *console, const char *text)
{
  banger_console_write (console, (const guint8 *)text, strlen (text));
}

static void
test_log (void)
{
  banger_autofd int file = banger_memfd_new ("log", "of the last boot", 16, NULL);
  g_autoptr (BangerConsole) console = banger_console_new (file, NULL);
  banger_autofd int stream = -1;
  g_autoptr (GByteArray) got = NULL;

  write_text (console, "one\n");
  stream = banger_console_open (console, FALSE, NULL);
  write_text (console, "two\n");
  got = drain (stream);
  g_assert_cmpmem (got->data, got->len, "one\n", 4);
  g_assert_cmpuint (banger_console_readers (console), ==, 0);
}

/* Neither the room for descriptors nor what a reader asked for grows. */
static void
test_many_readers (void)
{
  banger_autofd int file = banger_memfd_new ("log", "", 0, NULL);
  g_autoptr (BangerConsole) console = banger_console_new (file, NULL);
  g_autoptr (GError) error = NULL;
  int streams[200];
  guint n = 0;

  while (n < G_N_ELEMENTS (streams)
         && (streams[n] = banger_console_open (console, TRUE, &error)) >= 0)
    n++;
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  g_assert_cmpuint (n, ==, banger_console_readers (console));
  while (n > 0)
    close (streams[--n]);
  while (banger_console_readers (console) > 0)
    g_main_context_iteration (NULL, TRUE);
  streams[0] = banger_console_open (console, TRUE, NULL);
  g_assert_cmpint (streams[0], >=, 0);
  close (streams[0]);
}

/* What a reader was to get has gone before it came to it: it gets nothing that came later. */
static void
test_overtaken (void)
{
  banger_autofd int file = banger_memfd_new ("log", "", 0, NULL);
  g_autoptr (BangerConsole) console = banger_console_new (file, NULL);
  g_autofree char *early = g_strnfill (BANGER_CONSOLE_MAX, 'e');
  g_autofree char *late = g_strnfill (BANGER_CONSOLE_MAX, 'l');
  g_autoptr (GByteArray) got = NULL;
  banger_autofd int stream = -1;

  write_text (console, early);
  stream = banger_console_open (console, FALSE, NULL);
  g_assert_cmpuint (banger_console_readers (console), ==, 1);
  write_text (console, late);
  got = drain (stream);
  g_assert_cmpuint (got->len, >, 0);
  g_assert_null (memchr (got->data, 'l', got->len));
}

static void
test_follow (void)
{
  banger_autofd int file = banger_memfd_new ("log", "", 0, NULL);
  g_autoptr (BangerConsole) console = banger_console_new (file, NULL);
  banger_autofd int stream = -1;
  g_autoptr (GByteArray) got = NULL;
  gboolean all_read = FALSE;

  write_text (console, "one\n");
  stream = banger_console_open (console, TRUE, NULL);
  write_text (console, "two\n");
  g_assert_cmpuint (banger_console_readers (console), ==, 1);
  banger_console_finish (console, on_all_read, &all_read);
  g_assert_true (all_read);
  got = drain (stream);
  g_assert_cmpmem (got->data, got->len, "one\ntwo\n", 8);
}

static void
test_reader_goes (void)
{
  banger_autofd int file = banger_memfd_new ("log", "", 0, NULL);
  g_autoptr (BangerConsole) console = banger_console_new (file, NULL);
  int stream = banger_console_open (console, TRUE, NULL);

  close (stream);
  while (banger_console_readers (console) > 0)
    g_main_context_iteration (NULL, TRUE);
}

/* Endless output takes bounded room; the newest part stays, and a slow reader loses only what the
 * file has lost. */
static void
test_bounded (void)
{
  banger_autofd int file = banger_memfd_new ("log", "", 0, NULL);
  g_autoptr (BangerConsole) console = banger_console_new (file, NULL);
  banger_autofd int stream = banger_console_open (console, TRUE, NULL);
  g_autoptr (GByteArray) got = NULL;
  g_autofree char *line = g_strnfill (4095, 'x');
  struct stat st;
  gboolean all_read = FALSE;

  for (guint i = 0; i < 1024; i++) {
    g_autofree char *text = g_strdup_printf ("%s\n", line);

    write_text (console, text);
    g_assert_cmpint (fstat (file, &st), ==, 0);
    g_assert_cmpint (st.st_size, <=, BANGER_CONSOLE_MAX);
  }
  write_text (console, "the end");
  banger_console_finish (console, on_all_read, &all_read);
  g_assert_false (all_read);
  got = drain (stream);
  g_assert_true (all_read);
  g_assert_cmpuint (got->len, >, BANGER_CONSOLE_MAX / 2);
  g_assert_cmpuint (got->len, <, 4 * BANGER_CONSOLE_MAX);
  g_assert_cmpmem (got->data + got->len - 7, 7, "the end", 7);
}

static void
test_tail (void)
{
  banger_autofd int file = banger_memfd_new ("log", "", 0, NULL);
  g_autoptr (BangerConsole) console = banger_console_new (file, NULL);
  g_autoptr (GBytes) nothing = banger_console_tail (console, 5);
  g_autoptr (GBytes) all = NULL, last = NULL;

  write_text (console, "one\ntwo\n");
  all = banger_console_tail (console, 100);
  last = banger_console_tail (console, 4);
  g_assert_cmpuint (g_bytes_get_size (nothing), ==, 0);
  g_assert_cmpmem (g_bytes_get_data (all, NULL), g_bytes_get_size (all), "one\ntwo\n", 8);
  g_assert_cmpmem (g_bytes_get_data (last, NULL), g_bytes_get_size (last), "two\n", 4);
}

/* Writes @n numbered lines from @first on, at once. */
static void
write_lines (BangerConsole *console, guint first, guint n)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = first; i < first + n; i++)
    g_string_append_printf (text, "%09u\n", i);
  write_text (console, text->str);
}

/* The log holds the newest lines, each once and in order, until the one before @next. */
static void
assert_whole (BangerConsole *console, guint next)
{
  banger_autofd int stream = banger_console_open (console, FALSE, NULL);
  g_autoptr (GByteArray) got = drain (stream);
  g_autoptr (GBytes) tail = banger_console_tail (console, got->len);
  guint whole = got->len / LINE_SIZE;

  g_assert_cmpuint (got->len, >=, BANGER_CONSOLE_MAX / 2);
  g_assert_cmpmem (g_bytes_get_data (tail, NULL), g_bytes_get_size (tail), got->data, got->len);
  for (guint i = 1; i <= whole; i++) {
    char line[LINE_SIZE + 1];

    g_snprintf (line, sizeof line, "%09u\n", next - i);
    g_assert_cmpmem (got->data + got->len - i * LINE_SIZE, LINE_SIZE, line, LINE_SIZE);
  }
}

/* A disk that is full while the log is made shorter takes no more than what was to be cut, and what
 * comes once there is room has its place behind the rest. */
static void
test_disk_full (void)
{
  static const guint rooms[] = { 1, 2, 9, 32 }; /* the first is for the line */
  const guint full = BANGER_CONSOLE_MAX / LINE_SIZE;

  for (guint i = 0; i < G_N_ELEMENTS (rooms); i++) {
    banger_autofd int file = banger_memfd_new ("log", "", 0, NULL);
    g_autoptr (BangerConsole) console = banger_console_new (file, NULL);
    guint next = full + 1;
    struct stat st;

    write_lines (console, 0, full);
    room = rooms[i];
    write_lines (console, full, 1);
    assert_whole (console, next);
    write_lines (console, 0, 1000); /* lost: there is no room */
    assert_whole (console, next);
    room = G_MAXUINT;
    for (guint round = 0; round < 10; round++) {
      write_lines (console, next, 5000);
      next += 5000;
      assert_whole (console, next);
    }
    g_assert_cmpint (fstat (file, &st), ==, 0);
    g_assert_cmpint (st.st_size, <=, BANGER_CONSOLE_MAX);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vmm/console/log", test_log);
  g_test_add_func ("/vmm/console/follow", test_follow);
  g_test_add_func ("/vmm/console/reader-goes", test_reader_goes);
  g_test_add_func ("/vmm/console/many-readers", test_many_readers);
  g_test_add_func ("/vmm/console/overtaken", test_overtaken);
  g_test_add_func ("/vmm/console/bounded", test_bounded);
  g_test_add_func ("/vmm/console/tail", test_tail);
  g_test_add_func ("/vmm/console/disk-full", test_disk_full);
  return g_test_run ();
}
