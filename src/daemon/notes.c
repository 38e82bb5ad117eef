/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notes.h"

#include "banger-dbus.h"

#include <string.h>

#define MORE "…"

static gboolean
is_printable (gunichar c)
{
  GUnicodeType type = g_unichar_type (c);

  return g_unichar_isprint (c) && type != G_UNICODE_LINE_SEPARATOR
         && type != G_UNICODE_PARAGRAPH_SEPARATOR;
}

static void
append_character (GString *out, const char *p, const char *next)
{
  if (is_printable (g_utf8_get_char (p))) {
    g_string_append_len (out, p, next - p);
    return;
  }
  for (; p < next; p++)
    g_string_append_printf (out, "\\x%02x", (guint8)*p);
}

/* @text: UTF-8, as D-Bus strings are. */
static char *
make_note (const char *text)
{
  g_autoptr (GString) out = g_string_new (NULL);
  gsize fits = 0; /* length up to which MORE still has room */

  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p)) {
    append_character (out, p, g_utf8_next_char (p));
    if (out->len > BANGER_NOTE_BYTES) {
      g_string_truncate (out, fits);
      g_string_append (out, MORE);
      break;
    }
    if (out->len <= BANGER_NOTE_BYTES - strlen (MORE))
      fits = out->len;
  }
  return g_string_free (g_steal_pointer (&out), FALSE);
}

GStrv
banger_notes_take (GVariant *done)
{
  g_autoptr (GVariant) said = g_variant_lookup_value (done, "notes", G_VARIANT_TYPE_STRING_ARRAY);
  gsize n = said != NULL ? MIN (g_variant_n_children (said), BANGER_NOTES_MAX) : 0;
  GStrv notes = g_new0 (char *, n + 1);

  for (gsize i = 0; i < n; i++) {
    const char *text = NULL;

    g_variant_get_child (said, i, "&s", &text);
    notes[i] = make_note (text);
  }
  return notes;
}

void
banger_notes_announce (BangerService *service, BangerJob *job, GVariant *done)
{
  g_autoptr (GDBusInterface) iface = g_dbus_object_manager_get_interface (
      G_DBUS_OBJECT_MANAGER (service->objects), banger_job_path (job), BANGER_IFACE_JOB);
  g_auto (GStrv) notes = banger_notes_take (done);

  banger_dbus_job_set_notes (BANGER_DBUS_JOB (iface), (const char *const *)notes);
}
