/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "configuration.h"

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define GIB (G_GUINT64_CONSTANT (1) << 30)

BangerConfig *
banger_config_new (BangerMode mode)
{
  BangerConfig *config = g_new0 (BangerConfig, 1);

  config->vcpus = 1;
  config->memory_bytes = 512 * MIB;
  config->disk_bytes = config->work_bytes = 4 * GIB;
  config->root = BANGER_ROOT_OVERLAY;
  config->restart = BANGER_RESTART_NEVER;
  return config;
}

void
banger_config_free (BangerConfig *config)
{
  g_free (config->network);
  g_free (config->bus);
  g_free (config->progress);
  g_free (config);
}
