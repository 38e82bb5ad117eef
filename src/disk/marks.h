/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What somebody gave that is not what was asked for, by what it begins with: for errors only, which
 * say what it is and what to do with it.
 */
#pragma once

#include <glib.h>

/* As much as banger_marks_find() looks at. */
#define BANGER_MARKS_HEAD 4096

typedef enum {
  BANGER_MARKS_UNKNOWN,
  BANGER_MARKS_ARCHIVE,      /* a tar archive, plain */
  BANGER_MARKS_COMPRESSED,   /* an archive or a disk image */
  BANGER_MARKS_DISK,         /* one that banger reads, or an ext file system */
  BANGER_MARKS_FOREIGN_DISK, /* in a format that banger does not read */
} BangerMarksKind;

/* What begins with the @length bytes @head, as a cause: "it is a qcow2 disk image"; NULL where that
 * is not known. */
const char *banger_marks_find (const guint8 *head, gsize length, BangerMarksKind *kind);

#define BANGER_HINT_CONVERT "convert it: qemu-img convert -O qcow2 FILE disk.qcow2"
