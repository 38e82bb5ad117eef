/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What bangerd asks a monitor to start. */
#pragma once

#include "common/common.h"

typedef struct {
  char *id;
  char *name;
  guint vcpus;
  guint64 memory_bytes;
  gboolean overlay;      /* the root disk is shared and read-only, writes go to the upper disk */
  char *modules_release; /* NULL: no module disk */
  char *accelerator;     /* "kvm" or "tcg"; NULL: to be found out */
  BangerNetwork network;
  char **publish; /* ADDRESS:PORT:GUEST-PORT each; never NULL */
  guint tsc_khz;  /* rate of the host's time-stamp counter; 0: to be measured */
  /* Descriptors, -1 where there is none. */
  int kernel;
  int boot_modules;
  int modules_image;
  int root; /* the image, or without overlay the VM's own */
  int upper;
  int work;
  int run_dir;
  int console;
  int exit_record;
  int network_fd; /* the VMM's end of the network, which the monitor makes */
} BangerMachine;

/* From the message "start"; InvalidArgument for anything out of shape or bounds. */
BangerMachine *banger_machine_parse (BangerMessage *message, GError **error);
void banger_machine_free (BangerMachine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerMachine, banger_machine_free)
