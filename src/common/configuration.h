/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What people configure, as banger.conf(5) says: key files, read in this order, a later value
 * taking the place of an earlier one: `banger.conf`, then what ends in `.conf` of the folder
 * `banger.conf.d`, by name, of each of these folders:
 *
 *   system   /usr/lib/banger (banger.conf alone), /etc/banger
 *   session  the same, then $XDG_CONFIG_HOME/banger
 *
 * A key or group that is not known, or a value that is out of bounds, is InvalidArgument with file
 * and line.
 */
#pragma once

#include "errors.h"
#include "paths.h"
#include "states.h"

typedef struct {
  /* [defaults]: of new VMs */
  guint vcpus;
  guint64 memory_bytes;
  guint64 disk_bytes;
  guint64 work_bytes;
  BangerRoot root;
  BangerRestart restart;
  char *network; /* "user", "none"; NULL: user where the host can */
  /* [limits]: of each user; 0: none */
  guint vms;
  guint user_vcpus;             /* of VMs that run */
  guint64 user_memory_bytes;    /* likewise */
  guint64 user_disk_bytes;      /* that all its VMs may grow to */
  guint64 reserve_memory_bytes; /* of the host, that no VM is to take */
  guint64 reserve_disk_bytes;
  guint import_stall;   /* seconds; 0: for ever */
  gboolean publish_any; /* ports may be published on other addresses than loopback */
  /* [client] */
  char *bus;      /* "session" or "system"; NULL: not said */
  char *progress; /* as --progress; NULL: not said */
} BangerConfig;

/* All files of @mode; that none is there is no error. */
BangerConfig *banger_config_load (BangerMode mode, GError **error);
/* Takes what @text says into @config; @name is that of its file, for errors. */
gboolean banger_config_parse (BangerConfig *config, const char *name, const char *text,
                              gsize length, GError **error);
/* What holds where nothing is configured. */
BangerConfig *banger_config_new (BangerMode mode);
void banger_config_free (BangerConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerConfig, banger_config_free)

/* What holds, as a file that says it all. */
char *banger_config_print (const BangerConfig *config);
/* The manual page banger.conf(5), in roff. */
char *banger_config_man (void);
