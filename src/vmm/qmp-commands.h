/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands of QEMU as GTasks (qapi/ in QEMU's source says what they take). */
#pragma once

#include "driver.h"
#include "qmp.h"

/* A command whose answer says nothing: a boolean. */
void banger_qmp_do_async (BangerQmp *qmp, const char *command, const char *arguments,
                          GAsyncReadyCallback callback, gpointer data);
/* "query-blockstats": a BangerDiskUse of all disks together. */
void banger_qmp_disk_use_async (BangerQmp *qmp, GAsyncReadyCallback callback, gpointer data);
