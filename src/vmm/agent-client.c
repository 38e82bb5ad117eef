/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent-client.h"

#include "deadline.h"

#include <gio/gunixinputstream.h>
#include <gio/gunixoutputstream.h>
#include <string.h>

typedef struct {
  char *text;
  BangerDeadline *deadline;
  int fd;
  GInputStream *input;
  GOutputStream *output;
  BangerHttpReader *http;
  guint8 chunk[4096];
} Request;

void
banger_agent_answer_free (BangerAgentAnswer *answer)
{
  banger_http_reader_free (answer->http);
  banger_clear_fd (&answer->stream);
  g_free (answer);
}

static void
request_free (gpointer data)
{
  Request *request = data;

  banger_deadline_free (request->deadline);
  g_free (request->text);
  g_clear_object (&request->input);
  g_clear_object (&request->output);
  g_clear_pointer (&request->http, banger_http_reader_free);
  banger_clear_fd (&request->fd);
  g_free (request);
}

/* What the caller is told of @error (taken; NULL: the stream has ended). */
static GError *
explain (const Request *request, GError *error)
{
  GError *ours = NULL;

  if (request->deadline->late)
    banger_set_error (&ours, BANGER_ERROR_TIMEOUT, NULL, NULL, NULL,
                      "the guest did not answer within %u s", request->deadline->seconds);
  else if (error != NULL
           && (error->domain == BANGER_ERROR
               || g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)))
    return error;
  else
    banger_set_error (&ours, BANGER_ERROR_GUEST_UNREACHABLE, NULL,
                      error != NULL ? error->message : "it closed the stream", NULL,
                      "the guest's agent did not answer");
  g_clear_error (&error);
  return ours;
}

/* Takes the task's reference and @error. */
static void
fail (GTask *task, GError *error)
{
  g_task_return_error (task, explain (g_task_get_task_data (task), error));
  g_object_unref (task);
}

static void read_more (GTask *task);

static void
succeed (GTask *task)
{
  Request *request = g_task_get_task_data (task);
  BangerAgentAnswer *answer = g_new0 (BangerAgentAnswer, 1);

  answer->http = g_steal_pointer (&request->http);
  answer->stream
      = banger_http_reader_status (answer->http) == 101 ? banger_steal_fd (&request->fd) : -1;
  g_task_return_pointer (task, answer, (GDestroyNotify)banger_agent_answer_free);
  g_object_unref (task);
}

static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  Request *request = g_task_get_task_data (data);
  GError *error = NULL;
  gssize n = g_input_stream_read_finish (request->input, result, &error);

  if (n <= 0 || !banger_http_reader_feed (request->http, request->chunk, n, &error))
    fail (data, error);
  else if (banger_http_reader_is_done (request->http))
    succeed (data);
  else
    read_more (data);
}

static void
read_more (GTask *task)
{
  Request *request = g_task_get_task_data (task);

  g_input_stream_read_async (request->input, request->chunk, sizeof request->chunk,
                             G_PRIORITY_DEFAULT, request->deadline->cancellable, on_read, task);
}

static void
on_written (GObject *source, GAsyncResult *result, gpointer data)
{
  Request *request = g_task_get_task_data (data);
  GError *error = NULL;

  if (g_output_stream_write_all_finish (request->output, result, NULL, &error))
    read_more (data);
  else
    fail (data, error);
}

static void
on_stream (GObject *source, GAsyncResult *result, gpointer data)
{
  Request *request = g_task_get_task_data (data);
  GError *error = NULL;

  request->fd = banger_stream_open_finish (result, &error);
  if (request->fd < 0) {
    fail (data, error);
    return;
  }
  request->input = g_unix_input_stream_new (request->fd, FALSE);
  request->output = g_unix_output_stream_new (request->fd, FALSE);
  request->http = banger_http_reader_new ();
  g_output_stream_write_all_async (request->output, request->text, strlen (request->text),
                                   G_PRIORITY_DEFAULT, request->deadline->cancellable, on_written,
                                   data);
}

void
banger_agent_ask_async (BangerDriver *driver, const guint8 *key,
                        const BangerAgentQuestion *question, GCancellable *cancellable,
                        GAsyncReadyCallback callback, gpointer data)
{
  GTask *task = g_task_new (NULL, cancellable, callback, data);
  Request *self = g_new0 (Request, 1);
  const char *fields = question->fields != NULL ? question->fields : "";
  const char *body = question->body != NULL ? question->body : "";

  g_task_set_check_cancellable (task, FALSE);
  self->fd = -1;
  self->text = g_strdup_printf ("%s HTTP/1.1\r\nHost: guest\r\nContent-Length: %zu\r\n%s\r\n%s",
                                question->line, strlen (body), fields, body);
  self->deadline = banger_deadline_new (question->seconds, cancellable);
  g_task_set_task_data (task, self, request_free);
  banger_stream_open_async (driver, key, BANGER_AGENT_PORT, self->deadline->cancellable, on_stream,
                            task);
}

BangerAgentAnswer *
banger_agent_ask_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}
