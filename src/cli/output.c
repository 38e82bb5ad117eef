/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "output.h"

#include "text.h"

#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

BangerExit
banger_output_status (const GError *error)
{
  static const BangerExit statuses[BANGER_N_ERRORS] = {
    [BANGER_ERROR_FAILED] = BANGER_EXIT_FAILED,
    [BANGER_ERROR_NOT_FOUND] = BANGER_EXIT_NOT_FOUND,
    [BANGER_ERROR_EXISTS] = BANGER_EXIT_CONFLICT,
    [BANGER_ERROR_INVALID_ARGUMENT] = BANGER_EXIT_USAGE,
    [BANGER_ERROR_BUSY] = BANGER_EXIT_CONFLICT,
    [BANGER_ERROR_WRONG_STATE] = BANGER_EXIT_CONFLICT,
    [BANGER_ERROR_NOT_AUTHORIZED] = BANGER_EXIT_NOT_AUTHORIZED,
    [BANGER_ERROR_NOT_AUTHORIZED_CAN_OBTAIN] = BANGER_EXIT_NOT_AUTHORIZED,
    [BANGER_ERROR_NOT_AUTHORIZED_DISMISSED] = BANGER_EXIT_NOT_AUTHORIZED,
    [BANGER_ERROR_NOT_SUPPORTED] = BANGER_EXIT_FAILED,
    [BANGER_ERROR_HOST_NOT_READY] = BANGER_EXIT_HOST_NOT_READY,
    [BANGER_ERROR_NO_SPACE] = BANGER_EXIT_FAILED,
    [BANGER_ERROR_BAD_IMAGE] = BANGER_EXIT_FAILED,
    [BANGER_ERROR_TIMEOUT] = BANGER_EXIT_TIMEOUT,
    [BANGER_ERROR_CANCELLED] = BANGER_EXIT_INTERRUPTED,
    [BANGER_ERROR_INTERRUPTED] = BANGER_EXIT_FAILED,
    [BANGER_ERROR_GUEST_UNREACHABLE] = BANGER_EXIT_FAILED,
  };

  if (error->domain != BANGER_ERROR || error->code < 0 || error->code >= BANGER_N_ERRORS)
    return BANGER_EXIT_FAILED;
  if (g_strcmp0 (banger_error_stage (error), BANGER_STAGE_CONNECT) == 0)
    return BANGER_EXIT_UNREACHABLE;
  return statuses[error->code];
}

static void
append_labelled (GString *text, const char *label, const char *value)
{
  g_autofree char *shown = NULL;

  if (value == NULL || *value == '\0')
    return;
  shown = banger_text_escape (value, -1);
  g_string_append_printf (text, "  %s %s\n", label, shown);
}

char *
banger_output_error_text (const GError *error)
{
  g_autofree char *message = banger_text_escape (error->message, -1);
  GString *text = g_string_new (NULL);

  g_string_append_printf (text, "banger: %s\n", message);
  append_labelled (text, _ ("cause:"), banger_error_cause (error));
  append_labelled (text, _ ("hint:"), banger_error_hint (error));
  return g_string_free (text, FALSE);
}

void
banger_output_error (const GError *error)
{
  g_autofree char *text = banger_output_error_text (error);

  g_printerr ("%s", text);
}

gboolean
banger_output_tells_people (gboolean document)
{
  return !document || (isatty (STDERR_FILENO) && !isatty (STDOUT_FILENO));
}

char *
banger_output_error_document (const GError *error, BangerFormat format)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();
  g_autoptr (GVariant) dictionary = g_variant_ref_sink (banger_error_to_variant (error));

  g_autoptr (JsonNode) document = NULL;

  banger_json_error (json, "error", dictionary);
  document = banger_json_end (json);
  return banger_document_format (document, format);
}

gboolean
banger_output_has_colour (int fd)
{
  const char *no_colour = g_getenv ("NO_COLOR");

  return isatty (fd) && (no_colour == NULL || *no_colour == '\0')
         && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;
}

void
banger_output_line (const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_print ("%s\n", text);
}

struct _BangerTable {
  GPtrArray *rows; /* of GStrv */
};

BangerTable *
banger_table_new (const char *const *headers)
{
  BangerTable *table = g_new0 (BangerTable, 1);

  table->rows = g_ptr_array_new_with_free_func ((GDestroyNotify)g_strfreev);
  if (headers != NULL)
    g_ptr_array_add (table->rows, g_strdupv ((char **)headers));
  return table;
}

void
banger_table_free (BangerTable *table)
{
  g_ptr_array_unref (table->rows);
  g_free (table);
}

void
banger_table_add (BangerTable *table, char *first, ...)
{
  g_autoptr (GPtrArray) row = g_ptr_array_new ();
  va_list args;

  va_start (args, first);
  for (char *cell = first; cell != NULL; cell = va_arg (args, char *)) {
    g_ptr_array_add (row, banger_text_escape (cell, -1));
    g_free (cell);
  }
  va_end (args);
  g_ptr_array_add (row, NULL);
  g_ptr_array_add (table->rows, g_ptr_array_steal (row, NULL));
}

void
banger_table_add_row (BangerTable *table, GStrv cells)
{
  for (guint i = 0; cells[i] != NULL; i++) {
    char *cell = cells[i];

    cells[i] = banger_text_escape (cell, -1);
    g_free (cell);
  }
  g_ptr_array_add (table->rows, cells);
}

/* Columns on a terminal; combining marks take none, East Asian wide characters two. */
static guint
display_width (const char *text)
{
  guint width = 0;

  for (const char *p = text; *p != '\0'; p = g_utf8_next_char (p)) {
    gunichar c = g_utf8_get_char (p);

    if (!g_unichar_iszerowidth (c))
      width += g_unichar_iswide (c) ? 2 : 1;
  }
  return width;
}

char *
banger_table_format (BangerTable *table)
{
  g_autoptr (GArray) widths = g_array_new (FALSE, TRUE, sizeof (guint));
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < table->rows->len; i++) {
    GStrv row = g_ptr_array_index (table->rows, i);

    for (guint j = 0; row[j] != NULL; j++) {
      if (j >= widths->len)
        g_array_set_size (widths, j + 1);
      g_array_index (widths, guint, j)
          = MAX (g_array_index (widths, guint, j), display_width (row[j]));
    }
  }
  for (guint i = 0; i < table->rows->len; i++) {
    GStrv row = g_ptr_array_index (table->rows, i);

    for (guint j = 0; row[j] != NULL; j++) {
      guint pad = g_array_index (widths, guint, j) - display_width (row[j]);

      g_string_append (text, row[j]);
      if (row[j + 1] != NULL)
        g_string_append_printf (text, "%*s", (int)pad + 2, "");
    }
    g_string_append_c (text, '\n');
  }
  return g_string_free (text, FALSE);
}

void
banger_table_print (BangerTable *table)
{
  g_autofree char *text = banger_table_format (table);

  g_print ("%s", text);
}
