/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-choices.h"

#include "vm-options.h"

const char *
banger_choice_when (const char *key, gboolean runs)
{
  if (!banger_vm_option_is_for_start (key))
    return "now";
  return runs ? "needs-restart" : "next-start";
}

#define SWAP(field)                     \
  do {                                  \
    __typeof__ (a->field) t = a->field; \
    a->field = b->field;                \
    b->field = t;                       \
  } while (0)

void
banger_choices_swap (BangerVmRecord *a, BangerVmRecord *b)
{
  SWAP (name);
  SWAP (labels);
  SWAP (restart);
  SWAP (autostart);
  SWAP (published);
  SWAP (vcpus);
  SWAP (memory_bytes);
  SWAP (network);
  SWAP (kernel_id);
  SWAP (disk_bytes);
  SWAP (work_bytes);
}

static gboolean
differs (const char *key, const BangerVmRecord *a, const BangerVmRecord *b)
{
  if (g_str_equal (key, "vcpus"))
    return a->vcpus != b->vcpus;
  if (g_str_equal (key, "memory-bytes"))
    return a->memory_bytes != b->memory_bytes;
  if (g_str_equal (key, "network"))
    return a->network != b->network;
  return !g_str_equal (a->kernel_id, b->kernel_id);
}

static void
add_pending (BangerVmRecord *record, const char *key)
{
  guint n = g_strv_length (record->pending);

  if (g_strv_contains ((const char *const *)record->pending, key))
    return;
  record->pending = g_renew (char *, record->pending, n + 2);
  record->pending[n] = g_strdup (key);
  record->pending[n + 1] = NULL;
}

static void
remove_pending (BangerVmRecord *record, const char *key)
{
  char **kept = record->pending;

  for (char **each = record->pending; *each != NULL; each++) {
    if (g_str_equal (*each, key))
      g_free (*each);
    else
      *kept++ = *each;
  }
  *kept = NULL;
}

void
banger_choices_note_pending (BangerVmRecord *record, const BangerVmRecord *former,
                             guint guest_vcpus, guint64 guest_memory_bytes, GVariant *changes)
{
  GVariantIter iter;
  const char *key = NULL;

  g_variant_iter_init (&iter, changes);
  while (g_variant_iter_next (&iter, "{&sv}", &key, NULL)) {
    if (!banger_vm_option_is_for_start (key))
      continue;
    if ((g_str_equal (key, "vcpus") && guest_vcpus == record->vcpus)
        || (g_str_equal (key, "memory-bytes") && guest_memory_bytes == record->memory_bytes))
      remove_pending (record, key);
    else if (differs (key, record, former))
      add_pending (record, key);
  }
}
