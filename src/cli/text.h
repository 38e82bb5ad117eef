/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Words, sizes and times as people write and read them. Pure functions. */
#pragma once

#include <glib.h>

/* Whether a terminal shows it as what it is, and nothing else happens. */
gboolean banger_text_is_safe (gunichar c);
/* Makes bytes safe for a terminal, on one line: what is not printable UTF-8 becomes \xHH or
 * \u{HHHH}, line breaks too. @length -1: up to the NUL. */
char *banger_text_escape (const char *bytes, gssize length);

/* The same for a stream that comes in pieces, such as a guest's console: line breaks and tabs
 * stay, a carriage return before a line break and colours (SGR) are left out. */
typedef struct {
  GString *pending; /* the start of a character or sequence that is not whole yet */
} BangerTextFilter;
void banger_text_filter_init (BangerTextFilter *filter);
void banger_text_filter_clear (BangerTextFilter *filter);
/* Appends to @out. @end: nothing follows, so what is incomplete is escaped as it is. */
void banger_text_filter_push (BangerTextFilter *filter, const char *bytes, gsize length,
                              gboolean end, GString *out);

/* "512M", "4GiB", "1.5G", "4096": K, M, G, T (also KiB ...) are powers of 1024, kB, MB, GB, TB of
 * 1000. InvalidArgument for anything else, for 0 and for what does not fit. */
/* Whether @text is a whole number, of however many digits: one that cannot be taken is too large.
 */
gboolean banger_text_is_number (const char *text);
gboolean banger_text_parse_size (const char *text, guint64 *bytes, GError **error);

char *banger_text_size (guint64 bytes);       /* "512 MiB" */
char *banger_text_duration (guint64 usec);    /* "0.12 s", "3.4 s", "2 min 5 s" */
char *banger_text_age (guint64 seconds);      /* "5 s", "3 min", "2 h", "9 d" */
char *banger_text_time (guint64 utc_seconds); /* RFC 3339: "2026-01-02T03:04:05Z" */
char *banger_text_time_us (guint64 utc_usec); /* with six digits of fraction */

/* KEY=VALUE, quoted as in a shell where it could not be told from what stands beside it. */
char *banger_text_pair (const char *key, const char *value);

/* Number of edits (insert, remove, replace, swap neighbours) between two words. */
guint banger_text_distance (const char *a, const char *b);
/* Those of @known that @word may have meant, best first, at most three; empty if none. */
GStrv banger_text_near (const char *word, const char *const *known);
/* Those of @known that @word is the beginning of; empty if these are more than four. */
GStrv banger_text_begun (const char *word, const char *const *known);
/* "did you mean 'a' or 'b'?" of at most four words, NULL of none. */
char *banger_text_suggest (const char *const *words);
/* Likewise of those that are near, or NULL if none is. */
char *banger_text_did_you_mean (const char *word, const char *const *known);
