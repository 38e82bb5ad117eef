/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "vm exec": POST /exec on the agent's port, then frames. */
#include "relay.h"
#include "verbs.h"

#include "text.h"

#include "wire/exec.h"
#include "wire/handshake.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_MAX 16384

static const char request[] = "POST /exec HTTP/1.1\r\n"
                              "Host: banger\r\n"
                              "Connection: Upgrade\r\n"
                              "Upgrade: banger-exec\r\n"
                              "Content-Length: 0\r\n"
                              "\r\n";

static void
add_record (GByteArray *start, const char *key, const char *value)
{
  g_autofree char *record = g_strdup_printf ("%s=%s", key, value);

  g_byte_array_append (start, (const guint8 *)record, (guint)strlen (record) + 1);
}

static gboolean
check_env (const char *const *env, GError **error)
{
  for (guint i = 0; env[i] != NULL; i++) {
    if (strchr (env[i], '=') == NULL || env[i][0] == '=') {
      g_autofree char *shown = banger_text_escape (env[i], -1);

      banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "--env KEY=VALUE",
                        _ ("--env: '%s' is not a variable and its value"), shown);
      return FALSE;
    }
  }
  return TRUE;
}

static void
add_terminal (GByteArray *start, const char *const *env)
{
  const char *term = g_getenv ("TERM");
  struct winsize size = { 0 };
  g_autofree char *text = NULL, *variable = NULL;
  gboolean given = FALSE;

  ioctl (STDOUT_FILENO, TIOCGWINSZ, &size);
  /* A terminal that nobody shows has no size. */
  text = g_strdup_printf ("%ux%u", size.ws_row > 0 ? size.ws_row : 24,
                          size.ws_col > 0 ? size.ws_col : 80);
  add_record (start, "tty", text);
  for (guint i = 0; env[i] != NULL; i++)
    given |= g_str_has_prefix (env[i], "TERM=");
  if (given || term == NULL)
    return;
  variable = g_strdup_printf ("TERM=%s", term);
  add_record (start, "env", variable);
}

/* The START frame. */
static GByteArray *
start_frame (BangerArgs *args, gboolean terminal, GError **error)
{
  const char *const *command = banger_args_words (args) + 1;
  const char *const *env = banger_args_list (args, "env");
  g_autoptr (GByteArray) start = g_byte_array_new ();
  GByteArray *frame = NULL;

  if (!check_env (env, error))
    return NULL;
  for (guint i = 0; command[i] != NULL; i++)
    add_record (start, "arg", command[i]);
  for (guint i = 0; env[i] != NULL; i++)
    add_record (start, "env", env[i]);
  if (banger_args_text (args, "cwd") != NULL)
    add_record (start, "cwd", banger_args_text (args, "cwd"));
  if (banger_args_text (args, "user") != NULL)
    add_record (start, "user", banger_args_text (args, "user"));
  if (terminal)
    add_terminal (start, env);
  if (start->len > BANGER_EXEC_PAYLOAD_MAX) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      _ ("pass it on standard input"),
                      _ ("the command and its environment are longer than 64 KiB"));
    return NULL;
  }
  frame = g_byte_array_new ();
  banger_relay_add_frame (frame, BANGER_EXEC_START, start->data, start->len);
  return frame;
}

static gboolean
unreachable (GError **error, const char *cause)
{
  banger_set_error (error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, cause, NULL,
                    _ ("the guest's agent does not take commands"));
  return FALSE;
}

/* The cause is the line of text in the answer's body where it came with the head, else the status.
 */
static gboolean
refused (GByteArray *body, const char *status, GError **error)
{
  g_autofree char *line = g_strndup ((const char *)body->data, body->len);

  line[strcspn (line, "\r\n")] = '\0';
  return unreachable (error, *line != '\0' ? line : status);
}

/* Reads the agent's answer; what follows its head stays in @rest. */
static gboolean
read_head (int fd, GByteArray *rest, GError **error)
{
  g_autofree char *head = NULL;
  const char *end = NULL;

  while (end == NULL && rest->len < HEAD_MAX) {
    guint8 bytes[4096];
    ssize_t n = TEMP_FAILURE_RETRY (recv (fd, bytes, sizeof bytes, 0));

    if (n <= 0)
      return unreachable (error, n < 0 ? g_strerror (errno) : _ ("it closed the stream"));
    g_byte_array_append (rest, bytes, (guint)n);
    end = memmem (rest->data, rest->len, "\r\n\r\n", 4);
  }
  if (end == NULL)
    return unreachable (error, _ ("its answer has no end"));
  head = g_strndup ((const char *)rest->data, end - (const char *)rest->data);
  g_byte_array_remove_range (rest, 0, (guint)strlen (head) + 4);
  if (g_str_has_prefix (head, "HTTP/1.1 101 "))
    return TRUE;
  head[strcspn (head, "\r\n")] = '\0';
  return refused (rest, head, error);
}

static gboolean
talk (int fd, GByteArray *start, gboolean terminal, BangerRelayEnd *end, GError **error)
{
  g_autoptr (GByteArray) rest = g_byte_array_new ();
  BangerRelaySpec spec = { .fd = fd,
                           .ours = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO },
                           .before = rest,
                           .terminal = terminal };

  if (send (fd, request, strlen (request), MSG_NOSIGNAL) != (ssize_t)strlen (request))
    return unreachable (error, g_strerror (errno));
  return read_head (fd, rest, error) && banger_relay_run (&spec, start, end, error);
}

int
banger_vm_exec (BangerClient *client, BangerArgs *args, GError **error)
{
  gboolean terminal = isatty (STDIN_FILENO) && isatty (STDOUT_FILENO);
  const char *const *words = banger_args_words (args);
  g_autoptr (GByteArray) start = start_frame (args, terminal, error);
  g_autofree char *vm = NULL, *reason = NULL, *label = NULL;
  banger_autofd int fd = -1;
  BangerRelayEnd end = { 0 };

  if (start == NULL)
    return BANGER_EXIT_USAGE;
  vm = banger_client_find (client, BANGER_OBJECT_VM, words[0], error);
  if (vm == NULL)
    return 0;
  fd = banger_client_call_fd (client, vm, BANGER_IFACE_VM, "OpenAgent",
                              g_variant_new ("(u@a{sv})", BANGER_AGENT_PORT, banger_no_args ()),
                              error);
  if (fd < 0)
    return g_error_matches (*error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE)
               ? BANGER_EXIT_TRANSPORT
               : 0;
  label = banger_label (BANGER_OBJECT_VM, words[0]);
  if (!talk (fd, start, terminal, &end, error)) {
    g_prefix_error (error, "%s: ", label);
    return BANGER_EXIT_TRANSPORT;
  }
  reason = end.reason;
  if (reason == NULL)
    return end.status;
  banger_set_error (error, BANGER_ERROR_FAILED, NULL, reason, NULL, _ ("%s: cannot run '%s'"),
                    label, words[1]);
  return BANGER_EXIT_NOT_RUN;
}
