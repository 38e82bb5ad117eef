/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp-commands.h"

static void
on_done (gpointer data, JsonObject *line, const GError *error)
{
  g_autoptr (GTask) task = data;

  if (error != NULL)
    g_task_return_error (task, g_error_copy (error));
  else
    g_task_return_boolean (task, TRUE);
}

void
banger_qmp_do_async (BangerQmp *qmp, const char *command, const char *arguments,
                     GAsyncReadyCallback callback, gpointer data)
{
  banger_qmp_command (qmp, command, arguments, on_done, g_task_new (NULL, NULL, callback, data));
}

static void
add_disk (BangerDiskUse *use, JsonNode *node)
{
  JsonObject *disk = JSON_NODE_HOLDS_OBJECT (node) ? json_node_get_object (node) : NULL;
  JsonObject *stats = disk != NULL ? banger_json_object (disk, "stats") : NULL;

  if (stats == NULL)
    return;
  use->read_bytes += MAX (banger_json_int (stats, "rd_bytes", 0), 0);
  use->written_bytes += MAX (banger_json_int (stats, "wr_bytes", 0), 0);
}

static void
on_block_stats (gpointer data, JsonObject *line, const GError *error)
{
  g_autoptr (GTask) task = data;
  JsonArray *disks = line != NULL ? banger_json_array (line, "return") : NULL;
  BangerDiskUse *use = NULL;

  if (error != NULL) {
    g_task_return_error (task, g_error_copy (error));
    return;
  }
  use = g_new0 (BangerDiskUse, 1);
  for (guint i = 0; disks != NULL && i < json_array_get_length (disks); i++)
    add_disk (use, json_array_get_element (disks, i));
  g_task_return_pointer (task, use, g_free);
}

void
banger_qmp_disk_use_async (BangerQmp *qmp, GAsyncReadyCallback callback, gpointer data)
{
  banger_qmp_command (qmp, "query-blockstats", NULL, on_block_stats,
                      g_task_new (NULL, NULL, callback, data));
}
