/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image mkdir", "rm", "chmod", "chown" and "edit": changes to an image, or to a stopped VM. */
#include "files-client.h"
#include "verbs.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Lines of "edit" that name more files than a call takes descriptors send the small ones as they
 * are. */
#define INLINE_BYTES (32u << 10)

/* ── The commands ────────────────────────────────────────────────────────────────────────────── */

/* Carries the steps out and says so. */
static int
finish (BangerFilesTarget *target, BangerFilesSteps *steps, GError **error)
{
  g_autofree char *label = banger_label (target->kind, target->name), *text = NULL;
  guint done = 0;

  if (!banger_files_edit (target, steps, &done, error))
    return 0;
  text = g_strdup_printf (ngettext ("%s was edited: %u step", "%s was edited: %u steps", done),
                          label, done);
  banger_files_say (target, done, text, error);
  return 0;
}

/* One step of the sort @verb for each path, with what @args say besides; frees @args. */
static int
change_paths (BangerFilesTarget *target, const char *verb, GVariantDict *args, GError **error)
{
  g_autoptr (GVariant) more = g_variant_ref_sink (g_variant_dict_end (args));
  g_auto (BangerFilesSteps) steps;

  banger_files_steps_init (&steps);
  for (guint i = 0; i < target->paths->len; i++) {
    GVariantDict each;

    g_variant_dict_init (&each, more);
    banger_files_steps_add (&steps, verb, target->paths->pdata[i], &each);
  }
  return finish (target, &steps, error);
}

int
banger_image_mkdir (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (BangerFilesTarget) target
      = banger_files_target_new (client, args, banger_args_words (args), FALSE, error);
  g_auto (GVariantDict) more = G_VARIANT_DICT_INIT (NULL);
  const char *mode = banger_args_text (args, "mode"), *owner = banger_args_text (args, "owner");
  guint32 bits = 0;

  if (target == NULL || (mode != NULL && !banger_files_mode (mode, &bits, error))
      || (owner != NULL && !banger_files_owner (target, owner, &more, error)))
    return 0;
  if (mode != NULL)
    g_variant_dict_insert (&more, "mode", "u", bits);
  g_variant_dict_insert (&more, "parents", "b", banger_args_flag (args, "parents"));
  return change_paths (target, "mkdir", &more, error);
}

int
banger_image_rm (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (BangerFilesTarget) target
      = banger_files_target_new (client, args, banger_args_words (args), FALSE, error);
  GVariantDict more;

  if (target == NULL)
    return 0;
  g_variant_dict_init (&more, NULL);
  g_variant_dict_insert (&more, "recursive", "b", banger_args_flag (args, "recursive"));
  g_variant_dict_insert (&more, "missing-ok", "b", banger_args_flag (args, "force"));
  return change_paths (target, "remove", &more, error);
}

int
banger_image_chmod (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  g_autoptr (BangerFilesTarget) target = NULL;
  GVariantDict more;
  guint32 mode = 0;

  if (!banger_files_mode (words[0], &mode, error))
    return 0;
  target = banger_files_target_new (client, args, words + 1, FALSE, error);
  if (target == NULL)
    return 0;
  g_variant_dict_init (&more, NULL);
  g_variant_dict_insert (&more, "mode", "u", mode);
  g_variant_dict_insert (&more, "recursive", "b", banger_args_flag (args, "recursive"));
  return change_paths (target, "set", &more, error);
}

int
banger_image_chown (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  g_autoptr (BangerFilesTarget) target
      = banger_files_target_new (client, args, words + 1, FALSE, error);
  g_auto (GVariantDict) more = G_VARIANT_DICT_INIT (NULL);

  if (target == NULL || !banger_files_owner (target, words[0], &more, error))
    return 0;
  g_variant_dict_insert (&more, "recursive", "b", banger_args_flag (args, "recursive"));
  return change_paths (target, "set", &more, error);
}

/* ── edit ────────────────────────────────────────────────────────────────────────────────────── */

static gboolean
refuse_value (const char *key, GError **error)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger help image edit",
                    _ ("'%s' cannot be that"), key);
  return FALSE;
}

/* The file @path, opened here, or what it holds where that is little and descriptors are scarce; an
 * archive is always opened. */
static gboolean
add_file (BangerFilesSteps *steps, const char *path, gboolean is_archive, GVariantDict *args,
          GError **error)
{
  g_autofree char *shown = banger_text_escape (path, -1), *content = NULL;
  banger_autofd int fd = open (path, O_RDONLY | O_CLOEXEC);
  gint n = g_unix_fd_list_get_length (steps->fds);
  struct stat info;

  if (fd < 0 || fstat (fd, &info) < 0) {
    banger_set_error_errno (error, errno, NULL, _ ("cannot open '%s'"), shown);
    return FALSE;
  }
  if (n < BANGER_FILE_STEPS_FDS
      && (is_archive || n < BANGER_FILE_STEPS_FDS / 2 || info.st_size > INLINE_BYTES)) {
    int index = g_unix_fd_list_append (steps->fds, fd, error);

    if (index >= 0)
      g_variant_dict_insert (args, "file", "h", index);
    return index >= 0;
  }
  if (is_archive || !S_ISREG (info.st_mode) || info.st_size > INLINE_BYTES) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger image cp",
                      _ ("'%s': too many large files for one call"), shown);
    return FALSE;
  }
  content = g_malloc (info.st_size + 1);
  if (pread (fd, content, info.st_size, 0) != info.st_size) {
    banger_set_error_errno (error, errno, NULL, _ ("cannot read '%s'"), shown);
    return FALSE;
  }
  g_variant_dict_insert_value (
      args, "content", g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, content, info.st_size, 1));
  return TRUE;
}

static gboolean
add_flag (GVariantDict *args, const char *key, const char *value, GError **error)
{
  if (value != NULL && strcmp (value, "true") != 0 && strcmp (value, "false") != 0)
    return refuse_value (key, error);
  g_variant_dict_insert (args, key, "b", value == NULL || strcmp (value, "true") == 0);
  return TRUE;
}

static gboolean
add_number (GVariantDict *args, const char *key, const char *value, GError **error)
{
  gint64 seconds = 0;
  guint64 room = 0;
  guint32 id = 0;

  if (g_str_has_prefix (key, "room-")) {
    if (!g_ascii_string_to_unsigned (value, 10, 0, G_MAXUINT64, &room, NULL))
      return refuse_value (key, error);
    g_variant_dict_insert (args, key, "t", room);
    return TRUE;
  }
  if (strcmp (key, "mtime") == 0) {
    if (!g_ascii_string_to_signed (value, 10, G_MININT64, G_MAXINT64, &seconds, NULL))
      return refuse_value (key, error);
    g_variant_dict_insert (args, key, "x", seconds);
    return TRUE;
  }
  if (strcmp (key, "mode") == 0 ? !banger_files_mode (value, &id, error)
                                : !banger_files_id (value, &id))
    return *error == NULL ? refuse_value (key, error) : FALSE;
  g_variant_dict_insert (args, key, "u", id);
  return TRUE;
}

/* One "KEY=VALUE" or flag of a line that begins with @verb; @path gets that of the step. */
static gboolean
add_word (BangerFilesSteps *steps, const char *verb, const char *word, char **path,
          GVariantDict *args, GError **error)
{
  static const char *const flags[] = { "parents", "recursive", "missing-ok", NULL };
  static const char *const texts[] = { "to", "target", NULL };
  static const char *const numbers[]
      = { "mode", "uid", "gid", "mtime", "mtime-nsec", "room-bytes", "room-entries", NULL };
  const char *equals = strchr (word, '='), *value = equals != NULL ? equals + 1 : NULL;
  g_autofree char *key = g_strndup (word, equals != NULL ? (gsize)(equals - word) : strlen (word));
  g_autofree char *shown = banger_text_escape (key, -1);

  if (g_strv_contains (flags, key))
    return add_flag (args, key, value, error);
  if (value != NULL && strcmp (key, "path") == 0) {
    g_free (*path);
    *path = g_strdup (value);
    return TRUE;
  }
  if (value != NULL && g_strv_contains (texts, key)) {
    g_variant_dict_insert_value (args, key, banger_files_path (value));
    return TRUE;
  }
  if (value != NULL && g_strv_contains (numbers, key))
    return add_number (args, key, value, error);
  if (value != NULL && strcmp (key, "content") == 0) {
    g_variant_dict_insert_value (
        args, key, g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, value, strlen (value), 1));
    return TRUE;
  }
  if (value != NULL && strcmp (key, "file") == 0)
    return add_file (steps, value, strcmp (verb, "unpack") == 0, args, error);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger help image edit",
                    _ ("'%s' is no KEY=VALUE of a step"), shown);
  return FALSE;
}

/* The words of a line, a step of EditFiles first; NULL with an error. */
static GStrv
split_line (const char *line, GError **error)
{
  g_auto (GStrv) words = NULL;
  g_autofree char *shown = NULL, *list = NULL, *hint = NULL;

  /* That it is a line with words is known: what can be wrong is how it ends. */
  if (!g_shell_parse_argv (line, NULL, &words, NULL)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      _ ("quotes end on the line where they begin"),
                      _ ("it ends within quotes, or with a backslash"));
    return NULL;
  }
  if (banger_file_steps_know (words[0], TRUE))
    return g_steal_pointer (&words);
  shown = banger_text_escape (words[0], -1);
  list = banger_file_steps_list (TRUE);
  hint = g_strdup_printf (_ ("a step is one of %s"), list);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint, _ ("'%s' is no step"),
                    shown);
  return NULL;
}

static gboolean
add_line (BangerFilesSteps *steps, const char *line, GError **error)
{
  g_auto (GVariantDict) args = G_VARIANT_DICT_INIT (NULL);
  g_auto (GStrv) words = split_line (line, error);
  g_autofree char *path = NULL;

  if (words == NULL)
    return FALSE;
  for (guint i = 1; words[i] != NULL; i++) {
    if (!add_word (steps, words[0], words[i], &path, &args, error))
      return FALSE;
  }
  if (path == NULL) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger help image edit",
                      _ ("path= is missing"));
    return FALSE;
  }
  banger_files_steps_add (steps, words[0], path, &args);
  return TRUE;
}

static gboolean
is_step (const char *line)
{
  line += strspn (line, " \t\r");
  return *line != '\0' && *line != '#';
}

static gboolean
read_script (const char *path, char **text, GError **error)
{
  g_autoptr (GError) cause = NULL;
  g_autofree char *shown = banger_text_escape (path, -1);
  gboolean from_input = strcmp (path, "-") == 0;

  if (g_file_get_contents (from_input ? "/dev/stdin" : path, text, NULL, &cause))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, cause->message, NULL,
                    _ ("cannot read '%s'"), shown);
  return FALSE;
}

static gboolean
add_script (BangerFilesSteps *steps, const char *text, GError **error)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++) {
    g_autoptr (GError) cause = NULL;

    if (!is_step (lines[i]) || add_line (steps, lines[i], &cause))
      continue;
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, banger_error_cause (cause),
                      banger_error_hint (cause), _ ("line %u: %s"), i + 1, cause->message);
    return FALSE;
  }
  if (steps->n > 0)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger help image edit",
                    _ ("there is no step to do"));
  return FALSE;
}

int
banger_image_edit (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  const char *name[] = { words[0], NULL };
  g_auto (BangerFilesSteps) steps;
  g_autoptr (BangerFilesTarget) target = NULL;
  g_autofree char *text = NULL;

  banger_files_steps_init (&steps);
  if (strchr (name[0], ':') != NULL) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("image edit: the lines have the paths; here stands a name alone"));
    return 0;
  }
  if (!read_script (words[1] != NULL ? words[1] : "-", &text, error)
      || !add_script (&steps, text, error))
    return 0;
  target = banger_files_target_new (client, args, name, TRUE, error);
  return target != NULL ? finish (target, &steps, error) : 0;
}
