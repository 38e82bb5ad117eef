/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "health.h"

#include "timer.h"

/* A request waits at the agent this long; then a plain one shows whether the agent lives. */
#define WAIT_MSEC 60000
#define PLAIN_MSEC 30000
/* Between a request that failed and the next. */
#define RETRY_MIN_MSEC 200
#define RETRY_MAX_MSEC 5000
/* So many failures in a row, about ten seconds and more, and the guest counts as unreachable. */
#define FAILURES_MAX 6
/* A guest whose health changes without end is asked so often a second, and bangerd told as often.
 */
#define ASKS_PER_SECOND 8

struct BangerHealthWatch {
  BangerDriver *driver;
  const guint8 *key;
  BangerHealthFunc func;
  gpointer data;
  GCancellable *cancellable; /* of the request that is under way, else NULL */
  BangerTimer timer;
  BangerTimer retry;
  guint failures;
  gint64 second; /* the one in which it was asked last, and how often */
  guint asks;
  gboolean answered; /* ever */
  gboolean begun;
  gboolean paused;
  gboolean ask_plain;
  gint64 serial;
};

/* Outlives the watch if that is freed while a request is under way. */
typedef struct {
  BangerHealthWatch *watch;
  GCancellable *cancellable;
} Asked;

static void ask (gpointer data);

static void
note_failure (BangerHealthWatch *self)
{
  GVariantDict dict;
  guint delay = MIN (RETRY_MIN_MSEC << MIN (self->failures, 5), RETRY_MAX_MSEC);

  self->ask_plain = TRUE;
  if (self->paused)
    return;
  if (++self->failures == FAILURES_MAX && self->answered) {
    g_variant_dict_init (&dict, NULL);
    g_variant_dict_insert (&dict, "health", "s",
                           banger_health_to_string (BANGER_HEALTH_UNREACHABLE));
    self->func (self->data, BANGER_HEALTH_UNREACHABLE, g_variant_dict_end (&dict));
  }
  banger_timer_set (&self->retry, delay, ask, self);
}

static void
take_answer (BangerHealthWatch *self, BangerAgentAnswer *answer)
{
  BangerHealthAnswer health = { 0 };
  g_autoptr (GError) error = NULL;
  gsize length = 0;
  const guint8 *body = banger_http_reader_body (answer->http, &length);
  gboolean changed = FALSE;

  if (banger_http_reader_status (answer->http) != 200
      || !banger_health_parse ((const char *)body, length, &health, &error)) {
    g_debug ("no health: %s", error != NULL ? error->message : "another status");
    note_failure (self);
    return;
  }
  changed = !self->answered || health.serial != self->serial || self->failures >= FAILURES_MAX;
  self->answered = TRUE;
  self->ask_plain = FALSE;
  self->failures = 0;
  self->serial = health.serial;
  if (changed)
    self->func (self->data, health.health, health.facts);
  g_variant_unref (health.facts);
  ask (self);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Asked *asked = data;
  g_autoptr (GCancellable) cancellable = asked->cancellable;
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerAgentAnswer) answer = banger_agent_ask_finish (result, &error);
  BangerHealthWatch *self = asked->watch;

  if (self == NULL)
    return;
  g_object_set_data (G_OBJECT (cancellable), "asked", NULL);
  banger_timer_clear (&self->timer);
  self->cancellable = NULL;
  if (answer != NULL) {
    take_answer (self, answer);
  } else if (!self->ask_plain && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    self->ask_plain = TRUE; /* nothing happened for a long time */
    ask (self);
  } else {
    g_debug ("no health: %s", error->message);
    note_failure (self);
  }
}

static void
on_timer (gpointer data)
{
  g_cancellable_cancel (((BangerHealthWatch *)data)->cancellable);
}

/* TRUE if this second has seen enough of it: it is asked in the next. */
static gboolean
is_too_often (BangerHealthWatch *self)
{
  gint64 now = g_get_monotonic_time ();

  if (now / G_USEC_PER_SEC != self->second)
    self->asks = 0;
  self->second = now / G_USEC_PER_SEC;
  if (++self->asks <= ASKS_PER_SECOND)
    return FALSE;
  if (!banger_timer_is_set (&self->retry))
    banger_timer_set (&self->retry, 1000 - now / 1000 % 1000, ask, self);
  return TRUE;
}

static void
ask (gpointer data)
{
  BangerHealthWatch *self = data;
  gboolean wait = self->answered && !self->ask_plain;
  g_autofree char *line
      = wait ? g_strdup_printf ("GET /healthz?wait=1&after=%" G_GINT64_FORMAT, self->serial)
             : g_strdup ("GET /healthz");
  const BangerAgentQuestion question = { .line = line };
  Asked *asked = NULL;

  if (self->paused || is_too_often (self))
    return;
  asked = g_new0 (Asked, 1);
  asked->watch = self;
  asked->cancellable = self->cancellable = g_cancellable_new ();
  g_object_set_data (G_OBJECT (self->cancellable), "asked", asked);
  banger_timer_set (&self->timer, wait ? WAIT_MSEC : PLAIN_MSEC, on_timer, self);
  banger_agent_ask_async (self->driver, self->key, &question, self->cancellable, on_answer, asked);
}

BangerHealthWatch *
banger_health_watch_new (BangerDriver *driver, const guint8 *key, BangerHealthFunc func,
                         gpointer data)
{
  BangerHealthWatch *self = g_new0 (BangerHealthWatch, 1);

  self->driver = driver;
  self->key = key;
  self->func = func;
  self->data = data;
  return self;
}

void
banger_health_watch_reachable (BangerHealthWatch *self)
{
  banger_timer_clear (&self->retry);
  self->begun = TRUE;
  if (self->cancellable == NULL)
    ask (self);
}

/* What was asked stays asked, without a limit: an answer that was on its way is taken after. */
void
banger_health_watch_pause (BangerHealthWatch *self)
{
  self->paused = TRUE;
  banger_timer_clear (&self->timer);
  banger_timer_clear (&self->retry);
}

void
banger_health_watch_resume (BangerHealthWatch *self)
{
  if (!self->paused)
    return;
  self->paused = FALSE;
  self->failures = 0;
  if (self->cancellable == NULL && self->begun)
    ask (self);
  else if (self->cancellable != NULL)
    banger_timer_set (&self->timer, PLAIN_MSEC, on_timer, self);
}

void
banger_health_watch_free (BangerHealthWatch *self)
{
  banger_timer_clear (&self->timer);
  banger_timer_clear (&self->retry);
  if (self->cancellable != NULL) {
    Asked *asked = g_object_get_data (G_OBJECT (self->cancellable), "asked");

    asked->watch = NULL;
    g_cancellable_cancel (self->cancellable);
  }
  g_free (self);
}
