/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "capacity.h"

#include "meminfo.h"
#include "vm.h"

#include <sys/statvfs.h>
#include <unistd.h>

#define MIB_SHIFT 20

/* Its guest runs, or will without anybody being asked again. */
static gboolean
is_running (const BangerVm *vm)
{
  switch (vm->record->state) {
  case BANGER_VM_STARTING:
  case BANGER_VM_RUNNING:
  case BANGER_VM_PAUSED:
  case BANGER_VM_STOPPING:
    return TRUE;
  default:
    return vm->monitor != NULL || vm->to_be_started;
  }
}

static void
add_use (BangerUse *use, const BangerVmRecord *record, gboolean running)
{
  use->vms++;
  use->disk_bytes += record->disk_bytes + record->work_bytes;
  if (!running)
    return;
  use->vcpus += record->vcpus;
  use->memory_bytes += record->memory_bytes;
}

/* What @vm has until its guest ends, and may have whatever becomes of a change that is under way.
 */
static BangerUse
use_of_vm (const BangerVm *vm)
{
  gboolean running = is_running (vm);
  BangerUse use = { 0 }, next = { 0 };

  add_use (&use, vm->record, running);
  add_use (&next, vm->next != NULL ? vm->next : vm->record, running);
  use.disk_bytes = MAX (use.disk_bytes, next.disk_bytes);
  use.vcpus = MAX (MAX (use.vcpus, next.vcpus), vm->guest_vcpus);
  use.memory_bytes = MAX (MAX (use.memory_bytes, next.memory_bytes), vm->guest_memory_bytes);
  return use;
}

/* Of all VMs of @uid but the one with the id @but (may be NULL). */
static BangerUse
use_of (BangerService *service, uid_t uid, const char *but)
{
  BangerUse use = { 0 };
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, service->vms);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const BangerVm *vm = value;
    BangerUse one = use_of_vm (vm);

    if (vm->record->owner_uid != uid || g_strcmp0 (vm->record->id, but) == 0)
      continue;
    use.vms++;
    use.vcpus += one.vcpus;
    use.memory_bytes += one.memory_bytes;
    use.disk_bytes += one.disk_bytes;
  }
  return use;
}

static guint64
disk_available (BangerService *service, guint64 *total)
{
  struct statvfs disk = { 0 };

  fstatvfs (service->state_fd, &disk);
  if (total != NULL)
    *total = (guint64)disk.f_blocks * disk.f_frsize;
  return (guint64)disk.f_bavail * disk.f_frsize;
}

static void
add_limits (GVariantDict *dict, BangerService *service, uid_t uid)
{
  const BangerConfig *config = service->config;
  BangerUse use = use_of (service, uid, NULL);

  g_variant_dict_insert (dict, "limit-vms", "u", config->vms);
  g_variant_dict_insert (dict, "limit-vcpus", "u", config->user_vcpus);
  g_variant_dict_insert (dict, "limit-memory-bytes", "t", config->user_memory_bytes);
  g_variant_dict_insert (dict, "limit-disk-bytes", "t", config->user_disk_bytes);
  g_variant_dict_insert (dict, "used-vms", "u", use.vms);
  g_variant_dict_insert (dict, "used-vcpus", "u", use.vcpus);
  g_variant_dict_insert (dict, "used-memory-bytes", "t", use.memory_bytes);
  g_variant_dict_insert (dict, "used-disk-bytes", "t", use.disk_bytes);
}

GVariant *
banger_capacity_describe (BangerService *service, uid_t uid)
{
  guint64 used = 0, total = 0, available = disk_available (service, &total);
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
    used += vm->guest_memory_bytes != 0 ? vm->guest_memory_bytes : vm->record->memory_bytes;
  }
  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "cpus", "u", (guint)sysconf (_SC_NPROCESSORS_ONLN));
  g_variant_dict_insert (&dict, "memory-total-bytes", "t", banger_meminfo ("MemTotal"));
  g_variant_dict_insert (&dict, "memory-available-bytes", "t", banger_meminfo ("MemAvailable"));
  g_variant_dict_insert (&dict, "memory-used-by-vms-bytes", "t", used);
  g_variant_dict_insert (&dict, "disk-total-bytes", "t", total);
  g_variant_dict_insert (&dict, "disk-available-bytes", "t", available);
  g_variant_dict_insert (&dict, "vms-running", "u", running);
  add_limits (&dict, service, uid);
  return g_variant_dict_end (&dict);
}

static gboolean
refuse_limit (uid_t uid, const char *what, const char *cause, GError **error)
{
  banger_set_error (error, BANGER_ERROR_NO_SPACE, NULL, cause,
                    "stop or delete another VM, or ask who administers banger for more",
                    "the limit of %s for user %u would be passed", what, (guint)uid);
  return FALSE;
}

static gboolean
check_number (uid_t uid, const char *what, guint limit, guint used, guint wanted, GError **error)
{
  g_autofree char *cause = NULL;

  if (limit == 0 || wanted == 0 || (guint64)used + wanted <= limit)
    return TRUE;
  cause = g_strdup_printf ("it needs %u, %u of %u are free", wanted,
                           limit > used ? limit - used : 0, limit);
  return refuse_limit (uid, what, cause, error);
}

static gboolean
check_bytes (uid_t uid, const char *what, guint64 limit, guint64 used, guint64 wanted,
             GError **error)
{
  g_autofree char *cause = NULL;

  if (limit == 0 || wanted == 0 || used + wanted <= limit)
    return TRUE;
  cause = g_strdup_printf ("it needs %" G_GUINT64_FORMAT " MiB, %" G_GUINT64_FORMAT
                           " of %" G_GUINT64_FORMAT " MiB are free",
                           wanted >> MIB_SHIFT, (limit > used ? limit - used : 0) >> MIB_SHIFT,
                           limit >> MIB_SHIFT);
  return refuse_limit (uid, what, cause, error);
}

gboolean
banger_limits_check (const BangerConfig *config, uid_t uid, const BangerUse *used,
                     const BangerUse *wanted, GError **error)
{
  return check_number (uid, "VMs", config->vms, used->vms, wanted->vms, error)
         && check_number (uid, "running vcpus", config->user_vcpus, used->vcpus, wanted->vcpus,
                          error)
         && check_bytes (uid, "running memory", config->user_memory_bytes, used->memory_bytes,
                         wanted->memory_bytes, error)
         && check_bytes (uid, "disk", config->user_disk_bytes, used->disk_bytes, wanted->disk_bytes,
                         error);
}

/* What VMs are to get that the kernel does not count yet: a guest takes its memory as it boots. */
static guint64
promised_memory (BangerService *service, const char *but)
{
  guint64 promised = 0;
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, service->vms);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const BangerVm *vm = value;

    if (g_strcmp0 (vm->record->id, but) != 0
        && (vm->record->state == BANGER_VM_STARTING || vm->booting != NULL
            || (vm->record->state == BANGER_VM_CREATING && vm->to_be_started)))
      promised += vm->record->memory_bytes;
  }
  return promised;
}

static gboolean
check_memory (BangerService *service, const BangerVmRecord *record, guint64 wanted, GError **error)
{
  guint64 available = banger_meminfo ("MemAvailable");
  guint64 taken = promised_memory (service, record->id) + service->config->reserve_memory_bytes;
  guint64 free_bytes = available > taken ? available - taken : 0;
  g_autofree char *cause = NULL;

  if (available == 0 || wanted <= free_bytes)
    return TRUE;
  cause = g_strdup_printf ("it needs %" G_GUINT64_FORMAT " MiB, %" G_GUINT64_FORMAT
                           " MiB are available for VMs",
                           wanted >> MIB_SHIFT, free_bytes >> MIB_SHIFT);
  banger_set_error (error, BANGER_ERROR_NO_SPACE, NULL, cause,
                    "stop another VM, or give this one less memory",
                    "the host has not enough memory");
  return FALSE;
}

/* What the host has at all: no VM that ends makes room for more. */
static gboolean
check_total (guint64 wanted, GError **error)
{
  guint64 total = banger_meminfo ("MemTotal");
  g_autofree char *cause = NULL;

  if (total == 0 || wanted <= total)
    return TRUE;
  cause = g_strdup_printf ("it needs %" G_GUINT64_FORMAT " MiB, the host has %" G_GUINT64_FORMAT
                           " MiB",
                           wanted >> MIB_SHIFT, total >> MIB_SHIFT);
  banger_set_error (error, BANGER_ERROR_NO_SPACE, NULL, cause, "give it less memory",
                    "the host has not so much memory");
  return FALSE;
}

gboolean
banger_capacity_check_disk (BangerService *service, GError **error)
{
  guint64 available = disk_available (service, NULL);
  guint64 reserve = service->config->reserve_disk_bytes;
  g_autofree char *cause = NULL;

  if (available >= reserve)
    return TRUE;
  cause = g_strdup_printf ("%" G_GUINT64_FORMAT " MiB are free, %" G_GUINT64_FORMAT
                           " MiB are kept for the host",
                           available >> MIB_SHIFT, reserve >> MIB_SHIFT);
  banger_set_error (error, BANGER_ERROR_NO_SPACE, NULL, cause,
                    "make room on the file system that holds banger's state, or lower reserve-disk "
                    "in banger.conf",
                    "%s: the disk is too full", service->state_path);
  return FALSE;
}

/* What a VM has already is not asked for again, even where a limit was lowered since. */
static void
leave_out (BangerUse *wanted, const BangerVm *vm)
{
  const BangerUse has = use_of_vm (vm);

  wanted->vms = 0;
  if (wanted->vcpus <= has.vcpus)
    wanted->vcpus = 0;
  if (wanted->memory_bytes <= has.memory_bytes)
    wanted->memory_bytes = 0;
  if (wanted->disk_bytes <= has.disk_bytes)
    wanted->disk_bytes = 0;
}

gboolean
banger_capacity_admit (BangerService *service, const BangerVmRecord *record, gboolean run,
                       GError **error)
{
  BangerUse used = use_of (service, record->owner_uid, record->id), wanted = { 0 };
  const BangerVm *vm = banger_service_vm (service, record->id);
  gboolean starts = run && (vm == NULL || !is_running (vm));
  /* What was chosen on another host, or before, keeps no other change from being made. */
  gboolean chosen = vm == NULL || record->memory_bytes != vm->record->memory_bytes;

  add_use (&wanted, record, run);
  if (vm != NULL)
    leave_out (&wanted, vm);
  return (!chosen || check_total (record->memory_bytes, error))
         && banger_limits_check (service->config, record->owner_uid, &used, &wanted, error)
         && ((wanted.disk_bytes == 0 && !starts) || banger_capacity_check_disk (service, error))
         && (!starts || check_memory (service, record, record->memory_bytes, error));
}

gboolean
banger_capacity_admit_restart (const BangerVm *vm, GError **error)
{
  guint64 wanted = vm->record->memory_bytes;
  guint64 has = vm->guest_memory_bytes != 0 ? vm->guest_memory_bytes : wanted;

  return banger_capacity_check_disk (vm->service, error)
         && (wanted <= has || check_memory (vm->service, vm->record, wanted - has, error));
}
