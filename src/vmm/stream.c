/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stream.h"

#include <errno.h>
#include <gio/gunixinputstream.h>
#include <gio/gunixoutputstream.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

/* A guest under load may take its time; the guest's own bound for a host is 10 s. */
#define HANDSHAKE_SECONDS 30

typedef struct {
  int fd;
  GInputStream *input;
  GOutputStream *output;
  GSource *timeout;
  BangerHandshake hs;
  char line[BANGER_GUEST_HELLO_SIZE];
} Shake;

static void
shake_free (gpointer data)
{
  Shake *shake = data;

  g_source_destroy (shake->timeout);
  g_source_unref (shake->timeout);
  g_object_unref (shake->input);
  g_object_unref (shake->output);
  banger_clear_fd (&shake->fd);
  explicit_bzero (&shake->hs, sizeof shake->hs);
  g_free (shake);
}

/* Takes the task's reference and @error. The other end hears of it at once, however long the result
 * is kept. */
static void
fail (GTask *task, GError *error)
{
  Shake *shake = g_task_get_task_data (task);

  g_source_destroy (shake->timeout);
  banger_clear_fd (&shake->fd);
  g_task_return_error (task, error);
  g_object_unref (task);
}

/* As fail(), for a guest that said nothing, or nothing of use. */
static void
fail_unreachable (GTask *task, const char *cause)
{
  GError *error = NULL;

  banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, "handshake", cause, NULL,
                    "the guest's agent does not answer");
  fail (task, error);
}

/* As fail(), for @error (taken) of reading or writing; NULL: the end of the stream. */
static void
fail_transfer (GTask *task, GError *error)
{
  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    fail (task, error);
    return;
  }
  fail_unreachable (task, error != NULL ? error->message : "it closed the stream");
  g_clear_error (&error);
}

/* FALSE if not all came: the task has failed then. */
static gboolean
check_read (GTask *task, GAsyncResult *result, gsize expected)
{
  Shake *shake = g_task_get_task_data (task);
  GError *error = NULL;
  gsize n = 0;

  if (g_input_stream_read_all_finish (shake->input, result, &n, &error) && n == expected)
    return TRUE;
  fail_transfer (task, error);
  return FALSE;
}

static gboolean
check_written (GTask *task, GAsyncResult *result)
{
  Shake *shake = g_task_get_task_data (task);
  GError *error = NULL;

  if (g_output_stream_write_all_finish (shake->output, result, NULL, &error))
    return TRUE;
  fail_transfer (task, error);
  return FALSE;
}

static void
read_line (GTask *task, gsize length, GAsyncReadyCallback callback)
{
  Shake *shake = g_task_get_task_data (task);

  g_input_stream_read_all_async (shake->input, shake->line, length, G_PRIORITY_DEFAULT,
                                 g_task_get_cancellable (task), callback, task);
}

static void
write_line (GTask *task, gsize length, GAsyncReadyCallback callback)
{
  Shake *shake = g_task_get_task_data (task);

  g_output_stream_write_all_async (shake->output, shake->line, length, G_PRIORITY_DEFAULT,
                                   g_task_get_cancellable (task), callback, task);
}

static void
on_ok (GObject *source, GAsyncResult *result, gpointer data)
{
  Shake *shake = g_task_get_task_data (data);

  if (!check_read (data, result, BANGER_GUEST_OK_SIZE))
    return;
  if (memcmp (shake->line, "OK\n", BANGER_GUEST_OK_SIZE) != 0) {
    fail_unreachable (data, "it did not accept us");
    return;
  }
  g_source_destroy (shake->timeout);
  g_task_return_int (data, banger_steal_fd (&shake->fd));
  g_object_unref (data);
}

static void
on_proof_written (GObject *source, GAsyncResult *result, gpointer data)
{
  if (check_written (data, result))
    read_line (data, BANGER_GUEST_OK_SIZE, on_ok);
}

static void
on_guest_hello (GObject *source, GAsyncResult *result, gpointer data)
{
  Shake *shake = g_task_get_task_data (data);
  GError *error = NULL;

  if (!check_read (data, result, BANGER_GUEST_HELLO_SIZE))
    return;
  if (!banger_handshake_read_guest_hello (&shake->hs, shake->line)) {
    banger_set_error (&error, BANGER_ERROR_FAILED, "handshake", "its proof is wrong", NULL,
                      "what answers in the guest is not its agent");
    fail (data, error);
    return;
  }
  banger_handshake_host_proof (&shake->hs, shake->line);
  write_line (data, BANGER_HOST_PROOF_SIZE, on_proof_written);
}

static void
on_hello_written (GObject *source, GAsyncResult *result, gpointer data)
{
  if (check_written (data, result))
    read_line (data, BANGER_GUEST_HELLO_SIZE, on_guest_hello);
}

/* The step that waits then sees the end of the stream. */
static gboolean
on_timeout (gpointer data)
{
  Shake *shake = data;

  shutdown (shake->fd, SHUT_RDWR);
  return G_SOURCE_REMOVE;
}

void
banger_handshake_async (int fd, const guint8 *key, guint32 port, guint seconds,
                        GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = g_task_new (NULL, cancellable, callback, data);
  Shake *shake = g_new0 (Shake, 1);

  g_task_set_check_cancellable (task, FALSE);
  shake->fd = fd;
  shake->input = g_unix_input_stream_new (fd, FALSE);
  shake->output = g_unix_output_stream_new (fd, FALSE);
  shake->timeout = g_timeout_source_new_seconds (seconds);
  g_source_set_callback (shake->timeout, on_timeout, shake, NULL);
  g_source_attach (shake->timeout, g_main_context_get_thread_default ());
  g_task_set_task_data (task, shake, shake_free);
  memcpy (shake->hs.key, key, BANGER_KEY_SIZE);
  shake->hs.port = port;
  if (getrandom (shake->hs.host_nonce, BANGER_NONCE_SIZE, 0) != BANGER_NONCE_SIZE) {
    fail_unreachable (task, "the host has no random bytes");
    return;
  }
  banger_handshake_host_hello (&shake->hs, shake->line);
  write_line (task, BANGER_HOST_HELLO_SIZE, on_hello_written);
}

/* There while streams are under way or wait, which may be for longer than the driver is. */
typedef struct BangerStreamGate {
  BangerDriver *driver; /* NULL once it has ended */
  guint under_way;
  GQueue waiting; /* of GTask, in order; then @under_way is BANGER_HANDSHAKES_MAX */
} Gate;

typedef struct {
  Gate *gate;
  guint32 port;
  guint8 key[BANGER_KEY_SIZE];
  GSource *cancelled; /* while it waits, where it can be cancelled */
} Open;

static void
stop_waiting (Open *opening)
{
  if (opening->cancelled == NULL)
    return;
  g_source_destroy (opening->cancelled);
  g_clear_pointer (&opening->cancelled, g_source_unref);
}

static void
open_free (gpointer data)
{
  stop_waiting (data);
  explicit_bzero (data, sizeof (Open));
  g_free (data);
}

static Gate *
gate_of (BangerDriver *driver)
{
  if (driver->gate == NULL) {
    driver->gate = g_new0 (Gate, 1);
    driver->gate->driver = driver;
  }
  return driver->gate;
}

static void
gate_free_if_idle (Gate *gate)
{
  if (gate->under_way > 0 || !g_queue_is_empty (&gate->waiting))
    return;
  if (gate->driver != NULL)
    gate->driver->gate = NULL;
  g_free (gate);
}

static void on_opened (GObject *source, GAsyncResult *result, gpointer data);

static void
begin (GTask *task)
{
  Open *opening = g_task_get_task_data (task);
  BangerDriver *driver = opening->gate->driver;

  stop_waiting (opening);
  opening->gate->under_way++;
  driver->klass->open_stream_async (driver, g_task_get_cancellable (task), on_opened, task);
}

/* For one that was under way. Goes before its result, of which its caller may do anything. */
static void
leave (GTask *task)
{
  Gate *gate = ((Open *)g_task_get_task_data (task))->gate;

  gate->under_way--;
  if (!g_queue_is_empty (&gate->waiting))
    begin (g_queue_pop_head (&gate->waiting));
  gate_free_if_idle (gate);
}

static void
on_shaken (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  GError *error = NULL;
  int fd = banger_stream_open_finish (result, &error);

  leave (task);
  if (fd < 0)
    g_task_return_error (task, error);
  else
    g_task_return_int (task, fd);
}

static void
on_opened (GObject *source, GAsyncResult *result, gpointer data)
{
  Open *opening = g_task_get_task_data (data);
  GError *error = NULL;
  int fd = banger_stream_open_finish (result, &error);

  if (fd < 0) {
    leave (data);
    g_task_return_error (data, error);
    g_object_unref (data);
    return;
  }
  banger_handshake_async (fd, opening->key, opening->port, HANDSHAKE_SECONDS,
                          g_task_get_cancellable (data), on_shaken, data);
}

static gboolean
on_cancelled_waiting (GCancellable *cancellable, gpointer data)
{
  g_autoptr (GTask) task = data;
  Open *opening = g_task_get_task_data (task);
  GError *error = NULL;

  stop_waiting (opening);
  g_queue_remove (&opening->gate->waiting, task);
  g_cancellable_set_error_if_cancelled (cancellable, &error);
  g_task_return_error (task, error);
  return G_SOURCE_REMOVE;
}

static void
wait_in_order (GTask *task)
{
  Open *opening = g_task_get_task_data (task);
  GCancellable *cancellable = g_task_get_cancellable (task);

  g_queue_push_tail (&opening->gate->waiting, task);
  if (cancellable == NULL)
    return;
  opening->cancelled = g_cancellable_source_new (cancellable);
  g_source_set_callback (opening->cancelled, G_SOURCE_FUNC (on_cancelled_waiting), task, NULL);
  g_source_attach (opening->cancelled, g_main_context_get_thread_default ());
}

void
banger_stream_open_async (BangerDriver *driver, const guint8 *key, guint32 port,
                          GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = g_task_new (NULL, cancellable, callback, data);
  Open *opening = g_new0 (Open, 1);

  g_task_set_check_cancellable (task, FALSE);
  opening->gate = gate_of (driver);
  opening->port = port;
  memcpy (opening->key, key, BANGER_KEY_SIZE);
  g_task_set_task_data (task, opening, open_free);
  if (opening->gate->under_way < BANGER_HANDSHAKES_MAX)
    begin (task);
  else
    wait_in_order (task);
}

void
banger_streams_end (BangerDriver *driver)
{
  Gate *gate = g_steal_pointer (&driver->gate);
  GQueue waiting = G_QUEUE_INIT;

  if (gate == NULL)
    return;
  waiting = gate->waiting;
  g_queue_init (&gate->waiting);
  gate->driver = NULL;
  gate_free_if_idle (gate);
  /* Nobody cancels what is no longer in a queue. */
  for (GList *at = waiting.head; at != NULL; at = at->next)
    stop_waiting (g_task_get_task_data (at->data));
  while (!g_queue_is_empty (&waiting)) {
    g_autoptr (GTask) task = g_queue_pop_head (&waiting);
    GError *error = NULL;

    banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, NULL, "the VM has ended", NULL,
                      "the guest's agent does not answer");
    g_task_return_error (task, error);
  }
}

int
banger_stream_open_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_int (G_TASK (result), error);
}
