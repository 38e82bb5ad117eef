/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "keys.h"

#include "text.h"

#include "common/common.h"

#include <fcntl.h>
#include <glib/gi18n.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

/* Of all keys together, as CreateVM takes them. */
#define KEYS_MAX 32768

char *
banger_keys_identity (void)
{
  return g_build_filename (g_get_user_data_dir (), "banger", "id_ed25519", NULL);
}

static gboolean
run_keygen (const char *path, GError **error)
{
  const char *argv[]
      = { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "banger", "-f", path, NULL };
  BangerRunSpec spec = { .argv = argv };
  g_autofree char *program = banger_run_find (argv[0]), *output = NULL;
  int status = 0;

  if (program == NULL) {
    banger_set_error (error, BANGER_ERROR_HOST_NOT_READY, NULL, NULL, "apt install openssh-client",
                      _ ("there is no ssh-keygen to make a key of banger's own"));
    return FALSE;
  }
  if (!banger_run_wait (&spec, &output, &status, error))
    return FALSE;
  if (g_spawn_check_wait_status (status, NULL))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_FAILED, NULL, output, NULL,
                    _ ("ssh-keygen cannot make a key"));
  return FALSE;
}

/* The private key comes to its place last: where it is, all is there. */
static gboolean
make_pair (const char *identity, GError **error)
{
  g_autofree char *fresh = g_strconcat (identity, ".new", NULL);
  g_autofree char *fresh_public = g_strconcat (fresh, ".pub", NULL);
  g_autofree char *public_key = g_strconcat (identity, ".pub", NULL);

  /* What an end in between has left. */
  g_unlink (fresh);
  g_unlink (fresh_public);
  if (!run_keygen (fresh, error))
    return FALSE;
  if (rename (fresh_public, public_key) == 0 && rename (fresh, identity) == 0)
    return TRUE;
  banger_set_error_errno (error, errno, NULL, _ ("cannot keep the key '%s'"), identity);
  return FALSE;
}

char *
banger_keys_own (GError **error)
{
  g_autofree char *identity = banger_keys_identity ();
  g_autofree char *folder = g_path_get_dirname (identity);
  g_autofree char *public_key = g_strconcat (identity, ".pub", NULL);
  banger_autofd int lock = -1;

  if (g_mkdir_with_parents (folder, 0700) != 0) {
    banger_set_error_errno (error, errno, NULL, _ ("cannot make the folder '%s'"), folder);
    return NULL;
  }
  /* Two that make their first VM at once want one pair. */
  lock = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock < 0 || TEMP_FAILURE_RETRY (flock (lock, LOCK_EX)) != 0) {
    banger_set_error_errno (error, errno, NULL, _ ("cannot lock the folder '%s'"), folder);
    return NULL;
  }
  if (!g_file_test (identity, G_FILE_TEST_EXISTS) && !make_pair (identity, error))
    return NULL;
  return banger_read_file_at (AT_FDCWD, public_key, KEYS_MAX, NULL, error);
}

/* "keytype base64 comment" at @line, after blanks. */
static gboolean
is_plain_key (const char *line)
{
  static const char *const types[] = { "ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-" };
  const char *type = line + strspn (line, " \t"), *data = type + strcspn (type, " \t");
  gboolean known = FALSE;
  gsize length = 0;

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    known |= g_str_has_prefix (type, types[i]);
  data += strspn (data, " \t");
  length = strspn (data, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "+/=");
  return known && length > 0 && (data[length] == '\0' || strchr (" \t", data[length]) != NULL);
}

/* A line of authorized_keys as sshd(8) describes it: options, which may hold blanks in quotes, may
 * stand before the key. */
static gboolean
is_key (const char *line)
{
  gboolean quoted = FALSE;

  if (is_plain_key (line))
    return TRUE;
  for (; *line != '\0' && (quoted || strchr (" \t", *line) == NULL); line++) {
    if (*line == '\\' && line[1] == '"')
      line++;
    else if (*line == '"')
      quoted = !quoted;
  }
  return is_plain_key (line);
}

/* Takes each line of @text that is a key, unless it is there. FALSE at one that is none. */
static gboolean
add_lines (GString *keys, const char *text, guint *n)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++) {
    const char *line = g_strstrip (lines[i]);
    g_autofree char *whole = g_strconcat (line, "\n", NULL);
    const char *there = NULL;

    if (*line == '\0' || *line == '#')
      continue;
    if (!is_key (line))
      return FALSE;
    ++*n;
    there = strstr (keys->str, whole);
    if (there == NULL || (there != keys->str && there[-1] != '\n'))
      g_string_append (keys, whole);
  }
  return TRUE;
}

static gboolean
set_no_keys (const char *shown, const char *cause, const char *hint, GError **error)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, cause, hint,
                    _ ("'%s' is no file of public keys"), shown);
  return FALSE;
}

static gboolean
add_text (GString *keys, const char *path, const char *text, gsize length, GError **error)
{
  g_autofree char *shown = banger_text_escape (path, -1);
  g_autofree char *hint = g_strconcat (path, ".pub", NULL);
  guint n = 0;

  if (strstr (text, "PRIVATE KEY-----") != NULL) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint,
                      _ ("'%s' is a private key: its public one is meant"), shown);
    return FALSE;
  }
  if (memchr (text, '\0', length) != NULL || !g_utf8_validate (text, (gssize)length, NULL))
    return set_no_keys (shown, _ ("it is no text"), NULL, error);
  if (!add_lines (keys, text, &n))
    return set_no_keys (shown, _ ("a line of it is no public key"),
                        _ ("~/.ssh/id_ed25519.pub, for example"), error);
  return n > 0 || set_no_keys (shown, _ ("it holds no key"), NULL, error);
}

static gboolean
add_file (GString *keys, const char *path, GError **error)
{
  g_autofree char *shown = banger_text_escape (path, -1), *text = NULL;
  g_autoptr (GError) cause = NULL;
  gsize length = 0;

  text = banger_read_file_at (AT_FDCWD, path, KEYS_MAX, &length, &cause);
  if (text != NULL)
    return add_text (keys, path, text, length, error);
  banger_set_error (error, cause->code, NULL,
                    banger_error_cause (cause) != NULL ? banger_error_cause (cause)
                                                       : cause->message,
                    NULL, _ ("cannot read the key '%s'"), shown);
  return FALSE;
}

static char *
end (GString *keys, GError **error)
{
  if (keys->len <= KEYS_MAX)
    return g_string_free (keys, FALSE);
  g_string_free (keys, TRUE);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "--no-ssh-key",
                    _ ("the public keys are longer than 32 KiB together"));
  return NULL;
}

static gboolean
add_files (GString *keys, const char *const *files, GError **error)
{
  for (guint i = 0; files[i] != NULL; i++) {
    if (!add_file (keys, files[i], error))
      return FALSE;
  }
  return TRUE;
}

char *
banger_keys_read (const char *const *files, GError **error)
{
  GString *keys = g_string_new (NULL);

  if (add_files (keys, files, error))
    return end (keys, error);
  g_string_free (keys, TRUE);
  return NULL;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* ~/.ssh/id_*.pub, in the order of their names. */
static void
add_users (GString *keys)
{
  g_autofree char *folder = g_build_filename (g_get_home_dir (), ".ssh", NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name = NULL;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    if (g_str_has_prefix (name, "id_") && g_str_has_suffix (name, ".pub"))
      g_ptr_array_add (names, g_build_filename (folder, name, NULL));
  }
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++) {
    g_autoptr (GError) error = NULL;

    if (!add_file (keys, g_ptr_array_index (names, i), &error))
      g_printerr ("%s %s\n", _ ("note:"), error->message);
  }
}

char *
banger_keys_collect (const char *const *files, GError **error)
{
  GString *keys = g_string_new (NULL);
  g_autoptr (GError) cause = NULL;
  g_autofree char *own = banger_keys_own (&cause);
  guint n = 0;

  if (own != NULL)
    add_lines (keys, own, &n);
  else
    g_printerr ("%s %s\n", _ ("note:"), cause->message);
  add_users (keys);
  if (add_files (keys, files, error))
    return end (keys, error);
  g_string_free (keys, TRUE);
  return NULL;
}
