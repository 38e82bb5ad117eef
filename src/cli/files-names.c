/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Modes, owners and types of files, as words of the command line have them. */
#include "files-client.h"
#include "output.h"

#include "text.h"

#include <glib/gi18n.h>
#include <string.h>

gboolean
banger_files_mode (const char *word, guint32 *mode, GError **error)
{
  gsize length = strlen (word);

  if (length > 0 && length <= 4 && strspn (word, "01234567") == length) {
    *mode = (guint32)g_ascii_strtoull (word, NULL, 8);
    return TRUE;
  }
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    _ ("a mode is one to four octal digits, such as 644 or 1777"));
  return FALSE;
}

gboolean
banger_files_id (const char *word, guint32 *id)
{
  guint64 value = 0;

  /* The largest number is none of an owner's. */
  if (!g_ascii_string_to_unsigned (word, 10, 0, G_MAXUINT32 - 1, &value, NULL))
    return FALSE;
  *id = (guint32)value;
  return TRUE;
}

/* A file of the object, as text; one that is not there is empty. */
static char *
read_text (BangerFilesTarget *target, const char *path)
{
  g_auto (BangerFilesSteps) steps;
  g_autoptr (GBytes) bytes = NULL;

  banger_files_steps_init (&steps);
  banger_files_steps_add (&steps, "read", path, NULL);
  bytes = banger_files_read_bytes (target, &steps, NULL);
  return g_strdup (bytes != NULL ? g_bytes_get_data (bytes, NULL) : "");
}

/* A number that Linux has no owner for is no name either. */
static gboolean
check_owner_word (const char *word, GError **error)
{
  guint32 id = 0;

  if (word == NULL || !banger_text_is_number (word) || banger_files_id (word, &id))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    _ ("'%s' is too large: an owner's number is at most %u"), word,
                    G_MAXUINT32 - 1);
  return FALSE;
}

/* What /etc/passwd or /etc/group of the object says of @name: the id in its third field, and the
 * one in its fourth (may be NULL). */
static gboolean
look_up (BangerFilesTarget *target, const char *file, const char *name, guint32 *id, guint32 *group,
         GError **error)
{
  g_autofree char *text = read_text (target, file);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autofree char *shown = banger_text_escape (name, -1);

  for (guint i = 0; lines[i] != NULL; i++) {
    g_auto (GStrv) fields = g_strsplit (lines[i], ":", 5);

    if (g_strv_length (fields) >= 4 && strcmp (fields[0], name) == 0
        && banger_files_id (fields[2], id) && (group == NULL || banger_files_id (fields[3], group)))
      return TRUE;
  }
  banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, NULL, _ ("give its number"),
                    _ ("'%s' is not in %s of %s"), shown, file, target->name);
  return FALSE;
}

gboolean
banger_files_owner (BangerFilesTarget *target, const char *word, GVariantDict *args, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (word, ":", 2);
  const char *user = parts[0] != NULL ? parts[0] : "", *group = user[0] != '\0' ? parts[1] : NULL;
  guint32 uid = 0, gid = 0, own = 0;
  gboolean wants_own = group != NULL && *group == '\0';

  if (parts[0] != NULL && *user == '\0')
    group = parts[1];
  if ((*user == '\0' && (group == NULL || *group == '\0'))
      || (group != NULL && strchr (group, ':') != NULL)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("an owner is USER, USER:GROUP or :GROUP"));
    return FALSE;
  }
  if (!check_owner_word (user, error) || !check_owner_word (group, error))
    return FALSE;
  if (*user != '\0') {
    if ((wants_own || !banger_files_id (user, &uid))
        && !look_up (target, "/etc/passwd", user, &uid, &own, error))
      return FALSE;
    g_variant_dict_insert (args, "uid", "u", uid);
  }
  if (wants_own)
    g_variant_dict_insert (args, "gid", "u", own);
  if (group == NULL || *group == '\0')
    return TRUE;
  if (!banger_files_id (group, &gid) && !look_up (target, "/etc/group", group, &gid, NULL, error))
    return FALSE;
  g_variant_dict_insert (args, "gid", "u", gid);
  return TRUE;
}

char *
banger_files_type (BangerFilesTarget *target, const char *path, GError **error)
{
  g_auto (BangerFilesSteps) steps;
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (JsonParser) parser = json_parser_new ();
  JsonNode *root = NULL;
  GVariantDict more;

  banger_files_steps_init (&steps);
  g_variant_dict_init (&more, NULL);
  g_variant_dict_insert (&more, "follow", "b", TRUE);
  banger_files_steps_add (&steps, "stat", path, &more);
  bytes = banger_files_read_bytes (target, &steps, error);
  if (bytes == NULL
      || !json_parser_load_from_data (parser, g_bytes_get_data (bytes, NULL),
                                      (gssize)g_bytes_get_size (bytes), error))
    return NULL;
  root = json_parser_get_root (parser);
  if (root == NULL || !JSON_NODE_HOLDS_OBJECT (root))
    return g_strdup ("");
  return g_strdup (
      json_object_get_string_member_with_default (json_node_get_object (root), "type", ""));
}
