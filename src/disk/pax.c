/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IEEE Std 1003.1, "pax Interchange Format". What is odd is left to libarchive, which has judged
 * the archive by then. */
#include "pax.h"

#include <string.h>

#define BLOCK 512
#define SIZE_AT 124
#define SIZE_LENGTH 12
#define TYPE_AT 156
#define NSEC 1000000000u
/* The headers before an entry's own: at most a global one, its own records, and GNU's long names.
 */
#define HEADERS_MAX 8
#define RECORDS_MAX (1u << 20)
#define PATH_BYTES_MAX 4095 /* PATH_MAX without its NUL */

typedef struct {
  const guint8 *bytes;
  gsize length;
} Slice;

/* A number of decimal digits at the start of @text, which moves behind it; FALSE without one, or
 * past @most. */
static gboolean
take_number (Slice *text, guint64 most, guint64 *number)
{
  gsize digits = 0;

  *number = 0;
  while (digits < text->length && g_ascii_isdigit (text->bytes[digits])) {
    *number = *number * 10 + (text->bytes[digits++] - '0');
    if (*number > most)
      return FALSE;
  }
  text->bytes += digits;
  text->length -= digits;
  return digits > 0;
}

/* The value of the record at the start of @records, which moves behind it, if its key is @key: its
 * bytes are NULL otherwise. FALSE where there is no record. */
static gboolean
take_record (Slice *records, const char *key, Slice *value)
{
  const Slice whole = *records;
  gsize key_length = strlen (key), used = 0;
  guint64 length = 0;

  *value = (Slice){ 0 };
  if (!take_number (records, RECORDS_MAX, &length) || length > whole.length)
    return FALSE;
  used = records->bytes - whole.bytes;
  if (length < used + 2 || *records->bytes != ' ' || whole.bytes[length - 1] != '\n')
    return FALSE;
  records->bytes = whole.bytes + length;
  records->length = whole.length - length;
  used++;
  if (length - used > key_length + 1 && memcmp (whole.bytes + used, key, key_length) == 0
      && whole.bytes[used + key_length] == '=')
    *value = (Slice){ whole.bytes + used + key_length + 1, length - used - key_length - 2 };
  return TRUE;
}

/* "-1.25" is a second and a quarter before 1970. What is less than a nanosecond is rounded down. */
static gboolean
parse_time (Slice text, gint64 *seconds, guint32 *nsec)
{
  gboolean negative = text.length > 0 && text.bytes[0] == '-', has_more = FALSE;
  guint64 whole = 0;
  guint32 fraction = 0, unit = NSEC / 10;

  if (negative) {
    text.bytes++;
    text.length--;
  }
  if (!take_number (&text, G_MAXINT64 / 16, &whole))
    return FALSE;
  if (text.length > 0 && *text.bytes == '.') {
    for (gsize i = 1; i < text.length && g_ascii_isdigit (text.bytes[i]); i++, unit /= 10) {
      fraction += unit * (text.bytes[i] - '0');
      has_more |= unit == 0 && text.bytes[i] != '0';
    }
  }
  if (negative && has_more)
    fraction++;
  *seconds = negative ? -(gint64)whole : (gint64)whole;
  *nsec = fraction;
  if (negative && fraction > 0) {
    *seconds -= 1;
    *nsec = NSEC - fraction;
  }
  return TRUE;
}

static gboolean
parse_size (const guint8 *field, guint64 *size)
{
  guint i = 0;

  *size = 0;
  while (i < SIZE_LENGTH && field[i] == ' ')
    i++;
  for (; i < SIZE_LENGTH && field[i] >= '0' && field[i] <= '7'; i++)
    *size = *size * 8 + (field[i] - '0');
  return i == SIZE_LENGTH || field[i] == ' ' || field[i] == '\0';
}

/* What a record says, into @found; FALSE where it is odd. */
typedef gboolean (*TakeFunc) (Slice value, gpointer found);

/* The last one counts, as libarchive has it. */
static gboolean
find_in_records (Slice records, const char *key, TakeFunc take, gpointer found,
                 BangerPaxResult *result)
{
  Slice value;

  while (records.length > 0) {
    if (!take_record (&records, key, &value))
      return FALSE;
    if (value.bytes == NULL)
      continue;
    if (!take (value, found))
      return FALSE;
    *result = BANGER_PAX_FOUND;
  }
  return TRUE;
}

/* @type: of the entry's own header. */
static BangerPaxResult
find (guint64 offset, BangerPaxRecall recall, gpointer data, const char *key, TakeFunc take,
      gpointer found, char *type)
{
  BangerPaxResult result = BANGER_PAX_ABSENT;

  for (guint i = 0; i < HEADERS_MAX; i++) {
    const guint8 *header = recall (offset, BLOCK, data), *records = NULL;
    guint64 size = 0;

    if (header == NULL)
      return BANGER_PAX_UNSEEN;
    *type = (char)header[TYPE_AT];
    if (*type == '\0' || strchr ("xgLK", *type) == NULL)
      return result;
    if (!parse_size (header + SIZE_AT, &size) || size > RECORDS_MAX)
      return BANGER_PAX_UNSEEN;
    offset += BLOCK;
    if (*type == 'x') {
      records = recall (offset, size, data);
      if (records == NULL || !find_in_records ((Slice){ records, size }, key, take, found, &result))
        return BANGER_PAX_UNSEEN;
    }
    offset += (size + BLOCK - 1) / BLOCK * BLOCK;
  }
  return BANGER_PAX_UNSEEN;
}

typedef struct {
  gint64 seconds;
  guint32 nsec;
} Time;

static gboolean
take_time (Slice value, gpointer found)
{
  Time *time = found;

  return parse_time (value, &time->seconds, &time->nsec);
}

BangerPaxResult
banger_pax_find_mtime (guint64 offset, BangerPaxRecall recall, gpointer data, gint64 *seconds,
                       guint32 *nsec)
{
  Time time = { 0 };
  char type = '\0';
  BangerPaxResult result = find (offset, recall, data, "mtime", take_time, &time, &type);

  if (result == BANGER_PAX_FOUND) {
    *seconds = time.seconds;
    *nsec = time.nsec;
  }
  return result;
}

static gboolean
take_path (Slice value, gpointer found)
{
  char **path = found;

  if (value.length == 0 || value.length > PATH_BYTES_MAX
      || memchr (value.bytes, '\0', value.length) != NULL)
    return FALSE;
  g_free (*path);
  *path = g_strndup ((const char *)value.bytes, value.length);
  return TRUE;
}

char *
banger_pax_find_link (guint64 offset, BangerPaxRecall recall, gpointer data, char *type)
{
  g_autofree char *path = NULL;

  return find (offset, recall, data, "linkpath", take_path, &path, type) == BANGER_PAX_FOUND
             ? g_steal_pointer (&path)
             : NULL;
}
