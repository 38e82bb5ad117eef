/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a monitor or worker tells bangerd, as packets on a channel: each is a length (u16,
 * little-endian) and so many bytes. Whatever they are, bangerd hears of at most one end, and only
 * words that it knows.
 */
#include "daemon/monitor-client.h"
#include "daemon/notes.h"

#include "fuzz.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ID "aaaaaaaaaaaa"
#define PACKETS_MAX 8

typedef struct {
  guint events;
  guint ended;
  gboolean left;
} Heard;

static BangerService service;
static int listener = -1;

static void
on_word (BangerMonitor *monitor, const char *word, gpointer data)
{
  Heard *heard = data;

  g_assert_cmpuint (heard->ended, ==, 0);
  g_assert_true (g_utf8_validate (word, -1, NULL));
  heard->events++;
}

static void
on_health (BangerMonitor *monitor, GVariant *health, gpointer data)
{
  Heard *heard = data;

  g_assert_cmpuint (heard->ended, ==, 0);
  g_assert_true (g_variant_is_of_type (health, G_VARIANT_TYPE_VARDICT));
  g_assert_true (g_variant_is_normal_form (health));
  heard->events++;
}

static void
on_ended (BangerMonitor *monitor, const BangerEnd *end, gpointer data)
{
  static const char *const words[] = { "guest", "button", "vmm", "kill", NULL };
  Heard *heard = data;

  g_assert_cmpuint (heard->ended++, ==, 0);
  g_assert_nonnull (banger_exit_reason_to_string (end->reason));
  g_assert_true (end->ended_by == NULL || g_strv_contains (words, end->ended_by));
  if (end->failure != NULL)
    g_assert_true (end->failure->domain == BANGER_ERROR
                   && g_utf8_validate (end->failure->message, -1, NULL));
}

static void
on_left (BangerMonitor *monitor, gpointer data)
{
  ((Heard *)data)->left = TRUE;
}

static const BangerMonitorEvents events = { on_word, on_health, on_word, on_ended, on_left };

static void
clean_up (void)
{
  g_autofree char *vms = g_build_filename (service.runtime_path, "vms", NULL);
  g_autofree char *folder = g_build_filename (vms, ID, NULL);
  g_autofree char *control = g_build_filename (folder, "control", NULL);

  g_unlink (control);
  g_rmdir (folder);
  g_rmdir (vms);
  g_rmdir (service.runtime_path);
}

/* Stands where banger-vmm would listen. */
static void
init (void)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autofree char *folder = NULL;

  service.runtime_path = g_dir_make_tmp ("fuzz-XXXXXX", NULL);
  service.state_fd = service.runtime_fd = -1;
  service.vms = g_hash_table_new (g_str_hash, g_str_equal);
  folder = g_build_filename (service.runtime_path, "vms", ID, NULL);
  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  g_snprintf (address.sun_path, sizeof address.sun_path, "%s/control", folder);
  listener = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (listener, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint (listen (listener, 8), ==, 0);
  atexit (clean_up);
}

/* What a job of a worker ends with, and what a start is answered with. */
static gboolean
check_answer (BangerMonitor *monitor, const guint8 *bytes, gsize length)
{
  g_autoptr (GBytes) packet = g_bytes_new (bytes, length);
  g_autoptr (BangerMessage) message = banger_message_parse (packet, NULL, NULL);
  g_auto (GStrv) notes = NULL;
  g_autoptr (GError) failure = NULL;

  if (message == NULL)
    return FALSE;
  banger_monitor_take_facts (monitor, message->args);
  g_assert_true (g_utf8_validate (banger_monitor_version (monitor), -1, NULL));
  notes = banger_notes_take (message->args);
  g_assert_cmpuint (g_strv_length (notes), <=, BANGER_NOTES_MAX);
  for (guint i = 0; notes[i] != NULL; i++) {
    g_assert_cmpuint (strlen (notes[i]), <=, BANGER_NOTE_BYTES);
    g_assert_true (g_utf8_validate (notes[i], -1, NULL) && strpbrk (notes[i], "\n\033") == NULL);
  }
  failure = banger_error_from_variant (message->args);
  return TRUE;
}

static gboolean
send_packets (BangerMonitor *monitor, int peer, const guint8 *bytes, gsize length)
{
  gboolean taken = FALSE;

  for (guint i = 0; i < PACKETS_MAX && length >= 2; i++) {
    gsize n = MIN (bytes[0] | (gsize)bytes[1] << 8, length - 2);

    taken = check_answer (monitor, bytes + 2, n) || taken;
    if (n > 0 && send (peer, bytes + 2, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
      break;
    bytes += 2 + n;
    length -= 2 + n;
  }
  return taken;
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  g_autoptr (GError) error = NULL;
  BangerMonitor *monitor = banger_monitor_connect (&service, ID, &error);
  Heard heard = { 0 };
  gboolean taken = FALSE;
  int peer = -1;

  g_assert_no_error (error);
  peer = accept4 (listener, NULL, NULL, SOCK_CLOEXEC);
  g_assert_cmpint (peer, >=, 0);
  banger_monitor_follow (monitor, &events, &heard);
  taken = send_packets (monitor, peer, bytes, length);
  close (peer);
  while (banger_channel_is_open (banger_monitor_channel (monitor)) && !heard.left)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (heard.ended, ==, 1);
  banger_monitor_free (monitor);
  return taken;
}

const FuzzTarget fuzz_target = { .name = "monitor", .init = init, .run = run };
