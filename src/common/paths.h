/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where state and run-time files are, and our own programs. */
#pragma once

#include <glib.h>

typedef enum {
  BANGER_MODE_SESSION, /* the calling user's own service on the session bus */
  BANGER_MODE_SYSTEM,  /* user bangerd's service on the system bus */
} BangerMode;

/* /var/lib/banger (or systemd's $STATE_DIRECTORY); in session mode $XDG_STATE_HOME/banger. */
char *banger_state_path (BangerMode mode);
/* /run/banger (or $RUNTIME_DIRECTORY); in session mode $XDG_RUNTIME_DIR/banger, else
 * a folder of the state. */
char *banger_runtime_path (BangerMode mode);
/* The full path of one of our own programs that people do not call, such as "banger-vmm". The
 * environment's BANGER_LIBEXECDIR stands before the built-in folder: tests run what was built. */
char *banger_program_path (const char *name);
