/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images that are there: read, checked, copied, made larger; and empty ones. */
#pragma once

#include "common/common.h"

/* Copies the tree at @path of @image into a fresh ext4 in the empty file @copy, which the
 * caller syncs; an empty one of mode 0700 if there is no such directory. */
gboolean
banger_disk_copy_tree (int image, const char *path, int copy, const char *label, GError **error);
/* Reads it all (e2fsck -fn): BadImage with what is wrong, if anything is. */
gboolean banger_disk_check (int image, GError **error);
/* Makes the empty file @copy the same as @source: shares its blocks where the file system can
 * (@shared, may be NULL), else copies what is not hole. */
gboolean banger_disk_clone (int source, int copy, gboolean *shared, GError **error);
/* Makes a file system that nobody uses as large as @size_bytes (never smaller) and gives it a
 * journal if it has none. */
gboolean banger_disk_grow (int image, guint64 size_bytes, GError **error);
/* An empty ext4 of @size_bytes in the empty file @image, which takes next to no room. */
gboolean banger_disk_make_empty (int image, const char *label, guint64 size_bytes, GError **error);
