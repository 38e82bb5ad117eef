/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "progress.h"

#include "text.h"
#include "output.h"

#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 20
#define STAGE_WIDTH 11

struct _BangerProgress {
  BangerProgressMode mode;
  gboolean colour, unicode;
  char *label;
  char *stage;
  double fraction;
  guint printed;      /* stages that have their line */
  gint64 stage_began; /* monotonic */
  gboolean line_open; /* a live line is on the screen */
  GVariant *timings;
  const char *measured; /* the stage that @bytes are of, static */
  BangerProgressBytes bytes;
  gpointer data;
};

gboolean
banger_progress_mode (const char *word, BangerProgressMode *mode)
{
  gboolean terminal = isatty (STDERR_FILENO) && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;

  if (word == NULL || strcmp (word, "auto") == 0)
    *mode = terminal ? BANGER_PROGRESS_LIVE : BANGER_PROGRESS_PLAIN;
  else if (strcmp (word, "plain") == 0)
    *mode = BANGER_PROGRESS_PLAIN;
  else if (strcmp (word, "none") == 0)
    *mode = BANGER_PROGRESS_NONE;
  else
    return FALSE;
  return TRUE;
}

BangerProgress *
banger_progress_new (BangerProgressMode mode, const char *label)
{
  BangerProgress *progress = g_new0 (BangerProgress, 1);

  progress->mode = mode;
  progress->label = g_strdup (label);
  progress->fraction = -1;
  progress->stage_began = g_get_monotonic_time ();
  progress->colour = banger_output_has_colour (STDERR_FILENO);
  progress->unicode = g_get_charset (NULL);
  return progress;
}

void
banger_progress_free (BangerProgress *progress)
{
  g_clear_pointer (&progress->timings, g_variant_unref);
  g_free (progress->label);
  g_free (progress->stage);
  g_free (progress);
}

char *
banger_progress_line (const char *mark, const char *stage, guint64 usec, double fraction)
{
  g_autofree char *shown = banger_text_escape (stage, -1);
  g_autofree char *time = banger_text_duration (usec);
  g_autoptr (GString) bar = g_string_new (NULL);

  if (fraction >= 0) {
    int full = (int)(CLAMP (fraction, 0, 1) * BAR_WIDTH);

    g_string_append (bar, "  [");
    for (int i = 0; i < BAR_WIDTH; i++)
      g_string_append_c (bar, i < full ? '#' : ' ');
    g_string_append_printf (bar, "] %3d %%", (int)(CLAMP (fraction, 0, 1) * 100));
  }
  return g_strdup_printf ("%s %-*s %9s%s", mark, STAGE_WIDTH, shown, time, bar->str);
}

static void
clear_live (BangerProgress *progress)
{
  if (progress->line_open)
    g_printerr ("\r\033[K");
  progress->line_open = FALSE;
}

static void
print_ended (BangerProgress *progress, const char *stage, guint64 usec, gboolean ok)
{
  const char *mark = progress->unicode ? (ok ? "✓" : "✗") : (ok ? "*" : "!");
  g_autofree char *line = NULL;

  if (progress->mode == BANGER_PROGRESS_PLAIN) {
    g_autofree char *shown = banger_text_escape (stage, -1);
    g_autofree char *time = banger_text_duration (usec);

    g_printerr ("%s: %s %s%s\n", progress->label, shown, time, ok ? "" : _ (", not finished"));
    return;
  }
  clear_live (progress);
  line = banger_progress_line (mark, stage, usec, -1);
  if (progress->colour)
    g_printerr ("\033[2m%s\033[0m\n", line);
  else
    g_printerr ("%s\n", line);
}

/* Prints the stages that have ended: all but the last of the timings, and that too if @all. */
static void
print_stages (BangerProgress *progress, gboolean all)
{
  guint n = progress->timings != NULL ? g_variant_n_children (progress->timings) : 0;

  if (progress->mode == BANGER_PROGRESS_NONE)
    return;
  for (guint i = progress->printed; i < n && (all || i + 1 < n); i++) {
    const char *stage = NULL;
    guint64 began = 0, took = 0;

    g_variant_get_child (progress->timings, i, "(&stt)", &stage, &began, &took);
    print_ended (progress, stage, took, TRUE);
    progress->printed = i + 1;
  }
}

void
banger_progress_update (BangerProgress *progress, const char *stage, double fraction,
                        GVariant *timings)
{
  if (timings != NULL) {
    g_clear_pointer (&progress->timings, g_variant_unref);
    progress->timings = g_variant_ref (timings);
  }
  if (stage != NULL && g_strcmp0 (stage, progress->stage) != 0) {
    g_free (progress->stage);
    progress->stage = g_strdup (stage);
    progress->stage_began = g_get_monotonic_time ();
    progress->fraction = -1;
  }
  progress->fraction = fraction;
  print_stages (progress, FALSE);
}

GVariant *
banger_progress_timings (BangerProgress *progress)
{
  return progress->timings;
}

void
banger_progress_measure (BangerProgress *progress, const char *stage, BangerProgressBytes bytes,
                         gpointer data)
{
  progress->measured = stage;
  progress->bytes = bytes;
  progress->data = data;
}

/* "  1.5 GiB, 128 MiB/s", or nothing. */
static char *
measure_text (BangerProgress *progress, guint64 usec)
{
  g_autofree char *size = NULL, *rate = NULL, *text = NULL;
  guint64 bytes = 0;

  if (progress->bytes == NULL || progress->fraction >= 0
      || strcmp (progress->measured, progress->stage) != 0)
    return g_strdup ("");
  bytes = progress->bytes (progress->data);
  size = banger_text_size (bytes);
  rate = banger_text_size ((guint64)((double)bytes * 1e6 / MAX (usec, 1)));
  text = g_strdup_printf (_ ("%s, %s/s"), size, rate);
  return g_strconcat ("  ", text, NULL);
}

void
banger_progress_draw (BangerProgress *progress)
{
  g_autofree char *line = NULL, *bytes = NULL;
  guint64 usec = g_get_monotonic_time () - progress->stage_began;

  if (progress->mode != BANGER_PROGRESS_LIVE || progress->stage == NULL || *progress->stage == '\0')
    return;
  line = banger_progress_line (progress->unicode ? "·" : "-", progress->stage, usec,
                               progress->fraction);
  bytes = measure_text (progress, usec);
  g_printerr ("\r%s%s\033[K", line, bytes);
  progress->line_open = TRUE;
}

void
banger_progress_end (BangerProgress *progress, gboolean ok)
{
  guint n = progress->timings != NULL ? g_variant_n_children (progress->timings) : 0;

  print_stages (progress, ok);
  if (!ok && progress->mode != BANGER_PROGRESS_NONE && progress->printed < n) {
    const char *stage = NULL;

    g_variant_get_child (progress->timings, n - 1, "(&stt)", &stage, NULL, NULL);
    print_ended (progress, stage, g_get_monotonic_time () - progress->stage_began, FALSE);
  }
  clear_live (progress);
}

void
banger_progress_note (BangerProgress *progress, const char *text)
{
  clear_live (progress);
  g_printerr ("%s\n", text);
  banger_progress_draw (progress);
}
