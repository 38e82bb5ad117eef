/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "health.h"

#include "json.h"

#include <string.h>

#define VERSION_MAX 32
#define LIST_MAX 16

static const char *const inits[] = { "systemd", "openrc", "runit", "sysv", "none", NULL };
static const char *const stages[]
    = { "kernel", "modules", "disks", "root", "network", "handover", "init", "healthy", NULL };
static const char *const problems[]
    = { "module",   "module-tree", "work-disk", "bind",  "hostname", "network",
        "resolver", "cgroup",      "init",      "units", NULL };

/* Our own copy of a word that the guest said, NULL if it is none of ours. */
static const char *
known (const char *const *words, const char *word)
{
  for (guint i = 0; word != NULL && words[i] != NULL; i++)
    if (g_str_equal (words[i], word))
      return words[i];
  return NULL;
}

static gboolean
is_version (const char *text)
{
  return text != NULL && *text != '\0' && strlen (text) <= VERSION_MAX
         && strspn (text, "0123456789.abcdefghijklmnopqrstuvwxyz+~-") == strlen (text);
}

static GVariant *
stages_of (JsonObject *object)
{
  JsonArray *array = banger_json_array (object, "stages");
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a(sd)"));
  for (guint i = 0; array != NULL && i < MIN (json_array_get_length (array), LIST_MAX); i++) {
    JsonNode *node = json_array_get_element (array, i);
    JsonObject *stage = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
    const char *name = stage != NULL ? known (stages, banger_json_string (stage, "name")) : NULL;

    if (name != NULL)
      g_variant_builder_add (&builder, "(sd)", name, banger_json_double (stage, "seconds", 0));
  }
  return g_variant_builder_end (&builder);
}

static GVariant *
problems_of (JsonObject *object)
{
  JsonArray *array = banger_json_array (object, "problems");
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("as"));
  for (guint i = 0; array != NULL && i < MIN (json_array_get_length (array), LIST_MAX); i++) {
    JsonNode *node = json_array_get_element (array, i);
    gboolean is_word
        = JSON_NODE_HOLDS_VALUE (node) && json_node_get_value_type (node) == G_TYPE_STRING;
    const char *word = is_word ? known (problems, json_node_get_string (node)) : NULL;

    if (word != NULL)
      g_variant_builder_add (&builder, "s", word);
  }
  return g_variant_builder_end (&builder);
}

static gboolean
health_of (JsonObject *object, BangerHealth *health)
{
  const char *state = banger_json_string (object, "state");

  return state != NULL && banger_health_from_string (state, health)
         && (*health == BANGER_HEALTH_BOOTING || *health == BANGER_HEALTH_HEALTHY
             || *health == BANGER_HEALTH_DEGRADED);
}

gboolean
banger_health_parse (const char *body, gsize length, BangerHealthAnswer *answer, GError **error)
{
  g_autoptr (JsonObject) object = banger_json_parse_object (body, length, error);
  const char *version = NULL, *init = NULL;
  GVariantBuilder builder;
  gint64 protocol = 0;

  if (object == NULL)
    return FALSE;
  if (!health_of (object, &answer->health)) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                      "the guest's agent names no state of its health");
    return FALSE;
  }
  answer->serial = banger_json_int (object, "serial", 0);
  protocol = banger_json_int (object, "protocol", 0);
  version = banger_json_string (object, "version");
  init = known (inits, banger_json_string (object, "init"));
  g_variant_builder_init (&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&builder, "{sv}", "health",
                         g_variant_new_string (banger_health_to_string (answer->health)));
  g_variant_builder_add (&builder, "{sv}", "init",
                         g_variant_new_string (init != NULL ? init : "unknown"));
  g_variant_builder_add (&builder, "{sv}", "agent-version",
                         g_variant_new_string (is_version (version) ? version : ""));
  g_variant_builder_add (&builder, "{sv}", "agent-protocol",
                         g_variant_new_uint32 (CLAMP (protocol, 0, G_MAXUINT16)));
  g_variant_builder_add (&builder, "{sv}", "stages", stages_of (object));
  g_variant_builder_add (&builder, "{sv}", "problems", problems_of (object));
  answer->facts = g_variant_ref_sink (g_variant_builder_end (&builder));
  return TRUE;
}
