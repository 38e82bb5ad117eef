/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The QEMU Machine Protocol (docs/interop/qmp-spec.txt in QEMU's source): lines of JSON. */
#pragma once

#include "json.h"

/* A line longer than this breaks the connection: QEMU answers nothing we ask for at such length. */
#define BANGER_QMP_LINE_MAX 65536

typedef struct BangerQmp BangerQmp;

/* The answer to a command: the @line whose member "return" is the result, or @error. Called once.
 */
typedef void (*BangerQmpAnswer) (gpointer data, JsonObject *line, const GError *error);

/* None of these may free the connection. */
typedef struct {
  /* The greeting came and commands are allowed. */
  void (*ready) (gpointer data);
  void (*event) (gpointer data, const char *name, JsonObject *values);
  /* The connection has ended; @error where QEMU broke the protocol. Who waits for an answer then
   * gets an error. */
  void (*closed) (gpointer data, const GError *error);
} BangerQmpEvents;

/* Takes @fd, a connected stream socket. */
BangerQmp *banger_qmp_new (int fd, const BangerQmpEvents *events, gpointer data);
/* @arguments: a JSON object, or NULL; @answer may be NULL. */
void banger_qmp_command (BangerQmp *qmp, const char *command, const char *arguments,
                         BangerQmpAnswer answer, gpointer data);
/* Takes what has come without going back to the main loop: for after QEMU's end. */
void banger_qmp_drain (BangerQmp *qmp);
void banger_qmp_free (BangerQmp *qmp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerQmp, banger_qmp_free)
