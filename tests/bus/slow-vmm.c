/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for banger-vmm: has a guest that is healthy at once (one named late: when it is asked
 * for its health), and lets who pauses, resumes or grows it or publishes its ports wait until it is
 * asked for its health: there the published ports are the problems. Who stops it waits for LATE_MS.
 * Port 7 of 127.0.0.1 is taken. The real one lies beside it, for what is asked on the command line.
 */
#include "common/common.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

/* More than bangerd gives a monitor for what it answers at once. */
#define LATE_MS 7000

static BangerMessage *waits;
static char **published;

static gboolean
reply (BangerChannel *channel, const BangerMessage *message, const char *args)
{
  return banger_channel_reply (channel, message->serial, g_variant_new_parsed (args), NULL, NULL);
}

static gboolean
start (BangerChannel *channel, const BangerMessage *message)
{
  g_auto (GStrv) ports = NULL;
  g_autoptr (GError) error = NULL;
  const char *name = "";

  g_variant_lookup (message->args, "name", "&s", &name);
  g_variant_lookup (message->args, "publish", "^as", &ports);
  if (ports != NULL && ports[0] != NULL && g_str_has_prefix (ports[0], "127.0.0.1:7:")) {
    banger_set_error (&error, BANGER_ERROR_BUSY, "vmm", "another program listens there", NULL,
                      "port 127.0.0.1:7 cannot be published");
    banger_channel_reply_error (channel, message->serial, error);
    return TRUE;
  }
  return reply (channel, message, "{'accelerator': <'tcg'>}")
         && (g_str_equal (name, "late")
             || banger_channel_send (channel, 0, "health",
                                     g_variant_new_parsed ("{'health': <'healthy'>}"), NULL, NULL));
}

static gboolean
answer_late (BangerChannel *channel, const BangerMessage *message)
{
  g_autoptr (BangerMessage) late = g_steal_pointer (&waits);
  GVariantDict health;

  g_variant_dict_init (&health, NULL);
  g_variant_dict_insert (&health, "health", "s", "healthy");
  if (published != NULL)
    g_variant_dict_insert (&health, "problems", "^as", published);
  return (late == NULL || reply (channel, late, "@a{sv} {}"))
         && banger_channel_reply (channel, message->serial, g_variant_dict_end (&health), NULL,
                                  NULL);
}

static void
tell_end (BangerChannel *channel, const BangerMessage *message, const char *end)
{
  reply (channel, message, "@a{sv} {}");
  banger_channel_send (channel, 0, "exited", g_variant_new_parsed (end), NULL, NULL);
}

/* FALSE at the end. */
static gboolean
serve (BangerChannel *channel, BangerMessage *message)
{
  g_autoptr (BangerMessage) mine = message;

  if (g_str_equal (message->verb, "start"))
    return start (channel, message);
  if (g_str_equal (message->verb, "health"))
    return answer_late (channel, message);
  if (g_str_equal (message->verb, "kill")) {
    tell_end (channel, message, "{'reason': <'killed'>}");
    return FALSE;
  }
  if (g_str_equal (message->verb, "publish")) {
    g_clear_pointer (&published, g_strfreev);
    g_variant_lookup (message->args, "publish", "^as", &published);
  }
  g_clear_pointer (&waits, banger_message_free);
  waits = g_steal_pointer (&mine);
  return TRUE;
}

/* NULL once the guest that was to stop has done so, or the service has gone. */
static BangerMessage *
next_message (BangerChannel *channel)
{
  struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

  if (waits == NULL || !g_str_equal (waits->verb, "shutdown") || poll (&input, 1, LATE_MS) != 0)
    return banger_channel_receive (channel, NULL);
  tell_end (channel, waits, "{'reason': <'shutdown'>, 'ended-by': <'guest'>}");
  return NULL;
}

int
main (int argc, char **argv)
{
  g_autoptr (BangerChannel) channel = NULL;
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *real = g_strconcat (self, ".real", NULL);
  BangerMessage *message = NULL;

  if (argc != 2 || g_str_has_prefix (argv[1], "--")) {
    execv (real, argv);
    return 1;
  }
  channel = banger_channel_new (STDIN_FILENO);
  do
    message = next_message (channel);
  while (message != NULL && serve (channel, message));
  g_clear_pointer (&waits, banger_message_free);
  g_strfreev (published);
  return 0;
}
