/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "refusal.h"

#include "common/common.h"

#define ANEW "copy or download it anew, and compare its checksum"

static const struct {
  const char *cause, *hint;
} refusals[] = {
  [BANGER_REFUSAL_NO_KERNEL] = { "it is neither a bzImage nor an ELF file",
                                 "give a bzImage (vmlinuz) or vmlinux of Linux for x86-64" },
  [BANGER_REFUSAL_OLD]
  = { "it is older than Linux 2.6.26", "give a current kernel, or " BANGER_KERNEL_TAKE },
  [BANGER_REFUSAL_CUT] = { "the file ends before the kernel does", ANEW },
  [BANGER_REFUSAL_SIZE] = { "it says that it is empty or larger than 512 MiB uncompressed", ANEW },
  [BANGER_REFUSAL_LARGE] = { "it is larger than 512 MiB",
                             "strip it of its debug information: strip --strip-debug vmlinux" },
  [BANGER_REFUSAL_OTHER_SIZE] = { "it is not as large as its header says", ANEW },
  [BANGER_REFUSAL_NO_ELF] = { "what it holds compressed is no ELF file", ANEW },
  [BANGER_REFUSAL_32_BIT] = { "it is for 32-bit machines",
                              "give one for x86-64: of Debian linux-image-amd64 instead of -686" },
  [BANGER_REFUSAL_MACHINE] = { "it is for another kind of machine, or no program",
                               "give one for x86-64; file(1) says what it is" },
  [BANGER_REFUSAL_SEGMENTS] = { "what it loads does not lie within the file", ANEW },
  [BANGER_REFUSAL_NO_PVH]
  = { "it has no PVH entry point", "build it with CONFIG_PVH=y, or " BANGER_KERNEL_TAKE },
  [BANGER_REFUSAL_PVH_ENTRY] = { "its PVH entry point lies outside of what it loads",
                                 "give vmlinux as the kernel's build makes it" },
  [BANGER_REFUSAL_NO_VERSION] = { "it does not say its version",
                                  "give a kernel with its banner: 'Linux version RELEASE (...'" },
  [BANGER_REFUSAL_CONFIG_SIZE] = { "its build configuration is larger than 4 MiB",
                                   "give the config-RELEASE that its build wrote" },
  [BANGER_REFUSAL_NO_ACPI] = { "it finds no devices: it is built without ACPI",
                               "build it with CONFIG_ACPI=y, or " BANGER_KERNEL_TAKE },
};

G_STATIC_ASSERT (G_N_ELEMENTS (refusals) == BANGER_N_REFUSALS);

const BangerNeededOption banger_needed_options[] = {
  { "CONFIG_BLK_DEV_INITRD", "takes no initramfs" },
  { "CONFIG_BINFMT_ELF", "runs no programs" },
  { "CONFIG_DEVTMPFS", "makes no device nodes" },
  { "CONFIG_PROC_FS", "has no /proc" },
  { "CONFIG_SYSFS", "has no /sys" },
  { "CONFIG_TMPFS", "has no tmpfs for /run" },
  { "CONFIG_NET", "has no sockets" },
  { "CONFIG_EPOLL", "cannot run the agent (epoll)" },
  { "CONFIG_SIGNALFD", "cannot run the agent (signalfd)" },
  { "CONFIG_UNIX98_PTYS", "has no terminals" },
  { NULL, NULL },
};

const char *
banger_refusal_cause (BangerRefusal refusal)
{
  return refusals[refusal].cause;
}

const char *
banger_refusal_hint (BangerRefusal refusal)
{
  return refusals[refusal].hint;
}

gboolean
banger_kernel_refuse (BangerRefusal refusal, const char *stage, GError **error)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, stage, refusals[refusal].cause,
                    refusals[refusal].hint, "kernel: not one that a guest can boot");
  return FALSE;
}
