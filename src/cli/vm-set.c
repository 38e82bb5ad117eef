/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "changes.h"
#include "outcome.h"
#include "select.h"
#include "verbs.h"

#include "text.h"

#include <glib/gi18n.h>
#include <string.h>

typedef struct {
  BangerClient *client;
  BangerArgs *args;
  BangerChanges *changes;
  BangerOutcomes *outcomes;
  BangerWatch *watch;    /* NULL: nothing is waited for */
  BangerTable *table;    /* for people */
  JsonBuilder *json;     /* for programs; in its array of changes */
  GPtrArray *to_restart; /* names */
} Setting;

static const char *
when_text (const char *when)
{
  if (strcmp (when, "now") == 0)
    return _ ("now");
  if (strcmp (when, "next-start") == 0)
    return _ ("at its next start");
  if (strcmp (when, "needs-restart") == 0)
    return _ ("needs a restart");
  if (strcmp (when, "unchanged") == 0)
    return _ ("unchanged");
  return when;
}

static void
note_change (Setting *self, const char *name, GVariant *properties, const char *key,
             GVariant *value, const char *when)
{
  g_autofree char *before = banger_changes_old (self->client, properties, key);
  g_autofree char *after = banger_changes_text (self->client, key, value);

  banger_table_add (self->table, g_strdup (name), g_strdup (banger_changes_word (key)),
                    g_strdup (before), g_strdup (after), g_strdup (when_text (when)), NULL);
  json_builder_begin_object (self->json);
  banger_json_string (self->json, "vm", name);
  banger_json_string (self->json, "key", banger_changes_word (key));
  banger_json_string (self->json, "old", before);
  banger_json_string (self->json, "new", after);
  banger_json_string (self->json, "when", when);
  json_builder_end_object (self->json);
  if (strcmp (when, "needs-restart") == 0
      && !g_ptr_array_find_with_equal_func (self->to_restart, name, g_str_equal, NULL))
    g_ptr_array_add (self->to_restart, g_strdup (name));
}

static void
note_changes (Setting *self, const char *name, GVariant *properties, GVariant *changes,
              GVariant *when)
{
  GVariantIter iter;
  const char *key = NULL;
  GVariant *value = NULL;

  g_variant_iter_init (&iter, changes);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value)) {
    const char *word = "";

    g_variant_lookup (when, key, "&s", &word);
    note_change (self, name, properties, key, value, word);
  }
}

/* Waits for the job, unless it was not to be waited for or there is none. */
static gboolean
finish (Setting *self, BangerOutcome *outcome, const char *job, GError **error)
{
  g_autofree char *label = banger_label (BANGER_OBJECT_VM, outcome->name);
  guint64 usec = 0;

  if (strcmp (job, "/") == 0)
    return TRUE;
  outcome->job = g_strdup (banger_object_path_id (job, BANGER_OBJECT_JOB));
  if (self->watch == NULL) {
    if (!banger_args_wants_document (self->args))
      banger_output_line ("%s", outcome->job);
    return TRUE;
  }
  banger_watch_add (self->watch, job, label, _ ("it is as before"));
  if (!banger_watch_wait (self->watch, job, &usec, error))
    return FALSE;
  outcome->usec = usec;
  return TRUE;
}

/* No error: what is asked for is so. But it may have been misspelt. */
static void
note_absent (Setting *self, const char *name, GVariant *properties)
{
  g_auto (GStrv) absent = banger_changes_absent (self->changes, properties);

  if (!banger_output_tells_people (banger_args_wants_document (self->args)))
    return;
  for (guint i = 0; absent[i] != NULL; i++) {
    g_autofree char *shown = banger_text_escape (absent[i], -1);
    g_autofree char *text = g_strdup_printf (_ ("vm '%s' has no label '%s'"), name, shown);

    g_printerr ("%s %s\n", _ ("note:"), text);
  }
}

static gboolean
set_one (Setting *self, BangerOutcome *outcome, gboolean dry_run, GError **error)
{
  g_autoptr (GVariant) properties = NULL, changes = NULL, reply = NULL, when = NULL;
  g_autofree char *job = NULL;
  GVariantDict options;

  outcome->path = banger_client_find (self->client, BANGER_OBJECT_VM, outcome->name, error);
  if (outcome->path == NULL)
    return FALSE;
  properties = banger_client_properties (self->client, outcome->path, BANGER_IFACE_VM, error);
  if (properties == NULL)
    return FALSE;
  changes = banger_changes_for (self->changes, self->client, properties, error);
  if (changes == NULL)
    return FALSE;
  g_variant_dict_init (&options, NULL);
  if (dry_run)
    g_variant_dict_insert (&options, "dry-run", "b", TRUE);
  reply = banger_client_call (
      self->client, outcome->path, BANGER_IFACE_VM, "Set",
      g_variant_new ("(@a{sv}@a{sv})", changes, g_variant_dict_end (&options)), "(a{ss}o)", NULL,
      NULL, error);
  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(@a{ss}o)", &when, &job);
  if (!finish (self, outcome, job, error))
    return FALSE;
  note_changes (self, outcome->name, properties, changes, when);
  note_absent (self, outcome->name, properties);
  return TRUE;
}

static void
print_changes (Setting *self)
{
  g_autofree char *names = NULL;

  banger_table_print (self->table);
  if (self->to_restart->len == 0)
    return;
  g_ptr_array_add (self->to_restart, NULL);
  names = g_strjoinv (" ", (char **)self->to_restart->pdata);
  banger_output_line ("%s banger vm restart %s", _ ("for what needs a restart:"), names);
}

/* Each VM in its turn: the first failure's status. */
static int
set_all (Setting *self, const char *const *names, GError **error)
{
  gboolean dry_run = banger_args_flag (self->args, "dry-run");
  gboolean any = FALSE, for_people = FALSE;
  int status = BANGER_EXIT_OK;

  json_builder_set_member_name (self->json, "changes");
  json_builder_begin_array (self->json);
  for (guint i = 0; names[i] != NULL && banger_client_interrupts (self->client) == 0; i++) {
    BangerOutcome *outcome = banger_outcomes_add (self->outcomes, names[i]);
    GError *cause = NULL;

    if (set_one (self, outcome, dry_run, &cause))
      any = TRUE;
    else
      banger_outcomes_fail (self->outcomes, outcome, cause);
  }
  json_builder_end_array (self->json);
  banger_json_flag (self->json, "dry_run", dry_run);
  status = banger_outcomes_end (self->outcomes, self->json, &for_people, error);
  if (for_people && any)
    print_changes (self);
  return status;
}

int
banger_vm_set (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *headers[] = { _ ("VM"), _ ("KEY"), _ ("OLD"), _ ("NEW"), _ ("WHEN"), NULL };
  BangerSelection selection = { .kind = BANGER_OBJECT_VM, .own_labels = TRUE };
  g_auto (GStrv) words = NULL, names = NULL;
  g_autoptr (BangerChanges) changes = banger_changes_new (args, &words, error);
  g_autoptr (BangerTable) table = banger_table_new (headers);
  g_autoptr (JsonBuilder) json = banger_json_new ();
  g_autoptr (GPtrArray) to_restart = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (BangerWatch) watch = NULL;
  g_autoptr (BangerOutcomes) outcomes = NULL;
  Setting self = { client, args, changes, NULL, NULL, table, json, to_restart };

  if (changes == NULL)
    return 0;
  names = banger_select (client, args, (const char *const *)words, &selection, error);
  if (names == NULL)
    return 0;
  if (names[0] != NULL && !banger_args_flag (args, "no-wait")) {
    watch = banger_watch_new (client, args, error);
    if (watch == NULL)
      return 0;
    self.watch = watch;
  }
  self.outcomes = outcomes
      = banger_outcomes_new (client, args, BANGER_OBJECT_VM,
                             banger_select_is_one (args, (const char *const *)words, &selection));
  return set_all (&self, (const char *const *)names, error);
}

static int
print_renamed (BangerClient *client, BangerArgs *args, const char *path, char *text, GError **error)
{
  g_autofree char *owned = text;

  if (banger_args_wants_document (args))
    banger_vm_print (client, path, args, error);
  else
    banger_output_line ("%s", owned);
  return 0;
}

int
banger_vm_rename (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *name = banger_args_words (args)[0], *fresh = banger_args_words (args)[1];
  g_autofree char *label = banger_label (BANGER_OBJECT_VM, name), *path = NULL, *job = NULL;
  g_autoptr (BangerWatch) watch = NULL;
  g_autoptr (GVariant) reply = NULL, properties = NULL;
  GVariantDict changes;

  if (!banger_name_check (BANGER_OBJECT_VM, fresh, error))
    return 0;
  watch = banger_watch_new (client, args, error);
  path = watch != NULL ? banger_client_find (client, BANGER_OBJECT_VM, name, error) : NULL;
  if (path != NULL)
    properties = banger_client_properties (client, path, BANGER_IFACE_VM, error);
  if (properties == NULL)
    return 0;
  if (strcmp (banger_props_string (properties, "Name"), fresh) == 0)
    return print_renamed (client, args, path,
                          g_strdup_printf (_ ("%s is called that already"), label), error);
  g_variant_dict_init (&changes, NULL);
  g_variant_dict_insert (&changes, "name", "s", fresh);
  reply = banger_client_call (
      client, path, BANGER_IFACE_VM, "Set",
      g_variant_new ("(@a{sv}@a{sv})", g_variant_dict_end (&changes), banger_no_args ()),
      "(a{ss}o)", NULL, NULL, error);
  if (reply == NULL)
    return 0;
  g_variant_get (reply, "(@a{ss}o)", NULL, &job);
  banger_watch_add (watch, job, label, _ ("it is as before"));
  if (!banger_watch_wait (watch, job, NULL, error))
    return 0;
  return print_renamed (client, args, path,
                        g_strdup_printf (_ ("%s is now called '%s'"), label, fresh), error);
}
