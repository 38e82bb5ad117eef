/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VM uses, by the kernel, by its VMM and by what its guest says of itself. */
#include "guest-stats.h"
#include "monitor.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What has not answered by then is left out. */
#define WAIT_MSEC 3000

typedef struct {
  GVariantDict dict;
  guint waiting; /* answers that are still to come */
  guint timer;
  GCancellable *cancellable; /* of what the agent is asked */
} Stats;

/* utime and stime, fields 14 and 15 of proc_pid_stat(5): the 12th and 13th after the name. */
static double
cpu_seconds (GPid pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  g_autofree char *text = banger_read_file_at (AT_FDCWD, path, 4096, NULL, NULL);
  const char *name_end = text != NULL ? strrchr (text, ')') : NULL;
  g_auto (GStrv) fields = g_strsplit (name_end != NULL ? name_end : "", " ", 16);
  guint64 ticks = 0;

  if (g_strv_length (fields) < 15)
    return 0;
  ticks = g_ascii_strtoull (fields[12], NULL, 10) + g_ascii_strtoull (fields[13], NULL, 10);
  return (double)ticks / (double)sysconf (_SC_CLK_TCK);
}

/* The second field of proc_pid_statm(5). */
static guint64
resident_bytes (GPid pid)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/statm", pid);
  g_autofree char *text = banger_read_file_at (AT_FDCWD, path, 4096, NULL, NULL);
  const char *second = text != NULL ? strchr (text, ' ') : NULL;

  if (second == NULL)
    return 0;
  return g_ascii_strtoull (second, NULL, 10) * (guint64)sysconf (_SC_PAGESIZE);
}

static void
stats_free (gpointer data)
{
  Stats *stats = data;

  g_clear_handle_id (&stats->timer, g_source_remove);
  g_object_unref (stats->cancellable);
  g_variant_dict_clear (&stats->dict);
  g_free (stats);
}

/* With what has come, once; later answers find the task done. */
static void
finish (GTask *task)
{
  Stats *stats = g_task_get_task_data (task);

  g_clear_handle_id (&stats->timer, g_source_remove);
  stats->waiting = 0;
  g_task_return_pointer (task, g_variant_ref_sink (g_variant_dict_end (&stats->dict)),
                         (GDestroyNotify)g_variant_unref);
}

static gboolean
on_late (gpointer data)
{
  Stats *stats = g_task_get_task_data (data);

  stats->timer = 0;
  finish (data);
  g_cancellable_cancel (stats->cancellable);
  return G_SOURCE_REMOVE;
}

static void
count_answer (GTask *task)
{
  Stats *stats = g_task_get_task_data (task);

  if (stats->waiting > 0 && --stats->waiting == 0)
    finish (task);
}

static void
on_disk_use (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Stats *stats = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autofree BangerDiskUse *use = g_task_propagate_pointer (G_TASK (result), &error);

  if (use != NULL && stats->waiting > 0) {
    g_variant_dict_insert (&stats->dict, "disk-read-bytes", "t", use->read_bytes);
    g_variant_dict_insert (&stats->dict, "disk-written-bytes", "t", use->written_bytes);
  }
  count_answer (task);
}

static void
on_guest (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Stats *stats = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerAgentAnswer) answer = banger_agent_ask_finish (result, &error);
  gsize length = 0;
  const guint8 *body = NULL;

  if (answer != NULL && banger_http_reader_status (answer->http) == 200 && stats->waiting > 0) {
    body = banger_http_reader_body (answer->http, &length);
    banger_guest_stats_parse ((const char *)body, length, &stats->dict);
  }
  count_answer (task);
}

void
banger_stats_async (BangerMonitor *self, gboolean guest, GAsyncReadyCallback callback,
                    gpointer data)
{
  static const BangerAgentQuestion question = { .line = "GET /stats" };
  g_autoptr (GTask) task = g_task_new (NULL, NULL, callback, data);
  Stats *stats = g_new0 (Stats, 1);
  GPid pid = self->driver != NULL ? self->driver->klass->pid (self->driver) : 0;
  gboolean runs = pid != 0 && self->state != BANGER_MONITOR_ENDED;

  g_variant_dict_init (&stats->dict, NULL);
  stats->cancellable = g_cancellable_new ();
  g_task_set_task_data (task, stats, stats_free);
  g_variant_dict_insert (&stats->dict, "cpu-seconds", "d", pid != 0 ? cpu_seconds (pid) : 0.0);
  g_variant_dict_insert (&stats->dict, "memory-resident-bytes", "t",
                         pid != 0 ? resident_bytes (pid) : 0);
  g_variant_dict_insert (&stats->dict, "monitor-resident-bytes", "t", resident_bytes (getpid ()));
  if (!runs) {
    finish (task);
    return;
  }
  /* A guest whose CPUs are stopped has no answer. */
  guest = guest && self->agent_seen && self->state != BANGER_MONITOR_PAUSED;
  stats->waiting = guest ? 2 : 1;
  stats->timer = g_timeout_add_full (G_PRIORITY_DEFAULT, WAIT_MSEC, on_late, g_object_ref (task),
                                     g_object_unref);
  self->driver->klass->disk_use_async (self->driver, on_disk_use, g_object_ref (task));
  if (guest)
    banger_agent_ask_async (self->driver, self->key, &question, stats->cancellable, on_guest,
                            g_object_ref (task));
}
