/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who has a port of the host that a VM cannot publish. */
#include "daemon/vm-ports.h"

#include <string.h>

static BangerService service;

static BangerVm *
add_vm (const char *name, uid_t owner, const char *port)
{
  BangerVm *vm = g_new0 (BangerVm, 1);

  vm->service = &service;
  /* Never asked anything: that its guest runs is all that counts. */
  vm->monitor = (BangerMonitor *)(gpointer)vm;
  vm->record = banger_vm_record_new ();
  vm->record->id = g_strdup (name);
  vm->record->name = g_strdup (name);
  vm->record->owner_uid = owner;
  g_strfreev (vm->record->published);
  vm->record->published = g_strsplit (port, " ", -1);
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
  service.vms = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, free_vm);
}

static GError *
explain (BangerVm *vm, BangerErrorCode code, const char *host)
{
  GError *error = NULL;

  banger_set_error (&error, code, "vmm", "another program listens there", "end it",
                    "port %s cannot be published", host);
  error = banger_vm_explain_ports (vm, vm->record->published, error);
  g_assert_error (error, BANGER_ERROR, (int)code);
  g_assert_cmpstr (banger_error_stage (error), ==, "vmm");
  g_assert_true (g_str_has_prefix (error->message, "port "));
  return error;
}

static void
assert_cause (BangerVm *vm, BangerErrorCode code, const char *host, const char *cause)
{
  g_autoptr (GError) error = explain (vm, code, host);

  g_assert_cmpstr (banger_error_cause (error), ==, cause);
}

static void
test_named (void)
{
  BangerVm *vm = NULL;
  g_autoptr (GError) error = NULL;

  set_up ();
  vm = add_vm ("a", 7, "127.0.0.1:80:1 127.0.0.1:8080:99");
  add_vm ("b", 7, "127.0.0.1:22:22 127.0.0.1:8080:80");
  error = explain (vm, BANGER_ERROR_BUSY, "127.0.0.1:8080");
  g_assert_cmpstr (banger_error_cause (error), ==, "vm 'b' publishes 127.0.0.1:8080:80");
  g_assert_nonnull (
      strstr (banger_error_hint (error), "banger vm set b --unpublish 127.0.0.1:8080:80"));
  g_hash_table_unref (service.vms);
}

/* As the monitor says it, wherever no VM that may be named is the reason. */
static void
test_not_named (void)
{
  const char *program = "another program listens there";
  BangerVm *vm = NULL, *other = NULL;

  set_up ();
  vm = add_vm ("a", 7, "127.0.0.1:80:1 127.0.0.1:8080:99");
  other = add_vm ("b", 7, "127.0.0.1:8080:80");
  /* Of another port, or another reason. */
  assert_cause (vm, BANGER_ERROR_BUSY, "127.0.0.1:80", program);
  assert_cause (vm, BANGER_ERROR_HOST_NOT_READY, "127.0.0.1:8080", program);
  other->record->owner_uid = 8;
  assert_cause (vm, BANGER_ERROR_BUSY, "127.0.0.1:8080", program);
  other->record->owner_uid = 7;
  other->monitor = NULL;
  assert_cause (vm, BANGER_ERROR_BUSY, "127.0.0.1:8080", program);
  g_hash_table_unref (service.vms);
}

static void
test_any_address (void)
{
  const char *program = "another program listens there";
  BangerVm *vm = NULL, *six = NULL;

  set_up ();
  vm = add_vm ("a", 7, "127.0.0.1:8080:99 127.0.0.1:80:1 0.0.0.0:22:22");
  six = add_vm ("six", 7, "[::1]:8080:80");
  add_vm ("b", 7, "0.0.0.0:80:8080 127.0.0.2:22:22");
  assert_cause (vm, BANGER_ERROR_BUSY, "127.0.0.1:80", "vm 'b' publishes 0.0.0.0:80:8080");
  assert_cause (vm, BANGER_ERROR_BUSY, "0.0.0.0:22", "vm 'b' publishes 127.0.0.2:22:22");
  assert_cause (vm, BANGER_ERROR_BUSY, "127.0.0.1:8080", program);
  g_free (six->record->published[0]);
  six->record->published[0] = g_strdup ("[::]:8080:80");
  assert_cause (vm, BANGER_ERROR_BUSY, "127.0.0.1:8080", program);
  g_hash_table_unref (service.vms);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/ports/named", test_named);
  g_test_add_func ("/ports/not-named", test_not_named);
  g_test_add_func ("/ports/any-address", test_any_address);
  return g_test_run ();
}
