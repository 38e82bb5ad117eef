/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "places.h"

BangerPlaceSort
banger_places_sort (const char *verb)
{
  if (g_str_has_prefix (verb, "import-") || g_str_equal (verb, "register-image"))
    return BANGER_PLACE_IMPORT;
  if (g_str_equal (verb, "read-files") || g_str_equal (verb, "edit-files")
      || g_str_equal (verb, "export-image"))
    return BANGER_PLACE_FILES;
  return g_str_equal (verb, "trim-disks") ? BANGER_PLACE_TRIM : BANGER_PLACE_QUICK;
}

gboolean
banger_places_free (GArray *taken, const BangerPlace *wanted, gboolean shared)
{
  guint all = 0, own = 0;

  for (guint i = 0; i < taken->len; i++) {
    const BangerPlace *place = &g_array_index (taken, BangerPlace, i);

    if (place->sort != wanted->sort)
      continue;
    all++;
    own += place->uid == wanted->uid;
  }
  if (wanted->sort == BANGER_PLACE_TRIM)
    return all < BANGER_PLACES_TRIM;
  return all < BANGER_PLACES_ALL && (!shared || own < BANGER_PLACES_UID);
}

void
banger_places_leave (GArray *taken, const BangerPlace *place)
{
  for (guint i = 0; i < taken->len; i++) {
    const BangerPlace *other = &g_array_index (taken, BangerPlace, i);

    if (other->sort == place->sort && other->uid == place->uid) {
      g_array_remove_index_fast (taken, i);
      return;
    }
  }
}

guint
banger_places_stall_ms (gint64 heard, gint64 now, guint limit)
{
  gint64 left = heard + (gint64)limit * G_USEC_PER_SEC - now;

  return left > 0 ? (guint)((left + 999) / 1000) : 0;
}
