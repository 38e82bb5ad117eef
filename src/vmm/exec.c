/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exec.h"

#include "deadline.h"

#include <gio/gunixinputstream.h>
#include <gio/gunixoutputstream.h>

#define DEFAULT_SECONDS 60
#define UPGRADE "Connection: Upgrade\r\nUpgrade: banger-exec\r\n"

typedef struct {
  GByteArray *request;
  BangerDeadline *deadline;
  int fd;
  GInputStream *input;
  GOutputStream *output;
  BangerExecReader *reader;
  guint8 chunk[16384];
} Exec;

static void
exec_free (gpointer data)
{
  Exec *self = data;

  banger_deadline_free (self->deadline);
  g_byte_array_unref (self->request);
  g_clear_object (&self->input);
  g_clear_object (&self->output);
  banger_clear_fd (&self->fd);
  banger_exec_reader_free (self->reader);
  g_free (self);
}

/* Returns the result or @error (taken), and lets the task go. */
static void
finish (GTask *task, GError *error)
{
  Exec *self = g_task_get_task_data (task);
  GError *timeout = NULL;

  if (error == NULL) {
    g_task_return_pointer (task, g_steal_pointer (&self->reader->result),
                           (GDestroyNotify)banger_exec_result_free);
  } else if (self->deadline->late) {
    banger_set_error (&timeout, BANGER_ERROR_TIMEOUT, "exec", NULL,
                      "option 'timeout' gives it more", "the command did not end within %u s",
                      self->deadline->seconds);
    g_task_return_error (task, timeout);
    g_error_free (error);
  } else {
    g_task_return_error (task, error);
  }
  /* What is still to be written goes nowhere now. */
  g_cancellable_cancel (self->deadline->cancellable);
  g_object_unref (task);
}

static void read_more (GTask *task);

static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  Exec *self = g_task_get_task_data (data);
  GError *error = NULL;
  gssize n = g_input_stream_read_finish (self->input, result, &error);

  if (n == 0)
    banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, "exec", "it closed the stream", NULL,
                      "the guest's agent went away");
  if (n > 0)
    banger_exec_reader_feed (self->reader, self->chunk, n, &error);
  if (error != NULL || self->reader->done)
    finish (data, error);
  else
    read_more (data);
}

static void
read_more (GTask *task)
{
  Exec *self = g_task_get_task_data (task);

  g_input_stream_read_async (self->input, self->chunk, sizeof self->chunk, G_PRIORITY_DEFAULT,
                             self->deadline->cancellable, on_read, task);
}

/* A command that ends without reading its input breaks the writing; the reading says how it ended.
 */
static void
on_written (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Exec *self = g_task_get_task_data (task);

  g_output_stream_write_all_finish (self->output, result, NULL, NULL);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  Exec *self = g_task_get_task_data (data);
  GError *error = NULL;
  g_autoptr (BangerAgentAnswer) answer = banger_agent_ask_finish (result, &error);
  const guint8 *first = NULL;
  gsize n = 0;

  if (answer != NULL && answer->stream < 0)
    banger_set_error (&error, BANGER_ERROR_FAILED, "exec",
                      banger_http_reader_status (answer->http) == 503 ? "it runs too many already"
                                                                      : NULL,
                      NULL, "the guest's agent refused the command");
  if (error != NULL) {
    finish (data, error);
    return;
  }
  self->fd = banger_steal_fd (&answer->stream);
  self->input = g_unix_input_stream_new (self->fd, FALSE);
  self->output = g_unix_output_stream_new (self->fd, FALSE);
  g_output_stream_write_all_async (self->output, self->request->data, self->request->len,
                                   G_PRIORITY_DEFAULT, self->deadline->cancellable, on_written,
                                   g_object_ref (data));
  first = banger_http_reader_body (answer->http, &n);
  if (!banger_exec_reader_feed (self->reader, first, n, &error) || self->reader->done)
    finish (data, error);
  else
    read_more (data);
}

void
banger_exec_async (BangerDriver *driver, const guint8 *key, const char *const *argv,
                   GVariant *options, GCancellable *cancellable, GAsyncReadyCallback callback,
                   gpointer data)
{
  static const BangerAgentQuestion question = { .line = "POST /exec", .fields = UPGRADE };
  GTask *task = g_task_new (NULL, cancellable, callback, data);
  GError *error = NULL;
  GByteArray *request = banger_exec_request_new (argv, options, &error);
  guint seconds = DEFAULT_SECONDS;
  Exec *self = NULL;

  g_task_set_check_cancellable (task, FALSE);
  if (request == NULL) {
    g_task_return_error (task, error);
    g_object_unref (task);
    return;
  }
  self = g_new0 (Exec, 1);
  self->request = request;
  self->fd = -1;
  g_variant_lookup (options, "timeout", "u", &seconds);
  self->deadline = banger_deadline_new (seconds, cancellable);
  self->reader = banger_exec_reader_new ();
  g_task_set_task_data (task, self, exec_free);
  banger_agent_ask_async (driver, key, &question, self->deadline->cancellable, on_answer, task);
}

BangerExecResult *
banger_exec_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}
