/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host can do, and which versions are here. */
#include "verbs.h"

#include "text.h"

#include "config.h"

#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

static guint
count_status (GVariant *findings, const char *status)
{
  guint n = 0;

  for (gsize i = 0; i < g_variant_n_children (findings); i++) {
    g_autoptr (GVariant) finding = g_variant_get_child_value (findings, i);

    if (strcmp (banger_props_string (finding, "status"), status) == 0)
      n++;
  }
  return n;
}

static JsonNode *
findings_document (GVariant *findings)
{
  static const char *const keys[]
      = { "id", "status", "found", "why", "fix", "version", "accelerator" };
  g_autoptr (JsonBuilder) json = banger_json_new ();

  banger_json_number (json, "errors", count_status (findings, "error"));
  banger_json_number (json, "warnings", count_status (findings, "warning"));
  json_builder_set_member_name (json, "findings");
  json_builder_begin_array (json);
  for (gsize i = 0; i < g_variant_n_children (findings); i++) {
    g_autoptr (GVariant) finding = g_variant_get_child_value (findings, i);
    g_autofree const char **capabilities = banger_props_strings (finding, "capabilities");

    json_builder_begin_object (json);
    for (guint k = 0; k < G_N_ELEMENTS (keys); k++) {
      const char *value = NULL;

      g_variant_lookup (finding, keys[k], "&s", &value);
      banger_json_string (json, keys[k], value);
    }
    banger_json_strings (json, "capabilities", capabilities);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
  return banger_json_end (json);
}

static const char *
mark_of (const char *status, gboolean colour)
{
  if (strcmp (status, "ok") == 0)
    return colour ? "\033[32mok\033[0m     " : "ok     ";
  if (strcmp (status, "warning") == 0)
    return colour ? "\033[33mwarning\033[0m" : "warning";
  return colour ? "\033[31merror\033[0m  " : "error  ";
}

static void
findings_as_lines (GVariant *findings)
{
  gboolean colour = banger_output_has_colour (STDOUT_FILENO);
  guint errors = count_status (findings, "error"), warnings = count_status (findings, "warning");

  for (gsize i = 0; i < g_variant_n_children (findings); i++) {
    g_autoptr (GVariant) finding = g_variant_get_child_value (findings, i);
    const char *status = banger_props_string (finding, "status");
    g_autofree char *id = banger_text_escape (banger_props_string (finding, "id"), -1);
    g_autofree char *found = banger_text_escape (banger_props_string (finding, "found"), -1);
    g_autofree char *why = banger_text_escape (banger_props_string (finding, "why"), -1);
    g_autofree char *fix = banger_text_escape (banger_props_string (finding, "fix"), -1);

    banger_output_line ("%s  %-14s %s", mark_of (status, colour), id, found);
    if (strcmp (status, "ok") != 0 && *why != '\0')
      banger_output_line ("           %s %s", _ ("needed for:"), why);
    if (strcmp (status, "ok") != 0 && *fix != '\0')
      banger_output_line ("           %s %s", _ ("fix:"), fix);
  }
  if (errors > 0)
    banger_output_line (ngettext ("%u error: what needs it will be refused",
                                  "%u errors: what needs them will be refused", errors),
                        errors);
  else if (warnings > 0)
    banger_output_line (ngettext ("this host is ready, with %u warning",
                                  "this host is ready, with %u warnings", warnings),
                        warnings);
  else
    banger_output_line (_ ("this host is ready"));
}

int
banger_host_doctor (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (GVariant) reply = banger_client_call (
      client, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, "Check",
      g_variant_new ("(@a{sv})", banger_no_args ()), "(aa{sv})", NULL, NULL, error);
  g_autoptr (GVariant) findings = NULL;
  g_autoptr (JsonNode) document = NULL;
  gboolean for_people = FALSE;

  if (reply == NULL)
    return 0;
  findings = g_variant_get_child_value (reply, 0);
  document = findings_document (findings);
  if (!banger_document_print (args, document, &for_people, error))
    return 0;
  if (for_people)
    findings_as_lines (findings);
  return count_status (findings, "error") > 0 ? BANGER_EXIT_HOST_NOT_READY : BANGER_EXIT_OK;
}
