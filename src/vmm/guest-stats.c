/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest-stats.h"

#include "json.h"

#include <math.h>

static void
add_bytes (GVariantDict *stats, JsonObject *object, const char *name, const char *key)
{
  gint64 bytes = object != NULL ? banger_json_int (object, name, -1) : -1;

  if (bytes >= 0)
    g_variant_dict_insert (stats, key, "t", (guint64)bytes);
}

static void
add_double (GVariantDict *stats, JsonObject *object, const char *name, const char *key)
{
  double value = banger_json_double (object, name, -1);

  if (isfinite (value) && value >= 0)
    g_variant_dict_insert (stats, key, "d", value);
}

static void
add_count (GVariantDict *stats, JsonObject *object, const char *name, const char *key)
{
  gint64 count = banger_json_int (object, name, -1);

  if (count >= 0 && count <= G_MAXUINT32)
    g_variant_dict_insert (stats, key, "u", (guint32)count);
}

void
banger_guest_stats_parse (const char *body, gsize length, GVariantDict *stats)
{
  g_autoptr (JsonObject) object = banger_json_parse_object (body, length, NULL);
  JsonObject *root = NULL, *work = NULL;

  if (object == NULL)
    return;
  root = banger_json_object (object, "root");
  work = banger_json_object (object, "work");
  add_double (stats, object, "uptime", "guest-uptime-seconds");
  add_double (stats, object, "load", "guest-load");
  add_bytes (stats, object, "memory_total", "guest-memory-total-bytes");
  add_bytes (stats, object, "memory_available", "guest-memory-available-bytes");
  add_bytes (stats, root, "total", "guest-disk-total-bytes");
  add_bytes (stats, root, "free", "guest-disk-free-bytes");
  add_bytes (stats, work, "total", "guest-work-total-bytes");
  add_bytes (stats, work, "free", "guest-work-free-bytes");
  add_count (stats, object, "commands", "guest-commands");
  add_count (stats, object, "streams", "guest-streams");
}
