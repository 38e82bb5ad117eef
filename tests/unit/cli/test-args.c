/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/command.h"

/* Parses a whole command line, split at spaces. */
static BangerArgs *
parse (const char *line, GError **error)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  const BangerCommand *command = NULL;
  guint used = 0;

  command = banger_command_find ((const char *const *)words, &used, error);
  if (command == NULL)
    return NULL;
  return banger_args_parse (command, (const char *const *)words + used, error);
}

static void
assert_refused (const char *line, const char *message, const char *hint)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerArgs) args = parse (line, &error);

  g_assert_null (args);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  if (g_strstr_len (error->message, -1, message) == NULL)
    g_error ("'%s': '%s' does not say '%s'", line, error->message, message);
  if (hint != NULL)
    g_assert_cmpstr (banger_error_hint (error), ==, hint);
}

static void
test_values (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerArgs) args
      = parse ("vm create --memory 1G web --vcpus=2 --label a=b --label c=d "
               "--no-start",
               &error);
  guint64 bytes = 0;
  guint32 count = 0;

  g_assert_no_error (error);
  g_assert_cmpstr (banger_args_words (args)[0], ==, "web");
  g_assert_null (banger_args_words (args)[1]);
  g_assert_true (banger_args_size (args, "memory", &bytes));
  g_assert_cmpuint (bytes, ==, 1ull << 30);
  g_assert_false (banger_args_size (args, "disk", &bytes));
  g_assert_true (banger_args_count (args, "vcpus", &count));
  g_assert_cmpuint (count, ==, 2);
  g_assert_cmpstr (banger_args_list (args, "label")[1], ==, "c=d");
  g_assert_null (banger_args_list (args, "label")[2]);
  g_assert_true (banger_args_flag (args, "no-start"));
  g_assert_false (banger_args_flag (args, "json"));
  g_assert_false (banger_args_has_flag (args, "follow"));
}

/* None of it is a number of bytes, but of no CPUs. */
static void
test_zero (void)
{
  g_autoptr (GError) error = NULL, refused = NULL, word = NULL;
  g_autoptr (BangerArgs) args = parse ("vm console web --tail 0", &error);
  guint32 count = 1;

  g_assert_no_error (error);
  g_assert_true (banger_args_count (args, "tail", &count));
  g_assert_cmpuint (count, ==, 0);
  g_assert_null (parse ("vm create web --vcpus 0", &refused));
  g_assert_nonnull (strstr (refused->message, "--vcpus: '0' is not a number from 1 on"));
  g_assert_null (parse ("vm console web --tail few", &word));
  g_assert_nonnull (strstr (word->message, "--tail: 'few' is not a number from 0 on"));
}

static void
test_shorthands (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerArgs) args = parse ("rm -f one two", &error);

  g_assert_no_error (error);
  g_assert_cmpstr (banger_args_command (args)->verb, ==, "delete");
  g_assert_true (banger_args_flag (args, "force"));
  g_assert_cmpstr (banger_args_words (args)[1], ==, "two");
}

static void
assert_explained (const char *line, const char *said, const char *shown)
{
  g_autoptr (GError) error = NULL, cause = NULL;
  g_autoptr (BangerArgs) args = parse (line, &error);

  g_assert_no_error (error);
  banger_set_error (&cause, BANGER_ERROR_WRONG_STATE, "admitted", NULL, said, "%s", said);
  cause = banger_args_explain (args, g_steal_pointer (&cause));
  g_assert_error (cause, BANGER_ERROR, BANGER_ERROR_WRONG_STATE);
  g_assert_cmpstr (cause->message, ==, shown);
  g_assert_cmpstr (banger_error_hint (cause), ==, shown);
  g_assert_cmpstr (banger_error_stage (cause), ==, "admitted");
  g_assert_null (banger_error_cause (cause));
}

/* What the service calls an option is shown as the command's own, if it has that. */
static void
test_explain (void)
{
  assert_explained ("vm set web vcpus=1", "vm 'web': option 'disk-bytes' must be more",
                    "vm 'web': --disk must be more");
  assert_explained ("vm create web", "option 'memory-bytes' and option 'labels', option 'start'",
                    "--memory and --label, --no-start");
  assert_explained ("vm set web vcpus=1", "option 'authorized-keys' holds", "--ssh-key holds");
  assert_explained ("vm delete web", "or delete it with option 'force'",
                    "or delete it with --force");
  assert_explained ("vm start web", "option 'disk-bytes' must", "option 'disk-bytes' must");
  assert_explained ("vm create web", "option 'vcpus", "option 'vcpus");
  assert_explained ("vm create web", "", "");
}

static void
test_refused (void)
{
  assert_refused ("vn list", "'vn' is not a command", "did you mean 'vm'?");
  assert_refused ("vm lsit", "'vm lsit' is not a command", "did you mean 'list'?");
  assert_refused ("ports web", "'ports' is not a command", "banger vm ports");
  assert_refused ("show web", "'show' is not a command", "banger vm show");
  assert_refused ("shwo web", "'shwo' is not a command", "banger vm show");
  assert_refused ("promote web", "'promote' is not a command", "banger image promote");
  assert_refused ("cancel web", "'cancel' is not a command", "banger job cancel");
  assert_refused ("vm st web", "'vm st' is not a command",
                  "did you mean 'start', 'stop', 'status' or 'stats'?");
  assert_refused ("vm sho web", "'vm sho' is not a command", "did you mean 'show'?");
  assert_refused ("job rm x", "'job rm' is not a command", "'job' knows: list, show, cancel");
  assert_refused (
      "image frobnicate", "is not a command",
      "'image' knows: import, list, show, export, delete, rename, share, unshare, promote, ls, "
      "cat, stat, mkdir, rm, chown, chmod, cp, edit");
  assert_refused ("vm create --memroy 1G", "--memroy", "did you mean '--memory'?");
  assert_refused ("image import x --exclude", "--exclude", "--exclude GLOB");
  assert_refused ("vm create --bogus", "--bogus", "banger help vm create");
  assert_refused ("vm create --memory 1Q", "--memory: '1Q' is not a size", NULL);
  assert_refused ("vm create --vcpus 0", "--vcpus: '0' is not a number", NULL);
  assert_refused ("vm create --vcpus 4294967296", "'4294967296' is too large: at most 4294967295",
                  NULL);
  assert_refused ("vm wait web --timeout 99999999999999999999999",
                  "--timeout: '99999999999999999999999' is too large: at most 4294967295", NULL);
  assert_refused ("vm create --memory 99999999999G",
                  "--memory: '99999999999G' is too large: a size is at most 8388607T", NULL);
  assert_refused ("vm create --memory 8388608T", "is too large", NULL);
  assert_refused ("vm create --vcpus 00", "--vcpus: '00' is not a number from 1 on", NULL);
  assert_refused ("vm create --vcpus -1", "is not a number", NULL);
  assert_refused ("vm create one two", "'two' is too much", "banger help vm create");
  assert_refused ("vm create --label \xff=1", "is not UTF-8", NULL);
  assert_refused ("vm create --image", "--image", NULL);
  assert_refused ("vm show", "something is missing: banger vm show NAME", "banger help vm show");
  assert_refused ("vm show \xff", "'\\xff' is not UTF-8", NULL);
  assert_refused ("vm stop one \xff", "'\\xff' is not UTF-8", NULL);
  assert_refused ("vm set web name=\xff", "'name=\\xff' is not UTF-8", NULL);
  assert_refused ("image import \xff file", "'\\xff' is not UTF-8", NULL);
  assert_refused ("vm exec web", "something is missing", NULL);
  assert_refused ("vm list --force", "--force", NULL);
}

/* Names of files are bytes; what is wrong with the name of a VM "vm cp" says itself. */
static void
test_files (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerArgs) copy = parse ("cp \xff a/\xff web:\xff", &error);
  g_autoptr (BangerArgs) import = NULL;

  g_assert_no_error (error);
  g_assert_cmpstr (banger_args_words (copy)[2], ==, "web:\xff");
  import = parse ("image import web \xff", &error);
  g_assert_no_error (error);
  g_assert_cmpstr (banger_args_words (import)[1], ==, "\xff");
}

static void
assert_tail (const char *line, const char *user, const char *words)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerArgs) args = parse (line, &error);
  g_autofree char *joined = NULL;

  g_assert_no_error (error);
  joined = g_strjoinv (" ", (char **)banger_args_words (args));
  g_assert_cmpstr (joined, ==, words);
  g_assert_cmpstr (banger_args_text (args, "user"), ==, user);
}

/* Our options end where the guest's command begins. */
static void
test_raw_tail (void)
{
  assert_tail ("vm exec web ls -l --user root", NULL, "web ls -l --user root");
  assert_tail ("vm exec web -- ls -l", NULL, "web ls -l");
  assert_tail ("vm exec web -- --user x", NULL, "web --user x");
  assert_tail ("vm exec web ls \xff", NULL, "web ls \xff");
  assert_tail ("vm exec web --user bob -- ls", "bob", "web ls");
  assert_tail ("vm exec --user bob web ls -u al", "bob", "web ls -u al");
  assert_tail ("exec -u bob web sh -c true -- -x", "bob", "web sh -c true -- -x");
  assert_tail ("vm exec web -- ls -- --help", NULL, "web ls -- --help");
  assert_tail ("vm exec -- web ls", NULL, "web ls");
  assert_tail ("vm exec web ls -- -x", NULL, "web ls -- -x");
  assert_tail ("run -u bob ls -u al --name x", "bob", "ls -u al --name x");
  assert_tail ("vm run -- ls -- -x", NULL, "ls -- -x");
  assert_tail ("run", NULL, "");
}

/* What begins with a dash can be named behind "--". */
static void
test_separator (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerArgs) args = parse ("image import --quiet -- web -odd.tar", &error);

  g_assert_no_error (error);
  g_assert_true (banger_args_flag (args, "quiet"));
  g_assert_cmpstr (banger_args_words (args)[0], ==, "web");
  g_assert_cmpstr (banger_args_words (args)[1], ==, "-odd.tar");
}

static void
test_help_needs_no_words (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerArgs) args = parse ("vm show --help", &error);

  g_assert_no_error (error);
  g_assert_true (banger_args_flag (args, "help"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/args/values", test_values);
  g_test_add_func ("/args/zero", test_zero);
  g_test_add_func ("/args/shorthands", test_shorthands);
  g_test_add_func ("/args/explain", test_explain);
  g_test_add_func ("/args/refused", test_refused);
  g_test_add_func ("/args/files", test_files);
  g_test_add_func ("/args/raw-tail", test_raw_tail);
  g_test_add_func ("/args/separator", test_separator);
  g_test_add_func ("/args/help-needs-no-words", test_help_needs_no_words);
  return g_test_run ();
}
