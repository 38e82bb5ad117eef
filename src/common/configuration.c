/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GKeyFile reads the lines, one at a time, so that what is wrong has a number. */
#include "configuration.h"

#include "bounds.h"
#include "config.h"
#include "configuration-table.h"
#include "io.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define GIB (G_GUINT64_CONSTANT (1) << 30)
#define HINT "banger.conf(5) lists what can be said"

typedef struct {
  BangerConfig *config;
  const char *name;
  guint line;
  char *group; /* NULL before the first one */
} Parse;

BangerConfig *
banger_config_new (BangerMode mode)
{
  BangerConfig *config = g_new0 (BangerConfig, 1);

  config->vcpus = 1;
  config->memory_bytes = 512 * MIB;
  config->disk_bytes = config->work_bytes = 4 * GIB;
  config->root = BANGER_ROOT_OVERLAY;
  config->restart = BANGER_RESTART_NEVER;
  config->import_stall = 300;
  /* A session's user can fill the host without us; on a system others would suffer for it. */
  if (mode == BANGER_MODE_SYSTEM) {
    config->reserve_memory_bytes = 256 * MIB;
    config->reserve_disk_bytes = 1 * GIB;
  }
  return config;
}

void
banger_config_free (BangerConfig *config)
{
  g_free (config->network);
  g_free (config->bus);
  g_free (config->progress);
  g_free (config);
}

G_GNUC_PRINTF (3, 4)
static gboolean
refuse (const Parse *parse, GError **error, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, HINT, "%s:%u: %s",
                    parse->name, parse->line, what);
  return FALSE;
}

static gboolean
refuse_value (const Parse *parse, const BangerConfigKey *key, const char *rule, GError **error)
{
  return refuse (parse, error, "key '%s' of group [%s] must be %s", key->key, key->group, rule);
}

/* A number such as 1.5 with K, M, G or T, which may be followed by iB. Whole MiB up to the largest
 * bound are exact in a double. */
static gboolean
parse_size (const char *text, guint64 *bytes)
{
  static const char units[] = "KMGT";
  char *end = NULL;
  const char *unit = NULL;
  double number = 0;
  guint shift = 0;

  if (!g_ascii_isdigit (*text) || g_ascii_tolower (text[1]) == 'x')
    return FALSE;
  number = g_ascii_strtod (text, &end);
  if (end != text + strspn (text, "0123456789."))
    return FALSE;
  unit = *end != '\0' ? strchr (units, *end) : NULL;
  if (unit != NULL) {
    shift = 10 * (guint)(unit - units + 1);
    end += g_str_equal (end + 1, "iB") ? 3 : 1;
  }
  number *= (double)((guint64)1 << shift);
  if (*end != '\0' || number >= 0x1p63)
    return FALSE;
  *bytes = (guint64)number;
  return TRUE;
}

static gboolean
take_size (const Parse *parse, const BangerConfigKey *key, const char *value, guint64 *field,
           GError **error)
{
  g_autofree char *rule = NULL;
  guint64 bytes = 0;

  if (parse_size (value, &bytes) && bytes >= key->least && bytes <= key->most && bytes % MIB == 0) {
    *field = bytes;
    return TRUE;
  }
  rule = g_strdup_printf ("a size of whole MiB such as 512M or 4G, from %" G_GUINT64_FORMAT
                          "M to %" G_GUINT64_FORMAT "M",
                          key->least / MIB, key->most / MIB);
  return refuse_value (parse, key, rule, error);
}

static gboolean
take_number (const Parse *parse, const BangerConfigKey *key, const char *value, guint *field,
             GError **error)
{
  g_autofree char *rule = NULL;
  guint64 number = 0;

  if (g_ascii_string_to_unsigned (value, 10, key->least, key->most, &number, NULL)) {
    *field = (guint)number;
    return TRUE;
  }
  rule = g_strdup_printf ("a number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT, key->least,
                          key->most);
  return refuse_value (parse, key, rule, error);
}

static gboolean
take_word (const Parse *parse, const BangerConfigKey *key, const char *value, gpointer field,
           GError **error)
{
  g_auto (GStrv) words = g_strsplit (key->words, " ", -1);
  g_autofree char *rule = g_strjoinv (", ", words);

  if (!g_strv_contains ((const char *const *)words, value)) {
    g_autofree char *one_of = g_strconcat ("one of ", rule, NULL);

    return refuse_value (parse, key, one_of, error);
  }
  switch (key->type) {
  case BANGER_CONFIG_BOOL:
    *(gboolean *)field = g_str_equal (value, "true");
    break;
  case BANGER_CONFIG_ROOT:
    return banger_root_from_string (value, field);
  case BANGER_CONFIG_RESTART:
    return banger_restart_from_string (value, field);
  default:
    g_free (*(char **)field);
    *(char **)field = g_strdup (value);
  }
  return TRUE;
}

static gboolean
take_value (const Parse *parse, const BangerConfigKey *key, const char *value, GError **error)
{
  gpointer field = G_STRUCT_MEMBER_P (parse->config, key->offset);

  if (key->type == BANGER_CONFIG_NUMBER)
    return take_number (parse, key, value, field, error);
  if (key->type == BANGER_CONFIG_SIZE)
    return take_size (parse, key, value, field, error);
  return take_word (parse, key, value, field, error);
}

static gboolean
take_key (const Parse *parse, GKeyFile *file, const char *name, GError **error)
{
  /* As it stands: no value needs GKeyFile's escapes, and its versions differ in bad ones. */
  g_autofree char *value = g_key_file_get_value (file, parse->group, name, NULL);
  g_autofree char *shown = g_strescape (name, NULL);

  for (const BangerConfigKey *key = banger_config_keys; key->group != NULL; key++) {
    if (g_str_equal (key->group, parse->group) && g_str_equal (key->key, name))
      return take_value (parse, key, g_strstrip (value), error);
  }
  return refuse (parse, error, "key '%.80s' is not known in group [%s]", shown, parse->group);
}

static gboolean
take_group (Parse *parse, const char *name, GError **error)
{
  g_autofree char *shown = g_strescape (name, NULL);

  for (const BangerConfigKey *key = banger_config_keys; key->group != NULL; key++) {
    if (!g_str_equal (key->group, name))
      continue;
    g_free (parse->group);
    parse->group = g_strdup (name);
    return TRUE;
  }
  return refuse (parse, error, "group [%.80s] is not known", shown);
}

/* @line holds neither a line break nor a NUL. */
static gboolean
take_line (Parse *parse, const char *line, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *text = NULL;
  g_auto (GStrv) names = NULL;

  while (g_ascii_isspace (*line))
    line++;
  if (*line == '\0' || *line == '#')
    return TRUE;
  if (*line != '[' && parse->group == NULL)
    return refuse (parse, error, "a group such as [defaults] must come before the first key");
  text = *line == '[' ? g_strdup (line) : g_strdup_printf ("[%s]\n%s", parse->group, line);
  if (!g_utf8_validate (text, -1, NULL)
      || !g_key_file_load_from_data (file, text, strlen (text), G_KEY_FILE_KEEP_TRANSLATIONS, NULL))
    return refuse (parse, error, "this is neither [GROUP] nor KEY=VALUE");
  names = *line == '[' ? g_key_file_get_groups (file, NULL)
                       : g_key_file_get_keys (file, parse->group, NULL, NULL);
  if (names == NULL || names[0] == NULL)
    return refuse (parse, error, "this is neither [GROUP] nor KEY=VALUE");
  return *line == '[' ? take_group (parse, names[0], error)
                      : take_key (parse, file, names[0], error);
}

gboolean
banger_config_parse (BangerConfig *config, const char *name, const char *text, gsize length,
                     GError **error)
{
  Parse parse = { .config = config, .name = name };
  const char *end = text + length;
  gboolean ok = TRUE;

  while (ok && text < end) {
    const char *stop = memchr (text, '\n', end - text);
    gsize n = (gsize)((stop != NULL ? stop : end) - text);
    g_autofree char *line = g_strndup (text, n);

    parse.line++;
    ok = strlen (line) == n ? take_line (&parse, line, error)
                            : refuse (&parse, error, "it holds a NUL character");
    text += MIN (n + 1, (gsize)(end - text));
  }
  g_free (parse.group);
  return ok;
}

static gboolean
load_file (BangerConfig *config, const char *path, GError **error)
{
  g_autoptr (GError) failure = NULL;
  gsize length = 0;
  g_autofree char *text
      = banger_read_file_at (AT_FDCWD, path, BANGER_CONFIG_FILE_MAX, &length, &failure);

  if (text != NULL)
    return banger_config_parse (config, path, text, length, error);
  if (g_error_matches (failure, BANGER_ERROR, BANGER_ERROR_NOT_FOUND))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&failure));
  return FALSE;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *)a, *(char *const *)b);
}

static gboolean
load_folder (BangerConfig *config, const char *folder, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  const char *name = NULL;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    if (g_str_has_suffix (name, ".conf") && *name != '.')
      g_ptr_array_add (paths, g_build_filename (folder, name, NULL));
  }
  g_ptr_array_sort (paths, compare_names);
  for (guint i = 0; i < paths->len; i++) {
    if (!load_file (config, paths->pdata[i], error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
load_place (BangerConfig *config, const char *folder, GError **error)
{
  g_autofree char *file = g_build_filename (folder, "banger.conf", NULL);
  g_autofree char *more = g_build_filename (folder, "banger.conf.d", NULL);

  return load_file (config, file, error) && load_folder (config, more, error);
}

/* The host's; the unit of the system's service is given the same by systemd.exec(5). */
static const char *
host_folder (BangerMode mode)
{
  const char *given = g_getenv ("CONFIGURATION_DIRECTORY");

  return mode == BANGER_MODE_SYSTEM && given != NULL && g_path_is_absolute (given)
             ? given
             : BANGER_CONFIG_DIR;
}

BangerConfig *
banger_config_load (BangerMode mode, GError **error)
{
  g_autoptr (BangerConfig) config = banger_config_new (mode);
  g_autofree char *users = g_build_filename (g_get_user_config_dir (), "banger", NULL);

  /* What comes with the package only sets defaults: where it cannot be reached, as below somebody's
   * home for user bangerd, it is as if there were none. An administrator's file is never passed
   * over. */
  if ((access (BANGER_VENDOR_CONFIG_DIR, X_OK) == 0
       && !load_file (config, BANGER_VENDOR_CONFIG_DIR "/banger.conf", error))
      || !load_place (config, host_folder (mode), error)
      || (mode == BANGER_MODE_SESSION && !load_place (config, users, error)))
    return NULL;
  return g_steal_pointer (&config);
}
