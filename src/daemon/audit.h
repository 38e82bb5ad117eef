/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The record of a decision. */
#pragma once

#include "auth.h"

typedef struct {
  gboolean permitted;
  gboolean routine;   /* of no interest to an audit: level info, which is dropped unless wanted */
  const char *reason; /* a word, see audit.c */
  const char *caller; /* unique bus name */
  uid_t uid;          /* (uid_t) -1: not known */
  const char *method; /* "Manager.CreateVM" */
  const char *verb;   /* NULL: the method has no row */
  const char *action; /* NULL: none was asked for */
  const BangerAuthObject *object; /* NULL: none */
} BangerDecision;

/* One structured record, to the journal where the service runs under systemd, else to standard
 * error. The message holds what the fields hold, because standard error has no fields. */
void banger_audit (const BangerDecision *decision);
