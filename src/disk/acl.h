/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* POSIX ACLs as the kernel takes them in extended attributes: linux/posix_acl_xattr.h. */
#pragma once

#include <archive_entry.h>
#include <glib.h>

/* The ACL of @type (ARCHIVE_ENTRY_ACL_TYPE_ACCESS or _DEFAULT); NULL if it has no entry that the
 * mode does not already say. */
GByteArray *banger_acl_from_archive (struct archive_entry *entry, int type);
/* Whether Linux takes it: entries in their order, each that must be there once. */
gboolean banger_acl_is_valid (const guint8 *value, gsize length);
