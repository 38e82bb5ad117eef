/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-ask.h"

#include <unistd.h>

BangerVm *
banger_call_running_vm (BangerCall *call)
{
  BangerVm *vm = banger_call_vm (call);
  GError *error = NULL;

  if (vm == NULL)
    return NULL;
  if (banger_vm_check_running (vm, &error))
    return vm;
  banger_call_fail (call, error);
  return NULL;
}

BangerMessage *
banger_call_take_answer (BangerCall *call, GObject *source, GAsyncResult *result)
{
  GError *error = NULL;
  BangerMessage *answer = banger_channel_call_finish (BANGER_CHANNEL (source), result, &error);
  BangerVm *vm = banger_service_vm (call->service, call->id);

  if (answer != NULL)
    return answer;
  /* It may have gone meanwhile. */
  banger_call_fail (call, banger_monitor_explain (vm != NULL ? vm->record->name : call->id, error));
  return NULL;
}

void
banger_vm_ask (BangerVm *vm, const char *verb, GVariant *args, guint timeout_ms,
               GAsyncReadyCallback callback, BangerCall *call)
{
  banger_channel_call_async (banger_monitor_channel (vm->monitor), verb, args, NULL, timeout_ms,
                             NULL, callback, call);
}

void
banger_call_return_stream (BangerCall *call, int fd)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new_from_array (&fd, 1);

  banger_call_return_fds (call, g_variant_new ("(h)", 0), fds);
}

void
banger_call_on_stream (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerCall *call = data;
  g_autoptr (BangerMessage) answer = banger_call_take_answer (call, source, result);
  GError *error = NULL;
  int fd = -1;

  if (answer == NULL)
    return;
  fd = banger_message_get_fd (answer, "stream", &error);
  if (fd < 0)
    banger_call_fail (call, error);
  else
    banger_call_return_stream (call, fd);
}

GVariant *
banger_read_bytes (int fd, goffset offset, gsize limit)
{
  g_autofree guint8 *bytes = g_malloc (limit);
  gsize length = 0;

  while (length < limit) {
    ssize_t n = TEMP_FAILURE_RETRY (pread (fd, bytes + length, limit - length, offset + length));

    if (n <= 0)
      break;
    length += n;
  }
  return g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, length, 1);
}
