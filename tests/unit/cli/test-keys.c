/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/keys.h"

#include "common/common.h"

#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

static char *home;

static char *
write_file (const char *name, const char *text)
{
  char *path = g_build_filename (home, name, NULL);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
  return path;
}

static void
test_own (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *program = banger_run_find ("ssh-keygen");
  g_autofree char *identity = banger_keys_identity ();
  g_autofree char *first = NULL, *second = NULL;
  GStatBuf info;

  if (program == NULL) {
    first = banger_keys_own (&error);
    g_assert_null (first);
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_HOST_NOT_READY);
    return;
  }
  first = banger_keys_own (&error);
  g_assert_no_error (error);
  g_assert_true (g_str_has_prefix (first, "ssh-ed25519 "));
  g_assert_true (g_str_has_suffix (first, " banger\n"));
  g_assert_cmpint (g_stat (identity, &info), ==, 0);
  g_assert_cmpuint (info.st_mode & 0777, ==, 0600);
  /* It is made once. */
  second = banger_keys_own (&error);
  g_assert_cmpstr (first, ==, second);
}

/* An end between the two files: what is half there is made anew. */
static void
test_half_made (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *program = banger_run_find ("ssh-keygen");
  g_autofree char *identity = banger_keys_identity ();
  g_autofree char *fresh = g_strconcat (identity, ".new", NULL), *key = NULL;

  if (program == NULL) {
    g_test_skip ("ssh-keygen is not installed");
    return;
  }
  key = banger_keys_own (&error);
  g_clear_pointer (&key, g_free);
  g_assert_cmpint (g_unlink (identity), ==, 0);
  g_assert_true (g_file_set_contents (fresh, "half", -1, NULL));
  key = banger_keys_own (&error);
  g_assert_no_error (error);
  g_assert_true (g_str_has_prefix (key, "ssh-ed25519 "));
  g_assert_false (g_file_test (fresh, G_FILE_TEST_EXISTS));
}

static void
test_read (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *one = write_file ("one.pub", "# mine\nssh-ed25519 AAAA one\n\n");
  g_autofree char *two = write_file ("two.pub", "ssh-rsa BBBB two\r\nssh-ed25519 AAAA one");
  const char *files[] = { one, two, NULL };
  g_autofree char *keys = banger_keys_read (files, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (keys, ==, "ssh-ed25519 AAAA one\nssh-rsa BBBB two\n");
}

static void
assert_refused (const char *path, BangerErrorCode code)
{
  const char *files[] = { path, NULL };
  g_autoptr (GError) error = NULL;
  g_autofree char *keys = banger_keys_read (files, &error);

  g_assert_null (keys);
  g_assert_error (error, BANGER_ERROR, (int)code);
}

static void
test_refused (void)
{
  g_autofree char *private_key
      = write_file ("id", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END\n");
  g_autofree char *nothing = write_file ("nothing", "# no key\n\n");
  g_autofree char *bytes = write_file ("bytes", "\377\376");
  g_autofree char *pipe = g_build_filename (home, "pipe", NULL);
  static const char *const lines[]
      = { "root:x:0:0:root:/root:/bin/bash\n", "ssh-ed25519\n", "ssh-ed25519 not!base64\n",
          "ssh-rsa AAAA\nwhat is this\n", "no-pty,command=\"ssh-rsa AAAA\" nothing\n" };
  g_autofree char *much = g_strnfill (40000, 'x'), *long_file = write_file ("long", much);

  assert_refused (private_key, BANGER_ERROR_INVALID_ARGUMENT);
  assert_refused (nothing, BANGER_ERROR_INVALID_ARGUMENT);
  assert_refused (bytes, BANGER_ERROR_INVALID_ARGUMENT);
  assert_refused (long_file, BANGER_ERROR_INVALID_ARGUMENT);
  assert_refused ("/nowhere/key.pub", BANGER_ERROR_NOT_FOUND);
  /* Without an end, and without a writer. */
  g_assert_cmpint (mkfifo (pipe, 0600), ==, 0);
  assert_refused ("/dev/zero", BANGER_ERROR_INVALID_ARGUMENT);
  assert_refused (pipe, BANGER_ERROR_INVALID_ARGUMENT);
  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    g_autofree char *path = write_file ("line", lines[i]);

    assert_refused (path, BANGER_ERROR_INVALID_ARGUMENT);
  }
}

/* As sshd(8) has them in authorized_keys. */
static void
test_options (void)
{
  static const char text[] = "command=\"echo \\\"ssh-rsa\\\" x\",no-pty ssh-rsa AAAA= me\n"
                             "restrict sk-ssh-ed25519@openssh.com BBBB\n";
  g_autofree char *path = write_file ("options", text);
  const char *files[] = { path, NULL };
  g_autoptr (GError) error = NULL;
  g_autofree char *keys = banger_keys_read (files, &error);

  g_assert_no_error (error);
  g_assert_cmpstr (keys, ==, text);
}

/* The user's public keys in the order of their names, then the files; private ones never. */
static void
test_collect (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *rsa G_GNUC_UNUSED = write_file (".ssh/id_rsa.pub", "ssh-rsa RRRR\n");
  g_autofree char *ecdsa G_GNUC_UNUSED
      = write_file (".ssh/id_ecdsa.pub", "ecdsa-sha2-nistp256 EEEE\n");
  g_autofree char *private_key G_GNUC_UNUSED = write_file (".ssh/id_rsa", "secret\n");
  g_autofree char *other G_GNUC_UNUSED = write_file (".ssh/known_hosts.pub", "other\n");
  g_autofree char *file = write_file ("file.pub", "ssh-rsa FFFF\nssh-rsa RRRR\n");
  const char *files[] = { file, NULL };
  g_autofree char *keys = banger_keys_collect (files, &error);

  g_assert_no_error (error);
  g_assert_true (g_str_has_suffix (keys, "ecdsa-sha2-nistp256 EEEE\nssh-rsa RRRR\nssh-rsa FFFF\n"));
  g_assert_null (strstr (keys, "secret"));
  g_assert_null (strstr (keys, "other"));
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *data = NULL;
  int status = 0;

  home = g_dir_make_tmp ("banger-keys-XXXXXX", &error);
  g_assert_no_error (error);
  data = g_build_filename (home, "data", NULL);
  g_setenv ("HOME", home, TRUE);
  g_setenv ("XDG_DATA_HOME", data, TRUE);
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/keys/own", test_own);
  g_test_add_func ("/keys/half-made", test_half_made);
  g_test_add_func ("/keys/read", test_read);
  g_test_add_func ("/keys/refused", test_refused);
  g_test_add_func ("/keys/options", test_options);
  g_test_add_func ("/keys/collect", test_collect);
  status = g_test_run ();
  g_autofree char *command = g_strdup_printf ("rm -rf '%s'", home);
  g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL);
  g_free (home);
  return status;
}
