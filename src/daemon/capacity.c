/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capacity.h"

#include "meminfo.h"
#include "vm.h"

#include <sys/statvfs.h>
#include <unistd.h>

GVariant *
banger_capacity_describe (BangerService *service)
{
  struct statvfs disk = { 0 };
  guint64 used = 0;
  guint running = 0;
  GHashTableIter iter;
  gpointer value = NULL;
  GVariantDict dict;

  g_hash_table_iter_init (&iter, service->vms);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const BangerVm *vm = value;

    if (vm->monitor == NULL)
      continue;
    running++;
    used += vm->record->memory_bytes;
  }
  fstatvfs (service->state_fd, &disk);
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "cpus", "u", (guint)sysconf (_SC_NPROCESSORS_ONLN));
  g_variant_dict_insert (&dict, "memory-total-bytes", "t", banger_meminfo ("MemTotal"));
  g_variant_dict_insert (&dict, "memory-available-bytes", "t", banger_meminfo ("MemAvailable"));
  g_variant_dict_insert (&dict, "memory-used-by-vms-bytes", "t", used);
  g_variant_dict_insert (&dict, "disk-total-bytes", "t", (guint64)disk.f_blocks * disk.f_frsize);
  g_variant_dict_insert (&dict, "disk-available-bytes", "t",
                         (guint64)disk.f_bavail * disk.f_frsize);
  g_variant_dict_insert (&dict, "vms-running", "u", running);
  return g_variant_dict_end (&dict);
}

gboolean
banger_capacity_check (BangerService *service, guint64 memory_bytes, GError **error)
{
  guint64 available = banger_meminfo ("MemAvailable");
  g_autofree char *cause = NULL;

  if (available == 0 || memory_bytes <= available)
    return TRUE;
  cause = g_strdup_printf ("it needs %" G_GUINT64_FORMAT " MiB, %" G_GUINT64_FORMAT
                           " MiB are available",
                           memory_bytes >> 20, available >> 20);
  banger_set_error (error, BANGER_ERROR_NO_SPACE, "admitted", cause,
                    "stop another VM, or give this one less memory",
                    "the host has not enough memory");
  return FALSE;
}
