/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a START frame asks for, and the child that does it. */
#pragma once

#include "builtins.h"
#include "users.h"

#include <stddef.h>
#include <stdint.h>

#define AGENT_ARGS_MAX 1024
#define AGENT_ENV_MAX 256
#define AGENT_ENV_DEFAULTS 8

typedef enum {
  AGENT_BUILTIN_NONE,
  AGENT_BUILTIN_PACK,
  AGENT_BUILTIN_UNPACK,
} AgentBuiltin;

typedef struct {
  /* NULL-terminated; they point into the payload. Once resolved, a shell's own are before them. */
  char *args[AGENT_ARGS_MAX + 4];
  unsigned n_args;
  char *env[AGENT_ENV_MAX + AGENT_ENV_DEFAULTS + 1];
  unsigned n_env;
  const char *cwd;  /* NULL: the user's home */
  const char *user; /* "root" by default */
  AgentBuiltin builtin;
  AgentUnpack unpack; /* its folder once resolved */
  bool shell;         /* the user's login shell, which runs @args if there are any */
  bool detach;        /* input is empty, output is dropped */
  bool tty;
  uint16_t rows;
  uint16_t columns;
  AgentUser account;
  const char *program; /* once resolved */
  char login[sizeof ((AgentUser *)0)->shell + 1];
  char defaults[1024]; /* where the environment of @account lies */
} AgentCommand;

/* Reads a START frame's @payload, which must outlive the command. NULL, or why it is wrong. */
const char *agent_command_parse (AgentCommand *command, char *payload, size_t length);
/* Finds the user and completes arguments and environment. NULL, or why it cannot be. */
const char *agent_command_resolve (AgentCommand *command, const char *root);

typedef struct {
  pid_t pid;
  int in; /* for the command's input; with a terminal this and @out are its other side */
  int out;
  int err;    /* -1 with a terminal; detached, @in and @out are -1 too */
  int status; /* the end once the command runs, or text why it does not */
} AgentChild;

/* Starts the child; all descriptors are ours, not blocking. @cgroup: its directory or -1. A child
 * that runs no other program first forgets the @secret. NULL, or why it cannot be. */
const char *agent_command_start (AgentCommand *command, int cgroup, uint8_t *secret,
                                 size_t secret_size, AgentChild *child);

/* In a child that runs no other program: what else it holds of the agent's would keep streams open
 * that the agent has closed. Standard streams stay, and these two (-1: none). */
void agent_close_all_but (int one, int other);
