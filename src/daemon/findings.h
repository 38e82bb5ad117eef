/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What doctor.c puts together: one finding a question about the host. All of these may block and
 * run in any thread. */
#pragma once

#include "common/common.h"

typedef enum {
  BANGER_FINDING_OK,
  BANGER_FINDING_WARNING, /* all works, something less well */
  BANGER_FINDING_ERROR,   /* some operation is refused */
} BangerFindingStatus;

/* Adds to an array of type aa{sv}. @fix may be NULL. The texts are UTF-8. */
void banger_finding_add (GVariantBuilder *findings, const char *id, BangerFindingStatus status,
                         const char *found, const char *why, const char *fix);

/* As above, but leaves the dictionary open for more keys: g_variant_builder_close() ends it. */
void banger_finding_open (GVariantBuilder *findings, const char *id, BangerFindingStatus status,
                          const char *found, const char *why, const char *fix);

/* The command that installs the package which this host's distribution has @program in. */
char *banger_fix_install (const char *program);

/* kvm, qemu, vhost-vsock and, in session mode, passt: what `banger-vmm --probe` found by running
 * them. */
void banger_findings_add_vmm (GVariantBuilder *findings, BangerMode mode);
/* mke2fs, e2fsck, resize2fs and firecracker. */
void banger_findings_add_programs (GVariantBuilder *findings);
/* landlock and seccomp: without them no worker touches a byte. */
void banger_findings_add_sandbox (GVariantBuilder *findings);
/* disk-space, where so many bytes are available to the service. */
void
banger_findings_add_disk (GVariantBuilder *findings, guint64 available, const char *state_path);
/* disk-space, of the file system that holds @state_path, and memory. */
void banger_findings_add_room (GVariantBuilder *findings, const char *state_path);
