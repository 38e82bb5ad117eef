/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/text.h"

#include "common/common.h"

#include <string.h>

static void
test_sizes (void)
{
  const struct {
    const char *text;
    guint64 bytes;
  } good[] = {
    { "1", 1 },
    { "4096", 4096 },
    { "512M", 512ull << 20 },
    { "512m", 512ull << 20 },
    { "4G", 4ull << 30 },
    { "4GiB", 4ull << 30 },
    { "4 GiB", 4ull << 30 },
    { "1.5G", 3ull << 29 },
    { "64KiB", 65536 },
    { "64kB", 64000 },
    { "2TB", 2000000000000ull },
    { "3T", 3ull << 40 },
    { "100B", 100 },
  };
  const char *bad[] = { "",    "0",        "-1",  "+1",    " 1",  "0x10", "inf",   "nan",
                        "1e",  "1e3",      "G",   "1X",    "1GG", "1Gb",  "1.2.3", "1,5G",
                        "5 5", "9999999T", "0.1", "1 G x", "1\n", "٣G",   "1.5",   "1.5B" };

  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    g_autoptr (GError) error = NULL;
    guint64 bytes = 0;

    g_assert_true (banger_text_parse_size (good[i].text, &bytes, &error));
    g_assert_no_error (error);
    g_assert_cmpuint (bytes, ==, good[i].bytes);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    g_autoptr (GError) error = NULL;
    guint64 bytes = 7;

    g_assert_false (banger_text_parse_size (bad[i], &bytes, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
    g_assert_cmpuint (bytes, ==, 7);
  }
}

static void
test_escape (void)
{
  const struct {
    const char *bytes, *shown;
  } cases[] = {
    { "plain", "plain" },
    { "grüße 日本", "grüße 日本" },
    { "\033[31mred", "\\x1b[31mred" },
    { "a\nb\tc\r", "a\\x0ab\\x09c\\x0d" },
    { "\x7f", "\\x7f" },
    { "\xff\xfe", "\\xff\\xfe" },
    { "cut \xe6\x97", "cut \\xe6\\x97" },
    { "\xc2\x9b"
      "31m",
      "\\u{009b}31m" },
    { "\xe2\x80\xae"
      "txt.exe",
      "\\u{202e}txt.exe" },
    { "line\xe2\x80\xa8"
      "break",
      "line\\u{2028}break" },
    { "\xed\xa0\x80", "\\xed\\xa0\\x80" },
    { "\xc0\xaf", "\\xc0\\xaf" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *shown = banger_text_escape (cases[i].bytes, -1);

    g_assert_cmpstr (shown, ==, cases[i].shown);
  }
}

static void
test_escape_every_byte (void)
{
  for (int c = 0; c < 256; c++) {
    const char byte = (char)c;
    g_autofree char *shown = banger_text_escape (&byte, 1);

    g_assert_cmpuint (strlen (shown), >, 0);
    g_assert_true (g_utf8_validate (shown, -1, NULL));
    for (const char *p = shown; *p != '\0'; p++)
      g_assert_true (g_ascii_isprint (*p));
  }
}

static char *
filter_in_pieces (const char *bytes, gsize length, gsize piece)
{
  g_autoptr (GString) out = g_string_new (NULL);
  BangerTextFilter filter;

  banger_text_filter_init (&filter);
  for (gsize at = 0; at < length; at += piece)
    banger_text_filter_push (&filter, bytes + at, MIN (piece, length - at), FALSE, out);
  banger_text_filter_push (&filter, "", 0, TRUE, out);
  banger_text_filter_clear (&filter);
  return g_strdup (out->str);
}

/* Wherever a stream is cut, the result is the same. */
static void
test_filter (void)
{
  static const char bytes[] = "[\033[0;32m  OK  \033[0m] Grüße\r\n\tdone\r\r\n\033]0;title\007x\0y"
                              "\033[2J\033[31;31;31;31;31;31;31;31;31;31mz\xff日\xe6\x97\n\r\033[3";
  static const char expected[] = "[  OK  ] Grüße\n\tdone\n\\x1b]0;title\\x07x\\x00y"
                                 "\\x1b[2J\\x1b[31;31;31;31;31;31;31;31;31;31mz\\xff日\\xe6\\x97\n"
                                 "\\x0d\\x1b[3";

  for (gsize piece = 1; piece <= sizeof bytes; piece++) {
    g_autofree char *shown = filter_in_pieces (bytes, sizeof bytes - 1, piece);

    g_assert_cmpstr (shown, ==, expected);
  }
}

/* What can be shown is shown at once: a prompt has no line break. */
static void
test_filter_prompt (void)
{
  g_autoptr (GString) out = g_string_new (NULL);
  BangerTextFilter filter;

  banger_text_filter_init (&filter);
  banger_text_filter_push (&filter, "login: ", 7, FALSE, out);
  g_assert_cmpstr (out->str, ==, "login: ");
  banger_text_filter_clear (&filter);
}

static void
test_words (void)
{
  const struct {
    guint64 usec;
    const char *text;
  } durations[] = { { 0, "0.00 s" },
                    { 120000, "0.12 s" },
                    { 3400000, "3.4 s" },
                    { 99900000, "99.9 s" },
                    { 125000000, "2 min 5 s" } };
  g_autofree char *size = banger_text_size (512ull << 20), *half = banger_text_size (3ull << 29);
  g_autofree char *small = banger_text_size (17), *huge = banger_text_size (G_MAXUINT64);
  g_autofree char *time = banger_text_time (1767323045), *never = banger_text_time (G_MAXINT64);
  g_autofree char *exact = banger_text_time_us (1767323045000042);

  for (guint i = 0; i < G_N_ELEMENTS (durations); i++) {
    g_autofree char *text = banger_text_duration (durations[i].usec);

    g_assert_cmpstr (text, ==, durations[i].text);
  }
  g_assert_cmpstr (size, ==, "512 MiB");
  g_assert_cmpstr (half, ==, "1.5 GiB");
  g_assert_cmpstr (small, ==, "17 B");
  g_assert_true (g_str_has_suffix (huge, " TiB"));
  g_assert_cmpstr (time, ==, "2026-01-02T03:04:05Z");
  g_assert_cmpstr (never, ==, "");
  g_assert_cmpstr (exact, ==, "2026-01-02T03:04:05.000042Z");
}

/* @near: the one that is offered; NULL: none. */
static void
assert_near (const char *word, const char *near)
{
  const char *const known[]
      = { "vcpus", "--vcpus", "ls", "restart", "publish", "autostart", "no-autostart", NULL };
  g_auto (GStrv) found = banger_text_near (word, known);
  g_autofree char *all = g_strjoinv (" ", found);

  g_assert_cmpstr (all, ==, near != NULL ? near : "");
}

static void
test_near (void)
{
  const char *const known[] = { "web", "worker", "database", "db-1", "db-2", NULL };
  g_autofree char *one = banger_text_did_you_mean ("wbe", known);
  g_autofree char *two = banger_text_did_you_mean ("db-3", known);
  g_autofree char *none = banger_text_did_you_mean ("kitchen", known);
  g_autofree char *of_none = banger_text_did_you_mean ("web", NULL);
  g_autofree char *longest = g_strnfill (100000, 'a');
  g_autofree char *too_long = banger_text_did_you_mean (longest, known);

  g_assert_cmpuint (banger_text_distance ("", "abc"), ==, 3);
  g_assert_cmpuint (banger_text_distance ("crate", "create"), ==, 1);
  g_assert_cmpuint (banger_text_distance ("lsit", "list"), ==, 1);
  g_assert_cmpuint (banger_text_distance ("same", "same"), ==, 0);
  g_assert_cmpstr (one, ==, "did you mean 'web'?");
  g_assert_cmpstr (two, ==, "did you mean 'db-1' or 'db-2'?");
  g_assert_null (none);
  assert_near ("vcpu", "vcpus");
  assert_near ("--vpcus", "--vcpus");
  assert_near ("ls", "ls");
  assert_near ("lss", "ls");
  assert_near ("pubilshe", "publish");
  assert_near ("autostrat", "autostart");
  assert_near ("no-autstrat", "no-autostart");
  /* A third of the letters may be wrong, and never more than three of them. */
  assert_near ("bogus", NULL);
  assert_near ("--bogus", NULL);
  assert_near ("--verbose", NULL);
  assert_near ("cpu", NULL);
  assert_near ("pubxyzh", NULL);
  assert_near ("xx-autowxyzt", NULL);
  assert_near ("x", NULL);
  g_assert_null (of_none);
  g_assert_null (too_long);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/text/sizes", test_sizes);
  g_test_add_func ("/text/escape", test_escape);
  g_test_add_func ("/text/escape-every-byte", test_escape_every_byte);
  g_test_add_func ("/text/filter", test_filter);
  g_test_add_func ("/text/filter-prompt", test_filter_prompt);
  g_test_add_func ("/text/words", test_words);
  g_test_add_func ("/text/near", test_near);
  return g_test_run ();
}
