/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for banger-vmm: tells the end of its guest, and then that it has started; a VM 'mute'
 * gets no answer. What it is asked on its command line it has the real one do, which lies beside
 * it. */
#include "common/common.h"

#include <string.h>
#include <unistd.h>

static void
probe (const char *self, char **argv)
{
  g_autofree char *real = g_strconcat (self, ".real", NULL);

  execv (real, argv);
}

int
main (int argc, char **argv)
{
  g_autoptr (BangerChannel) channel = NULL;
  g_autoptr (BangerMessage) message = NULL;
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
  const char *name = "";
  gboolean told = FALSE;

  if (argc != 2 || g_str_has_prefix (argv[1], "--")) {
    probe (self, argv);
    return 1;
  }
  channel = banger_channel_new (STDIN_FILENO);
  message = banger_channel_receive (channel, NULL);
  if (message == NULL || !g_str_equal (message->verb, "start"))
    return 1;
  g_variant_lookup (message->args, "name", "&s", &name);
  told = banger_channel_send (channel, 0, "exited",
                              g_variant_new_parsed ("{'reason': <'shutdown'>}"), NULL, NULL)
         && !g_str_equal (name, "mute")
         && banger_channel_reply (channel, message->serial,
                                  g_variant_new_parsed ("{'accelerator': <'tcg'>}"), NULL, NULL);
  return told ? 0 : 1;
}
