/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A field of /proc/meminfo, such as "MemAvailable", in bytes; 0 where it is not told. Source:
 * proc_meminfo(5). */
guint64 banger_meminfo (const char *field);
