/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "call.h"

BangerCall *
banger_call_new (BangerChannel *channel, BangerMessage *message)
{
  BangerCall *call = g_new0 (BangerCall, 1);

  call->channel = g_object_ref (channel);
  call->serial = message->serial;
  return call;
}

void
banger_call_free (BangerCall *call)
{
  g_object_unref (call->channel);
  g_free (call);
}

void
banger_call_answer (BangerChannel *channel, guint32 serial, GVariant *args, GUnixFDList *fds)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (args);
  g_autoptr (GError) error = NULL;

  if (serial != 0 && !banger_channel_reply (channel, serial, owned, fds, &error))
    g_debug ("cannot answer: %s", error->message);
}

void
banger_call_refuse (BangerChannel *channel, guint32 serial, GError *error)
{
  g_autoptr (GError) ours = banger_error_adopt (error);

  if (serial != 0 && banger_channel_is_open (channel))
    banger_channel_reply_error (channel, serial, ours);
}

void
banger_call_answer_stream (BangerChannel *channel, guint32 serial, int fd)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new_from_array (&fd, 1);
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "stream", "h", 0);
  banger_call_answer (channel, serial, g_variant_dict_end (&dict), fds);
}
