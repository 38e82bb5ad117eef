/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's agent says to banger-vmm: HTTP, health, exec frames. */
#include "vmm/exec.h"
#include "vmm/guest-stats.h"
#include "vmm/health.h"
#include "vmm/http.h"

#include "fuzz.h"

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
static gboolean
check_http (FuzzChoice *choice, const guint8 *bytes, gsize size)
{
  g_autoptr (BangerHttpReader) http = banger_http_reader_new ();
  g_autoptr (BangerExecReader) frames = banger_exec_reader_new ();
  gsize cut = fuzz_below (choice, (guint)size), length = 0;
  const guint8 *body = NULL;

  if (!banger_http_reader_feed (http, bytes, cut, NULL)
      || (!banger_http_reader_is_done (http)
          && !banger_http_reader_feed (http, bytes + cut, size - cut, NULL)))
    return FALSE;
  body = banger_http_reader_body (http, &length);
  if (banger_http_reader_is_done (http) && banger_http_reader_status (http) == 101)
    banger_exec_reader_feed (frames, body, length, NULL);
  g_assert_cmpuint (frames->result->output->len, <=, BANGER_EXEC_OUTPUT_MAX);
  check_health (body, length);
  check_stats (body, length);
  return banger_http_reader_is_done (http);
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  FuzzChoice choice = fuzz_choice (bytes, length);

  check_health (bytes, length);
  return check_http (&choice, bytes, length);
}

const FuzzTarget fuzz_target = { .name = "vmm-answers", .run = run };
