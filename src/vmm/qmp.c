/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp.h"

#include "common/common.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  BangerQmpAnswer func;
  gpointer data;
} Waiting;

struct BangerQmp {
  int fd;
  BangerWatch *watch;
  const BangerQmpEvents *events;
  gpointer data;
  GByteArray *input;
  GHashTable *waiting; /* id to Waiting */
  guint last_id;
  gboolean greeted;
};

/* Whoever waits for an answer gets none. */
static void
refuse (BangerQmpAnswer func, gpointer data)
{
  g_autoptr (GError) error = NULL;

  banger_set_error (&error, BANGER_ERROR_FAILED, "vmm", "it has ended", NULL,
                    "QEMU takes no command");
  if (func != NULL)
    func (data, NULL, error);
}

static void
refuse_all (BangerQmp *self)
{
  g_autoptr (GHashTable) waiting = g_steal_pointer (&self->waiting);
  GHashTableIter iter;
  gpointer value = NULL;

  self->waiting = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  g_hash_table_iter_init (&iter, waiting);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    refuse (((Waiting *)value)->func, ((Waiting *)value)->data);
}

static void
close_connection (BangerQmp *self, const GError *error)
{
  if (self->fd < 0)
    return;
  g_clear_pointer (&self->watch, banger_watch_free);
  banger_clear_fd (&self->fd);
  self->events->closed (self->data, error);
  refuse_all (self);
}

static void
on_capabilities (gpointer data, JsonObject *line, const GError *error)
{
  BangerQmp *self = data;

  if (error == NULL)
    self->events->ready (self->data);
}

static void
take_answer (BangerQmp *self, JsonObject *line)
{
  gint64 id = banger_json_int (line, "id", 0);
  JsonObject *failure = banger_json_object (line, "error");
  g_autofree Waiting *waiting = NULL;
  g_autoptr (GError) error = NULL;
  gpointer found = NULL;

  if (id < 1 || id > self->last_id
      || !g_hash_table_steal_extended (self->waiting, GUINT_TO_POINTER ((guint)id), NULL, &found))
    return;
  waiting = found;
  if (failure != NULL)
    banger_set_error (&error, BANGER_ERROR_FAILED, "vmm", banger_json_string (failure, "desc"),
                      NULL, "QEMU refused a command");
  if (waiting->func != NULL)
    waiting->func (waiting->data, error == NULL ? line : NULL, error);
}

/* Comes once: each would cost us a command. */
static void
take_greeting (BangerQmp *self)
{
  g_autoptr (GError) error = NULL;

  if (self->greeted) {
    banger_set_error (&error, BANGER_ERROR_FAILED, "vmm", "it greets twice", NULL,
                      "QEMU cannot be understood");
    close_connection (self, error);
    return;
  }
  self->greeted = TRUE;
  banger_qmp_command (self, "qmp_capabilities", NULL, on_capabilities, self);
}

static void
take_line (BangerQmp *self, const char *text, gsize length)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) line = banger_json_parse_object (text, length, &error);
  const char *event = NULL;

  if (line == NULL) {
    close_connection (self, error);
    return;
  }
  event = banger_json_string (line, "event");
  if (event != NULL)
    self->events->event (self->data, event, banger_json_object (line, "data"));
  else if (json_object_has_member (line, "QMP"))
    take_greeting (self);
  else
    take_answer (self, line);
}

/* Hands on the whole lines. */
static void
take_lines (BangerQmp *self)
{
  gsize used = 0;

  while (self->fd >= 0) {
    const char *start = (const char *)self->input->data + used;
    const char *end = memchr (start, '\n', self->input->len - used);

    if (end == NULL)
      break;
    used += end - start + 1;
    take_line (self, start, end - start);
  }
  g_byte_array_remove_range (self->input, 0, used);
}

/* FALSE when nothing more is there. */
static gboolean
read_some (BangerQmp *self)
{
  g_autoptr (GError) error = NULL;
  guint8 chunk[4096];
  ssize_t n = TEMP_FAILURE_RETRY (recv (self->fd, chunk, sizeof chunk, MSG_DONTWAIT));

  if (n < 0 && errno == EAGAIN)
    return FALSE;
  if (n <= 0) {
    close_connection (self, NULL);
    return FALSE;
  }
  g_byte_array_append (self->input, chunk, n);
  if (self->input->len > BANGER_QMP_LINE_MAX
      && memchr (self->input->data, '\n', self->input->len) == NULL) {
    banger_set_error (&error, BANGER_ERROR_FAILED, "vmm", "a line of its protocol is too long",
                      NULL, "QEMU cannot be understood");
    close_connection (self, error);
    return FALSE;
  }
  take_lines (self);
  return TRUE;
}

static void
on_ready (gpointer data, GIOCondition ready)
{
  read_some (data);
}

void
banger_qmp_drain (BangerQmp *self)
{
  while (self->fd >= 0 && read_some (self))
    ;
}

BangerQmp *
banger_qmp_new (int fd, const BangerQmpEvents *events, gpointer data)
{
  BangerQmp *self = g_new0 (BangerQmp, 1);

  self->fd = fd;
  self->events = events;
  self->data = data;
  self->input = g_byte_array_new ();
  self->waiting = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  self->watch = banger_watch_new (fd, on_ready, self);
  banger_watch_want (self->watch, G_IO_IN);
  return self;
}

void
banger_qmp_command (BangerQmp *self, const char *command, const char *arguments,
                    BangerQmpAnswer answer, gpointer data)
{
  g_autofree char *line = NULL;
  Waiting *waiting = NULL;

  if (self->fd < 0) {
    refuse (answer, data);
    return;
  }
  waiting = g_new0 (Waiting, 1);
  waiting->func = answer;
  waiting->data = data;
  line = g_strdup_printf ("{\"execute\":\"%s\",\"arguments\":%s,\"id\":%u}\n", command,
                          arguments != NULL ? arguments : "{}", ++self->last_id);
  g_hash_table_insert (self->waiting, GUINT_TO_POINTER (self->last_id), waiting);
  /* A few short lines always fit the socket; a QEMU that reads none shows by what it does not do.
   */
  if (send (self->fd, line, strlen (line), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    g_debug ("QEMU takes no command: %s", g_strerror (errno));
}

void
banger_qmp_free (BangerQmp *self)
{
  g_clear_pointer (&self->watch, banger_watch_free);
  banger_clear_fd (&self->fd);
  refuse_all (self);
  g_byte_array_unref (self->input);
  g_hash_table_unref (self->waiting);
  g_free (self);
}
