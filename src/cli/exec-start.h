/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a command of the agent begins: the START frame, and the stream on which it is sent. */
#pragma once

#include "agent-http.h"
#include "relay.h"

/* What to run, as docs/agent-protocol.md has it; what is NULL is not said. */
typedef struct {
  const char *const *argv;
  const char *const *env; /* KEY=VALUE */
  const char *user, *cwd;
  gboolean shell, detach, terminal;
  const char *builtin, *rename, *owner;
} BangerExecSpec;

/* The frame; InvalidArgument for a variable that is none, and where all is longer than a frame. */
GByteArray *banger_exec_start (const BangerExecSpec *spec, GError **error);
/* A stream on which a START frame may be sent; what the agent sent already comes to @rest. */
int banger_exec_open (BangerClient *client, const char *vm, GByteArray *rest, GError **error);

/* What the image of the VM at @vm says (its property Defaults); a command's options come first. */
typedef struct {
  char *user, *cwd; /* NULL: not said */
  GStrv env;        /* never NULL */
} BangerExecDefaults;
gboolean banger_exec_defaults (BangerClient *client, const char *vm, BangerExecDefaults *defaults,
                               GError **error);
void banger_exec_defaults_clear (BangerExecDefaults *defaults);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerExecDefaults, banger_exec_defaults_clear)
/* Those of @first and those of @second that @first does not name. */
GStrv banger_exec_merge_env (const char *const *first, const char *const *second);
