/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's agent and QEMU say to banger-vmm: HTTP, health, exec frames, QMP lines. */
#include "vmm/exec.h"
#include "vmm/guest-stats.h"
#include "vmm/health.h"
#include "vmm/http.h"
#include "vmm/qmp.h"

#include "mutate.h"

#include <sys/socket.h>
#include <unistd.h>

static const char health[]
    = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 150\r\n\r\n"
      "{\"protocol\":1,\"version\":\"0.1.0\",\"serial\":9,\"state\":\"healthy\",\"init\":\"none\","
      "\"stages\":[{\"name\":\"kernel\",\"seconds\":1.2}],\"problems\":[\"units\"],\"a\":[[1]]}   "
      " ";
static const char upgrade[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: banger-exec\r\n\r\n"
                              "\1\0\0\0\0\0\0\2hi\2\0\0\0\0\0\0\1!\3\0\0\0\0\0\0\4\0\0\0\7";
static const char qmp[]
    = "{\"QMP\": {\"version\": {\"qemu\": {\"major\": 7}}, \"capabilities\": [\"oob\"]}}\r\n"
      "{\"return\": {}, \"id\": 1}\r\n{\"event\": \"SHUTDOWN\", \"data\": {\"reason\": \"x\"}}\r\n";

static void
check_health (const guint8 *body, gsize length)
{
  BangerHealthAnswer answer = { 0 };

  if (!banger_health_parse ((const char *)body, length, &answer, NULL))
    return;
  g_assert_true (g_variant_is_normal_form (answer.facts));
  g_variant_unref (answer.facts);
}

static void
check_stats (const guint8 *body, gsize length)
{
  g_auto (GVariantDict) dict = G_VARIANT_DICT_INIT (NULL);
  g_autoptr (GVariant) stats = NULL;

  banger_guest_stats_parse ((const char *)body, length, &dict);
  stats = g_variant_ref_sink (g_variant_dict_end (&dict));
  g_assert_true (g_variant_is_normal_form (stats));
}

/* Fed in two parts, as a stream may cut it. */
static void
check_http (Mutator *mutator, GByteArray *bytes)
{
  g_autoptr (BangerHttpReader) http = banger_http_reader_new ();
  g_autoptr (BangerExecReader) frames = banger_exec_reader_new ();
  gsize cut = mutator_below (mutator, bytes->len), length = 0;
  const guint8 *body = NULL;

  if (!banger_http_reader_feed (http, bytes->data, cut, NULL)
      || (!banger_http_reader_is_done (http)
          && !banger_http_reader_feed (http, bytes->data + cut, bytes->len - cut, NULL)))
    return;
  body = banger_http_reader_body (http, &length);
  if (banger_http_reader_is_done (http) && banger_http_reader_status (http) == 101)
    banger_exec_reader_feed (frames, body, length, NULL);
  g_assert_cmpuint (frames->result->output->len, <=, BANGER_EXEC_OUTPUT_MAX);
  check_health (body, length);
  check_stats (body, length);
}

static void
on_ready (gpointer data)
{
}

static void
on_event (gpointer data, const char *name, JsonObject *values)
{
  g_assert_true (g_utf8_validate (name, -1, NULL));
}

static void
on_closed (gpointer data, const GError *error)
{
}

static const BangerQmpEvents events = { on_ready, on_event, on_closed };

static void
check_qmp (GByteArray *bytes)
{
  g_autoptr (BangerQmp) connection = NULL;
  int ends[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  connection = banger_qmp_new (ends[0], &events, NULL);
  g_assert_cmpint (write (ends[1], bytes->data, bytes->len), ==, bytes->len);
  banger_qmp_drain (connection);
  close (ends[1]);
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *text;
    gsize length;
  } seeds[]
      = { { health, sizeof health - 1 }, { upgrade, sizeof upgrade - 1 }, { qmp, sizeof qmp - 1 } };
  Mutator mutator;

  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  mutator_init (&mutator, argc, argv);
  while (mutator_goes_on (&mutator)) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    guint which = mutator_below (&mutator, G_N_ELEMENTS (seeds));

    g_byte_array_append (bytes, (const guint8 *)seeds[which].text, seeds[which].length);
    mutator_mutate (&mutator, bytes);
    if (bytes->len == 0)
      continue;
    if (which == 2)
      check_qmp (bytes);
    else
      check_http (&mutator, bytes);
    check_health (bytes->data, bytes->len);
  }
  return mutator_done (&mutator);
}
