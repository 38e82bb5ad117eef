/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exec-client.h"

#include <string.h>

void
exec_result_free (ExecResult *result)
{
  g_string_free (result->out, TRUE);
  g_string_free (result->err, TRUE);
  g_string_free (result->error, TRUE);
  g_free (result);
}

void
exec_send (Peer *peer, PeerStream *stream, BangerExecType type, const void *payload, gsize length)
{
  g_autofree guint8 *frame = g_malloc (BANGER_EXEC_HEADER_SIZE + length);

  banger_exec_write_header (frame, type, (guint32)length);
  memcpy (frame + BANGER_EXEC_HEADER_SIZE, payload, length);
  peer_send (peer, stream, frame, BANGER_EXEC_HEADER_SIZE + length);
}

PeerStream *
exec_start_records (Peer *peer, const char *const *records)
{
  PeerStream *stream = peer_connect (peer, 1024, peer->key);
  g_autoptr (GByteArray) payload = g_byte_array_new ();
  g_autofree char *body = NULL;
  int status;

  body = peer_request (peer, stream, EXEC_REQUEST, &status);
  g_assert_cmpint (status, ==, 101);
  for (guint i = 0; records[i] != NULL; i++)
    g_byte_array_append (payload, (const guint8 *)records[i], (guint)strlen (records[i]) + 1);
  exec_send (peer, stream, BANGER_EXEC_START, payload->data, payload->len);
  return stream;
}

PeerStream *
exec_start (Peer *peer, const char *script)
{
  g_autofree char *arg = g_strconcat ("arg=", script, NULL);
  const char *records[] = { "arg=sh", "arg=-c", arg, "cwd=/", NULL };

  return exec_start_records (peer, records);
}

ExecResult *
exec_collect (Peer *peer, PeerStream *stream)
{
  ExecResult *result = g_new0 (ExecResult, 1);

  *result = (ExecResult){ -2, 0, g_string_new (NULL), g_string_new (NULL), g_string_new (NULL) };
  while (result->status == -2) {
    BangerExecType type;
    guint32 length;
    const char *payload;

    g_assert_true (peer_need (peer, stream, BANGER_EXEC_HEADER_SIZE));
    g_assert_true (banger_exec_read_header (stream->in->data, &type, &length));
    g_assert_true (peer_need (peer, stream, BANGER_EXEC_HEADER_SIZE + length));
    payload = (const char *)stream->in->data + BANGER_EXEC_HEADER_SIZE;
    if (type == BANGER_EXEC_STDOUT) {
      g_string_append_len (result->out, payload, length);
    } else if (type == BANGER_EXEC_STDERR) {
      g_string_append_len (result->err, payload, length);
    } else if (type == BANGER_EXEC_EXIT) {
      g_assert_cmpuint (length, ==, 4);
      result->status = (guint8)payload[2] << 8 | (guint8)payload[3];
    } else if (type == BANGER_EXEC_STARTED) {
      g_assert_cmpuint (length, ==, 4);
      memcpy (&result->pid, payload, 4);
      result->pid = GUINT32_FROM_BE (result->pid);
      result->status = EXEC_STARTED;
    } else {
      g_assert_cmpint (type, ==, BANGER_EXEC_ERROR);
      g_string_append_len (result->error, payload, length);
      result->status = -1;
    }
    peer_take (stream, BANGER_EXEC_HEADER_SIZE + length);
  }
  return result;
}

void
exec_expect (Peer *peer, PeerStream *stream, const char *text)
{
  gint64 end = g_get_monotonic_time () + 20 * G_USEC_PER_SEC;

  for (;;) {
    g_autoptr (GString) output = g_string_new (NULL);
    gsize at = 0;

    while (at + BANGER_EXEC_HEADER_SIZE <= stream->in->len) {
      BangerExecType type;
      guint32 length;

      g_assert_true (banger_exec_read_header (stream->in->data + at, &type, &length));
      at += BANGER_EXEC_HEADER_SIZE;
      if (type == BANGER_EXEC_STDOUT)
        g_string_append_len (output, (char *)stream->in->data + at,
                             MIN (length, stream->in->len - at));
      at += length;
    }
    if (g_str_has_suffix (output->str, text))
      return;
    g_assert_false (stream->eof || stream->reset);
    if (g_get_monotonic_time () > end)
      g_error ("'%s' did not come: '%s'", text, output->str);
    peer_turn (peer, 5);
  }
}
