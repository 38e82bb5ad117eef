/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "vm console": the guest's serial console, both ways. */
#include "terminal.h"
#include "verbs.h"

#include "text.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ESCAPE_DEFAULT "^]"
/* Out of what a program on the console may have set: attributes, the alternate screen, a hidden
 * cursor, wrapping, mouse reports, bracketed paste, keypad and cursor keys, the character set. */
#define RESET                                                                      \
  "\033[m\033[?1049l\033[?25h\033[?7h\033[?1000l\033[?1002l\033[?1003l\033[?1006l" \
  "\033[?2004l\033[?1l\033>\033(B\017"

typedef struct {
  int fd;
  gboolean raw;
  char escape; /* the byte that detaches; only on a terminal */
  GByteArray *out;
  guint read_source, write_source, input_source, signal_sources[2];
  gboolean over;
  gboolean detached;
  int killed_by;
  GError *error;
} Console;

static gboolean on_input (int fd, GIOCondition condition, gpointer data);

static void
end_with_errno (Console *console, const char *what)
{
  banger_set_error_errno (&console->error, errno, NULL, "%s", what);
  console->over = TRUE;
}

static gboolean
on_output (int fd, GIOCondition condition, gpointer data)
{
  Console *console = data;
  char bytes[16384];
  ssize_t n = recv (fd, bytes, sizeof bytes, MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  if (n < 0)
    end_with_errno (console, _ ("cannot read the console"));
  else if (n == 0)
    console->over = TRUE;
  else if (!banger_write_all (STDOUT_FILENO, bytes, (gsize)n, &console->error))
    console->over = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean
on_writable (int fd, GIOCondition condition, gpointer data)
{
  Console *console = data;
  ssize_t n = send (fd, console->out->data, console->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  /* A console that ended says so where it is read. */
  g_byte_array_remove_range (console->out, 0, n > 0 ? (guint)n : console->out->len);
  if (console->out->len > 0)
    return G_SOURCE_CONTINUE;
  console->write_source = 0;
  if (console->input_source == 0)
    console->input_source
        = g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, console);
  return G_SOURCE_REMOVE;
}

/* Input that ends leaves the console open: "echo halt | banger console x" is to show the rest. */
static gboolean
on_input (int fd, GIOCondition condition, gpointer data)
{
  Console *console = data;
  char bytes[4096];
  ssize_t n = read (fd, bytes, sizeof bytes);
  const char *escape = NULL;

  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  console->input_source = 0;
  if (n <= 0)
    return G_SOURCE_REMOVE;
  escape = console->raw ? memchr (bytes, console->escape, (gsize)n) : NULL;
  console->detached = console->over = escape != NULL;
  /* What was pasted with it comes before it. */
  if (escape != NULL)
    send (console->fd, bytes, (gsize)(escape - bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (escape != NULL)
    return G_SOURCE_REMOVE;
  g_byte_array_append (console->out, (const guint8 *)bytes, (guint)n);
  console->write_source = g_unix_fd_add (console->fd, G_IO_OUT, on_writable, console);
  return G_SOURCE_REMOVE;
}

static gboolean
on_term (gpointer data)
{
  Console *console = data;

  console->killed_by = SIGTERM;
  console->over = TRUE;
  return G_SOURCE_CONTINUE;
}

static gboolean
on_int (gpointer data)
{
  Console *console = data;

  console->killed_by = SIGINT;
  console->over = TRUE;
  return G_SOURCE_CONTINUE;
}

static void
run (Console *console)
{
  console->out = g_byte_array_new ();
  console->read_source
      = g_unix_fd_add (console->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_output, console);
  console->input_source
      = g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, on_input, console);
  console->signal_sources[0] = g_unix_signal_add (SIGTERM, on_term, console);
  console->signal_sources[1] = g_unix_signal_add (SIGINT, on_int, console);
  while (!console->over)
    g_main_context_iteration (NULL, TRUE);
  g_clear_handle_id (&console->read_source, g_source_remove);
  g_clear_handle_id (&console->write_source, g_source_remove);
  g_clear_handle_id (&console->input_source, g_source_remove);
  g_clear_handle_id (&console->signal_sources[0], g_source_remove);
  g_clear_handle_id (&console->signal_sources[1], g_source_remove);
  /* What came in one piece with the key that detaches. */
  if (console->detached && console->out->len > 0)
    (void)send (console->fd, console->out->data, console->out->len, MSG_NOSIGNAL | MSG_DONTWAIT);
  g_byte_array_unref (console->out);
}

/* "^]" and its like, or one letter of ASCII. */
static gboolean
take_escape (const char *word, char *escape, GError **error)
{
  g_autofree char *shown = NULL;

  if (word[0] == '^' && word[1] != '\0' && word[2] == '\0' && g_ascii_toupper (word[1]) >= '@'
      && g_ascii_toupper (word[1]) <= '_') {
    *escape = (char)(g_ascii_toupper (word[1]) & 0x1f);
    return TRUE;
  }
  if (g_ascii_isprint (word[0]) && word[1] == '\0') {
    *escape = word[0];
    return TRUE;
  }
  shown = banger_text_escape (word, -1);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "--escape ^]",
                    _ ("--escape: '%s' is no key"), shown);
  return FALSE;
}

static int
open_console (BangerClient *client, BangerArgs *args, const char *vm, GError **error)
{
  GVariantDict options;
  guint32 tail = 0;

  g_variant_dict_init (&options, NULL);
  if (banger_args_count (args, "tail", &tail))
    g_variant_dict_insert (&options, "tail", "u", tail);
  return banger_client_call_fd (client, vm, BANGER_IFACE_VM, "OpenConsole",
                                g_variant_new ("(@a{sv})", g_variant_dict_end (&options)), error);
}

int
banger_vm_console (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *name = banger_args_words (args)[0], *key = banger_args_text (args, "escape");
  g_autofree char *vm = NULL, *label = banger_label (BANGER_OBJECT_VM, name);
  banger_autofd int fd = -1;
  Console console = { 0 };

  if (key == NULL)
    key = ESCAPE_DEFAULT;
  if (!take_escape (key, &console.escape, error))
    return 0;
  vm = banger_client_find (client, BANGER_OBJECT_VM, name, error);
  fd = vm != NULL ? open_console (client, args, vm, error) : -1;
  if (fd < 0)
    return 0;
  console.fd = fd;
  if (isatty (STDIN_FILENO) && isatty (STDERR_FILENO))
    g_printerr (_ ("the console of %s; %s leaves it\n"), label, key);
  console.raw = banger_terminal_make_raw (STDIN_FILENO);
  run (&console);
  banger_terminal_restore ();
  if (console.raw && isatty (STDOUT_FILENO))
    banger_write_all (STDOUT_FILENO, RESET, strlen (RESET), NULL);
  if (console.killed_by != 0)
    banger_terminal_die (console.killed_by);
  if (console.error != NULL)
    g_propagate_error (error, console.error);
  else if (console.raw && isatty (STDERR_FILENO))
    g_printerr ("\n%s: %s\n", label, console.detached ? _ ("left") : _ ("its console has ended"));
  return 0;
}
