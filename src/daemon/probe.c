/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What banger-vmm --probe says: a key file with the group [probe]. Finding out takes some 50 ms, so
 * the answer is remembered for as long as nothing changes that it depends on. */
#include "findings.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define GROUP "probe"
/* More than banger-vmm gives QEMU to say its version. */
#define PROBE_MS 15000
#define QEMU "qemu-system-x86_64"
#define KVM_WHY "runs guests on the host's processor; without it they run about ten times slower"
#define QEMU_WHY "runs the guests"
#define PASST "passt"
#define PASST_WHY "gives VMs a network without privileges"
#define VSOCK_WHY "carries streams to the guest's agent; without it they share a serial line"

static GKeyFile *
parse (const char *output, GError **error)
{
  g_autoptr (GKeyFile) probe = g_key_file_new ();

  if (!g_key_file_load_from_data (probe, output, strlen (output), G_KEY_FILE_NONE, error))
    return NULL;
  if (!g_key_file_has_group (probe, GROUP)) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL, "it said nothing");
    return NULL;
  }
  return g_steal_pointer (&probe);
}

static char *
run_probe (const char *program, BangerMode mode, GError **error)
{
  const char *const argv[]
      = { program, "--probe", mode == BANGER_MODE_SESSION ? "network" : NULL, NULL };
  /* What it runs is ended with it. */
  const BangerRunSpec spec = { .argv = argv, .own_session = TRUE, .timeout_ms = PROBE_MS };
  g_autofree char *output = NULL;
  int status = 0;

  if (!banger_run_wait (&spec, &output, &status, error))
    return NULL;
  if (!WIFEXITED (status) || WEXITSTATUS (status) != 0) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL, "it failed (wait status %#x)",
                      (guint)status);
    return NULL;
  }
  return g_steal_pointer (&output);
}

/* Settings of the kernel that passt depends on; which of them are there differs. */
static const char *const settings[] = {
  "/proc/sys/user/max_user_namespaces",
  "/proc/sys/kernel/unprivileged_userns_clone",
  "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
};

/* Changes when a program, a device or a setting does: another file, other contents, other rights.
 */
static char *
fingerprint (const char *program, BangerMode mode)
{
  g_autofree char *qemu = banger_run_find (QEMU);
  g_autofree char *passt = banger_run_find (PASST);
  const char *const paths[] = { program, qemu, passt, "/dev/kvm", "/dev/vhost-vsock" };
  GString *text = g_string_new (NULL);

  g_string_append_printf (text, "%d\n", mode);
  for (guint i = 0; i < G_N_ELEMENTS (settings); i++) {
    g_autofree char *value = NULL;

    if (g_file_get_contents (settings[i], &value, NULL, NULL))
      g_string_append (text, value);
    g_string_append_c (text, '\n');
  }
  for (guint i = 0; i < G_N_ELEMENTS (paths); i++) {
    struct stat info = { 0 };

    if (paths[i] != NULL && stat (paths[i], &info) == 0)
      g_string_append_printf (text, "%s %lu:%lu %ld %ld.%09ld %d\n", paths[i], (gulong)info.st_dev,
                              (gulong)info.st_ino, (glong)info.st_size, (glong)info.st_ctim.tv_sec,
                              (glong)info.st_ctim.tv_nsec, access (paths[i], R_OK | W_OK));
  }
  return g_string_free (text, FALSE);
}

/* A QEMU or passt that did not run may have been killed, or lacked memory, and what kept passt from
 * it may not be among the settings: that need not stay so. */
static gboolean
is_lasting (GKeyFile *probe)
{
  return g_key_file_has_key (probe, GROUP, "qemu", NULL)
         && (!g_key_file_has_key (probe, GROUP, PASST, NULL)
             || g_key_file_get_boolean (probe, GROUP, PASST, NULL));
}

static GKeyFile *
probe_host (BangerMode mode, GError **error)
{
  static GMutex mutex;
  static char *known_for, *known;
  g_autofree char *program = banger_program_path ("banger-vmm");
  g_autofree char *now = fingerprint (program, mode);
  g_autoptr (GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new (&mutex);
  g_autofree char *output = NULL;
  GKeyFile *probe = NULL;

  if (g_strcmp0 (now, known_for) == 0)
    return parse (known, error);
  output = run_probe (program, mode, error);
  probe = output != NULL ? parse (output, error) : NULL;
  if (probe == NULL || !is_lasting (probe))
    return probe;
  g_free (known_for);
  g_free (known);
  known_for = g_steal_pointer (&now);
  known = g_steal_pointer (&output);
  return probe;
}

static char *
value_of (GKeyFile *probe, const char *key)
{
  g_autofree char *value = probe != NULL ? g_key_file_get_string (probe, GROUP, key, NULL) : NULL;

  return value != NULL && *value != '\0' && g_utf8_validate (value, -1, NULL)
             ? g_steal_pointer (&value)
             : NULL;
}

/* Both devices belong to group kvm. */
static const char *
group_fix (BangerMode mode)
{
  return mode == BANGER_MODE_SESSION ? "sudo usermod -aG kvm $USER, then log in again"
                                     : "sudo usermod -aG kvm bangerd, then restart bangerd";
}

static const char *
kvm_fix (BangerMode mode)
{
  if (access ("/dev/kvm", F_OK) != 0)
    return "enable virtualisation in the firmware (or nested virtualisation in the host), then "
           "sudo modprobe kvm_intel or kvm_amd";
  if (access ("/dev/kvm", R_OK | W_OK) != 0)
    return group_fix (mode);
  return NULL;
}

static void
open_kvm (GVariantBuilder *findings, BangerMode mode, gboolean usable, const char *reason)
{
  g_autofree char *found = NULL;

  if (usable) {
    banger_finding_open (findings, "kvm", BANGER_FINDING_OK, "KVM runs a kernel", KVM_WHY, NULL);
    return;
  }
  found = g_strdup_printf ("guests are emulated (TCG): %s", reason);
  banger_finding_open (findings, "kvm", BANGER_FINDING_WARNING, found, KVM_WHY, kvm_fix (mode));
}

static void
add_kvm (GVariantBuilder *findings, BangerMode mode, GKeyFile *probe, const char *failure)
{
  g_autofree char *accelerator = value_of (probe, "accelerator");
  g_autofree char *reason = value_of (probe, "reason");
  guint64 tsc_khz = probe != NULL ? g_key_file_get_uint64 (probe, GROUP, "tsc-khz", NULL) : 0;
  gboolean usable = g_strcmp0 (accelerator, "kvm") == 0;

  if (reason == NULL)
    reason = g_strdup (failure != NULL ? failure : "the probe gave no reason");
  open_kvm (findings, mode, usable, reason);
  g_variant_builder_add (findings, "{sv}", "accelerator",
                         g_variant_new_string (usable ? "kvm" : "tcg"));
  if (tsc_khz > 0 && tsc_khz <= G_MAXUINT32)
    g_variant_builder_add (findings, "{sv}", "tsc-khz", g_variant_new_uint32 ((guint32)tsc_khz));
  g_variant_builder_close (findings);
}

static void
add_usable_qemu (GVariantBuilder *findings, GKeyFile *probe, const char *path)
{
  g_autofree char *version = value_of (probe, "qemu-version");
  g_auto (GStrv) capabilities
      = g_key_file_get_string_list (probe, GROUP, "qemu-capabilities", NULL, NULL);
  g_autofree char *found = NULL;
  static const char *const none[] = { NULL };

  found = g_strdup_printf ("QEMU %s at %s", version != NULL ? version : "of unknown version", path);
  banger_finding_open (findings, "qemu", BANGER_FINDING_OK, found, QEMU_WHY, NULL);
  g_variant_builder_add (findings, "{sv}", "version",
                         g_variant_new_string (version != NULL ? version : ""));
  g_variant_builder_add (
      findings, "{sv}", "capabilities",
      g_variant_new_strv (capabilities != NULL ? (const char *const *)capabilities : none, -1));
  g_variant_builder_close (findings);
}

static void
add_qemu (GVariantBuilder *findings, GKeyFile *probe, const char *failure)
{
  g_autofree char *path = value_of (probe, "qemu");
  g_autofree char *installed = banger_run_find (QEMU);
  g_autofree char *reason = value_of (probe, "qemu-reason");
  g_autofree char *found = NULL;
  g_autofree char *fix = NULL;

  if (path != NULL) {
    add_usable_qemu (findings, probe, path);
    return;
  }
  if (installed == NULL) {
    fix = banger_fix_install (QEMU);
    found = g_strdup ("not installed");
  } else {
    if (reason == NULL)
      reason = g_strdup (failure != NULL ? failure : "banger-vmm refuses it");
    found = g_strdup_printf ("%s cannot be used: %s", installed, reason);
  }
  banger_finding_add (findings, "qemu", BANGER_FINDING_ERROR, found, QEMU_WHY, fix);
}

static const char *
vsock_fix (BangerMode mode)
{
  if (access ("/dev/vhost-vsock", F_OK) != 0)
    return "sudo modprobe vhost_vsock";
  if (access ("/dev/vhost-vsock", R_OK | W_OK) != 0)
    return group_fix (mode);
  return NULL;
}

static void
add_vhost_vsock (GVariantBuilder *findings, BangerMode mode, GKeyFile *probe, const char *failure)
{
  gboolean usable = probe != NULL && g_key_file_get_boolean (probe, GROUP, "vhost-vsock", NULL);
  g_autofree char *reason = value_of (probe, "vhost-vsock-reason");

  if (usable) {
    banger_finding_add (findings, "vhost-vsock", BANGER_FINDING_OK, "it can be used", VSOCK_WHY,
                        NULL);
    return;
  }
  if (reason == NULL)
    reason = g_strdup (failure != NULL ? failure : "the probe gave no reason");
  banger_finding_add (findings, "vhost-vsock", BANGER_FINDING_WARNING, reason, VSOCK_WHY,
                      vsock_fix (mode));
}

/* How the first of the settings that is in passt's way is set otherwise. */
static char *
passt_fix (void)
{
  static const char *const bad[] = { "0", "0", "1" };
  static const char *const ways[] = {
    "sudo sysctl user.max_user_namespaces=10000",
    "sudo sysctl kernel.unprivileged_userns_clone=1",
    "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
  };

  for (guint i = 0; i < G_N_ELEMENTS (settings); i++) {
    g_autofree char *value = NULL;

    if (g_file_get_contents (settings[i], &value, NULL, NULL)
        && g_str_equal (g_strstrip (value), bad[i]))
      return g_strdup (ways[i]);
  }
  return g_strdup ("run banger where user namespaces can be made: not in a chroot, and only in a "
                   "container that allows them; or do without: --network none");
}

static void
add_passt (GVariantBuilder *findings, GKeyFile *probe, const char *failure)
{
  g_autofree char *path = banger_run_find (PASST);
  g_autofree char *reason = value_of (probe, "passt-reason");
  gboolean usable = probe != NULL && g_key_file_get_boolean (probe, GROUP, PASST, NULL);
  g_autofree char *found = NULL, *fix = NULL;

  if (path != NULL && usable) {
    banger_finding_add (findings, PASST, BANGER_FINDING_OK, path, PASST_WHY, NULL);
    return;
  }
  if (reason == NULL)
    reason = g_strdup (failure != NULL ? failure : "the probe gave no reason");
  fix = path != NULL ? passt_fix () : banger_fix_install (PASST);
  found = path != NULL ? g_strdup_printf ("%s cannot be used: %s", path, reason)
                       : g_strdup ("not installed");
  banger_finding_add (findings, PASST, BANGER_FINDING_WARNING, found, PASST_WHY, fix);
}

void
banger_findings_add_vmm (GVariantBuilder *findings, BangerMode mode)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GKeyFile) probe = probe_host (mode, &error);
  g_autofree char *failure = NULL;

  if (error != NULL)
    failure = g_strdup_printf ("banger-vmm --probe: %s", error->message);
  add_kvm (findings, mode, probe, failure);
  add_qemu (findings, probe, failure);
  add_vhost_vsock (findings, mode, probe, failure);
  if (mode == BANGER_MODE_SESSION)
    add_passt (findings, probe, failure);
}
