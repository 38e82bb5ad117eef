/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/output.h"

#include "cli/progress.h"

#include <string.h>

static void
test_table (void)
{
  const char *headers[] = { "NAME", "STATE", "IMAGE", NULL };
  g_autoptr (BangerTable) table = banger_table_new (headers);
  g_autofree char *text = NULL;

  banger_table_add (table, g_strdup ("web"), g_strdup ("running"), g_strdup ("debian"), NULL);
  banger_table_add (table, g_strdup ("日本"), g_strdup ("x"), g_strdup (""), NULL);
  text = banger_table_format (table);
  g_assert_cmpstr (text, ==,
                   "NAME  STATE    IMAGE\n"
                   "web   running  debian\n"
                   "日本  x        \n");
}

static void
test_table_escapes (void)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  g_autofree char *text = NULL;

  banger_table_add (table, g_strdup ("\033[2J"), g_strdup ("a\nb"), NULL);
  text = banger_table_format (table);
  g_assert_cmpstr (text, ==, "\\x1b[2J  a\\x0ab\n");
}

static void
test_table_empty (void)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  g_autofree char *text = banger_table_format (table);

  g_assert_cmpstr (text, ==, "");
}

static void
test_error (void)
{
  g_autoptr (GError) error = NULL, bare = NULL;
  g_autofree char *text = NULL, *bare_text = NULL;

  banger_set_error (&error, BANGER_ERROR_FAILED, "booting", "the\033[31m kernel\nhung",
                    "banger vm logs web", "vm 'web': cannot start");
  banger_set_error (&bare, BANGER_ERROR_FAILED, NULL, NULL, NULL, "nothing\r\nnew");
  text = banger_output_error_text (error);
  bare_text = banger_output_error_text (bare);
  g_assert_cmpstr (text, ==,
                   "banger: vm 'web': cannot start\n"
                   "  cause: the\\x1b[31m kernel\\x0ahung\n"
                   "  hint: banger vm logs web\n");
  g_assert_cmpstr (bare_text, ==, "banger: nothing\\x0d\\x0anew\n");
}

static const char *
member (JsonObject *object, const char *name)
{
  return json_object_get_string_member_with_default (object, name, NULL);
}

static void
test_error_json (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;
  g_autoptr (JsonNode) root = NULL;
  JsonObject *object = NULL;

  banger_set_error (&error, BANGER_ERROR_NOT_FOUND, NULL, "bad \xff bytes", NULL,
                    "there is \"no\" vm\n");
  text = banger_output_error_document (error, BANGER_FORMAT_JSON);
  root = json_from_string (text, NULL);
  g_assert_nonnull (root);
  object = json_node_get_object (root);
  g_assert_cmpint (json_object_get_int_member (object, "schema"), ==, BANGER_JSON_SCHEMA);
  object = json_object_get_object_member (object, "error");
  g_assert_cmpstr (member (object, "name"), ==, BANGER_ERROR_PREFIX "NotFound");
  g_assert_cmpstr (member (object, "message"), ==, "there is \"no\" vm\n");
  g_assert_cmpstr (member (object, "cause"), ==, "bad \xef\xbf\xbd bytes");
  g_assert_true (json_object_get_null_member (object, "hint"));
}

/* Sizes stay whole integers, and a moment that never was is null. */
static void
test_json_values (void)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();
  g_autofree char *text = NULL;

  banger_json_number (json, "size_bytes", 1ull << 53 | 1);
  banger_json_time (json, "created_at", 1767323045);
  banger_json_time (json, "started_at", 0);
  banger_json_string (json, "image", NULL);
  banger_json_strings (json, "labels", (const char *const[]){ "a", NULL });
  banger_json_strings (json, "names", NULL);
  banger_json_flag (json, "shared", TRUE);
  text = banger_json_format (json);
  g_assert_nonnull (strstr (text, "\"size_bytes\" : 9007199254740993,"));
  g_assert_nonnull (strstr (text, "\"created_at\" : \"2026-01-02T03:04:05Z\""));
  g_assert_nonnull (strstr (text, "\"started_at\" : null"));
  g_assert_nonnull (strstr (text, "\"image\" : null"));
  g_assert_nonnull (strstr (text, "\"labels\" : [\n    \"a\"\n  ]"));
  g_assert_nonnull (strstr (text, "\"names\" : null"));
  g_assert_nonnull (strstr (text, "\"shared\" : true"));
  g_assert_true (g_str_has_suffix (text, "}\n"));
}

/* What a terminal would obey is escaped, and no program reads another string for it. */
static void
test_json_of_hostile_words (void)
{
  static const char words[] = "a\033[2J\x1f\x7f\xc2\x9b" /* ESC, US, DEL, CSI */
                              "2J\xc2\x9d\u202e\u2028"   /* OSC, RLO, LS */
                              "\U000e0041\u00e9\U0001f600\n";
  g_autoptr (JsonBuilder) json = banger_json_new ();
  g_autoptr (JsonNode) root = NULL;
  g_autofree char *text = NULL;

  banger_json_string (json, "command", words);
  text = banger_json_format (json);
  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p))
    g_assert_true (*p == '\n' || g_unichar_isprint (g_utf8_get_char (p)));
  g_assert_nonnull (strstr (text, "\\u009b2J"));
  g_assert_nonnull (strstr (text, "\u00e9"));
  root = json_from_string (text, NULL);
  g_assert_nonnull (root);
  g_assert_cmpstr (json_object_get_string_member (json_node_get_object (root), "command"), ==,
                   words);
}

/* Statuses are public: this list changes only by additions. */
static void
test_statuses (void)
{
  const int expected[BANGER_N_ERRORS] = {
    [BANGER_ERROR_FAILED] = 1,
    [BANGER_ERROR_NOT_FOUND] = 3,
    [BANGER_ERROR_EXISTS] = 4,
    [BANGER_ERROR_INVALID_ARGUMENT] = 2,
    [BANGER_ERROR_BUSY] = 4,
    [BANGER_ERROR_WRONG_STATE] = 4,
    [BANGER_ERROR_NOT_AUTHORIZED] = 5,
    [BANGER_ERROR_NOT_AUTHORIZED_CAN_OBTAIN] = 5,
    [BANGER_ERROR_NOT_AUTHORIZED_DISMISSED] = 5,
    [BANGER_ERROR_NOT_SUPPORTED] = 1,
    [BANGER_ERROR_HOST_NOT_READY] = 8,
    [BANGER_ERROR_NO_SPACE] = 1,
    [BANGER_ERROR_BAD_IMAGE] = 1,
    [BANGER_ERROR_TIMEOUT] = 7,
    [BANGER_ERROR_CANCELLED] = 9,
    [BANGER_ERROR_INTERRUPTED] = 1,
    [BANGER_ERROR_GUEST_UNREACHABLE] = 1,
  };
  g_autoptr (GError) unreachable = NULL, foreign = NULL;

  for (int code = 0; code < BANGER_N_ERRORS; code++) {
    g_autoptr (GError) error = g_error_new_literal (BANGER_ERROR, code, "x");

    g_assert_cmpint (banger_output_status (error), ==, expected[code]);
  }
  banger_set_error (&unreachable, BANGER_ERROR_FAILED, BANGER_STAGE_CONNECT, NULL, NULL, "x");
  g_assert_cmpint (banger_output_status (unreachable), ==, 6);
  foreign = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_PENDING, "x");
  g_assert_cmpint (banger_output_status (foreign), ==, 1);
}

static void
test_progress_line (void)
{
  g_autofree char *half = banger_progress_line ("-", "writing", 1200000, 0.5);
  g_autofree char *over = banger_progress_line ("-", "w\033", 0, 7);
  g_autofree char *unknown = banger_progress_line ("*", "mkfs", 120000, -1);

  g_assert_cmpstr (half, ==, "- writing         1.2 s  [##########          ]  50 %");
  g_assert_cmpstr (over, ==, "- w\\x1b          0.00 s  [####################] 100 %");
  g_assert_cmpstr (unknown, ==, "* mkfs           0.12 s");
}

static void
test_progress_mode (void)
{
  BangerProgressMode mode = BANGER_PROGRESS_LIVE;

  g_assert_true (banger_progress_mode ("plain", &mode));
  g_assert_cmpint (mode, ==, BANGER_PROGRESS_PLAIN);
  g_assert_true (banger_progress_mode ("none", &mode));
  g_assert_cmpint (mode, ==, BANGER_PROGRESS_NONE);
  g_assert_false (banger_progress_mode ("fancy", &mode));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/output/table", test_table);
  g_test_add_func ("/output/table-escapes", test_table_escapes);
  g_test_add_func ("/output/table-empty", test_table_empty);
  g_test_add_func ("/output/error", test_error);
  g_test_add_func ("/output/error-json", test_error_json);
  g_test_add_func ("/output/json-values", test_json_values);
  g_test_add_func ("/output/json-of-hostile-words", test_json_of_hostile_words);
  g_test_add_func ("/output/statuses", test_statuses);
  g_test_add_func ("/output/progress-line", test_progress_line);
  g_test_add_func ("/output/progress-mode", test_progress_mode);
  return g_test_run ();
}
