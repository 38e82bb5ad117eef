/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file-steps.h"

#include "errors.h"

#include <string.h>

/* Types beside those of D-Bus: text or bytes without a zero; a path is that from the root. */
#define TEXT "text"
#define PATH "path"

typedef struct {
  const char *name;
  const char *type;
  gboolean needed;
} Key;

#define THE_PATH       \
  {                    \
    "path", PATH, TRUE \
  }
#define OWNER     \
  { "uid", "u" }, \
  {               \
    "gid", "u"    \
  }
#define TIME          \
  { "mtime", "x" },   \
  {                   \
    "mtime-nsec", "u" \
  }
#define PARENTS    \
  {                \
    "parents", "b" \
  }
#define RECURSIVE    \
  {                  \
    "recursive", "b" \
  }

typedef struct {
  const char *verb;
  gboolean edit;
  Key keys[12]; /* ends with { NULL } */
} Verb;

static const Verb verbs[] = {
  { "list", FALSE, { THE_PATH, RECURSIVE } },
  { "stat", FALSE, { THE_PATH, { "follow", "b" } } },
  { "read", FALSE, { THE_PATH, { "offset", "t" }, { "length", "t" } } },
  { "pack", FALSE, { THE_PATH } },
  { "write",
    TRUE,
    { THE_PATH,
      { "content", "ay" },
      { "file", "h" },
      { "room-bytes", "t" },
      { "mode", "u" },
      OWNER,
      TIME,
      PARENTS } },
  { "unpack",
    TRUE,
    { THE_PATH, { "file", "h", TRUE }, { "room-bytes", "t" }, { "room-entries", "t" }, OWNER } },
  { "mkdir", TRUE, { THE_PATH, { "mode", "u" }, OWNER, TIME, PARENTS } },
  { "symlink", TRUE, { THE_PATH, { "target", TEXT, TRUE }, OWNER, TIME } },
  { "link", TRUE, { THE_PATH, { "target", PATH, TRUE } } },
  { "rename", TRUE, { THE_PATH, { "to", PATH, TRUE } } },
  { "remove", TRUE, { THE_PATH, RECURSIVE, { "missing-ok", "b" } } },
  { "set", TRUE, { THE_PATH, { "mode", "u" }, OWNER, TIME, RECURSIVE } },
};

static const Verb *
find_verb (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++) {
    if (g_str_equal (verbs[i].verb, name))
      return &verbs[i];
  }
  return NULL;
}

gboolean
banger_file_steps_know (const char *name, gboolean edit)
{
  const Verb *verb = find_verb (name);

  return verb != NULL && verb->edit == edit;
}

char *
banger_file_steps_list (gboolean edit)
{
  g_autoptr (GString) list = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (verbs); i++) {
    if (verbs[i].edit == edit)
      g_string_append_printf (list, "%s%s", list->len > 0 ? ", " : "", verbs[i].verb);
  }
  return g_string_free (g_steal_pointer (&list), FALSE);
}

static const Key *
find_key (const Verb *verb, const char *name)
{
  for (const Key *key = verb->keys; key->name != NULL; key++) {
    if (g_str_equal (key->name, name))
      return key;
  }
  return NULL;
}

/* The bytes of a string or an array of them; NULL where they hold a zero or are neither. */
static char *
text_of (GVariant *value)
{
  gsize length = 0;
  const char *bytes = NULL;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    return g_variant_dup_string (value, NULL);
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_BYTESTRING))
    return NULL;
  bytes = g_variant_get_fixed_array (value, &length, 1);
  /* Bytestrings of GVariant end with a zero; it does not count. */
  if (length > 0 && bytes[length - 1] == '\0')
    length--;
  return length > 0 && memchr (bytes, '\0', length) != NULL ? NULL : g_strndup (bytes, length);
}

char *
banger_file_step_path (GVariant *args, const char *key)
{
  g_autoptr (GVariant) value = g_variant_lookup_value (args, key, NULL);

  return value != NULL ? text_of (value) : NULL;
}

static const char *
wrong_text (GVariant *value, gboolean is_path)
{
  g_autofree char *text = text_of (value);

  if (text == NULL)
    return "must be text, or bytes without a zero";
  if (is_path && *text != '/')
    return "must begin with '/'";
  if (*text == '\0' || strlen (text) > BANGER_FILE_PATH_MAX)
    return "must be of 1 to " G_STRINGIFY (BANGER_FILE_PATH_MAX) " bytes";
  return NULL;
}

static const char *
wrong_number (const char *key, GVariant *value)
{
  guint32 number = g_variant_get_uint32 (value);

  if (g_str_equal (key, "mode") && number > 07777)
    return "must be permissions, at most octal 7777";
  if (g_str_equal (key, "mtime-nsec") && number > 999999999)
    return "must be less than a second";
  /* To Linux it is that an owner stays as it is, not one. */
  if ((g_str_equal (key, "uid") || g_str_equal (key, "gid")) && number == G_MAXUINT32)
    return "must be less than 4294967295";
  return NULL;
}

/* What is wrong with it; NULL: nothing. */
static const char *
wrong_value (const Key *key, GVariant *value, guint n_fds)
{
  if (g_str_equal (key->type, TEXT) || g_str_equal (key->type, PATH))
    return wrong_text (value, g_str_equal (key->type, PATH));
  if (!g_variant_is_of_type (value, G_VARIANT_TYPE (key->type)))
    return "is of another type";
  if (g_str_equal (key->type, "u"))
    return wrong_number (key->name, value);
  if (g_str_equal (key->type, "h") && (guint32)g_variant_get_handle (value) >= n_fds)
    return "is a descriptor that did not come with the call";
  return NULL;
}

static gboolean G_GNUC_PRINTF (4, 5)
    refuse (GError **error, gsize index, const char *verb, const char *format, ...)
{
  g_autofree char *reason = NULL;
  va_list args;

  va_start (args, format);
  reason = g_strdup_vprintf (format, args);
  va_end (args);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                    "step %" G_GSIZE_FORMAT " (%s): %s", index + 1, verb, reason);
  return FALSE;
}

static gboolean
check_keys (const Verb *verb, gsize index, GVariant *args, guint n_fds, GError **error)
{
  GVariantIter iter;
  const char *name = NULL;
  GVariant *value = NULL;

  g_variant_iter_init (&iter, args);
  while (g_variant_iter_next (&iter, "{&sv}", &name, &value)) {
    g_autoptr (GVariant) held = value;
    const Key *key = find_key (verb, name);
    const char *wrong = NULL;

    /* It is not repeated: it is the caller's. */
    if (key == NULL)
      return refuse (error, index, verb->verb, "a key of it is not known");
    wrong = wrong_value (key, held, n_fds);
    if (wrong != NULL)
      return refuse (error, index, verb->verb, "'%s' %s", name, wrong);
  }
  for (const Key *key = verb->keys; key->name != NULL; key++) {
    g_autoptr (GVariant) found = g_variant_lookup_value (args, key->name, NULL);

    if (key->needed && found == NULL)
      return refuse (error, index, verb->verb, "'%s' is missing", key->name);
  }
  return TRUE;
}

static gboolean
has (GVariant *args, const char *key)
{
  g_autoptr (GVariant) value = g_variant_lookup_value (args, key, NULL);

  return value != NULL;
}

static gboolean
check_step (GVariant *step, gsize index, gboolean edit, guint n_fds, GHashTable *files,
            GError **error)
{
  g_autoptr (GVariant) args = g_variant_get_child_value (step, 1);
  const char *name = NULL;
  const Verb *verb = NULL;
  gint32 file = -1;

  g_variant_get_child (step, 0, "&s", &name);
  verb = find_verb (name);
  if (verb == NULL || verb->edit != edit) {
    g_autofree char *list = banger_file_steps_list (edit);
    g_autofree char *hint = g_strconcat ("a step is one of ", list, NULL);

    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, hint,
                      "step %" G_GSIZE_FORMAT " is none of %s", index + 1,
                      edit ? "EditFiles" : "ReadFiles");
    return FALSE;
  }
  if (!check_keys (verb, index, args, n_fds, error))
    return FALSE;
  /* The first step would leave nothing in it for the second. */
  if (g_variant_lookup (args, "file", "h", &file)
      && !g_hash_table_add (files, GINT_TO_POINTER (file)))
    return refuse (error, index, name, "'file' is a descriptor that a step before has taken");
  if (has (args, "content") && has (args, "file"))
    return refuse (error, index, name, "has both 'content' and 'file'");
  if (has (args, "mtime-nsec") && !has (args, "mtime"))
    return refuse (error, index, name, "'mtime-nsec' is not without 'mtime'");
  return TRUE;
}

gboolean
banger_file_steps_check (GVariant *steps, gboolean edit, guint n_fds, GError **error)
{
  g_autoptr (GHashTable) files = g_hash_table_new (NULL, NULL);
  gsize n = g_variant_n_children (steps);

  if (n == 0 || n > BANGER_FILE_STEPS_MAX || g_variant_get_size (steps) > BANGER_FILE_STEPS_BYTES) {
    banger_set_error (
        error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
        "there must be 1 to " G_STRINGIFY (BANGER_FILE_STEPS_MAX) " steps, of 1 MiB in all");
    return FALSE;
  }
  for (gsize i = 0; i < n; i++) {
    g_autoptr (GVariant) step = g_variant_get_child_value (steps, i);

    if (!check_step (step, i, edit, n_fds, files, error))
      return FALSE;
  }
  return TRUE;
}
