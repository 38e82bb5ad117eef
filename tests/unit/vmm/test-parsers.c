/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest or a VMM says: taken whole, cut anywhere, or refused. */
#include "common/common.h"
#include "vmm/exec.h"
#include "vmm/guest-stats.h"
#include "vmm/health.h"
#include "vmm/http.h"
#include "vmm/json.h"

#include <string.h>

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n"

static void
test_http_cut (void)
{
  const char text[] = OK_HEAD "hello";

  for (gsize cut = 0; cut < strlen (text); cut++) {
    g_autoptr (BangerHttpReader) reader = banger_http_reader_new ();
    g_autoptr (GError) error = NULL;
    gsize length = 0;

    banger_http_reader_feed (reader, text, cut, &error);
    g_assert_no_error (error);
    g_assert_false (banger_http_reader_is_done (reader));
    banger_http_reader_feed (reader, text + cut, strlen (text) - cut, &error);
    g_assert_no_error (error);
    g_assert_true (banger_http_reader_is_done (reader));
    g_assert_cmpint (banger_http_reader_status (reader), ==, 200);
    g_assert_cmpmem (banger_http_reader_body (reader, &length), length, "hello", 5);
  }
}

/* The bytes after the switch are the new protocol's. */
static void
test_http_upgrade (void)
{
  const char text[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: banger-exec\r\n\r\n\001rest";
  g_autoptr (BangerHttpReader) reader = banger_http_reader_new ();
  gsize length = 0;

  g_assert_true (banger_http_reader_feed (reader, text, strlen (text), NULL));
  g_assert_true (banger_http_reader_is_done (reader));
  g_assert_cmpmem (banger_http_reader_body (reader, &length), length, "\001rest", 5);
}

static void
test_http_refused (void)
{
  static const char *const texts[] = {
    "SSH-2.0-OpenSSH\r\n\r\n",
    "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 2000\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nno colon\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autoptr (BangerHttpReader) reader = banger_http_reader_new ();
    g_autoptr (GError) error = NULL;

    g_assert_false (banger_http_reader_feed (reader, texts[i], strlen (texts[i]), &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  }
}

static void
test_http_endless_head (void)
{
  g_autoptr (BangerHttpReader) reader = banger_http_reader_new ();
  gboolean ok = banger_http_reader_feed (reader, "HTTP/1.1 200 OK\r\n", 17, NULL);
  gsize fed = 17;

  for (; ok && fed < 2 * BANGER_HTTP_HEAD_MAX; fed += 6)
    ok = banger_http_reader_feed (reader, "a: b\r\n", 6, NULL);
  g_assert_false (ok);
  g_assert_cmpuint (fed, <=, BANGER_HTTP_HEAD_MAX + 12);
}

static gboolean
parses (const char *text)
{
  g_autoptr (JsonObject) object = banger_json_parse_object (text, strlen (text), NULL);

  return object != NULL;
}

static void
test_json_bounds (void)
{
  g_autofree char *deep = g_strnfill (60000, '[');
  g_autofree char *brackets = g_strnfill (1000, '[');
  g_autofree char *quoted = g_strdup_printf ("{\"a\\\"\":\"%s/\"}", brackets);
  g_autofree char *hidden = g_strdup_printf ("{\"a\":/*\"*/%s", deep);

  g_assert_false (parses (deep));
  g_assert_false (parses (hidden));
  g_assert_true (parses (quoted));
  g_assert_true (parses ("{\"return\":{},\"id\":1}"));
  g_assert_true (parses (" {\"a\":[{\"b\":[]}]}\r\n"));
  g_assert_false (parses ("[]"));
  /* json-glib would lose the first. */
  g_assert_false (parses ("{} {}"));
  g_assert_false (parses ("{}\"\""));
  g_assert_false (parses ("var x = {};"));
  g_assert_false (parses ("}{}"));
  g_assert_false (parses ("  "));
  g_assert_false (parses (""));
  g_assert_false (parses ("{\"a\":\"\xff\"}"));
}

static void
test_health (void)
{
  const char body[] = "{\"protocol\":1,\"version\":\"0.1.0\",\"serial\":9,\"state\":\"degraded\","
                      "\"init\":\"systemd\",\"stages\":[{\"name\":\"kernel\",\"seconds\":1.5},"
                      "{\"name\":\"evil\\u001b[2J\",\"seconds\":2},7],"
                      "\"problems\":[\"units\",\"<b>\",3],\"failed_units\":[\"a.service\"]}";
  BangerHealthAnswer answer = { 0 };
  g_autoptr (GError) error = NULL;
  g_autofree char *printed = NULL;

  g_assert_true (banger_health_parse (body, strlen (body), &answer, &error));
  g_assert_cmpint (answer.health, ==, BANGER_HEALTH_DEGRADED);
  g_assert_cmpint (answer.serial, ==, 9);
  printed = g_variant_print (answer.facts, FALSE);
  g_assert_cmpstr (printed, ==,
                   "{'health': <'degraded'>, 'init': <'systemd'>, 'agent-version': <'0.1.0'>, "
                   "'agent-protocol': <uint32 1>, 'stages': <[('kernel', 1.5)]>, "
                   "'problems': <['units']>}");
  g_variant_unref (answer.facts);
}

static GVariant *
guest_stats (const char *body)
{
  g_auto (GVariantDict) dict = G_VARIANT_DICT_INIT (NULL);

  banger_guest_stats_parse (body, strlen (body), &dict);
  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

/* What a guest says of itself is taken as far as it makes sense, and nothing else of it. */
static void
test_guest_stats (void)
{
  static const char *const nonsense[]
      = { "{\"uptime\":-1,\"load\":\"high\",\"memory_total\":-5,\"root\":[7],\"streams\":[]}",
          "{\"commands\":4294967296,\"load\":1e999}", "{\"rm -rf\":1}", "nothing", "" };
  g_autoptr (GVariant) stats
      = guest_stats ("{\"uptime\":12.5,\"load\":0,\"memory_total\":100,\"memory_available\":40,"
                     "\"root\":{\"total\":7,\"free\":3},\"work\":{\"total\":9},\"commands\":2}");
  double number = 0;
  guint64 bytes = 0;
  guint32 count = 0;

  g_assert_true (g_variant_lookup (stats, "guest-uptime-seconds", "d", &number));
  g_assert_cmpfloat (number, ==, 12.5);
  g_assert_true (g_variant_lookup (stats, "guest-load", "d", &number));
  g_assert_cmpfloat (number, ==, 0);
  g_assert_true (g_variant_lookup (stats, "guest-memory-available-bytes", "t", &bytes));
  g_assert_cmpuint (bytes, ==, 40);
  g_assert_true (g_variant_lookup (stats, "guest-disk-free-bytes", "t", &bytes));
  g_assert_cmpuint (bytes, ==, 3);
  g_assert_true (g_variant_lookup (stats, "guest-commands", "u", &count));
  g_assert_cmpuint (count, ==, 2);
  g_assert_cmpuint (g_variant_n_children (stats), ==, 8);
  for (guint i = 0; i < G_N_ELEMENTS (nonsense); i++) {
    g_autoptr (GVariant) none = guest_stats (nonsense[i]);

    g_assert_cmpuint (g_variant_n_children (none), ==, 0);
  }
}

static void
test_health_refused (void)
{
  static const char *const bodies[]
      = { "", "{}", "[]", "{\"state\":1}", "{\"state\":\"unreachable\"}", "{\"state\":\"fine\"}" };

  for (guint i = 0; i < G_N_ELEMENTS (bodies); i++) {
    BangerHealthAnswer answer = { 0 };
    g_autoptr (GError) error = NULL;

    g_assert_false (banger_health_parse (bodies[i], strlen (bodies[i]), &answer, &error));
    g_assert_nonnull (error);
  }
}

static void
test_exec_frames (void)
{
  const guint8 bytes[] = { 1, 0, 0,   0, 0, 0, 0, 2, 'h', 'i', 2, 0, 0, 0, 0, 0,
                           0, 1, '!', 3, 0, 0, 0, 0, 0,   0,   4, 0, 0, 0, 7 };

  for (gsize cut = 0; cut < sizeof bytes; cut++) {
    g_autoptr (BangerExecReader) reader = banger_exec_reader_new ();

    g_assert_true (banger_exec_reader_feed (reader, bytes, cut, NULL));
    g_assert_false (reader->done);
    g_assert_true (banger_exec_reader_feed (reader, bytes + cut, sizeof bytes - cut, NULL));
    g_assert_true (reader->done);
    g_assert_cmpuint (reader->result->status, ==, 7);
    g_assert_cmpmem (reader->result->output->data, reader->result->output->len, "hi", 2);
    g_assert_cmpmem (reader->result->errors->data, reader->result->errors->len, "!", 1);
  }
}

static void
test_exec_bounds (void)
{
  g_autoptr (BangerExecReader) reader = banger_exec_reader_new ();
  g_autofree guint8 *frame = g_malloc0 (8 + 65536);
  g_autoptr (GError) error = NULL;
  guint frames = 0;

  frame[0] = 1;
  frame[5] = 1; /* 65536 */
  while (frames < 100 && banger_exec_reader_feed (reader, frame, 8 + 65536, &error))
    frames++;
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_cmpuint (frames, ==, BANGER_EXEC_OUTPUT_MAX / 65536);
}

static void
test_exec_options (void)
{
  const char *argv[] = { "cat", "-", NULL }, *nothing[] = { NULL };
  g_autoptr (GVariant) good
      = g_variant_ref_sink (g_variant_new_parsed ("{'user': <'bob'>, 'env': <{'A': 'b'}>, "
                                                  "'stdin': <b'xy'>, 'timeout': <uint32 3>}"));
  g_autoptr (GVariant) bad = g_variant_ref_sink (g_variant_new_parsed ("{'shell': <'yes'>}"));
  g_autoptr (GVariant) wrong = g_variant_ref_sink (g_variant_new_parsed ("{'user': <5>}"));
  g_autoptr (GByteArray) request = banger_exec_request_new (argv, good, NULL);
  const char start[] = "\5\0\0\0\0\0\0\044arg=cat\0arg=-\0user=bob\0env=A=b\0";
  const char input[] = "\0\0\0\0\0\0\0\3xy\0\0\0\0\0\0\0\0";

  g_assert_nonnull (request);
  g_assert_cmpuint (request->len, ==, 8 + 31 + 11 + 8);
  g_assert_cmpmem (request->data + 8, 31, start + 8, 31);
  g_assert_cmpmem (request->data + 39, 19, input, 19);
  g_assert_null (banger_exec_request_new (argv, bad, NULL));
  g_assert_null (banger_exec_request_new (argv, wrong, NULL));
  g_assert_null (banger_exec_request_new (nothing, good, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vmm/http/cut", test_http_cut);
  g_test_add_func ("/vmm/http/upgrade", test_http_upgrade);
  g_test_add_func ("/vmm/http/refused", test_http_refused);
  g_test_add_func ("/vmm/http/endless-head", test_http_endless_head);
  g_test_add_func ("/vmm/json/bounds", test_json_bounds);
  g_test_add_func ("/vmm/health/words", test_health);
  g_test_add_func ("/vmm/health/refused", test_health_refused);
  g_test_add_func ("/vmm/exec/frames", test_exec_frames);
  g_test_add_func ("/vmm/exec/bounds", test_exec_bounds);
  g_test_add_func ("/vmm/exec/options", test_exec_options);
  g_test_add_func ("/vmm/health/guest-stats", test_guest_stats);
  return g_test_run ();
}
