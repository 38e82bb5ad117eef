/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VM may have, alike for who admits it and for who starts it. */
#pragma once

#include <glib.h>

/* What QEMU's microvm machine takes (hw/i386/microvm.c: max_cpus). */
#define BANGER_VCPUS_MAX 288
#define BANGER_MEMORY_MIN (G_GUINT64_CONSTANT (64) << 20)
#define BANGER_MEMORY_MAX (G_GUINT64_CONSTANT (1) << 40)
/* Of each disk that a VM may write. The largest is what src/disk can make. */
#define BANGER_DISK_MIN (G_GUINT64_CONSTANT (16) << 20)
#define BANGER_DISK_MAX (G_GUINT64_CONSTANT (256) << 30)
/* Free on the host, without which nothing is begun. A guest's disks are sparse: this much lets a
 * small one boot. */
#define BANGER_ROOM_MIN_MIB 256
