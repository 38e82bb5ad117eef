/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "publish.h"

#include "vm-options.h"

#include <string.h>

#define AGENT_PORT 1024 /* whoever reaches it may do everything in the guest */

static gboolean
refuse (const char *given, const char *rule, const char *hint, GError **error)
{
  g_autofree char *shown = g_strescape (given, NULL);

  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint,
                    "option 'publish': '%.80s' %s", shown, rule);
  return FALSE;
}

static gboolean
is_port (const char *text)
{
  guint64 port = 0;

  return g_ascii_isdigit (*text) && *text != '0'
         && g_ascii_string_to_unsigned (text, 10, 1, G_MAXUINT16, &port, NULL);
}

/* Splits off what follows the last colon; NULL if there is none. */
static char *
split_last (char *text)
{
  char *colon = strrchr (text, ':');

  if (colon == NULL)
    return NULL;
  *colon = '\0';
  return colon + 1;
}

static GInetAddress *
parse_address (char *text)
{
  gsize length = strlen (text);
  gboolean brackets = length > 2 && text[0] == '[' && text[length - 1] == ']';
  g_autoptr (GInetAddress) address = NULL;

  /* A scope would name an interface, which may be another one later. */
  if (strchr (text, '%') != NULL)
    return NULL;
  if (brackets)
    text[length - 1] = '\0';
  address = g_inet_address_new_from_string (brackets ? text + 1 : text);
  if (address == NULL || (g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV6) != brackets)
    return NULL;
  return g_steal_pointer (&address);
}

/* "127.0.0.1:8080" and the guest's port. */
static gboolean
normalise (const char *given, gboolean any, char **host, char **guest_port, GError **error)
{
  g_autofree char *text = g_strdup (given);
  char *guest = split_last (text);
  char *port = guest != NULL ? split_last (text) : NULL;
  g_autoptr (GInetAddress) address = NULL;
  g_autofree char *shown = NULL;

  if (guest != NULL && port == NULL) { /* PORT:GUEST-PORT */
    port = text;
    address = g_inet_address_new_loopback (G_SOCKET_FAMILY_IPV4);
  } else if (guest != NULL) {
    address = parse_address (text);
  }
  if (address == NULL || !is_port (port) || !is_port (guest))
    return refuse (given,
                   "must be [ADDRESS:]PORT:GUEST-PORT, ports from 1 to 65535, an IPv6 address in "
                   "brackets",
                   NULL, error);
  if (g_ascii_strtoull (guest, NULL, 10) == AGENT_PORT)
    return refuse (given, "leads to the agent's own port, which cannot be published", NULL, error);
  if (!any && !g_inet_address_get_is_loopback (address))
    return refuse (given, "is not an address of loopback, and others are not allowed here",
                   "publish-any in banger.conf allows them", error);
  shown = g_inet_address_to_string (address);
  *host = g_strdup_printf (g_inet_address_get_family (address) == G_SOCKET_FAMILY_IPV6 ? "[%s]:%s"
                                                                                       : "%s:%s",
                           shown, port);
  *guest_port = g_strdup (guest);
  return TRUE;
}

static void
refuse_both (const char *former, const char *given, const char *host, GError **error)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                    "a port of the host leads to one port of the guest",
                    "option 'publish': '%s' and '%s' are both port %s of the host", former, given,
                    host);
}

char **
banger_publish_normalise (const char *const *given, gboolean any, GError **error)
{
  g_autoptr (GHashTable) hosts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GPtrArray) published = g_ptr_array_new_with_free_func (g_free);

  if (g_strv_length ((char **)given) > BANGER_PUBLISH_MAX) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "option 'publish' holds at most %d ports", BANGER_PUBLISH_MAX);
    return NULL;
  }
  for (guint i = 0; given[i] != NULL; i++) {
    g_autofree char *host = NULL, *guest = NULL;
    const char *former = NULL;

    if (!normalise (given[i], any, &host, &guest, error))
      return NULL;
    g_ptr_array_add (published, g_strdup_printf ("%s:%s", host, guest));
    former = g_hash_table_lookup (hosts, host);
    if (former != NULL) {
      refuse_both (former, given[i], host, error);
      return NULL;
    }
    g_hash_table_insert (hosts, g_steal_pointer (&host), (gpointer)given[i]);
  }
  g_ptr_array_add (published, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&published), FALSE);
}
