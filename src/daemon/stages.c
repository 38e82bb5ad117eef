/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stages.h"

#define STAGES(...)     \
  (const char *const[]) \
  {                     \
    __VA_ARGS__, NULL   \
  }

static const struct {
  const char *kind;
  const char *const *stages;
} table[] = {
  { "create",
    STAGES ("admitted", "disks", "kernel", "monitor", "vmm", "booting", "agent", "healthy") },
  { "start", STAGES ("admitted", "kernel", "monitor", "vmm", "booting", "agent", "healthy") },
  { "stop", STAGES ("asking", "button", "ending", "killing", "released") },
  { "restart", STAGES ("asking", "button", "ending", "killing", "kernel", "monitor", "vmm",
                       "booting", "agent", "healthy") },
  { "pause", STAGES ("pausing") },
  { "resume", STAGES ("resuming") },
  { "set", STAGES ("checking", "growing", "applied") },
  { "kill", STAGES ("ending", "released") },
  { "delete", STAGES ("ending", "released", "removed") },
  { "import-image", STAGES ("receiving", "mkfs", "writing", "seed", "checking", "stored") },
  { "register-image", STAGES ("receiving", "mkfs", "writing", "seed", "checking", "stored") },
  { "export-image", STAGES ("writing") },
  { "import-kernel", STAGES ("receiving", "extracting", "modules", "checking", "stored") },
  { "read-files", STAGES ("reading") },
  { "edit-files", STAGES ("editing", "seed") },
  { "delete-image", STAGES ("removed") },
  { "delete-kernel", STAGES ("removed") },
};

const char *const *
banger_stages_of (const char *kind)
{
  for (guint i = 0; i < G_N_ELEMENTS (table); i++) {
    if (g_strcmp0 (table[i].kind, kind) == 0)
      return table[i].stages;
  }
  return NULL;
}

int
banger_stage_index (const char *kind, const char *stage)
{
  const char *const *stages = banger_stages_of (kind);

  for (int i = 0; stages != NULL && stages[i] != NULL; i++) {
    if (g_strcmp0 (stages[i], stage) == 0)
      return i;
  }
  return -1;
}

const char *const *
banger_stage_kinds (void)
{
  static const char *kinds[G_N_ELEMENTS (table) + 1];

  for (guint i = 0; i < G_N_ELEMENTS (table); i++)
    kinds[i] = table[i].kind;
  return kinds;
}
