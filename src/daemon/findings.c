/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "findings.h"

#include "meminfo.h"

#include <errno.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define GIB (G_GUINT64_CONSTANT (1) << 30)

#define DISK_NEEDED (BANGER_ROOM_MIN_MIB * MIB)
#define DISK_WANTED (8 * GIB)
#define MEMORY_WANTED (1 * GIB)

void
banger_finding_open (GVariantBuilder *findings, const char *id, BangerFindingStatus status,
                     const char *found, const char *why, const char *fix)
{
  static const char *const words[] = { "ok", "warning", "error" };

  g_variant_builder_open (findings, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (findings, "{sv}", "id", g_variant_new_string (id));
  g_variant_builder_add (findings, "{sv}", "status", g_variant_new_string (words[status]));
  g_variant_builder_add (findings, "{sv}", "found", g_variant_new_string (found));
  g_variant_builder_add (findings, "{sv}", "why", g_variant_new_string (why));
  if (fix != NULL)
    g_variant_builder_add (findings, "{sv}", "fix", g_variant_new_string (fix));
}

void
banger_finding_add (GVariantBuilder *findings, const char *id, BangerFindingStatus status,
                    const char *found, const char *why, const char *fix)
{
  banger_finding_open (findings, id, status, found, why, fix);
  g_variant_builder_close (findings);
}

typedef struct {
  const char *id;
  BangerFindingStatus missing; /* how bad it is if it is not there */
  const char *why;
} Program;

static const Program programs[] = {
  { "mke2fs", BANGER_FINDING_OK, "makes file systems by hand; banger writes its own" },
  { "e2fsck", BANGER_FINDING_ERROR, "checks each file system that banger wrote" },
  { "resize2fs", BANGER_FINDING_ERROR, "grows a VM's disks to the size asked for" },
  { "firecracker", BANGER_FINDING_OK, "a second VMM beside QEMU; nothing needs it" },
};

void
banger_findings_add_programs (GVariantBuilder *findings)
{
  for (guint i = 0; i < G_N_ELEMENTS (programs); i++) {
    const Program *program = &programs[i];
    g_autofree char *path = NULL;
    g_autofree char *fix = NULL;

    path = banger_run_find (program->id);
    if (path == NULL && program->missing != BANGER_FINDING_OK)
      fix = banger_fix_install (program->id);
    banger_finding_add (findings, program->id, path != NULL ? BANGER_FINDING_OK : program->missing,
                        path != NULL ? path : "not installed", program->why, fix);
  }
}

static void
add_landlock (GVariantBuilder *findings)
{
  long abi = syscall (SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  g_autofree char *found = NULL;
  const char *fix = "boot a Linux of 5.13 or newer that is built with CONFIG_SECURITY_LANDLOCK";

  if (abi >= 1)
    found = g_strdup_printf ("Landlock ABI %ld", abi);
  else
    found = g_strdup_printf ("no Landlock: %s", g_strerror (errno));
  if (abi < 1 && errno == EOPNOTSUPP)
    fix = "add landlock to the kernel's command line: lsm=landlock,… as in "
          "/sys/kernel/security/lsm";
  banger_finding_add (findings, "landlock", abi >= 1 ? BANGER_FINDING_OK : BANGER_FINDING_ERROR,
                      found, "confines the workers that read images and kernels",
                      abi >= 1 ? NULL : fix);
}

static void
add_seccomp (GVariantBuilder *findings)
{
  guint32 action = SECCOMP_RET_KILL_PROCESS;
  gboolean usable = syscall (SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
  g_autofree char *found = NULL;

  found = usable ? g_strdup ("seccomp filters")
                 : g_strdup_printf ("no seccomp filters: %s", g_strerror (errno));
  banger_finding_add (findings, "seccomp", usable ? BANGER_FINDING_OK : BANGER_FINDING_ERROR, found,
                      "confines the workers that read images and kernels",
                      usable ? NULL : "boot a Linux that is built with CONFIG_SECCOMP_FILTER");
}

void
banger_findings_add_sandbox (GVariantBuilder *findings)
{
  add_landlock (findings);
  add_seccomp (findings);
}

/* The nearest parent of @path that is there: the state folder is made at the first use. */
static gboolean
stat_file_system (const char *path, struct statvfs *out)
{
  g_autofree char *folder = g_strdup (path);

  while (statvfs (folder, out) != 0) {
    g_autofree char *parent = g_path_get_dirname (folder);

    if (errno != ENOENT || g_str_equal (parent, folder))
      return FALSE;
    g_free (folder);
    folder = g_steal_pointer (&parent);
  }
  return TRUE;
}

static char *
room_text (guint64 bytes)
{
  return bytes < GIB ? g_strdup_printf ("%" G_GUINT64_FORMAT " MiB", bytes / MIB)
                     : g_strdup_printf ("%.1f GiB", (double)bytes / GIB);
}

void
banger_findings_add_disk (GVariantBuilder *findings, guint64 available, const char *state_path)
{
  g_autofree char *room = room_text (available), *found = NULL, *fix = NULL;
  BangerFindingStatus status = BANGER_FINDING_OK;

  if (available < DISK_NEEDED)
    status = BANGER_FINDING_ERROR;
  else if (available < DISK_WANTED)
    status = BANGER_FINDING_WARNING;
  if (status == BANGER_FINDING_ERROR)
    found = g_strdup_printf ("%s free for %s, at least %d MiB are needed", room, state_path,
                             BANGER_ROOM_MIN_MIB);
  else
    found = g_strdup_printf ("%s free for %s", room, state_path);
  if (status != BANGER_FINDING_OK)
    fix = g_strdup_printf ("make room on the file system that holds %s", state_path);
  banger_finding_add (findings, "disk-space", status, found,
                      "images, kernels and the disks of VMs lie there", fix);
}

static void
add_disk_space (GVariantBuilder *findings, const char *state_path)
{
  struct statvfs fs = { 0 };
  g_autofree char *found = NULL;

  if (stat_file_system (state_path, &fs)) {
    banger_findings_add_disk (findings, (guint64)fs.f_bavail * fs.f_frsize, state_path);
    return;
  }
  found = g_strdup_printf ("%s: %s", state_path, g_strerror (errno));
  banger_finding_add (findings, "disk-space", BANGER_FINDING_ERROR, found,
                      "images, kernels and the disks of VMs lie there", NULL);
}

static void
add_memory (GVariantBuilder *findings)
{
  guint64 available = banger_meminfo ("MemAvailable");
  g_autofree char *found = NULL;
  gboolean enough = available >= MEMORY_WANTED;

  found = available > 0 ? g_strdup_printf ("%.1f GiB available", (double)available / GIB)
                        : g_strdup ("/proc/meminfo does not say what is available");
  banger_finding_add (findings, "memory", enough ? BANGER_FINDING_OK : BANGER_FINDING_WARNING,
                      found, "each VM takes its memory from the host's",
                      enough ? NULL : "stop what is not needed, or give VMs less memory");
}

void
banger_findings_add_room (GVariantBuilder *findings, const char *state_path)
{
  add_disk_space (findings, state_path);
  add_memory (findings);
}
