/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every reader through libarchive here shares. */
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <glib.h>

#define BANGER_ARCHIVE_BLOCK 65536

typedef struct archive BangerArchive;

static inline void
banger_archive_free (BangerArchive *archive)
{
  archive_read_free (archive);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerArchive, banger_archive_free)
