/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-choices.h"

#include "vm-options.h"

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
same_labels (GHashTable *a, GHashTable *b)
{
  GHashTableIter iter;
  gpointer key = NULL, value = NULL;

  g_hash_table_iter_init (&iter, a);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    if (g_strcmp0 (g_hash_table_lookup (b, key), value) != 0)
      return FALSE;
  }
  return g_hash_table_size (a) == g_hash_table_size (b);
}

/* Keys lie on the disk, where nobody looks for this: they are taken to be others. */
static gboolean
differs (const char *key, const BangerVmRecord *a, const BangerVmRecord *b)
{
  const struct {
    const char *key;
    gboolean differs;
  } choices[] = {
    { "name", g_strcmp0 (a->name, b->name) != 0 },
    { "labels", !same_labels (a->labels, b->labels) },
    { "restart", a->restart != b->restart },
    { "autostart", a->autostart != b->autostart },
    { "publish",
      !g_strv_equal ((const char *const *)a->published, (const char *const *)b->published) },
    { "vcpus", a->vcpus != b->vcpus },
    { "memory-bytes", a->memory_bytes != b->memory_bytes },
    { "network", a->network != b->network },
    { "kernel", g_strcmp0 (a->kernel_id, b->kernel_id) != 0 },
    { "disk-bytes", a->disk_bytes != b->disk_bytes },
    { "work-bytes", a->work_bytes != b->work_bytes },
  };

  for (guint i = 0; i < G_N_ELEMENTS (choices); i++) {
    if (g_str_equal (choices[i].key, key))
      return choices[i].differs;
  }
  return TRUE;
}

/* What is known of the guest: 0 where it is not. */
static gboolean
guest_has (const char *key, const BangerVmRecord *record, guint vcpus, guint64 memory_bytes)
{
  return (g_str_equal (key, "vcpus") && vcpus == record->vcpus)
         || (g_str_equal (key, "memory-bytes") && memory_bytes == record->memory_bytes);
}

const char *
banger_choice_when (const char *key, const BangerVmRecord *former, const BangerVmRecord *next,
                    gboolean runs, guint guest_vcpus, guint64 guest_memory_bytes)
{
  gboolean pending = runs && g_strv_contains ((const char *const *)former->pending, key);

  if (!differs (key, former, next))
    return pending ? "needs-restart" : "unchanged";
  if (!banger_vm_option_is_for_start (key)
      || (runs && guest_has (key, next, guest_vcpus, guest_memory_bytes)))
    return "now";
  return runs ? "needs-restart" : "next-start";
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
    if (guest_has (key, record, guest_vcpus, guest_memory_bytes))
      remove_pending (record, key);
    else if (differs (key, record, former))
      add_pending (record, key);
  }
}
