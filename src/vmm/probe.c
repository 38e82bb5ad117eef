/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "probe.h"

#include "common/common.h"
#include "driver.h"
#include "network.h"
#include "vmm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define MEASURE_NSEC (20 * 1000 * 1000)
#define QEMU "qemu-system-x86_64"
/* It takes some 30 ms; one that hangs is none. */
#define QEMU_MS 10000
#define QEMU_GREETING "QEMU emulator version "
#define GROUP "probe"

gboolean
banger_vsock_probe (char **reason)
{
  banger_autofd int vhost = open ("/dev/vhost-vsock", O_RDWR | O_CLOEXEC);
  int errnum = errno;
  banger_autofd int vsock = socket (AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

  if (vhost < 0 && errnum == ENOENT)
    *reason = g_strdup ("there is no /dev/vhost-vsock");
  else if (vhost < 0)
    *reason = g_strdup_printf ("/dev/vhost-vsock cannot be opened: %s", g_strerror (errnum));
  else if (vsock < 0)
    *reason = g_strdup ("the host's kernel has no vsock");
  return vhost >= 0 && vsock >= 0;
}

/* A time and the counter at it. Of several readings the one that took least was not interrupted. */
static guint64
read_both (guint64 *counter)
{
  guint64 best = G_MAXUINT64, at = 0;

  for (int i = 0; i < 8; i++) {
    struct timespec now;
    guint64 before = __rdtsc (), after = 0;

    clock_gettime (CLOCK_MONOTONIC_RAW, &now);
    after = __rdtsc ();
    if (after - before >= best)
      continue;
    best = after - before;
    *counter = before + best / 2;
    at = (guint64)now.tv_sec * 1000000000 + now.tv_nsec;
  }
  return at;
}

guint32
banger_tsc_khz (void)
{
  const struct timespec pause = { 0, MEASURE_NSEC };
  guint64 first = 0, last = 0;
  guint64 from = read_both (&first), to = 0;

  nanosleep (&pause, NULL);
  to = read_both (&last);
  return (guint32)((double)(last - first) * 1000000.0 / (double)(to - from) + 0.5);
}

static void
add_accelerator (GKeyFile *file)
{
  g_autofree char *reason = NULL;
  gboolean kvm = banger_kvm_probe (&reason);

  g_key_file_set_string (file, GROUP, "accelerator", kvm ? "kvm" : "tcg");
  g_key_file_set_uint64 (file, GROUP, "tsc-khz", banger_tsc_khz ());
  if (reason != NULL)
    g_key_file_set_string (file, GROUP, "reason", reason);
}

static void
add_vsock (GKeyFile *file)
{
  g_autofree char *reason = NULL;
  gboolean usable = banger_vsock_probe (&reason);

  g_key_file_set_boolean (file, GROUP, "vhost-vsock", usable);
  if (reason != NULL)
    g_key_file_set_string (file, GROUP, "vhost-vsock-reason", reason);
}

static void
add_capabilities (GKeyFile *file)
{
  static const struct {
    BangerCapabilities bit;
    const char *word;
  } words[]
      = { { BANGER_CAPABILITY_DISCARD, "discard" }, { BANGER_CAPABILITY_DISK_GROW, "disk-grow" } };
  const char *found[G_N_ELEMENTS (words)];
  gsize n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (banger_qemu_driver.capabilities & words[i].bit)
      found[n++] = words[i].word;
  g_key_file_set_string_list (file, GROUP, "qemu-capabilities", found, n);
}

/* Of a QEMU that does not run nothing is said but why. */
static void
add_qemu (GKeyFile *file)
{
  g_autofree char *path = banger_run_find (QEMU);
  const char *argv[] = { path, "--version", NULL };
  const BangerRunSpec spec = { .argv = argv, .die_with_us = TRUE, .timeout_ms = QEMU_MS };
  g_autoptr (GError) error = NULL;
  g_autofree char *output = NULL, *version = NULL;
  const char *text = NULL;
  int status = 0;

  if (path == NULL)
    return;
  if (!banger_run_wait (&spec, &output, &status, &error))
    g_key_file_set_string (file, GROUP, "qemu-reason", error->message);
  if (error != NULL || status != 0 || !g_str_has_prefix (output, QEMU_GREETING))
    return;
  text = output + strlen (QEMU_GREETING);
  version = g_strndup (text, strspn (text, "0123456789."));
  g_key_file_set_string (file, GROUP, "qemu", path);
  g_key_file_set_string (file, GROUP, "qemu-version", version);
  add_capabilities (file);
}

typedef struct {
  gboolean ready;
  char *reason;
} Passt;

static void
on_passt_ready (gpointer data)
{
  ((Passt *)data)->ready = TRUE;
}

static void
on_passt_lost (gpointer data, const GError *error)
{
  const char *cause = banger_error_cause (error);

  ((Passt *)data)->reason = g_strdup (cause != NULL ? cause : error->message);
}

/* passt needs a user namespace, which chroots and many containers refuse: nothing tells that but to
 * let it try. */
gboolean
banger_passt_probe (char **reason)
{
  static const BangerNetworkEvents events = { on_passt_ready, on_passt_lost };
  Passt passt = { 0 };
  banger_autofd int guest = -1;
  g_autoptr (GError) error = NULL;
  BangerNetworkLink *link = banger_network_new (&guest, &events, &passt, &error);

  if (link == NULL)
    on_passt_lost (&passt, error);
  while (!passt.ready && passt.reason == NULL)
    g_main_context_iteration (NULL, TRUE);
  g_clear_pointer (&link, banger_network_free);
  *reason = passt.reason;
  return passt.ready;
}

static void
add_passt (GKeyFile *file)
{
  g_autofree char *path = banger_run_find ("passt"), *reason = NULL;
  gboolean usable = path != NULL && banger_passt_probe (&reason);

  if (path == NULL)
    return;
  g_key_file_set_boolean (file, GROUP, "passt", usable);
  if (reason != NULL)
    g_key_file_set_string (file, GROUP, "passt-reason", reason);
}

char *
banger_probe_report (gboolean network)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();

  add_accelerator (file);
  add_vsock (file);
  add_qemu (file);
  if (network)
    add_passt (file);
  return g_key_file_to_data (file, NULL, NULL);
}
