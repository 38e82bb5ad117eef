/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "report.h"

#define INTERVAL (G_USEC_PER_SEC / 10)

struct _BangerReport {
  BangerChannel *channel;
  char *stage;
  gint64 last;
};

BangerReport *
banger_report_new (BangerChannel *channel)
{
  BangerReport *report = g_new0 (BangerReport, 1);

  report->channel = g_object_ref (channel);
  return report;
}

void
banger_report_free (BangerReport *report)
{
  g_object_unref (report->channel);
  g_free (report->stage);
  g_free (report);
}

static GVariant *
progress_args (const char *stage, double fraction)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "stage", "s", stage);
  g_variant_dict_insert (&dict, "fraction", "d", fraction);
  return g_variant_dict_end (&dict);
}

void
banger_report_progress (BangerReport *report, const char *stage, double fraction)
{
  gint64 now = g_get_monotonic_time ();

  if (g_strcmp0 (stage, report->stage) == 0 && now - report->last < INTERVAL)
    return;
  g_free (report->stage);
  report->stage = g_strdup (stage);
  report->last = now;
  /* If bangerd has gone, so will we: it started us to die with it. */
  banger_channel_send (report->channel, 0, "progress", progress_args (stage, fraction), NULL, NULL);
}

gboolean
banger_report_end (BangerReport *report, GVariant *result, const GError *failure)
{
  g_autoptr (GError) error = NULL;
  gboolean sent = FALSE;

  if (result != NULL)
    sent = banger_channel_send (report->channel, 0, "done", result, NULL, &error);
  else
    sent = banger_channel_send (report->channel, 0, "failed", banger_error_to_variant (failure),
                                NULL, &error);
  if (!sent)
    g_warning ("cannot answer: %s", error->message);
  return sent;
}
