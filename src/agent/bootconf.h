/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* This boot's configuration, as docs/internals.md has it. */
#pragma once

#include "wire/handshake.h"

#define AGENT_BOOTCONF_MAX 65536
#define AGENT_LIST_MAX 32

typedef struct {
  const char *items[AGENT_LIST_MAX];
  unsigned n;
} AgentList;

typedef struct {
  uint8_t key[BANGER_KEY_SIZE];
  const char *hostname;
  bool vsock; /* else virtio-serial */
  uint32_t doorbell;
  bool overlay; /* else the root disk is written */
  AgentList binds;
  bool work;
  const char *modules; /* NULL: no module disk */
  AgentList addresses;
  const char *gateway;
  AgentList nameservers;
  const char *search;
} AgentBootConf;

/* Reads @text, of @length bytes and a NUL after them, which must outlive the configuration and is
 * changed. NULL, or the fault and its line in *@line (0: of the whole). */
const char *agent_bootconf_parse (AgentBootConf *conf, char *text, size_t length, unsigned *line);
