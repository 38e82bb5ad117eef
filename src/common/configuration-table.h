/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every key of the configuration: the one source of what is taken, printed and documented. */
#pragma once

#include "configuration.h"

typedef enum {
  BANGER_CONFIG_NUMBER,  /* guint */
  BANGER_CONFIG_SIZE,    /* guint64, whole MiB */
  BANGER_CONFIG_BOOL,    /* gboolean */
  BANGER_CONFIG_ROOT,    /* BangerRoot */
  BANGER_CONFIG_RESTART, /* BangerRestart */
  BANGER_CONFIG_WORD,    /* char *, one of words; NULL: not said */
} BangerConfigType;

typedef struct {
  const char *group;
  const char *key;
  BangerConfigType type;
  gsize offset; /* in BangerConfig */
  guint64 least, most;
  const char *words; /* with spaces between; NULL where the type has no words */
  const char *about; /* for the manual page, in English */
} BangerConfigKey;

#define BANGER_CONFIG_FILE_MAX (64u << 10)

/* Ends with { NULL }. */
extern const BangerConfigKey banger_config_keys[];

/* The value of @key in @config, as a file would say it; NULL where nothing is said. */
char *banger_config_value (const BangerConfig *config, const BangerConfigKey *key);
