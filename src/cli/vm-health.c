/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's agent says. */
#include "verbs.h"

#include <glib/gi18n.h>

static JsonNode *
document_of (GVariant *health)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();
  g_autoptr (GVariant) stages = NULL;
  g_autofree const char **problems = NULL;

  banger_json_string (json, "health", banger_props_string (health, "health"));
  banger_json_string (json, "init", banger_props_string (health, "init"));
  banger_json_string (json, "agent_version", banger_props_string (health, "agent-version"));
  json_builder_set_member_name (json, "stages");
  json_builder_begin_array (json);
  stages = g_variant_lookup_value (health, "stages", G_VARIANT_TYPE ("a(sd)"));
  for (gsize i = 0; stages != NULL && i < g_variant_n_children (stages); i++) {
    const char *name = NULL;
    double at = 0;

    g_variant_get_child (stages, i, "(&sd)", &name, &at);
    json_builder_begin_object (json);
    banger_json_string (json, "stage", name);
    banger_json_number (json, "at_us", at > 0 && at < 1e9 ? (guint64)(at * 1e6) : 0);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
  json_builder_set_member_name (json, "problems");
  json_builder_begin_array (json);
  if (g_variant_lookup (health, "problems", "^a&s", &problems)) {
    for (guint i = 0; problems[i] != NULL; i++)
      json_builder_add_string_value (json, problems[i]);
  }
  json_builder_end_array (json);
  return banger_json_end (json);
}

static void
health_as_lines (GVariant *health)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  g_autoptr (GVariant) stages = g_variant_lookup_value (health, "stages", G_VARIANT_TYPE ("a(sd)"));
  g_autofree const char **problems = NULL;

  banger_table_add (table, g_strdup (_ ("health:")),
                    g_strdup (banger_props_string (health, "health")), NULL);
  banger_table_add (table, g_strdup (_ ("init:")), g_strdup (banger_props_string (health, "init")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("agent:")),
                    g_strdup (banger_props_string (health, "agent-version")), NULL);
  for (gsize i = 0; stages != NULL && i < g_variant_n_children (stages); i++) {
    const char *name = NULL;
    double at = 0;

    g_variant_get_child (stages, i, "(&sd)", &name, &at);
    banger_table_add (table, g_strdup (i == 0 ? _ ("boot:") : ""),
                      g_strdup_printf ("%8.3f s  %s", at, name), NULL);
  }
  if (g_variant_lookup (health, "problems", "^a&s", &problems)) {
    for (guint i = 0; problems[i] != NULL; i++)
      banger_table_add (table, g_strdup (i == 0 ? _ ("problems:") : ""), g_strdup (problems[i]),
                        NULL);
  }
  banger_table_print (table);
}

int
banger_vm_health (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autofree char *path
      = banger_client_find (client, BANGER_OBJECT_VM, banger_args_words (args)[0], error);
  g_autoptr (GVariant) reply = NULL, health = NULL;
  g_autoptr (JsonNode) document = NULL;
  gboolean for_people = FALSE;

  if (path == NULL)
    return 0;
  reply = banger_client_call (client, path, BANGER_IFACE_VM, "GetHealth",
                              g_variant_new ("(@a{sv})", banger_no_args ()), "(a{sv})", NULL, NULL,
                              error);
  if (reply == NULL)
    return 0;
  health = g_variant_get_child_value (reply, 0);
  document = document_of (health);
  if (banger_document_print (args, document, &for_people, error) && for_people)
    health_as_lines (health);
  return BANGER_EXIT_OK;
}
