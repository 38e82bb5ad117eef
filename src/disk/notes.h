/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people should know of a tree that was read: a few lines, and how many more there were. */
#pragma once

#include <glib.h>

typedef struct {
  GPtrArray *lines;
  guint more;
} BangerDiskNotes;

void banger_disk_notes_init (BangerDiskNotes *notes);
/* @path: as it is in the tree; NULL for a note on all of it. */
void banger_disk_notes_add (BangerDiskNotes *notes, const char *path, const char *text);
/* All of them, never NULL. The notes are then of no more use. */
char **banger_disk_notes_take (BangerDiskNotes *notes);
