/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The records of a pax header. */
#pragma once

#include "tar.h"

typedef struct {
  char *text; /* what all else points into */
  const char *path;
  const char *link;
  const char *sparse_name;
  bool has_size;
  bool has_uid;
  bool has_gid;
  bool has_mtime;
  bool sparse; /* GNU's format 1.0 */
  bool has_real_size;
  uint64_t size;
  uint64_t uid;
  uint64_t gid;
  uint64_t real_size;
  struct timespec mtime;
  AgentTarXattr xattrs[AGENT_TAR_XATTRS_MAX];
  unsigned n_xattrs;
} AgentTarPax;

/* Takes @text of @length bytes, with room for one more. NULL, or what is wrong. */
const char *agent_tar_pax_parse (AgentTarPax *pax, char *text, size_t length);
/* Owners, time and extended attributes. */
void agent_tar_pax_apply (const AgentTarPax *pax, AgentTarEntry *entry);
void agent_tar_pax_clear (AgentTarPax *pax);
