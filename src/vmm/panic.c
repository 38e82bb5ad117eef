/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "panic.h"

#include <string.h>

#define MARK "Kernel panic - not syncing"

/* Behind what the kernel puts before each line: a time, and with some settings who calls, as in
 * "[    1.234567][    T1] ". */
static const char *
skip_prefix (const char *line)
{
  while (*line == '[') {
    gsize n = strspn (line + 1, " 0123456789.TC");

    if (line[1 + n] != ']')
      return line;
    line += n + 2;
    line += strspn (line, " ");
  }
  return line;
}

static void
take_byte (BangerPanicWatch *self, char byte)
{
  if (byte == '\n' || byte == '\r') {
    self->length = 0;
    return;
  }
  if (self->length == sizeof self->line - 1)
    return;
  self->line[self->length++] = byte;
  self->line[self->length] = '\0';
  if (byte == MARK[sizeof MARK - 2] && g_str_equal (skip_prefix (self->line), MARK)) {
    self->seen = TRUE;
    self->since = 0;
  }
}

void
banger_panic_watch_take (BangerPanicWatch *self, const guint8 *bytes, gsize length)
{
  for (gsize i = 0; i < length; i++) {
    self->since++;
    take_byte (self, (char)bytes[i]);
  }
}

gboolean
banger_panic_watch_is_last (const BangerPanicWatch *self)
{
  return self->seen && self->since <= BANGER_PANIC_LAST_BYTES;
}
