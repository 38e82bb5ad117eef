/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Host keys of guests, in a file of banger's own. Entries are made for the VM's id, so that a VM
 * made anew under the same name is another host; those of VMs that are gone are taken out.
 */
#pragma once

#include <glib.h>

/* $XDG_STATE_HOME/banger/known_hosts. */
char *banger_known_hosts_path (void);
/* What the VM with this id is called there. Each bus has VMs of its own. */
char *banger_known_hosts_alias (const char *id, gboolean session);

/* Has @text an entry of @alias? */
gboolean banger_known_hosts_has (const char *text, const char *alias);
/* @text without the entries of VMs of this bus that are not in @ids; NULL if all may stay. Other
 * lines are left as they are. */
char *banger_known_hosts_prune (const char *text, const char *const *ids, gboolean session);
