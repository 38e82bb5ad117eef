/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a tar archive will take, by its headers. IEEE Std 1003.1, "ustar Interchange Format". */
#include "view.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 512
#define SIZE_AT 124
#define SIZE_LENGTH 12
#define SUM_AT 148
#define SUM_LENGTH 8
#define TYPE_AT 156
/* A longer archive's end is judged by its beginning. */
#define HEADERS_MAX (1u << 21)

static guint64
read_octal (const guint8 *field, guint length)
{
  guint64 number = 0;
  guint first = 0;

  while (first < length && field[first] == ' ')
    first++;
  for (guint i = first; i < length && field[i] >= '0' && field[i] <= '7'; i++)
    number = number << 3 | (field[i] - '0');
  return number;
}

/* In octal digits, or where those do not hold it as GNU tar has it: a bit, and then the number. */
static guint64
read_size (const guint8 *header)
{
  const guint8 *field = header + SIZE_AT;
  guint64 number = 0;

  if ((field[0] & 0x80) == 0)
    return read_octal (field, SIZE_LENGTH);
  for (guint i = SIZE_LENGTH - 8; i < SIZE_LENGTH; i++)
    number = number << 8 | field[i];
  return number;
}

static gboolean
is_header (const guint8 *block)
{
  guint sum = SUM_LENGTH * ' ';

  for (guint i = 0; i < BLOCK; i++)
    sum += i >= SUM_AT && i < SUM_AT + SUM_LENGTH ? 0 : block[i];
  return sum > SUM_LENGTH * ' ' && sum == read_octal (block + SUM_AT, SUM_LENGTH);
}

/* '0' to '7', as before POSIX a zero, are files of all kinds; others say more of the next one. */
static gboolean
is_entry (const guint8 *header)
{
  guint8 type = header[TYPE_AT];

  return type == '\0' || type == 'S' || (type >= '0' && type <= '7');
}

void
banger_disk_measure_tar (int tar, guint64 *bytes, guint64 *entries)
{
  off_t start = lseek (tar, 0, SEEK_CUR);
  guint64 at = MAX (start, 0), left = 0;
  guint8 header[BLOCK];
  struct stat st;

  *bytes = *entries = 0;
  if (start < 0 || fstat (tar, &st) < 0 || !S_ISREG (st.st_mode) || st.st_size <= start)
    return;
  for (guint i = 0; i < HEADERS_MAX && pread (tar, header, BLOCK, at) == BLOCK; i++) {
    guint64 size = 0;

    if (!is_header (header))
      break;
    size = read_size (header);
    if (size > (guint64)st.st_size - at) /* a header of another make */
      break;
    if (is_entry (header)) {
      *bytes += size;
      *entries += 1;
    }
    at += BLOCK + (size + BLOCK - 1) / BLOCK * BLOCK;
    if (at >= (guint64)st.st_size)
      return;
  }
  /* Zeros at its end, or what is not understood, as where it is compressed. */
  left = st.st_size - at;
  *bytes += left;
  *entries += (guint64)((double)*entries * left / MAX (at - start, 1));
}
