/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "network.h"

#include "child.h"
#include "complaints.h"
#include "frames.h"
#include "timer.h"
#include "watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/ether.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PASST_FD 3
#define READY_MSEC 10000
#define HINT "a VM does without a network: --network none"

struct BangerNetworkLink {
  const BangerNetworkEvents *events;
  gpointer data;
  GPid pid;
  guint child_source;
  BangerTimer timer;
  int passt; /* our end, until it answers */
  int guest; /* likewise: QEMU has the other one */
  BangerWatch *watch;
  struct {
    guint32 length; /* big-endian */
    guint8 frame[ETHER_MAX_LEN];
  } answer;
  gsize answered;       /* bytes of it that are here */
  BangerFrames *frames; /* then */
  BangerComplaints *complaints;
};

static const char *const argv[]
    = { "passt", "--foreground", "--quiet", "--fd", "3",
        /* By IPv4 alone; the guest knows its address, so nobody is there to tell it. */
        "--ipv4-only", "--address", BANGER_NETWORK_ADDRESS, "--netmask", BANGER_NETWORK_BITS,
        "--gateway", BANGER_NETWORK_GATEWAY, "--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra",
        "--dns-forward", BANGER_NETWORK_RESOLVER,
        /* Not after the host's present way out: it may have none now, and another one later. */
        "--interface", "lo", "--mac-addr", BANGER_NETWORK_GATEWAY_CARD,
        /* Nothing of the host is offered, and nothing comes in. */
        "--no-map-gw", "--tcp-ports", "none", "--udp-ports", "none", NULL };

/* It only tells how passt says things. */
static gboolean
is_noise (const char *line)
{
  return strstr (line, " to syslog") != NULL || g_str_has_prefix (line, "Don't run as root");
}

static void
lose (BangerNetworkLink *self, const char *cause)
{
  g_autoptr (GError) error = NULL;

  banger_timer_clear (&self->timer);
  banger_set_error (&error, BANGER_ERROR_HOST_NOT_READY, "vmm", cause, HINT,
                    "passt, which is the guest's network, has failed");
  self->events->lost (self->data, error);
}

static void
on_child_ended (GPid pid, int status, gpointer data)
{
  BangerNetworkLink *self = data;
  g_autofree char *words = banger_complaints_words (self->complaints);
  g_autofree char *end = banger_child_end (status);

  self->child_source = 0;
  self->pid = 0;
  g_clear_pointer (&self->watch, banger_watch_free);
  lose (self, *words != '\0' ? words : end);
}

static void
on_late (gpointer data)
{
  lose (data, "it does not answer");
}

/* Its end follows, and says more. */
static void
on_lost (gpointer data)
{
  g_debug ("the guest's network has gone");
}

/* passt sends length and frame apart: what follows the answer, and nothing of it, is the guest's.
 */
static gssize
missing_of_answer (BangerNetworkLink *self)
{
  gsize whole = sizeof self->answer.length;

  if (self->answered >= whole)
    whole += ntohl (self->answer.length);
  return whole <= sizeof self->answer ? (gssize)(whole - self->answered) : -1;
}

static void
on_answer (gpointer data, GIOCondition ready)
{
  BangerNetworkLink *self = data;
  ssize_t n = TEMP_FAILURE_RETRY (recv (self->passt, (guint8 *)&self->answer + self->answered,
                                        missing_of_answer (self), MSG_DONTWAIT));
  gssize missing = 0;

  if (n < 0 && errno == EAGAIN)
    return;
  self->answered += MAX (n, 0);
  missing = missing_of_answer (self);
  if (n > 0 && missing > 0)
    return;
  g_clear_pointer (&self->watch, banger_watch_free);
  if (n <= 0)
    return;
  if (missing < 0) {
    lose (self, "its answer is no frame");
    return;
  }
  banger_timer_clear (&self->timer);
  self->frames = banger_frames_new (banger_steal_fd (&self->guest), banger_steal_fd (&self->passt),
                                    on_lost, self);
  self->events->ready (self->data);
}

/* "Who has the gateway's address?" in the guest's name (RFC 826): passt answers once it is there.
 */
static gboolean
ask_for_gateway (BangerNetworkLink *self, GError **error)
{
  struct __attribute__ ((packed)) {
    guint32 length;
    struct ether_header ethernet;
    struct ether_arp arp;
  } question = { 0 };
  struct ether_addr card;

  ether_aton_r (BANGER_NETWORK_CARD, &card);
  question.length = htonl (sizeof question - sizeof question.length);
  memset (question.ethernet.ether_dhost, 0xff, ETH_ALEN);
  memcpy (question.ethernet.ether_shost, &card, ETH_ALEN);
  question.ethernet.ether_type = htons (ETHERTYPE_ARP);
  question.arp.ea_hdr.ar_hrd = htons (ARPHRD_ETHER);
  question.arp.ea_hdr.ar_pro = htons (ETHERTYPE_IP);
  question.arp.ea_hdr.ar_hln = ETH_ALEN;
  question.arp.ea_hdr.ar_pln = sizeof (struct in_addr);
  question.arp.ea_hdr.ar_op = htons (ARPOP_REQUEST);
  memcpy (question.arp.arp_sha, &card, ETH_ALEN);
  inet_pton (AF_INET, BANGER_NETWORK_ADDRESS, question.arp.arp_spa);
  inet_pton (AF_INET, BANGER_NETWORK_GATEWAY, question.arp.arp_tpa);
  if (send (self->passt, &question, sizeof question, MSG_NOSIGNAL) == sizeof question)
    return TRUE;
  /* It has ended already: what it said of that follows. */
  if (errno == EPIPE || errno == ECONNRESET)
    return TRUE;
  banger_set_error_errno (error, errno, "vmm", "passt cannot be asked");
  return FALSE;
}

static gboolean
start_passt (BangerNetworkLink *self, GError **error)
{
  g_autofree char *path = banger_run_find (argv[0]);
  banger_autofd int theirs = -1, complaints = -1;
  BangerRunFd fds[] = { { -1, PASST_FD }, { -1, STDERR_FILENO } };
  const BangerRunSpec spec
      = { .argv = argv, .fds = fds, .n_fds = G_N_ELEMENTS (fds), .die_with_us = TRUE };

  if (path == NULL) {
    banger_set_error (error, BANGER_ERROR_HOST_NOT_READY, "vmm", "passt is not installed",
                      "install passt, or do without a network: --network none",
                      "the guest's network cannot be made");
    return FALSE;
  }
  self->complaints = banger_complaints_new (&complaints, is_noise, error);
  if (self->complaints == NULL || !banger_child_socket (&self->passt, &theirs, error))
    return FALSE;
  fds[0].source = theirs;
  fds[1].source = complaints;
  return banger_run_spawn (&spec, &self->pid, error);
}

BangerNetworkLink *
banger_network_new (int *guest_fd, const BangerNetworkEvents *events, gpointer data, GError **error)
{
  BangerNetworkLink *self = g_new0 (BangerNetworkLink, 1);

  self->events = events;
  self->data = data;
  self->passt = self->guest = -1;
  if (!start_passt (self, error) || !ask_for_gateway (self, error)
      || !banger_child_socket (&self->guest, guest_fd, error)) {
    banger_network_free (self);
    return NULL;
  }
  self->child_source = g_child_watch_add (self->pid, on_child_ended, self);
  banger_timer_set (&self->timer, READY_MSEC, on_late, self);
  self->watch = banger_watch_new (self->passt, on_answer, self);
  banger_watch_want (self->watch, G_IO_IN);
  return self;
}

void
banger_network_free (BangerNetworkLink *self)
{
  g_clear_handle_id (&self->child_source, g_source_remove);
  banger_timer_clear (&self->timer);
  g_clear_pointer (&self->watch, banger_watch_free);
  g_clear_pointer (&self->frames, banger_frames_free);
  banger_clear_fd (&self->passt);
  banger_clear_fd (&self->guest);
  if (self->pid != 0 && kill (self->pid, SIGKILL) == 0)
    TEMP_FAILURE_RETRY (waitpid (self->pid, NULL, 0));
  g_clear_pointer (&self->complaints, banger_complaints_free);
  g_free (self);
}
