/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm.h"

#include "text.h"

#include <glib/gi18n.h>
#include <string.h>

/* The last bytes of the console in a GetFailureDetails answer; NULL if there are none. */
static const char *
console_tail (GVariant *details, GVariant **holder, gsize *length)
{
  *holder = g_variant_lookup_value (details, "console-tail", G_VARIANT_TYPE_BYTESTRING);
  if (*holder == NULL)
    return NULL;
  return g_variant_get_fixed_array (*holder, length, 1);
}

static void
add_failure (JsonBuilder *json, GVariant *details)
{
  g_autoptr (GVariant) holder = NULL;
  gsize length = 0;
  const char *tail = console_tail (details, &holder, &length);

  banger_json_error (json, "failure", details);
  if (g_variant_n_children (details) == 0)
    return;
  banger_json_time (json, "failed_at", banger_props_number (details, "at"));
  if (tail != NULL) {
    g_autofree char *text = g_utf8_make_valid (tail, length);

    banger_json_string (json, "console_tail", text);
  }
}

/* What the guest wrote last, each line escaped and set apart. */
static void
print_tail (GVariant *details)
{
  g_autoptr (GVariant) holder = NULL;
  g_autoptr (GString) text = g_string_new (NULL);
  g_auto (GStrv) lines = NULL;
  BangerTextFilter filter;
  gsize length = 0;
  const char *tail = console_tail (details, &holder, &length);

  if (tail == NULL || length == 0)
    return;
  banger_text_filter_init (&filter);
  banger_text_filter_push (&filter, tail, length, TRUE, text);
  banger_text_filter_clear (&filter);
  banger_output_line (_ ("the console's last lines:"));
  lines = g_strsplit (g_strchomp (text->str), "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++)
    banger_output_line ("  | %s", lines[i]);
}

void
banger_vm_print_failure (GVariant *details)
{
  static const char *const keys[] = { "message", "cause", "hint" };

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    const char *value = banger_props_string (details, keys[i]);
    g_autofree char *shown = banger_text_escape (value, -1);

    if (*value != '\0')
      banger_output_line ("%s%s: %s", i == 0 ? "" : "  ", i == 0 ? _ ("failure") : keys[i], shown);
  }
  print_tail (details);
}

static char *
labels_line (GVariant *properties)
{
  g_autoptr (GVariant) labels
      = g_variant_lookup_value (properties, "Labels", G_VARIANT_TYPE ("a{ss}"));
  GString *text = g_string_new (NULL);
  GVariantIter iter;
  const char *key = NULL, *value = NULL;

  if (labels != NULL)
    g_variant_iter_init (&iter, labels);
  while (labels != NULL && g_variant_iter_next (&iter, "{&s&s}", &key, &value)) {
    g_autofree char *pair = banger_text_pair (key, value);

    g_string_append_printf (text, "%s%s", text->len > 0 ? " " : "", pair);
  }
  return g_string_free (text, FALSE);
}

static char *
words_line (GVariant *properties, const char *property)
{
  g_autofree const char **words = banger_props_strings (properties, property);

  return words != NULL ? g_strjoinv (" ", (char **)words) : g_strdup ("");
}

/* A row, unless there is nothing to say. Takes @text. */
static void
add_row (BangerTable *table, const char *head, char *text)
{
  g_autofree char *owned = text;

  if (*owned != '\0')
    banger_table_add (table, g_strdup (head), g_steal_pointer (&owned), NULL);
}

static void
print_fields (GVariant *p, const char *image, const char *kernel)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  guint64 started = banger_props_number (p, "StartedAt");

  banger_table_add (table, g_strdup (_ ("name:")), g_strdup (banger_props_string (p, "Name")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("id:")), g_strdup (banger_props_string (p, "Id")), NULL);
  banger_table_add (table, g_strdup (_ ("state:")), g_strdup (banger_props_string (p, "State")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("health:")), g_strdup (banger_props_string (p, "Health")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("image:")), g_strdup (image), NULL);
  banger_table_add (table, g_strdup (_ ("kernel:")), g_strdup (kernel), NULL);
  banger_table_add (table, g_strdup (_ ("backend:")),
                    g_strchomp (g_strjoin (" ", banger_props_string (p, "Backend"),
                                           banger_props_string (p, "Accelerator"), NULL)),
                    NULL);
  banger_table_add (table, g_strdup (_ ("vcpus:")),
                    g_strdup_printf ("%" G_GUINT64_FORMAT, banger_props_number (p, "Vcpus")), NULL);
  banger_table_add (table, g_strdup (_ ("memory:")),
                    banger_text_size (banger_props_number (p, "MemoryBytes")), NULL);
  banger_table_add (table, g_strdup (_ ("disk:")),
                    banger_text_size (banger_props_number (p, "DiskBytes")), NULL);
  banger_table_add (table, g_strdup (_ ("work disk:")),
                    banger_text_size (banger_props_number (p, "WorkBytes")), NULL);
  add_row (table, _ ("root:"), g_strdup (banger_props_string (p, "Root")));
  add_row (table, _ ("network:"), g_strdup (banger_props_string (p, "Network")));
  banger_table_add (table, g_strdup (_ ("addresses:")), words_line (p, "Addresses"), NULL);
  add_row (table, _ ("ports:"), words_line (p, "Published"));
  banger_table_add (table, g_strdup (_ ("labels:")), labels_line (p), NULL);
  add_row (table, _ ("restart:"), g_strdup (banger_props_string (p, "Restart")));
  add_row (table, _ ("autostart:"),
           g_strdup (banger_props_flag (p, "Autostart") ? _ ("yes") : _ ("no")));
  add_row (table, _ ("pending:"), words_line (p, "Pending"));
  add_row (table, _ ("last exit:"), g_strdup (banger_props_string (p, "LastExit")));
  banger_table_add (table, g_strdup (_ ("owner:")),
                    g_strdup_printf ("%" G_GUINT64_FORMAT, banger_props_number (p, "OwnerUid")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("created:")),
                    banger_text_time (banger_props_number (p, "CreatedAt")), NULL);
  banger_table_add (table, g_strdup (_ ("started:")),
                    started != 0 ? banger_text_time (started) : g_strdup (_ ("never")), NULL);
  banger_table_print (table);
}

/* Why it failed; NULL if it did not, or if the caller may not know. */
static GVariant *
failure_of (BangerClient *client, const char *path, GVariant *properties)
{
  g_autoptr (GVariant) reply = NULL;

  if (strcmp (banger_props_string (properties, "State"),
              banger_vm_state_to_string (BANGER_VM_FAILED))
      != 0)
    return NULL;
  reply = banger_client_call (client, path, BANGER_IFACE_VM, "GetFailureDetails",
                              g_variant_new ("(@a{sv})", banger_no_args ()), "(a{sv})", NULL, NULL,
                              NULL);
  return reply != NULL ? g_variant_get_child_value (reply, 0) : NULL;
}

/* All of one VM, its failure too; NULL with an error. */
static JsonNode *
document_of (BangerVmView *view)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();

  banger_vm_add_json (json, view->properties, view->image, view->kernel);
  if (view->failure != NULL)
    add_failure (json, view->failure);
  return banger_json_end (json);
}

void
banger_vm_view_free (BangerVmView *view)
{
  g_clear_pointer (&view->properties, g_variant_unref);
  g_clear_pointer (&view->failure, g_variant_unref);
  g_free (view->image);
  g_free (view->kernel);
  g_free (view);
}

BangerVmView *
banger_vm_view_new (BangerClient *client, const char *path, GError **error)
{
  g_autoptr (BangerVmView) view = g_new0 (BangerVmView, 1);

  view->properties = banger_client_properties (client, path, BANGER_IFACE_VM, error);
  if (view->properties == NULL)
    return NULL;
  view->image = banger_client_name_of (client, banger_props_string (view->properties, "Image"),
                                       BANGER_IFACE_IMAGE);
  view->kernel = banger_client_name_of (client, banger_props_string (view->properties, "Kernel"),
                                        BANGER_IFACE_KERNEL);
  view->failure = failure_of (client, path, view->properties);
  return g_steal_pointer (&view);
}

gboolean
banger_vm_print (BangerClient *client, const char *path, BangerArgs *args, GError **error)
{
  g_autoptr (BangerVmView) view = banger_vm_view_new (client, path, error);
  g_autoptr (JsonNode) document = NULL;
  gboolean for_people = FALSE;

  if (view == NULL)
    return FALSE;
  document = document_of (view);
  if (!banger_document_print (args, document, &for_people, error))
    return FALSE;
  if (!for_people)
    return TRUE;
  print_fields (view->properties, view->image, view->kernel);
  if (view->failure != NULL)
    banger_vm_print_failure (view->failure);
  return TRUE;
}

int
banger_vm_show (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autofree char *path
      = banger_client_find (client, BANGER_OBJECT_VM, banger_args_words (args)[0], error);

  if (path != NULL)
    banger_vm_print (client, path, args, error);
  return 0;
}
