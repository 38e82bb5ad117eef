/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/qemu-args.h"

#include <string.h>

static BangerMachine
machine_of (gboolean overlay)
{
  BangerMachine machine = { .id = (char *)"abcdefghijkl",
                            .name = (char *)"quiet-fox",
                            .vcpus = 3,
                            .memory_bytes = 256 * 1048576,
                            .overlay = overlay,
                            .modules_release = overlay ? (char *)"6.1.0" : NULL,
                            .work = overlay ? 9 : -1,
                            .network_fd = -1 };
  return machine;
}

static gboolean
has (char **args, const char *option, const char *value)
{
  for (guint i = 0; args[i] != NULL && args[i + 1] != NULL; i++)
    if (g_str_equal (args[i], option) && g_str_equal (args[i + 1], value))
      return TRUE;
  return FALSE;
}

static gboolean
mentions (char **args, const char *part)
{
  for (guint i = 0; args[i] != NULL; i++)
    if (strstr (args[i], part) != NULL)
      return TRUE;
  return FALSE;
}

static void
test_disks (void)
{
  BangerMachine machine = machine_of (TRUE);
  BangerQemuFacts facts = { .tsc_khz = 2500000 };
  g_auto (GStrv) args = banger_qemu_args (&machine, &facts);

  g_assert_true (has (args, "-device", "virtio-blk-device,drive=root,serial=root"));
  g_assert_true (has (args, "-add-fd", "fd=15,set=15"));
  g_assert_true (mentions (args, "node-name=root-file,filename=/dev/fdset/15,read-only=on"));
  g_assert_true (mentions (args, "node-name=modules-file,filename=/dev/fdset/18,read-only=on"));
  g_assert_true (mentions (args, "node-name=upper-file,filename=/dev/fdset/16,read-only=off"));
  g_assert_true (mentions (args, "drive=work,serial=work,discard=on"));
}

/* A root that is written has no upper disk, and absent disks are not mentioned. */
static void
test_plain_root (void)
{
  BangerMachine machine = machine_of (FALSE);
  BangerQemuFacts facts = { .kvm = TRUE };
  g_auto (GStrv) args = banger_qemu_args (&machine, &facts);

  g_assert_true (mentions (args, "node-name=root-file,filename=/dev/fdset/15,read-only=off"));
  g_assert_false (mentions (args, "upper"));
  g_assert_false (mentions (args, "work"));
  g_assert_false (mentions (args, "modules"));
}

static void
test_accelerators (void)
{
  BangerMachine machine = machine_of (TRUE);
  BangerQemuFacts tcg = { .tsc_khz = 2596142 }, kvm = { .kvm = TRUE };
  g_auto (GStrv) emulated = banger_qemu_args (&machine, &tcg);
  g_auto (GStrv) direct = banger_qemu_args (&machine, &kvm);

  g_assert_true (mentions (emulated, "tsc_early_khz=2596142 tsc=reliable"));
  g_assert_true (has (emulated, "-cpu", "max"));
  g_assert_false (mentions (direct, "tsc_early_khz"));
  g_assert_true (has (direct, "-accel", "kvm"));
  g_assert_true (has (direct, "-smp", "3"));
}

static void
test_transports (void)
{
  BangerMachine machine = machine_of (TRUE);
  BangerQemuFacts serial = { 0 }, vsock = { .kvm = TRUE, .guest_cid = 77 };
  g_auto (GStrv) by_serial = banger_qemu_args (&machine, &serial);
  g_auto (GStrv) by_vsock = banger_qemu_args (&machine, &vsock);

  g_assert_true (has (by_serial, "-device", "virtserialport,chardev=agent,name=org.banger.agent"));
  g_assert_true (has (by_vsock, "-device", "vhost-vsock-device,guest-cid=77,vhostfd=12"));
  g_assert_false (mentions (by_vsock, "virtserialport"));
}

/* No card without a network. */
static void
test_network (void)
{
  BangerMachine machine = machine_of (TRUE);
  BangerQemuFacts facts = { 0 };
  g_auto (GStrv) without = banger_qemu_args (&machine, &facts);
  g_auto (GStrv) with = NULL;

  g_assert_false (mentions (without, "virtio-net"));
  machine.network_fd = 7;
  with = banger_qemu_args (&machine, &facts);
  g_assert_true (has (with, "-netdev", "stream,id=network,addr.type=fd,addr.str=19"));
  g_assert_true (mentions (with, "virtio-net-device,netdev=network"));
}

/* Nothing on the command line is the caller's but the id, and no path but the descriptors'. */
static void
test_no_secrets (void)
{
  BangerMachine machine = machine_of (TRUE);
  BangerQemuFacts facts = { 0 };
  g_auto (GStrv) args = banger_qemu_args (&machine, &facts);

  g_assert_false (mentions (args, "quiet-fox"));
  for (guint i = 0; args[i] != NULL; i++)
    if (strchr (args[i], '/') != NULL)
      g_assert_true (strstr (args[i], "/dev/fdset/") != NULL
                     || g_str_has_prefix (args[i], "/proc/self/fd/"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vmm/args/disks", test_disks);
  g_test_add_func ("/vmm/args/plain-root", test_plain_root);
  g_test_add_func ("/vmm/args/accelerators", test_accelerators);
  g_test_add_func ("/vmm/args/transports", test_transports);
  g_test_add_func ("/vmm/args/no-secrets", test_no_secrets);
  g_test_add_func ("/vmm/args/network", test_network);
  return g_test_run ();
}
