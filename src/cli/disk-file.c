/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "disk-file.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD 2048

typedef struct {
  guint offset;
  const char *bytes;
  guint length;
} Mark;

/* What an archive begins with decides first: by chance its data may hold any other mark. */
static const Mark archives[] = {
  { 257, "ustar", 5 },
  { 0, "\x1f\x8b", 2 },
  { 0,
    "\xfd"
    "7zXZ",
    5 },
  { 0, "\x28\xb5\x2f\xfd", 4 },
  { 0, "BZh", 3 },
  { 0, "\x04\x22\x4d\x18", 4 },
  { 0, "LZIP", 4 },
};

static const Mark disks[] = {
  { 0, "QFI\xfb", 4 }, { 1080, "\x53\xef", 2 },  { 510, "\x55\xaa", 2 },
  { 0, "XFSB", 4 },    { 0, "LUKS\xba\xbe", 6 }, { 512, "LABELONE", 8 },
};

static gboolean
begins_as (const guint8 *head, const Mark *marks, gsize n)
{
  for (gsize i = 0; i < n; i++) {
    if (memcmp (head + marks[i].offset, marks[i].bytes, marks[i].length) == 0)
      return TRUE;
  }
  return FALSE;
}

gboolean
banger_file_is_disk (int fd)
{
  guint8 head[HEAD] = { 0 };
  struct stat st;

  /* From a place in its middle on it is for who reads it from there. */
  return fstat (fd, &st) == 0 && S_ISREG (st.st_mode) && lseek (fd, 0, SEEK_CUR) == 0
         && pread (fd, head, sizeof head, 0) > 0
         && !begins_as (head, archives, G_N_ELEMENTS (archives))
         && begins_as (head, disks, G_N_ELEMENTS (disks));
}
