/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu-args.h"

#include "network.h"

#define PROGRAM "qemu-system-x86_64"

static void G_GNUC_PRINTF (2, 3) add (GPtrArray *args, const char *format, ...)
{
  va_list list;

  va_start (list, format);
  g_ptr_array_add (args, g_strdup_vprintf (format, list));
  va_end (list);
}

static void
    G_GNUC_PRINTF (3, 4) add_option (GPtrArray *args, const char *option, const char *format, ...)
{
  va_list list;

  g_ptr_array_add (args, g_strdup (option));
  va_start (list, format);
  g_ptr_array_add (args, g_strdup_vprintf (format, list));
  va_end (list);
}

char *
banger_qemu_kernel_args (const BangerQemuFacts *facts)
{
  g_autoptr (GString) text = g_string_new (
      "console=ttyS0 quiet loglevel=3 panic=-1 reboot=t random.trust_cpu=on cryptomgr.notests");

  /* The microvm machine has no clock to calibrate by but the PIT, which a busy host makes fail; the
   * kernel then waits for ever. Under TCG the guest's counter is the host's: say its rate. kvmclock
   * says it under KVM. */
  if (!facts->kvm)
    g_string_append_printf (text, " tsc_early_khz=%u tsc=reliable nokaslr", facts->tsc_khz);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static void
add_disk (GPtrArray *args, const char *serial, int fd, gboolean writable)
{
  add_option (args, "-add-fd", "fd=%d,set=%d", fd, fd);
  add_option (args, "-blockdev",
              "driver=file,node-name=%s-file,filename=/dev/fdset/%d,read-only=%s,locking=off,"
              "aio=threads,discard=%s",
              serial, fd, writable ? "off" : "on", writable ? "unmap" : "ignore");
  add_option (args, "-blockdev", "driver=raw,node-name=%s,file=%s-file,read-only=%s,discard=%s",
              serial, serial, writable ? "off" : "on", writable ? "unmap" : "ignore");
  add_option (args, "-device", "virtio-blk-device,drive=%s,serial=%s%s", serial, serial,
              writable ? ",discard=on,write-zeroes=on" : "");
}

static void
add_disks (GPtrArray *args, const BangerMachine *machine)
{
  add_disk (args, "root", BANGER_QEMU_FD_ROOT, !machine->overlay);
  if (machine->overlay)
    add_disk (args, "upper", BANGER_QEMU_FD_UPPER, TRUE);
  if (machine->work >= 0)
    add_disk (args, "work", BANGER_QEMU_FD_WORK, TRUE);
  if (machine->modules_release != NULL)
    add_disk (args, "modules", BANGER_QEMU_FD_MODULES, FALSE);
}

static void
add_channels (GPtrArray *args, const BangerQemuFacts *facts)
{
  add_option (args, "-chardev", "socket,id=qmp,fd=%d", BANGER_QEMU_FD_QMP);
  add_option (args, "-mon", "chardev=qmp,mode=control");
  add_option (args, "-chardev", "socket,id=serial,fd=%d", BANGER_QEMU_FD_SERIAL);
  add_option (args, "-serial", "chardev:serial");
  if (facts->guest_cid != 0) {
    add_option (args, "-device", "vhost-vsock-device,guest-cid=%u,vhostfd=%d", facts->guest_cid,
                BANGER_QEMU_FD_AGENT);
    return;
  }
  add_option (args, "-chardev", "socket,id=agent,fd=%d", BANGER_QEMU_FD_AGENT);
  add_option (args, "-device", "virtio-serial-device");
  add_option (args, "-device", "virtserialport,chardev=agent,name=org.banger.agent");
}

static void
add_network (GPtrArray *args, const BangerMachine *machine)
{
  if (machine->network_fd < 0)
    return;
  add_option (args, "-netdev", "stream,id=network,addr.type=fd,addr.str=%d",
              BANGER_QEMU_FD_NETWORK);
  add_option (args, "-device", "virtio-net-device,netdev=network,mac=%s,host_mtu=%d",
              BANGER_NETWORK_CARD, BANGER_NETWORK_MTU);
}

char **
banger_qemu_args (const BangerMachine *machine, const BangerQemuFacts *facts)
{
  g_autoptr (GPtrArray) args = g_ptr_array_new ();
  g_autofree char *kernel_args = banger_qemu_kernel_args (facts);

  add (args, PROGRAM);
  add_option (args, "-name", "banger-%s", machine->id);
  add (args, "-nodefaults");
  add (args, "-no-user-config");
  add (args, "-no-reboot");
  add (args, "-S");
  add_option (args, "-display", "none");
  add_option (args, "-sandbox",
              "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
  add_option (args, "-machine",
              "microvm,acpi=on,rtc=on,pit=off,pic=off,isa-serial=on,auto-kernel-cmdline=off,"
              "memory-backend=memory,dump-guest-core=off");
  add_option (args, "-accel", "%s", facts->kvm ? "kvm" : "tcg,thread=multi");
  add_option (args, "-cpu", "%s", facts->kvm ? "host" : "max");
  add_option (args, "-smp", "%u", machine->vcpus);
  add_option (args, "-m", "size=%" G_GUINT64_FORMAT "k", machine->memory_bytes / 1024);
  /* vhost devices of another process would need it shared; so it is a memory file already. */
  add_option (args, "-object", "memory-backend-memfd,id=memory,size=%" G_GUINT64_FORMAT ",share=on",
              machine->memory_bytes / 1024 * 1024);
  add_option (args, "-global", "virtio-mmio.force-legacy=false");
  add_option (args, "-kernel", "/proc/self/fd/%d", BANGER_QEMU_FD_KERNEL);
  add_option (args, "-initrd", "/proc/self/fd/%d", BANGER_QEMU_FD_INITRD);
  add_option (args, "-append", "%s", kernel_args);
  add_channels (args, facts);
  add_disks (args, machine);
  add_network (args, machine);
  add_option (args, "-device", "virtio-rng-device");
  add_option (args, "-device", "virtio-balloon-device,free-page-reporting=on");
  g_ptr_array_add (args, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&args), FALSE);
}
