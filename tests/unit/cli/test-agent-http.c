/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers of an agent that is a string on the other end of a socket pair. */
#include "cli/agent-http.h"
#include "cli/exec-start.h"

#include "wire/exec.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK "HTTP/1.1 200 OK\r\n"

/* What a client makes of @text, after which the agent closes. */
static gboolean
ask (const char *text, gsize length, BangerHttpAnswer *answer, char **request, GError **error)
{
  char bytes[1024] = "";
  gboolean ok = FALSE;
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  g_assert_true (banger_write_all (ends[1], text, length, NULL));
  g_assert_cmpint (shutdown (ends[1], SHUT_WR), ==, 0);
  ok = banger_http_ask (ends[0], "GET /stats", "X-Test: 1\r\n", BANGER_HTTP_SECONDS, answer, error);
  close (ends[0]);
  g_assert_cmpint (read (ends[1], bytes, sizeof bytes - 1), >, 0);
  if (request != NULL)
    *request = g_strdup (bytes);
  close (ends[1]);
  return ok;
}

static void
test_answer (void)
{
  static const char text[]
      = OK "Content-Type: application/json\r\ncontent-length:  7 \r\n\r\n{\"a\":1}";
  g_auto (BangerHttpAnswer) answer = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) object = NULL;
  g_autofree char *request = NULL;

  g_assert_true (ask (text, strlen (text), &answer, &request, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (request, ==, "GET /stats HTTP/1.1\r\nHost: banger\r\nX-Test: 1\r\n\r\n");
  g_assert_cmpuint (answer.status, ==, 200);
  g_assert_cmpmem (answer.body->data, answer.body->len, "{\"a\":1}", 7);
  object = banger_http_json (&answer, &error);
  g_assert_no_error (error);
  g_assert_cmpint (banger_member_number (object, "a"), ==, 1);
}

/* After 101 the stream is another protocol's: what came with the head is kept. */
static void
test_upgrade (void)
{
  static const char text[]
      = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: banger-exec\r\n\r\nframes";
  g_auto (BangerHttpAnswer) answer = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (ask (text, strlen (text), &answer, NULL, &error));
  g_assert_cmpuint (answer.status, ==, 101);
  g_assert_cmpmem (answer.body->data, answer.body->len, "frames", 6);
}

/* Not HTTP, cut short, larger than said or allowed, or ambiguous: none of it is an answer. */
static void
test_refused_answers (void)
{
  static const char *const texts[] = {
    "HTTP/1.0 200 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 999 OK\r\n\r\n",
    "HTTP/1.1 200OK\r\n\r\n",
    "\r\n\r\n",
    OK "Content-Length: 2\r\n",
    OK "Content-Length: 2\r\n\r\nx",
    OK "Content-Length: 2\r\n\r\nxyz",
    OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    OK "Content-Length: -1\r\n\r\nx",
    OK "Content-Length: 0x1\r\n\r\nx",
    OK "Content-Length: 99999999999999999999\r\n\r\nx",
    OK "Content-Length: 8388609\r\n\r\nx",
    OK "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    OK "Content-Length : 1\r\n\r\nx",
    OK "no colon\r\n\r\n",
    OK ": empty\r\n\r\n",
    OK "Bad: \033[2J\r\n\r\n",
    OK "Bare: line\nfeed\r\n\r\n",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_auto (BangerHttpAnswer) answer = { 0 };
    g_autoptr (GError) error = NULL;

    g_test_message ("%s", texts[i]);
    g_assert_false (ask (texts[i], strlen (texts[i]), &answer, NULL, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
  }
}

/* A head without end is given up at its bound; so is one of NULs. */
static void
test_endless_head (void)
{
  static const char fills[] = { 'x', '\0', '\r' };

  for (guint i = 0; i < G_N_ELEMENTS (fills); i++) {
    g_autofree char *text = g_malloc (BANGER_HTTP_HEAD_MAX * 4);
    g_auto (BangerHttpAnswer) answer = { 0 };
    g_autoptr (GError) error = NULL;

    memset (text, fills[i], BANGER_HTTP_HEAD_MAX * 4);
    memcpy (text, OK "Fill: ", strlen (OK "Fill: "));
    g_assert_false (ask (text, BANGER_HTTP_HEAD_MAX * 4, &answer, NULL, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
  }
}

/* One that says nothing, or half of it, is not waited for without end. */
static void
test_late_answers (void)
{
  static const char *const texts[] = { "", OK, OK "Content-Length: 3\r\n\r\n{}" };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_auto (BangerHttpAnswer) answer = { 0 };
    g_autoptr (GError) error = NULL;
    int ends[2];

    g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
    g_assert_true (banger_write_all (ends[1], texts[i], strlen (texts[i]), NULL));
    g_assert_false (banger_http_ask (ends[0], "GET /stats", "", 1, &answer, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
    close (ends[0]);
    close (ends[1]);
  }
}

/* Wherever the bytes are cut, the head is the same. */
static void
test_head_in_pieces (void)
{
  static const char text[] = OK "Content-Length: 5\r\n\r\nhello";
  const gsize whole = strlen (text) - 5;

  for (gsize n = 0; n <= strlen (text); n++) {
    BangerHttpHead head;
    gsize used = 0;
    BangerHttpResult result = banger_http_parse_head (text, n, &head, &used);

    g_assert_cmpint (result, ==, n < whole ? BANGER_HTTP_MORE : BANGER_HTTP_DONE);
    if (n >= whole) {
      g_assert_cmpuint (used, ==, whole);
      g_assert_cmpuint (head.length, ==, 5);
    }
  }
}

static void
check_json (const char *body, gsize length, gboolean good)
{
  BangerHttpAnswer answer = { 200, g_byte_array_new () };
  g_autoptr (GError) error = NULL;
  g_autoptr (JsonObject) object = NULL;

  g_byte_array_append (answer.body, (const guint8 *)body, (guint)length);
  object = banger_http_json (&answer, &error);
  g_assert_true ((object != NULL) == good);
  if (!good)
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE);
  banger_http_answer_clear (&answer);
}

static void
test_json (void)
{
  static const char *const bad[] = { "", "[]", "1", "{", "nonsense", "{\"a\":\"\xff\"}" };
  g_autofree char *deep = g_strnfill (200000, '[');

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    check_json (bad[i], strlen (bad[i]), FALSE);
  check_json (deep, strlen (deep), FALSE);
  memcpy (deep, "{\"a\":", 5);
  check_json (deep, strlen (deep), FALSE);
  check_json ("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[[\"}", 42, TRUE);
}

/* What is short on the line and large in memory. */
static void
test_json_of_many (void)
{
  static const char *const pieces[] = { "{},", "[],", "1,", "\"\"," };

  for (guint i = 0; i < G_N_ELEMENTS (pieces); i++) {
    g_autoptr (GString) text = g_string_new ("{\"a\":[");

    for (guint j = 0; j < 40000; j++)
      g_string_append (text, pieces[i]);
    g_string_append (text, "0]}");
    check_json (text->str, text->len, TRUE);
    g_string_truncate (text, text->len - strlen ("0]}"));
    for (guint j = 0; j < 80000; j++)
      g_string_append (text, pieces[i]);
    g_string_append (text, "0]}");
    check_json (text->str, text->len, FALSE);
  }
}

/* The agent's own reason comes through; it is one line of it at most. */
static void
test_refusal_has_reason (void)
{
  BangerHttpAnswer answer = { 503, g_byte_array_new () };
  g_autoptr (GError) error = NULL;

  g_byte_array_append (answer.body, (const guint8 *)"too many commands\nmore", 22);
  g_assert_null (banger_http_json (&answer, &error));
  g_assert_cmpstr (banger_error_cause (error), ==, "too many commands");
  banger_http_answer_clear (&answer);
}

/* An error names its VM once, whoever made it. */
static void
test_named_errors (void)
{
  g_autoptr (GError) ours = g_error_new (BANGER_ERROR, BANGER_ERROR_FAILED, "it broke");
  g_autoptr (GError) service
      = g_error_new (BANGER_ERROR, BANGER_ERROR_WRONG_STATE, "vm 'a' is stopped, not running");
  GError *none = NULL;

  banger_error_name_object (&ours, "vm 'a'");
  banger_error_name_object (&service, "vm 'a'");
  banger_error_name_object (&none, "vm 'a'");
  g_assert_cmpstr (ours->message, ==, "vm 'a': it broke");
  g_assert_cmpstr (service->message, ==, "vm 'a' is stopped, not running");
  g_assert_no_error (none);
}

static void
test_members (void)
{
  static const char text[] = "{\"n\":7,\"minus\":-7,\"big\":1e300,\"d\":1.5,\"s\":\"x\",\"null\":"
                             "null,\"list\":[{\"i\":1},2,{\"i\":3}]}";
  BangerHttpAnswer answer = { 200, g_byte_array_new () };
  g_autoptr (JsonObject) object = NULL;
  g_autoptr (GPtrArray) list = NULL, one = NULL, none = NULL;

  g_byte_array_append (answer.body, (const guint8 *)text, strlen (text));
  object = banger_http_json (&answer, NULL);
  g_assert_nonnull (object);
  g_assert_cmpint (banger_member_number (object, "n"), ==, 7);
  g_assert_cmpint (banger_member_number (object, "minus"), ==, 0);
  g_assert_cmpint (banger_member_number (object, "big"), ==, 0);
  g_assert_cmpint (banger_member_number (object, "s"), ==, 0);
  g_assert_cmpint (banger_member_number (object, "null"), ==, 0);
  g_assert_cmpint (banger_member_number (object, "absent"), ==, 0);
  g_assert_cmpfloat (banger_member_double (object, "d"), ==, 1.5);
  g_assert_cmpfloat (banger_member_double (object, "list"), ==, 0);
  g_assert_cmpstr (banger_member_string (object, "s"), ==, "x");
  g_assert_cmpstr (banger_member_string (object, "n"), ==, "");
  list = banger_member_objects (object, "list", 10);
  g_assert_cmpuint (list->len, ==, 2);
  g_assert_cmpint (banger_member_number (g_ptr_array_index (list, 1), "i"), ==, 3);
  one = banger_member_objects (object, "list", 1);
  g_assert_cmpuint (one->len, ==, 1);
  none = banger_member_objects (object, "n", 10);
  g_assert_cmpuint (none->len, ==, 0);
  banger_http_answer_clear (&answer);
}

static void
test_merge_env (void)
{
  static const char *const ours[] = { "A=1", "PATH=/x", NULL };
  static const char *const image[] = { "PATH=/image", "PATHS=2", "B=3", NULL };
  g_auto (GStrv) env = banger_exec_merge_env (ours, image);
  g_autofree char *joined = g_strjoinv (" ", env);

  g_assert_cmpstr (joined, ==, "PATHS=2 B=3 A=1 PATH=/x");
}

static void
test_start (void)
{
  static const char *const argv[] = { "a", "b c", NULL }, *const env[] = { "K=V", NULL };
  static const char records[]
      = "builtin=unpack\0rename=x\0owner=keep\0arg=a\0arg=b c\0env=K=V\0cwd=/\0user=u";
  BangerExecSpec spec = { .argv = argv,
                          .env = env,
                          .user = "u",
                          .cwd = "/",
                          .builtin = "unpack",
                          .rename = "x",
                          .owner = "keep" };
  g_autoptr (GError) error = NULL;
  g_autoptr (GByteArray) frame = banger_exec_start (&spec, &error);
  guint8 header[BANGER_EXEC_HEADER_SIZE];

  g_assert_no_error (error);
  banger_exec_write_header (header, BANGER_EXEC_START, sizeof records);
  g_assert_cmpmem (frame->data, BANGER_EXEC_HEADER_SIZE, header, sizeof header);
  g_assert_cmpmem (frame->data + BANGER_EXEC_HEADER_SIZE, frame->len - BANGER_EXEC_HEADER_SIZE,
                   records, sizeof records);
}

static void
test_refused_start (void)
{
  static const char *const bad[] = { "", "X", "=X" };
  g_autofree char *much = g_strnfill (BANGER_EXEC_PAYLOAD_MAX, 'x');
  const char *argv[] = { much, NULL };
  BangerExecSpec spec = { .argv = argv };
  g_autoptr (GError) error = NULL;

  g_assert_null (banger_exec_start (&spec, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    const char *env[] = { bad[i], NULL };

    g_clear_error (&error);
    spec = (BangerExecSpec){ .argv = env, .env = env };
    g_assert_null (banger_exec_start (&spec, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/agent-http/answer", test_answer);
  g_test_add_func ("/agent-http/upgrade", test_upgrade);
  g_test_add_func ("/agent-http/refused-answers", test_refused_answers);
  g_test_add_func ("/agent-http/endless-head", test_endless_head);
  g_test_add_func ("/agent-http/head-in-pieces", test_head_in_pieces);
  g_test_add_func ("/agent-http/late-answers", test_late_answers);
  g_test_add_func ("/agent-http/json", test_json);
  g_test_add_func ("/agent-http/json-of-many", test_json_of_many);
  g_test_add_func ("/agent-http/refusal-has-reason", test_refusal_has_reason);
  g_test_add_func ("/agent-http/named-errors", test_named_errors);
  g_test_add_func ("/agent-http/members", test_members);
  g_test_add_func ("/exec-start/merge-env", test_merge_env);
  g_test_add_func ("/exec-start/start", test_start);
  g_test_add_func ("/exec-start/refused-start", test_refused_start);
  return g_test_run ();
}
