/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fstab.h"

#include <string.h>

#define MARK "# banger: "

static gboolean
begins_with (const char *text, gsize length, const char *prefix)
{
  return length >= strlen (prefix) && g_ascii_strncasecmp (text, prefix, strlen (prefix)) == 0;
}

/* The first field, as mount(8) takes it. */
static gboolean
names_device (const char *line, gsize length)
{
  static const char *const devices[]
      = { "/dev/", "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID=" };

  while (length > 0 && (*line == ' ' || *line == '\t')) {
    line++;
    length--;
  }
  if (length > 0 && *line == '"') { /* as in LABEL="my disk", and before it */
    line++;
    length--;
  }
  for (guint i = 0; i < G_N_ELEMENTS (devices); i++) {
    if (begins_with (line, length, devices[i]))
      return TRUE;
  }
  return FALSE;
}

GString *
banger_fstab_without_devices (const char *text, gsize length, guint *count)
{
  g_autoptr (GString) out = g_string_sized_new (length + 256);

  *count = 0;
  while (length > 0) {
    const char *end = memchr (text, '\n', length);
    gsize line = end != NULL ? (gsize)(end - text) + 1 : length;

    if (names_device (text, line)) {
      g_string_append (out, MARK);
      ++*count;
    }
    g_string_append_len (out, text, line);
    text += line;
    length -= line;
  }
  return *count > 0 ? g_steal_pointer (&out) : NULL;
}
