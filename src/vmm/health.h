/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the guest does: one request waits at the agent for the next change. */
#pragma once

#include "agent-client.h"

typedef struct BangerHealthWatch BangerHealthWatch;

/* @facts is the dictionary of VM.GetHealth, without the guest's own words: what is no word of ours
 * was left out. */
typedef void (*BangerHealthFunc) (gpointer data, BangerHealth health, GVariant *facts);

/* Begins when it is told that the guest is reachable. @driver and @key outlive it. */
BangerHealthWatch *banger_health_watch_new (BangerDriver *driver, const guint8 *key,
                                            BangerHealthFunc func, gpointer data);
/* The guest's agent has (again) opened its end: asks at once. */
void banger_health_watch_reachable (BangerHealthWatch *watch);
/* While the guest's CPUs are stopped it is not asked, and what does not come is no failure. */
void banger_health_watch_pause (BangerHealthWatch *watch);
void banger_health_watch_resume (BangerHealthWatch *watch);
void banger_health_watch_free (BangerHealthWatch *watch);

typedef struct {
  BangerHealth health;
  gint64 serial;
  GVariant *facts; /* a{sv} */
} BangerHealthAnswer;

/* Of the body of GET /healthz. */
gboolean
banger_health_parse (const char *body, gsize length, BangerHealthAnswer *answer, GError **error);
