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

/* The record at the start of @records, which moves behind it; without bytes where it has no key.
 * FALSE where there is no record. */
static gboolean
take_record (Slice *records, Slice *key, Slice *value)
{
  const Slice whole = *records;
  const guint8 *text = NULL, *equals = NULL;
  guint64 length = 0;
  gsize used = 0;

  *key = *value = (Slice){ 0 };
  if (!take_number (records, RECORDS_MAX, &length) || length > whole.length)
    return FALSE;
  used = records->bytes - whole.bytes;
  if (length < used + 2 || *records->bytes != ' ' || whole.bytes[length - 1] != '\n')
    return FALSE;
  records->bytes = whole.bytes + length;
  records->length = whole.length - length;
  text = whole.bytes + used + 1;
  length -= used + 2; /* without the space and the end of the line */
  equals = memchr (text, '=', length);
  if (equals == NULL)
    return TRUE;
  *key = (Slice){ text, equals - text };
  *value = (Slice){ equals + 1, length - key->length - 1 };
  return TRUE;
}

static gboolean
is_key (Slice key, const char *name)
{
  return key.length == strlen (name) && memcmp (key.bytes, name, key.length) == 0;
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

/* What a record says, into @found; UNSEEN where that is odd. */
typedef BangerPaxResult (*RecordFunc) (Slice key, Slice value, gpointer found);

/* The last one counts, as libarchive has it. */
static gboolean
find_in_records (Slice records, RecordFunc func, gpointer found, BangerPaxResult *result)
{
  Slice key, value;

  while (records.length > 0) {
    BangerPaxResult one = BANGER_PAX_ABSENT;

    if (!take_record (&records, &key, &value))
      return FALSE;
    if (key.bytes != NULL)
      one = func (key, value, found);
    if (one == BANGER_PAX_UNSEEN)
      return FALSE;
    if (one == BANGER_PAX_FOUND)
      *result = one;
  }
  return TRUE;
}

/* In the headers of type @wanted that come before an entry. @type: of the last header that was
 * looked at, the entry's own but where it is UNSEEN. */
static BangerPaxResult
find (guint64 offset, BangerPaxRecall recall, gpointer data, char wanted, RecordFunc func,
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
    if (*type == wanted) {
      records = recall (offset, size, data);
      if (records == NULL || !find_in_records ((Slice){ records, size }, func, found, &result))
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

static BangerPaxResult
take_time (Slice key, Slice value, gpointer found)
{
  Time *time = found;

  if (!is_key (key, "mtime"))
    return BANGER_PAX_ABSENT;
  return parse_time (value, &time->seconds, &time->nsec) ? BANGER_PAX_FOUND : BANGER_PAX_UNSEEN;
}

BangerPaxResult
banger_pax_find_mtime (guint64 offset, BangerPaxRecall recall, gpointer data, gint64 *seconds,
                       guint32 *nsec)
{
  Time time = { 0 };
  char type = '\0';
  BangerPaxResult result = find (offset, recall, data, 'x', take_time, &time, &type);

  if (result == BANGER_PAX_FOUND) {
    *seconds = time.seconds;
    *nsec = time.nsec;
  }
  return result;
}

static BangerPaxResult
take_path (Slice key, Slice value, gpointer found)
{
  char **path = found;

  if (!is_key (key, "linkpath"))
    return BANGER_PAX_ABSENT;
  if (value.length == 0 || value.length > PATH_BYTES_MAX
      || memchr (value.bytes, '\0', value.length) != NULL)
    return BANGER_PAX_UNSEEN;
  g_free (*path);
  *path = g_strndup ((const char *)value.bytes, value.length);
  return BANGER_PAX_FOUND;
}

char *
banger_pax_find_link (guint64 offset, BangerPaxRecall recall, gpointer data, char *type)
{
  g_autofree char *path = NULL;

  return find (offset, recall, data, 'x', take_path, &path, type) == BANGER_PAX_FOUND
             ? g_steal_pointer (&path)
             : NULL;
}

/* Which the records of an entry say nothing of that we keep, either. */
static gboolean
is_idle (Slice key)
{
  static const char *const idle[]
      = { "comment", "atime", "ctime", "uname", "gname", "charset", "hdrcharset" };

  for (guint i = 0; i < G_N_ELEMENTS (idle); i++) {
    if (is_key (key, idle[i]))
      return TRUE;
  }
  return FALSE;
}

/* An empty value takes back what an earlier header says. */
static BangerPaxResult
take_global (Slice key, Slice value, gpointer found)
{
  BangerPaxGlobals *globals = found;
  const gboolean is_uid = is_key (key, "uid"), is_mtime = is_key (key, "mtime");
  guint bit = is_uid ? BANGER_PAX_UID : is_mtime ? BANGER_PAX_MTIME : BANGER_PAX_GID;
  guint64 number = 0;

  if (!is_uid && !is_mtime && !is_key (key, "gid")) {
    globals->others |= !is_idle (key);
    return BANGER_PAX_FOUND;
  }
  globals->what &= ~bit;
  if (value.length == 0)
    return BANGER_PAX_FOUND;
  if (is_mtime && !parse_time (value, &globals->mtime, &globals->mtime_nsec))
    return BANGER_PAX_UNSEEN;
  if (!is_mtime && (!take_number (&value, G_MAXUINT32, &number) || value.length > 0))
    return BANGER_PAX_UNSEEN;
  if (!is_mtime)
    *(is_uid ? &globals->uid : &globals->gid) = (guint32)number;
  globals->what |= bit;
  return BANGER_PAX_FOUND;
}

void
banger_pax_take_globals (guint64 offset, BangerPaxRecall recall, gpointer data,
                         BangerPaxGlobals *globals)
{
  char type = '\0';

  if (find (offset, recall, data, 'g', take_global, globals, &type) == BANGER_PAX_UNSEEN)
    globals->others |= type == 'g';
}

static BangerPaxResult
take_own (Slice key, Slice value, gpointer found)
{
  guint *own = found;

  if (is_key (key, "uid"))
    *own |= BANGER_PAX_UID;
  if (is_key (key, "gid"))
    *own |= BANGER_PAX_GID;
  if (is_key (key, "mtime"))
    *own |= BANGER_PAX_MTIME;
  return BANGER_PAX_FOUND;
}

gboolean
banger_pax_find_own (guint64 offset, BangerPaxRecall recall, gpointer data, guint *own)
{
  char type = '\0';

  *own = 0;
  return find (offset, recall, data, 'x', take_own, own, &type) != BANGER_PAX_UNSEEN;
}
