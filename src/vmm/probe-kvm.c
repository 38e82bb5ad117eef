/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#define GUEST_BYTES 65536
#define GUEST_CODE 0x1000
#define RESULT_PORT 0x501
#define RESULT_VALUE 0x5a
#define CPUID_MAX 256

/* From real mode to 64-bit mode, as a kernel goes, then an SSE2 addition: every x86-64 CPU has it,
 * KVM's instruction emulator has not. A KVM that can only emulate the guest's kernel mode (kvm_pvm
 * runs only kernels written for it) ends there with an internal error. Position: GUEST_CODE. */
__asm__(".pushsection .rodata\n"
        "banger_kvm_code:\n"
        ".code16\n"
        "  cli\n"
        "  lgdtl banger_kvm_gdtr - banger_kvm_code + 0x1000\n"
        "  mov %cr0, %eax\n"
        "  or $1, %eax\n"
        "  mov %eax, %cr0\n"
        "  ljmpl $8, $(banger_kvm_protected - banger_kvm_code + 0x1000)\n"
        ".code32\n"
        "banger_kvm_protected:\n"
        "  mov $16, %ax\n"
        "  mov %ax, %ds\n"
        "  mov %ax, %ss\n"
        "  mov %cr4, %eax\n"
        "  or $0x220, %eax\n" /* PAE, OSFXSR */
        "  mov %eax, %cr4\n"
        "  mov $0x2000, %eax\n"
        "  mov %eax, %cr3\n"
        "  mov $0xc0000080, %ecx\n" /* EFER */
        "  rdmsr\n"
        "  or $0x100, %eax\n" /* LME */
        "  wrmsr\n"
        "  mov %cr0, %eax\n"
        "  or $0x80000002, %eax\n"  /* PG, MP */
        "  and $0xfffffffb, %eax\n" /* not EM */
        "  mov %eax, %cr0\n"
        "  ljmpl $24, $(banger_kvm_long - banger_kvm_code + 0x1000)\n"
        ".code64\n"
        "banger_kvm_long:\n"
        "  mov $0x2d, %eax\n"
        "  movd %eax, %xmm0\n"
        "  paddd %xmm0, %xmm0\n"
        "  movd %xmm0, %eax\n"
        "  mov $0x501, %edx\n"
        "  out %al, %dx\n"
        "  hlt\n"
        ".balign 8\n"
        "banger_kvm_gdt:\n"
        "  .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff, 0x00af9a000000ffff\n"
        "banger_kvm_gdtr:\n"
        "  .word 31\n"
        "  .long banger_kvm_gdt - banger_kvm_code + 0x1000\n"
        "banger_kvm_code_end:\n"
        ".popsection\n");

extern const guint8 banger_kvm_code[] __attribute__ ((visibility ("hidden")));
extern const guint8 banger_kvm_code_end[] __attribute__ ((visibility ("hidden")));

typedef struct {
  int kvm;
  int vm;
  int vcpu;
  guint8 *memory;
  struct kvm_run *run;
  gsize run_size;
} Probe;

static void
clear_probe (Probe *self)
{
  if (self->run != NULL)
    munmap (self->run, self->run_size);
  banger_clear_fd (&self->vcpu);
  banger_clear_fd (&self->vm);
  banger_clear_fd (&self->kvm);
  if (self->memory != NULL)
    munmap (self->memory, GUEST_BYTES);
}

/* The code, and tables that map the lowest 2 MiB to themselves. */
static gboolean
fill_memory (Probe *self)
{
  void *memory
      = mmap (NULL, GUEST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct kvm_userspace_memory_region region = { .memory_size = GUEST_BYTES };

  if (memory == MAP_FAILED)
    return FALSE;
  self->memory = memory;
  memcpy (self->memory + GUEST_CODE, banger_kvm_code, banger_kvm_code_end - banger_kvm_code);
  *(guint64 *)(self->memory + 0x2000) = 0x3003;
  *(guint64 *)(self->memory + 0x3000) = 0x4003;
  *(guint64 *)(self->memory + 0x4000) = 0x83;
  region.userspace_addr = (guint64)(gsize)memory;
  return ioctl (self->vm, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

/* Without the host's CPUID the guest could not turn on 64-bit mode. */
static gboolean
copy_cpuid (Probe *self)
{
  gsize size = sizeof (struct kvm_cpuid2) + CPUID_MAX * sizeof (struct kvm_cpuid_entry2);
  g_autofree struct kvm_cpuid2 *cpuid = g_malloc0 (size);

  cpuid->nent = CPUID_MAX;
  return ioctl (self->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) == 0
         && ioctl (self->vcpu, KVM_SET_CPUID2, cpuid) == 0;
}

static gboolean
set_up_cpu (Probe *self)
{
  struct kvm_sregs sregs;
  struct kvm_regs regs = { .rip = GUEST_CODE, .rflags = 2, .rsp = 0x8000 };
  int size = ioctl (self->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
  void *run = NULL;

  self->vcpu = ioctl (self->vm, KVM_CREATE_VCPU, 0);
  if (self->vcpu < 0 || size <= 0 || !copy_cpuid (self))
    return FALSE;
  run = mmap (NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, self->vcpu, 0);
  if (run == MAP_FAILED)
    return FALSE;
  self->run = run;
  self->run_size = size;
  if (ioctl (self->vcpu, KVM_GET_SREGS, &sregs) < 0)
    return FALSE;
  sregs.cs.base = 0;
  sregs.cs.selector = 0;
  return ioctl (self->vcpu, KVM_SET_SREGS, &sregs) == 0
         && ioctl (self->vcpu, KVM_SET_REGS, &regs) == 0;
}

static void
on_alarm (int signum)
{
}

/* Runs the guest for a second at most: the alarm interrupts the call, again and again so that none
 * is lost between two calls. */
static char *
run_guest (Probe *self)
{
  struct sigaction action = { .sa_handler = on_alarm }, before;
  struct itimerval second = { .it_interval = { 0, 100000 }, .it_value = { 1, 0 } };
  struct itimerval never = { 0 };
  struct kvm_run *run = self->run;
  int result = 0, errnum = 0;

  sigaction (SIGALRM, &action, &before);
  setitimer (ITIMER_REAL, &second, NULL);
  result = ioctl (self->vcpu, KVM_RUN, 0);
  errnum = errno;
  setitimer (ITIMER_REAL, &never, NULL);
  sigaction (SIGALRM, &before, NULL);
  if (result < 0)
    return g_strdup_printf ("a test guest does not run: %s",
                            errnum == EINTR ? "it took too long" : g_strerror (errnum));
  if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
    return g_strdup ("it can only run kernels that were written for it");
  if (run->exit_reason != KVM_EXIT_IO || run->io.port != RESULT_PORT
      || ((guint8 *)run)[run->io.data_offset] != RESULT_VALUE)
    return g_strdup_printf ("a test guest ended early (exit reason %u)", run->exit_reason);
  return NULL;
}

static char *
find_fault (Probe *self)
{
  self->kvm = open ("/dev/kvm", O_RDWR | O_CLOEXEC);
  if (self->kvm < 0 && errno == ENOENT)
    return g_strdup ("there is no /dev/kvm");
  if (self->kvm < 0)
    return g_strdup_printf ("/dev/kvm cannot be opened: %s", g_strerror (errno));
  if (ioctl (self->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
    return g_strdup ("/dev/kvm speaks another version of its interface");
  self->vm = ioctl (self->kvm, KVM_CREATE_VM, 0);
  if (self->vm < 0 || !fill_memory (self) || !set_up_cpu (self))
    return g_strdup_printf ("a test guest cannot be made: %s", g_strerror (errno));
  return run_guest (self);
}

gboolean
banger_kvm_probe (char **reason)
{
  Probe probe = { .kvm = -1, .vm = -1, .vcpu = -1 };
  g_autofree char *fault = find_fault (&probe);
  gboolean usable = fault == NULL;

  clear_probe (&probe);
  if (reason != NULL)
    *reason = g_steal_pointer (&fault);
  return usable;
}
