/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "versions.h"

#include "config.h"
#include "findings.h"
#include "vm.h"

#include "common/version.h"

/* So many VMs are named; more say no more. */
#define NAMED_MAX 8

typedef struct {
  GString *found;
  const char *first; /* the VM to begin with */
  guint others;      /* monitors of another version */
  gboolean foreign;  /* and one of another protocol */
} Look;

static void
look_at (Look *look, BangerVm *vm)
{
  gboolean ours = vm->monitor == NULL || banger_monitor_is_ours (vm->monitor);

  if (vm->monitor == NULL
      || (ours && g_str_equal (banger_monitor_version (vm->monitor), BANGER_VERSION)))
    return;
  /* One that cannot be asked comes first. */
  if (look->first == NULL || (!ours && !look->foreign))
    look->first = vm->record->name;
  look->foreign |= !ours;
  if (look->others++ < NAMED_MAX)
    g_string_append_printf (look->found, "; VM %s runs with version %s%s", vm->record->name,
                            banger_monitor_version (vm->monitor),
                            ours ? "" : ", of another protocol");
}

GVariant *
banger_versions_add (BangerService *service, GVariant *findings)
{
  g_autoptr (GString) found = g_string_new (NULL);
  g_autofree char *fix = NULL;
  Look look = { .found = found };
  GVariantBuilder builder;
  GHashTableIter iter;
  gpointer vm = NULL;

  g_string_printf (found, "service %s, protocol %u", BANGER_VERSION, BANGER_PROTOCOL);
  g_hash_table_iter_init (&iter, service->vms);
  while (g_hash_table_iter_next (&iter, NULL, &vm))
    look_at (&look, vm);
  if (look.others > NAMED_MAX)
    g_string_append_printf (found, "; and %u more", look.others - NAMED_MAX);
  if (look.foreign)
    fix = g_strdup_printf ("banger vm kill %s && banger vm start %s", look.first, look.first);
  else if (look.first != NULL)
    fix = g_strdup_printf ("banger vm restart %s", look.first);
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (gsize i = 0; i < g_variant_n_children (findings); i++) {
    g_autoptr (GVariant) finding = g_variant_get_child_value (findings, i);

    g_variant_builder_add_value (&builder, finding);
  }
  banger_finding_add (&builder, "versions",
                      look.foreign      ? BANGER_FINDING_ERROR
                      : look.others > 0 ? BANGER_FINDING_WARNING
                                        : BANGER_FINDING_OK,
                      found->str,
                      "VMs keep the monitor that they were started with; one of another protocol "
                      "can only be killed",
                      fix);
  return g_variant_builder_end (&builder);
}
