/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this host can do, found out by doing it, in the words of Manager.Check; the same words
 * refuse operations. The ids: kvm qemu vhost-vsock mke2fs e2fsck resize2fs passt firecracker
 * landlock seccomp disk-space memory; Check adds what versions.h says. */
#pragma once

#include "common/common.h"

#include <gio/gio.h>

/* The findings (aa{sv}, as Manager.Check documents them), looked up in a thread: calls at the same
 * time share one look. */
void banger_doctor_check_async (BangerMode mode, GCancellable *cancellable,
                                GAsyncReadyCallback callback, gpointer data);
/* Full reference. */
GVariant *banger_doctor_check_finish (GAsyncResult *result, GError **error);

/* HostNotReady with the words of the first finding in @findings that is an error and whose id is
 * one of @needs (NULL-terminated); TRUE if there is none. */
gboolean banger_doctor_preflight (GVariant *findings, const char *const *needs, GError **error);
/* Whether the finding with @id is one of @findings, and ok. */
gboolean banger_doctor_has (GVariant *findings, const char *id);
/* What was found of @id, for people; NULL if nothing was looked at. */
char *banger_doctor_found (GVariant *findings, const char *id);
