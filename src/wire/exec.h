/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What follows the answer "101 Switching Protocols" to POST /exec with "Upgrade: banger-exec":
 * frames of a header of 8 bytes (u8 type, three zero bytes, u32 big-endian length) and a payload.
 *
 *   START   client, first: records "KEY=VALUE" with a NUL after each: arg (at least one, in
 *           order), env (K=V), cwd, user, tty (ROWSxCOLS: a terminal instead of pipes),
 *           and what docs/agent-protocol.md adds (shell, builtin, detach)
 *   STDIN   client: input; an empty one ends it       STDOUT, STDERR  agent: output
 *   SIGNAL  client: u32 number, to the process group  RESIZE  client: u16 rows, u16 columns
 *   STARTED agent, last: u32 pid of a detached command
 *   EXIT    agent, last: u32 status, 128 plus the number if a signal ended it
 *   ERROR   agent, last: UTF-8 text: why the command could not be run
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BANGER_EXEC_HEADER_SIZE 8
#define BANGER_EXEC_PAYLOAD_MAX 65536

typedef enum {
  BANGER_EXEC_STDIN = 0,
  BANGER_EXEC_STDOUT = 1,
  BANGER_EXEC_STDERR = 2,
  BANGER_EXEC_EXIT = 3,
  BANGER_EXEC_RESIZE = 4,
  BANGER_EXEC_START = 5,
  BANGER_EXEC_ERROR = 6,
  BANGER_EXEC_SIGNAL = 7,
  BANGER_EXEC_STARTED = 8,
} BangerExecType;

void banger_exec_write_header (uint8_t *header, BangerExecType type, uint32_t length);
/* False for a type that is not known, a length over the limit or bytes that should be zero. */
bool banger_exec_read_header (const uint8_t *header, BangerExecType *type, uint32_t *length);
