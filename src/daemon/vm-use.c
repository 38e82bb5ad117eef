/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-use.h"

#include "files.h"
#include "vm-ask.h"

#include <fcntl.h>

#define ASK_MS 10000
#define STREAM_MS 30000

const BangerOption banger_vm_get_stats_options[] = { { "guest", "b" }, { NULL, NULL } };

/* Of @facts only what is documented, with its type: an entry each of @allowed. */
static GVariantDict *
pick (GVariant *facts, const BangerOption *allowed)
{
  GVariantDict *dict = g_variant_dict_new (NULL);

  for (guint i = 0; allowed[i].name != NULL; i++) {
    g_autoptr (GVariant) value
        = g_variant_lookup_value (facts, allowed[i].name, G_VARIANT_TYPE (allowed[i].type));

    if (value != NULL)
      g_variant_dict_insert_value (dict, allowed[i].name, value);
  }
  return dict;
}

/* What a monitor of an older version does not tell. */
static void
add_versions (BangerCall *call, GVariantDict *dict)
{
  BangerVm *vm = banger_service_vm (call->service, call->id);

  if (vm != NULL && vm->monitor != NULL)
    g_variant_dict_insert (dict, "monitor-version", "s", banger_monitor_version (vm->monitor));
  if (g_variant_dict_contains (dict, "agent-version")
      && !g_variant_dict_contains (dict, "agent-protocol"))
    g_variant_dict_insert (dict, "agent-protocol", "u", 1);
}

static void
on_health (GObject *source, GAsyncResult *result, gpointer data)
{
  static const BangerOption facts[] = { { "health", "s" },
                                        { "init", "s" },
                                        { "agent-version", "s" },
                                        { "agent-protocol", "u" },
                                        { "stages", "a(sd)" },
                                        { "problems", "as" },
                                        { NULL, NULL } };
  BangerCall *call = data;
  g_autoptr (BangerMessage) answer = banger_call_take_answer (call, source, result);
  g_autoptr (GVariantDict) dict = answer != NULL ? pick (answer->args, facts) : NULL;

  if (dict == NULL)
    return;
  add_versions (call, dict);
  banger_call_return (call, g_variant_new ("(@a{sv})", g_variant_dict_end (dict)));
}

void
banger_vm_get_health (BangerCall *call)
{
  BangerVm *vm = banger_call_vm (call);
  GError *error = NULL;

  if (vm == NULL)
    return;
  if (vm->monitor != NULL) {
    banger_vm_ask (vm, "health", NULL, ASK_MS, on_health, call);
    return;
  }
  banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, "it does not run",
                    "start it first", "vm '%s' has no health", vm->record->name);
  banger_call_fail (call, error);
}

static void
return_stats (BangerCall *call, GVariantDict *dict)
{
  banger_autofd int vms = openat (call->service->state_fd, banger_files_folder (BANGER_OBJECT_VM),
                                  O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  g_variant_dict_insert (dict, "disk-allocated-bytes", "t",
                         banger_allocated_bytes_at (vms, call->id));
  banger_call_return (call, g_variant_new ("(@a{sv})", g_variant_dict_end (dict)));
}

static void
on_stats (GObject *source, GAsyncResult *result, gpointer data)
{
  static const BangerOption facts[] = {
    { "cpu-seconds", "d" },
    { "memory-resident-bytes", "t" },
    { "monitor-resident-bytes", "t" },
    { "disk-read-bytes", "t" },
    { "disk-written-bytes", "t" },
    { "guest-uptime-seconds", "d" },
    { "guest-load", "d" },
    { "guest-memory-total-bytes", "t" },
    { "guest-memory-available-bytes", "t" },
    { "guest-disk-total-bytes", "t" },
    { "guest-disk-free-bytes", "t" },
    { "guest-work-total-bytes", "t" },
    { "guest-work-free-bytes", "t" },
    { "guest-commands", "u" },
    { "guest-streams", "u" },
    { NULL, NULL },
  };
  BangerCall *call = data;
  g_autoptr (BangerMessage) answer = banger_call_take_answer (call, source, result);
  g_autoptr (GVariantDict) dict = answer != NULL ? pick (answer->args, facts) : NULL;

  if (dict != NULL)
    return_stats (call, dict);
}

void
banger_vm_get_stats (BangerCall *call)
{
  g_autoptr (GVariant) options = banger_call_options (call);
  BangerVm *vm = banger_call_vm (call);
  gboolean guest = FALSE;
  GVariantDict args;

  if (vm == NULL)
    return;
  g_variant_lookup (options, "guest", "b", &guest);
  if (vm->monitor != NULL) {
    g_variant_dict_init (&args, NULL);
    g_variant_dict_insert (&args, "guest", "b", guest);
    banger_vm_ask (vm, "stats", g_variant_dict_end (&args), ASK_MS, on_stats, call);
  } else {
    g_autoptr (GVariantDict) dict = g_variant_dict_new (NULL);

    g_variant_dict_insert (dict, "cpu-seconds", "d", 0.0);
    g_variant_dict_insert (dict, "memory-resident-bytes", "t", G_GUINT64_CONSTANT (0));
    g_variant_dict_insert (dict, "monitor-resident-bytes", "t", G_GUINT64_CONSTANT (0));
    return_stats (call, dict);
  }
}

void
banger_vm_open_agent (BangerCall *call)
{
  BangerVm *vm = banger_call_running_vm (call);
  guint port = 0;
  GVariantDict args;

  if (vm == NULL)
    return;
  g_variant_get_child (call->params, 0, "u", &port);
  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert (&args, "port", "u", port);
  banger_vm_ask (vm, "open-stream", g_variant_dict_end (&args), STREAM_MS, banger_call_on_stream,
                 call);
}
