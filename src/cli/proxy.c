/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "vm proxy": standard input and output, or the descriptor itself, for a port of the guest. */
#include "agent-http.h"
#include "verbs.h"

#include "text.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SSH_PORT 22

/* One direction: what was read and not written yet. */
typedef struct {
  int from, to;
  gsize at_once; /* what @to takes without blocking once it is writable */
  char bytes[65536];
  gsize start, end;
  gboolean ended; /* nothing more is read */
  gboolean shut;  /* the other side knows */
  guint64 total;
} Way;

static gboolean
move (Way *way, short readable, short writable, GError **error)
{
  ssize_t n = 0;

  if (readable != 0 && way->start == way->end && !way->ended) {
    n = read (way->from, way->bytes, sizeof way->bytes);
    if (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNRESET) {
      banger_set_error_errno (error, errno, NULL, _ ("cannot read"));
      return FALSE;
    }
    way->ended = n == 0 || (n < 0 && errno == ECONNRESET);
    way->start = 0;
    way->end = n > 0 ? (gsize)n : 0;
    way->total += way->end;
  } else if (writable != 0 && way->start < way->end) {
    n = write (way->to, way->bytes + way->start, MIN (way->end - way->start, way->at_once));
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
      banger_set_error_errno (error, errno, NULL, _ ("cannot write"));
      return FALSE;
    }
    way->start += n > 0 ? (gsize)n : 0;
  }
  return TRUE;
}

/* Until the guest has ended its side. Our input's end is passed on, and its answer still comes. */
static gboolean
relay (int fd, gboolean *answered, GError **error)
{
  g_autofree Way *in = g_new0 (Way, 1), *out = g_new0 (Way, 1);

  /* A write that blocks would hold up the other way; one that nobody reads is an error here. */
  signal (SIGPIPE, SIG_IGN);
  if (!g_unix_set_fd_nonblocking (fd, TRUE, error))
    return FALSE;
  in->from = STDIN_FILENO;
  in->to = out->from = fd;
  in->at_once = sizeof in->bytes;
  /* Ours is not to be made non-blocking: others may have it too. pipe(7). */
  out->to = STDOUT_FILENO;
  out->at_once = PIPE_BUF;
  while (!out->ended || out->start < out->end) {
    gboolean in_full = in->start < in->end, out_full = out->start < out->end;
    struct pollfd polled[] = { { .fd = in_full || in->ended ? -1 : STDIN_FILENO, .events = POLLIN },
                               { .fd = in_full ? fd : -1, .events = POLLOUT },
                               { .fd = out_full || out->ended ? -1 : fd, .events = POLLIN },
                               { .fd = out_full ? STDOUT_FILENO : -1, .events = POLLOUT } };

    if (in->ended && !in_full && !in->shut) {
      shutdown (fd, SHUT_WR);
      in->shut = TRUE;
    }
    if (TEMP_FAILURE_RETRY (poll (polled, G_N_ELEMENTS (polled), -1)) < 0) {
      banger_set_error_errno (error, errno, NULL, _ ("cannot wait"));
      return FALSE;
    }
    if (!move (out, polled[2].revents, polled[3].revents, error))
      return FALSE;
    /* A guest that takes no more may still have to say something. */
    if (!move (in, polled[0].revents, polled[1].revents, NULL)) {
      in->ended = in->shut = TRUE;
      in->start = in->end = 0;
    }
  }
  *answered = out->total > 0;
  return TRUE;
}

/* What ssh's ProxyUseFdpass wants: the descriptor, with one byte, on standard output. */
static gboolean
pass (int fd, GError **error)
{
  char byte = '\0';
  struct iovec piece = { &byte, 1 };
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE (sizeof fd)];
  } control = { 0 };
  struct msghdr message = { .msg_iov = &piece,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof control.room };
  struct cmsghdr *header = CMSG_FIRSTHDR (&message);

  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN (sizeof fd);
  memcpy (CMSG_DATA (header), &fd, sizeof fd);
  if (TEMP_FAILURE_RETRY (sendmsg (STDOUT_FILENO, &message, 0)) == 1)
    return TRUE;
  banger_set_error_errno (error, errno, NULL, _ ("cannot pass the stream on"));
  return FALSE;
}

/* "web.banger", as ssh-config has it, is "web": no name has a dot. */
static char *
vm_name (const char *word)
{
  return g_str_has_suffix (word, ".banger") ? g_strndup (word, strlen (word) - strlen (".banger"))
                                            : g_strdup (word);
}

static void
set_deaf (const char *name, guint port, GError **error)
{
  g_autofree char *label = banger_label (BANGER_OBJECT_VM, name);
  g_autofree char *hint = port == SSH_PORT
                              ? g_strdup_printf (_ ("'banger shell %s' needs no ssh server"), name)
                              : g_strdup_printf ("banger vm ports %s", name);

  banger_set_error (error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, NULL, hint,
                    _ ("%s: nothing listens on port %u"), label, port);
}

/* The stream has led to nobody where the guest said nothing, and nobody is there. */
static gboolean
run (BangerClient *client, int fd, const char *vm, const char *name, guint port, GError **error)
{
  gboolean answered = FALSE, listens = FALSE;

  if (!relay (fd, &answered, error))
    return FALSE;
  /* An agent that does not tell says neither. */
  if (answered || !banger_agent_listens (client, vm, port, &listens, NULL) || listens)
    return TRUE;
  set_deaf (name, port, error);
  return FALSE;
}

int
banger_vm_proxy (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  guint64 port = SSH_PORT;
  g_autofree char *vm = NULL, *name = vm_name (words[0]);
  banger_autofd int fd = -1;

  if (words[1] != NULL && !g_ascii_string_to_unsigned (words[1], 10, 1, 65535, &port, NULL)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("a port is a number from 1 to 65535"));
    return 0;
  }
  vm = banger_client_find (client, BANGER_OBJECT_VM, name, error);
  fd = vm != NULL ? banger_agent_open (client, vm, (guint)port, error) : -1;
  if (fd < 0)
    return g_error_matches (*error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE)
               ? BANGER_EXIT_TRANSPORT
               : 0;
  if (banger_args_flag (args, "pass") ? pass (fd, error)
                                      : run (client, fd, vm, name, (guint)port, error))
    return 0;
  return BANGER_EXIT_TRANSPORT;
}
