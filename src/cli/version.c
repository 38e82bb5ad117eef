/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which versions are here, and whether they work together. */
#include "verbs.h"

#include "config.h"

#include <glib/gi18n.h>

/* What a service says that does not say its protocol. */
#define FIRST_PROTOCOL 1
/* How long a failed command waits to find out. */
#define NOTE_MS 500

guint
banger_version_protocol (GVariant *manager)
{
  guint64 protocol = banger_props_number (manager, "Protocol");

  return protocol != 0 ? (guint)protocol : FIRST_PROTOCOL;
}

char *
banger_version_skew (GVariant *manager)
{
  const char *service = banger_props_string (manager, "Version");
  guint protocol = banger_version_protocol (manager);

  if (protocol != BANGER_PROTOCOL)
    return g_strdup_printf (
        _ ("banger %s speaks protocol %u, bangerd %s protocol %u: bring both to "
           "the same version"),
        BANGER_VERSION, BANGER_PROTOCOL, service, protocol);
  if (g_strcmp0 (service, BANGER_VERSION) != 0)
    return g_strdup_printf (_ ("banger is %s, bangerd %s: they work together by protocol %u, but "
                               "not all that one knows is known to the other"),
                            BANGER_VERSION, service, BANGER_PROTOCOL);
  return NULL;
}

char *
banger_version_note_skew (BangerClient *client)
{
  g_autoptr (GVariant) reply = NULL, manager = NULL;

  /* Something has failed already: the service is not started for this note, nor waited for long. */
  if (banger_client_owner (client) == NULL || banger_client_interrupts (client) > 0)
    return NULL;
  reply = g_dbus_connection_call_sync (
      banger_client_bus (client), banger_client_owner (client), BANGER_ROOT_PATH,
      "org.freedesktop.DBus.Properties", "GetAll", g_variant_new ("(s)", BANGER_IFACE_MANAGER),
      G_VARIANT_TYPE ("(a{sv})"), G_DBUS_CALL_FLAGS_NO_AUTO_START, NOTE_MS, NULL, NULL);
  manager = reply != NULL ? g_variant_get_child_value (reply, 0) : NULL;
  if (manager == NULL || banger_version_protocol (manager) == BANGER_PROTOCOL)
    return NULL;
  return banger_version_skew (manager);
}

static JsonNode *
document_of (BangerClient *client, GVariant *manager)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();

  banger_json_string (json, "version", BANGER_VERSION);
  banger_json_number (json, "protocol", BANGER_PROTOCOL);
  banger_json_string (json, "service_version",
                      manager != NULL ? banger_props_string (manager, "Version") : NULL);
  json_builder_set_member_name (json, "service_protocol");
  if (manager != NULL)
    json_builder_add_int_value (json, banger_version_protocol (manager));
  else
    json_builder_add_null_value (json);
  banger_json_string (json, "bus", banger_client_is_session (client) ? "session" : "system");
  return banger_json_end (json);
}

int
banger_host_version (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (GVariant) manager = NULL;
  g_autoptr (JsonNode) document = NULL;
  g_autofree char *skew = NULL;
  const char *bus = banger_client_is_session (client) ? "session" : "system";
  gboolean for_people = FALSE;

  /* That the service does not run is an answer here, no error; it is not started for this. */
  if (banger_client_connect_passive (client, NULL))
    manager = banger_client_properties (client, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, NULL);
  document = document_of (client, manager);
  if (!banger_document_print (args, document, &for_people, error))
    return 0;
  if (!for_people)
    return BANGER_EXIT_OK;
  banger_output_line ("banger %s", BANGER_VERSION);
  if (manager != NULL)
    banger_output_line (_ ("bangerd %s on the %s bus"), banger_props_string (manager, "Version"),
                        bus);
  else
    banger_output_line (_ ("bangerd does not run on the %s bus"), bus);
  skew = manager != NULL ? banger_version_skew (manager) : NULL;
  if (skew != NULL)
    banger_output_line ("%s", skew);
  return BANGER_EXIT_OK;
}
