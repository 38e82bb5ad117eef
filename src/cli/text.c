/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "text.h"

#include "common/common.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <math.h>
#include <string.h>

#define NEAR_MAX 3
#define SUGGESTED_MAX 4
/* "ESC [" and as many digits and semicolons as a sensible colour has. */
#define SGR_MAX 24
/* What sizes are less than: as bytes, offsets in files hold them. */
#define SIZE_END 0x1p63
#define SIZE_LAST "8388607T"

/* Unprintable, or able to reorder or break a line: Unicode categories Cc, Cf, Cn, Cs, Zl, Zp. */
gboolean
banger_text_is_safe (gunichar c)
{
  GUnicodeType type = g_unichar_type (c);

  return g_unichar_isprint (c) && type != G_UNICODE_LINE_SEPARATOR
         && type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

static void
append_char (GString *out, const char *bytes, gunichar c, gsize length)
{
  if (banger_text_is_safe (c))
    g_string_append_len (out, bytes, length);
  else if (c < 0x80)
    g_string_append_printf (out, "\\x%02x", c);
  else
    g_string_append_printf (out, "\\u{%04x}", c);
}

/* Length of the character at @bytes: 0 if more bytes are needed, and @c is its value or, for a
 * byte that is none, (gunichar) -1. */
static gsize
next_char (const char *bytes, gsize length, gunichar *c)
{
  *c = g_utf8_get_char_validated (bytes, length);
  if (*c == (gunichar)-2)
    return 0;
  if (*c == (gunichar)-1)
    return 1;
  /* GLib answers 0 both for a NUL and for no bytes at all. */
  return *c == 0 ? 1 : g_utf8_next_char (bytes) - bytes;
}

static void
append_next (GString *out, const char *bytes, gsize n, gunichar c)
{
  if (c == (gunichar)-1)
    g_string_append_printf (out, "\\x%02x", (guint8)*bytes);
  else
    append_char (out, bytes, c, n);
}

char *
banger_text_escape (const char *bytes, gssize length)
{
  GString *out = g_string_new (NULL);
  gsize rest = length < 0 ? strlen (bytes) : (gsize)length;

  while (rest > 0) {
    gunichar c;
    gsize n = next_char (bytes, rest, &c);

    if (n == 0) {
      n = 1;
      c = (gunichar)-1;
    }
    append_next (out, bytes, n, c);
    bytes += n;
    rest -= n;
  }
  return g_string_free (out, FALSE);
}

void
banger_text_filter_init (BangerTextFilter *filter)
{
  filter->pending = g_string_new (NULL);
}

void
banger_text_filter_clear (BangerTextFilter *filter)
{
  g_string_free (filter->pending, TRUE);
  filter->pending = NULL;
}

/* Length of the colour sequence at @bytes; 0 if it is none; -1 if it may become one. */
static gssize
colour_length (const char *bytes, gsize length)
{
  gsize n = 2;

  if (bytes[0] != '\033')
    return 0;
  if (length == 1)
    return -1;
  if (bytes[1] != '[')
    return 0;
  while (n < length && n < SGR_MAX && (g_ascii_isdigit (bytes[n]) || bytes[n] == ';'))
    n++;
  if (n == length && n < SGR_MAX)
    return -1;
  return n < length && bytes[n] == 'm' ? (gssize)n + 1 : 0;
}

/* Takes one unit off the front; 0 if it is not whole yet. */
static gsize
filter_one (const char *bytes, gsize length, gboolean end, GString *out)
{
  gssize colour = colour_length (bytes, length);
  gunichar c;
  gsize n;

  if (colour > 0)
    return colour;
  if (colour < 0 && !end)
    return 0;
  if (*bytes == '\r' && length == 1 && !end)
    return 0;
  if (*bytes == '\r' && length > 1 && (bytes[1] == '\n' || bytes[1] == '\r'))
    return 1;
  if (*bytes == '\n' || *bytes == '\t') {
    g_string_append_c (out, *bytes);
    return 1;
  }
  n = next_char (bytes, length, &c);
  if (n == 0 && !end)
    return 0;
  append_next (out, bytes, MAX (n, 1), n == 0 ? (gunichar)-1 : c);
  return MAX (n, 1);
}

void
banger_text_filter_push (BangerTextFilter *filter, const char *bytes, gsize length, gboolean end,
                         GString *out)
{
  gsize done = 0;

  g_string_append_len (filter->pending, bytes, length);
  while (done < filter->pending->len) {
    gsize n = filter_one (filter->pending->str + done, filter->pending->len - done, end, out);

    if (n == 0)
      break;
    done += n;
  }
  g_string_erase (filter->pending, 0, done);
}

static gboolean
unit_factor (const char *unit, double *factor)
{
  static const char letters[] = "KMGT";
  const char *at = *unit != '\0' ? strchr (letters, g_ascii_toupper (*unit)) : NULL;
  int power = 0;

  if (*unit == '\0' || strcmp (unit, "B") == 0) {
    *factor = 1;
    return TRUE;
  }
  if (at == NULL)
    return FALSE;
  power = at - letters + 1;
  if (unit[1] == '\0' || strcmp (unit + 1, "iB") == 0)
    *factor = pow (1024, power);
  else if (strcmp (unit + 1, "B") == 0)
    *factor = pow (1000, power);
  else
    return FALSE;
  return TRUE;
}

gboolean
banger_text_is_number (const char *text)
{
  return *text != '\0' && text[strspn (text, "0123456789")] == '\0';
}

gboolean
banger_text_parse_size (const char *text, guint64 *bytes, GError **error)
{
  g_autofree char *shown = banger_text_escape (text, -1);
  char *end = NULL;
  double factor = 0, number = 0;
  gboolean is_large = FALSE;

  /* g_ascii_strtod also takes signs, spaces, hexadecimal, "inf" and "nan": a size begins with a
   * digit and has only digits and a point before its unit. */
  if (g_ascii_isdigit (*text) && strspn (text, "0123456789.") > 0
      && g_ascii_tolower (text[1]) != 'x') {
    number = g_ascii_strtod (text, &end);
    if (end == text + strspn (text, "0123456789.")) {
      while (*end == ' ')
        end++;
      if (unit_factor (end, &factor) && (factor > 1 || number == floor (number))
          && number * factor >= 1 && number * factor < SIZE_END) {
        *bytes = (guint64)(number * factor);
        return TRUE;
      }
      is_large = number * factor >= SIZE_END;
    }
  }
  if (is_large) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("'%s' is too large: a size is at most %s"), shown, SIZE_LAST);
    return FALSE;
  }
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                    _ ("write a number with K, M, G or T, such as 512M or 4G"),
                    _ ("'%s' is not a size"), shown);
  return FALSE;
}

char *
banger_text_size (guint64 bytes)
{
  static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
  double value = bytes;
  guint unit = 0;

  while (value >= 1024 && unit + 1 < G_N_ELEMENTS (units)) {
    value /= 1024;
    unit++;
  }
  if (value >= 10 || value == floor (value))
    return g_strdup_printf ("%.0f %s", value, units[unit]);
  return g_strdup_printf ("%.1f %s", value, units[unit]);
}

char *
banger_text_duration (guint64 usec)
{
  double seconds = usec / 1e6;

  if (seconds < 1)
    return g_strdup_printf (_ ("%.2f s"), seconds);
  if (seconds < 100)
    return g_strdup_printf (_ ("%.1f s"), seconds);
  return g_strdup_printf (_ ("%d min %d s"), (int)(seconds / 60), (int)seconds % 60);
}

char *
banger_text_age (guint64 seconds)
{
  if (seconds < 60)
    return g_strdup_printf (_ ("%d s"), (int)seconds);
  if (seconds < 2 * 3600)
    return g_strdup_printf (_ ("%d min"), (int)(seconds / 60));
  if (seconds < 48 * 3600)
    return g_strdup_printf (_ ("%d h"), (int)(seconds / 3600));
  return g_strdup_printf (_ ("%d d"), (int)MIN (seconds / 86400, G_MAXINT));
}

char *
banger_text_time (guint64 utc_seconds)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (utc_seconds);

  /* NULL past the year 9999: such a time is not one that we wrote. */
  return time != NULL ? g_date_time_format (time, "%Y-%m-%dT%H:%M:%SZ") : g_strdup ("");
}

char *
banger_text_time_us (guint64 utc_usec)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (utc_usec / G_USEC_PER_SEC);
  g_autofree char *whole = NULL;

  if (time == NULL)
    return g_strdup ("");
  whole = g_date_time_format (time, "%Y-%m-%dT%H:%M:%S");
  return g_strdup_printf ("%s.%06dZ", whole, (int)(utc_usec % G_USEC_PER_SEC));
}

char *
banger_text_pair (const char *key, const char *value)
{
  g_autofree char *pair = g_strdup_printf ("%s=%s", key, value);

  if (strpbrk (pair, " \t\n'\"\\") == NULL)
    return g_steal_pointer (&pair);
  return g_shell_quote (pair);
}

guint
banger_text_distance (const char *a, const char *b)
{
  gsize n = strlen (a), m = strlen (b), width = m + 1;
  g_autofree guint *cost = g_new (guint, (n + 1) * width);

  /* Optimal string alignment: each row needs the two before it. */
  for (gsize i = 0; i <= n; i++) {
    for (gsize j = 0; j <= m; j++) {
      guint best = i == 0 ? j : j == 0 ? i : G_MAXUINT;

      if (i > 0 && j > 0) {
        best = cost[(i - 1) * width + j - 1] + (a[i - 1] != b[j - 1]);
        best = MIN (best, cost[(i - 1) * width + j] + 1);
        best = MIN (best, cost[i * width + j - 1] + 1);
      }
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        best = MIN (best, cost[(i - 2) * width + j - 2] + 1);
      cost[i * width + j] = best;
    }
  }
  return cost[n * width + m];
}

GStrv
banger_text_near (const char *word, const char *const *known)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  /* The dashes of an option are no letters that somebody got right. */
  gsize length = strlen (word + strspn (word, "-"));
  guint limit = CLAMP (length / 3, 1, 3), found = 0;

  if (length > 2 * BANGER_NAME_MAX)
    return g_strv_builder_end (builder);
  for (guint distance = 0; distance <= limit; distance++) {
    for (guint i = 0; known != NULL && known[i] != NULL && found < NEAR_MAX; i++) {
      /* A word that shares no letter with what it is to stand for is no help. */
      if (banger_text_distance (word, known[i]) == distance && distance < strlen (known[i])) {
        g_strv_builder_add (builder, known[i]);
        found++;
      }
    }
  }
  return g_strv_builder_end (builder);
}

GStrv
banger_text_begun (const char *word, const char *const *known)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  guint found = 0;

  /* One letter begins too much to say anything. */
  for (guint i = 0; strlen (word) > 1 && known[i] != NULL; i++) {
    if (!g_str_has_prefix (known[i], word))
      continue;
    if (++found > SUGGESTED_MAX)
      return g_new0 (char *, 1);
    g_strv_builder_add (builder, known[i]);
  }
  return g_strv_builder_end (builder);
}

char *
banger_text_suggest (const char *const *words)
{
  switch (g_strv_length ((GStrv)words)) {
  case 0:
    return NULL;
  case 1:
    return g_strdup_printf (_ ("did you mean '%s'?"), words[0]);
  case 2:
    return g_strdup_printf (_ ("did you mean '%s' or '%s'?"), words[0], words[1]);
  case 3:
    return g_strdup_printf (_ ("did you mean '%s', '%s' or '%s'?"), words[0], words[1], words[2]);
  default:
    return g_strdup_printf (_ ("did you mean '%s', '%s', '%s' or '%s'?"), words[0], words[1],
                            words[2], words[3]);
  }
}

char *
banger_text_did_you_mean (const char *word, const char *const *known)
{
  g_auto (GStrv) near = banger_text_near (word, known);

  return banger_text_suggest ((const char *const *)near);
}
