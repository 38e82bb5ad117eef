/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each user may have: counted over the VMs that are there, refused with what is free. */
#include "daemon/capacity.h"
#include "daemon/meminfo.h"
#include "daemon/vm.h"

#include <fcntl.h>
#include <string.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)

static BangerService service;

/* A VM that is not on any bus. */
static BangerVm *
add_vm (const char *id, uid_t owner, BangerVmState state)
{
  BangerVm *vm = g_new0 (BangerVm, 1);

  vm->record = banger_vm_record_new ();
  vm->record->id = g_strdup (id);
  vm->record->owner_uid = owner;
  vm->record->state = state;
  vm->record->vcpus = 2;
  vm->record->memory_bytes = 100 * MIB;
  vm->record->disk_bytes = 200 * MIB;
  vm->record->work_bytes = 300 * MIB;
  g_hash_table_insert (service.vms, vm->record->id, vm);
  return vm;
}

static void
free_vm (gpointer data)
{
  BangerVm *vm = data;

  banger_vm_record_free (vm->record);
  g_free (vm);
}

static void
set_up (void)
{
  service = (BangerService){ .state_fd = open ("/var/tmp", O_RDONLY | O_DIRECTORY) };
  service.state_path = (char *)"/var/tmp";
  service.config = banger_config_new (BANGER_MODE_SESSION);
  service.vms = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, free_vm);
}

static void
tear_down (void)
{
  g_hash_table_unref (service.vms);
  banger_config_free (service.config);
  banger_clear_fd (&service.state_fd);
}

static void
admit (const BangerVmRecord *record, gboolean run)
{
  g_autoptr (GError) error = NULL;

  banger_capacity_admit (&service, record, run, &error);
  g_assert_no_error (error);
}

static void
refuse (const BangerVmRecord *record, gboolean run, const char *message, const char *cause)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (banger_capacity_admit (&service, record, run, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (error->message, message));
  g_assert_cmpstr (banger_error_cause (error), ==, cause);
  g_assert_null (banger_error_stage (error));
  g_assert_nonnull (banger_error_hint (error));
}

static BangerVmRecord *
fresh (uid_t owner)
{
  BangerVmRecord *record = banger_vm_record_new ();

  record->owner_uid = owner;
  record->vcpus = 2;
  record->memory_bytes = 100 * MIB;
  record->disk_bytes = 200 * MIB;
  record->work_bytes = 300 * MIB;
  record->id = g_strdup ("fresh");
  return record;
}

static guint64
said (const char *key, uid_t uid)
{
  g_autoptr (GVariant) capacity = g_variant_ref_sink (banger_capacity_describe (&service, uid));
  g_autoptr (GVariant) value = g_variant_lookup_value (capacity, key, NULL);

  g_assert_nonnull (value);
  return g_variant_is_of_type (value, G_VARIANT_TYPE_UINT32) ? g_variant_get_uint32 (value)
                                                             : g_variant_get_uint64 (value);
}

static void
test_what_counts (void)
{
  static const BangerVmState running[]
      = { BANGER_VM_STARTING, BANGER_VM_RUNNING, BANGER_VM_PAUSED, BANGER_VM_STOPPING };
  static const BangerVmState not_running[]
      = { BANGER_VM_CREATING, BANGER_VM_STOPPED, BANGER_VM_FAILED, BANGER_VM_DELETING };

  set_up ();
  service.config->vms = 9;
  for (guint i = 0; i < G_N_ELEMENTS (running); i++) {
    g_autofree char *a = g_strdup_printf ("a%u", i), *b = g_strdup_printf ("b%u", i);

    add_vm (a, 7, running[i]);
    add_vm (b, 7, not_running[i]);
  }
  add_vm ("other", 8, BANGER_VM_RUNNING);
  add_vm ("promised", 7, BANGER_VM_CREATING)->to_be_started = TRUE;
  g_assert_cmpuint (said ("limit-vms", 7), ==, 9);
  g_assert_cmpuint (said ("limit-vcpus", 7), ==, 0);
  g_assert_cmpuint (said ("used-vms", 7), ==, 9);
  g_assert_cmpuint (said ("used-vcpus", 7), ==, 10);
  g_assert_cmpuint (said ("used-memory-bytes", 7), ==, 500 * MIB);
  g_assert_cmpuint (said ("used-disk-bytes", 7), ==, 4500 * MIB);
  g_assert_cmpuint (said ("used-vms", 8), ==, 1);
  g_assert_cmpuint (said ("used-vms", 9), ==, 0);
  tear_down ();
}

static void
test_limits (void)
{
  g_autoptr (BangerVmRecord) record = fresh (7), foreign = fresh (8);

  set_up ();
  add_vm ("first", 7, BANGER_VM_RUNNING);
  admit (record, TRUE);
  service.config->vms = 2;
  service.config->user_vcpus = 4;
  service.config->user_memory_bytes = 200 * MIB;
  service.config->user_disk_bytes = 1000 * MIB;
  admit (record, TRUE);
  service.config->user_disk_bytes = 999 * MIB;
  refuse (record, FALSE, "limit of disk for user 7", "it needs 500 MiB, 499 of 999 MiB are free");
  service.config->user_memory_bytes = 199 * MIB;
  refuse (record, TRUE, "limit of running memory", "it needs 100 MiB, 99 of 199 MiB are free");
  service.config->user_vcpus = 3;
  refuse (record, TRUE, "limit of running vcpus", "it needs 2, 1 of 3 are free");
  service.config->vms = 1;
  refuse (record, FALSE, "limit of VMs", "it needs 1, 0 of 1 are free");
  admit (foreign, FALSE);
  tear_down ();
}

/* What a job is about to give to one VM is not there for another. */
static void
test_growing (void)
{
  BangerVm *first = NULL, *second = NULL;
  g_autoptr (BangerVmRecord) grown = NULL, changed = NULL;

  set_up ();
  first = add_vm ("first", 7, BANGER_VM_STOPPED);
  second = add_vm ("second", 7, BANGER_VM_STOPPED);
  service.config->user_disk_bytes = 1100 * MIB;
  grown = banger_vm_record_copy (first->record);
  grown->disk_bytes += 100 * MIB;
  changed = banger_vm_record_copy (second->record);
  changed->disk_bytes += 100 * MIB;
  admit (changed, FALSE);
  first->next = grown;
  refuse (changed, FALSE, "limit of disk", "it needs 600 MiB, 500 of 1100 MiB are free");
  first->next = NULL;
  admit (changed, FALSE);
  tear_down ();
}

/* A guest has what it was started with until it ends, whatever is chosen for the next one. */
static void
test_what_waits (void)
{
  BangerVm *vm = NULL;
  g_autoptr (BangerVmRecord) lower = NULL, other = fresh (7);

  set_up ();
  vm = add_vm ("vm", 7, BANGER_VM_RUNNING);
  service.config->user_vcpus = 3;
  service.config->user_memory_bytes = 150 * MIB;
  /* While it is being changed, which may fail, and after it. */
  lower = banger_vm_record_copy (vm->record);
  lower->vcpus = 1;
  lower->memory_bytes = 50 * MIB;
  vm->next = lower;
  refuse (other, TRUE, "limit of running vcpus", "it needs 2, 1 of 3 are free");
  vm->next = NULL;
  vm->record->vcpus = lower->vcpus;
  vm->record->memory_bytes = lower->memory_bytes;
  admit (other, TRUE);
  vm->guest_vcpus = 2;
  vm->guest_memory_bytes = 100 * MIB;
  refuse (other, TRUE, "limit of running vcpus", "it needs 2, 1 of 3 are free");
  service.config->user_vcpus = 4;
  refuse (other, TRUE, "limit of running memory", "it needs 100 MiB, 50 of 150 MiB are free");
  g_assert_cmpuint (said ("used-memory-bytes", 7), ==, 100 * MIB);
  g_assert_cmpuint (said ("used-vcpus", 7), ==, 2);
  tear_down ();
}

/* Limits that were lowered do not keep a VM from being what it is, only from growing. */
static void
test_changes (void)
{
  BangerVm *vm = NULL;
  g_autoptr (BangerVmRecord) changed = NULL;

  set_up ();
  vm = add_vm ("vm", 7, BANGER_VM_STOPPED);
  add_vm ("other", 7, BANGER_VM_STOPPED);
  service.config->vms = 1;
  service.config->user_disk_bytes = 900 * MIB;
  service.config->user_memory_bytes = 150 * MIB;
  changed = banger_vm_record_copy (vm->record);
  admit (changed, FALSE);
  admit (changed, TRUE);
  changed->disk_bytes += 1 * MIB;
  refuse (changed, FALSE, "limit of disk", "it needs 501 MiB, 400 of 900 MiB are free");
  changed->disk_bytes -= 1 * MIB;
  changed->memory_bytes = 151 * MIB;
  admit (changed, FALSE); /* as long as it does not run */
  refuse (changed, TRUE, "limit of running memory", "it needs 151 MiB, 150 of 150 MiB are free");
  /* One that runs has its memory, and what takes no room needs none to be free. */
  changed->memory_bytes = vm->record->memory_bytes;
  vm->record->state = BANGER_VM_RUNNING;
  service.config->reserve_memory_bytes = service.config->reserve_disk_bytes
      = 1024 * 1024 * 1024 * MIB;
  admit (changed, TRUE);
  tear_down ();
}

static void
test_host (void)
{
  g_autoptr (BangerVmRecord) record = fresh (7);
  g_autoptr (GError) error = NULL;
  BangerVm *vm = NULL;

  set_up ();
  service.config->reserve_memory_bytes = 1024 * 1024 * 1024 * MIB;
  admit (record, FALSE);
  refuse (record, TRUE, "the host has not enough memory",
          "it needs 100 MiB, 0 MiB are available for VMs");
  /* What is promised to a VM on its way is not there for another. */
  service.config->reserve_memory_bytes = 0;
  vm = add_vm ("coming", 8, BANGER_VM_CREATING);
  vm->record->memory_bytes = 1024 * 1024 * 1024 * MIB;
  admit (record, TRUE);
  vm->to_be_started = TRUE;
  refuse (record, TRUE, "the host has not enough memory",
          "it needs 100 MiB, 0 MiB are available for VMs");
  vm->to_be_started = FALSE;
  g_assert_true (banger_capacity_check_disk (&service, &error));
  service.config->reserve_disk_bytes = 1024 * 1024 * 1024 * MIB;
  g_assert_false (banger_capacity_check_disk (&service, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (banger_error_cause (error), "1073741824 MiB are kept for the host"));
  tear_down ();
}

/* More than there is at all is refused before anybody starts it, but keeps nobody from changing
 * something else of a VM that came from elsewhere. */
static void
test_more_than_there_is (void)
{
  g_autoptr (BangerVmRecord) record = fresh (7), changed = NULL;
  guint64 total = banger_meminfo ("MemTotal");
  g_autofree char *cause = NULL;
  BangerVm *vm = NULL;

  set_up ();
  record->memory_bytes = total / MIB * MIB;
  admit (record, FALSE);
  record->memory_bytes += 1 * MIB;
  cause = g_strdup_printf ("it needs %" G_GUINT64_FORMAT " MiB, the host has %" G_GUINT64_FORMAT
                           " MiB",
                           record->memory_bytes / MIB, total / MIB);
  refuse (record, FALSE, "the host has not so much memory", cause);
  refuse (record, TRUE, "the host has not so much memory", cause);
  vm = add_vm ("moved", 7, BANGER_VM_STOPPED);
  changed = banger_vm_record_copy (vm->record);
  changed->memory_bytes = record->memory_bytes;
  refuse (changed, FALSE, "the host has not so much memory", cause);
  vm->record->memory_bytes = record->memory_bytes;
  changed->autostart = TRUE;
  admit (changed, FALSE);
  tear_down ();
}

/* It is asked before the guest is ended, which gives back what it has. */
static void
test_restart (void)
{
  g_autoptr (GError) error = NULL;
  BangerVm *vm = NULL;

  set_up ();
  service.config->reserve_disk_bytes = 0;
  service.config->reserve_memory_bytes = 1024 * 1024 * 1024 * MIB;
  vm = add_vm ("runs", 7, BANGER_VM_RUNNING);
  vm->service = &service;
  vm->guest_memory_bytes = vm->record->memory_bytes;
  g_assert_true (banger_capacity_admit_restart (vm, &error));
  g_assert_no_error (error);
  vm->record->memory_bytes += 28 * MIB;
  g_assert_false (banger_capacity_admit_restart (vm, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NO_SPACE);
  g_assert_nonnull (strstr (banger_error_cause (error), "it needs 28 MiB, 0 MiB are available"));
  tear_down ();
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/capacity/what-counts", test_what_counts);
  g_test_add_func ("/capacity/limits", test_limits);
  g_test_add_func ("/capacity/changes", test_changes);
  g_test_add_func ("/capacity/what-waits", test_what_waits);
  g_test_add_func ("/capacity/growing", test_growing);
  g_test_add_func ("/capacity/host", test_host);
  g_test_add_func ("/capacity/restart", test_restart);
  g_test_add_func ("/capacity/more-than-there-is", test_more_than_there_is);
  return g_test_run ();
}
