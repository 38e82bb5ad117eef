/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "listing.h"
#include "outcome.h"
#include "verbs.h"

#include "text.h"

#include <glib/gi18n.h>
#include <string.h>

/* "vm" and the id of what a job works on; NULL where it is none of ours. */
static const char *
object_of (GVariant *properties, const char **id)
{
  static const BangerObjectKind kinds[]
      = { BANGER_OBJECT_VM, BANGER_OBJECT_IMAGE, BANGER_OBJECT_KERNEL };
  const char *path = banger_props_string (properties, "Object");

  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    *id = banger_object_path_id (path, kinds[i]);
    if (*id != NULL)
      return banger_object_kind_to_string (kinds[i]);
  }
  return NULL;
}

static void
add_timings (JsonBuilder *json, GVariant *properties)
{
  g_autoptr (GVariant) timings
      = g_variant_lookup_value (properties, "Timings", G_VARIANT_TYPE ("a(stt)"));

  json_builder_set_member_name (json, "timings");
  json_builder_begin_array (json);
  for (gsize i = 0; timings != NULL && i < g_variant_n_children (timings); i++) {
    const char *stage = NULL;
    guint64 began = 0, took = 0;
    g_autofree char *time = NULL;

    g_variant_get_child (timings, i, "(&stt)", &stage, &began, &took);
    time = banger_text_time_us (began);
    json_builder_begin_object (json);
    banger_json_string (json, "stage", stage);
    banger_json_string (json, "began_at", time);
    banger_json_number (json, "duration_us", took);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
}

/* What the job found out: words of the service's own. */
static void
add_result (JsonBuilder *json, GVariant *properties)
{
  g_autoptr (GVariant) result
      = g_variant_lookup_value (properties, "Result", G_VARIANT_TYPE_VARDICT);

  json_builder_set_member_name (json, "result");
  banger_json_dictionary (json, result);
}

static void
add_job (JsonBuilder *json, GVariant *properties)
{
  g_autoptr (GVariant) error = g_variant_lookup_value (properties, "Error", G_VARIANT_TYPE_VARDICT);
  g_autofree const char **notes = banger_props_strings (properties, "Notes");
  const char *id = NULL, *kind = object_of (properties, &id);
  double fraction = banger_props_double (properties, "Progress");

  banger_json_string (json, "id", banger_props_string (properties, "Id"));
  banger_json_string (json, "kind", banger_props_string (properties, "Kind"));
  banger_json_string (json, "object_kind", kind);
  banger_json_string (json, "object_id", id);
  banger_json_string (json, "object_name", banger_props_string (properties, "ObjectName"));
  banger_json_string (json, "state", banger_props_string (properties, "State"));
  banger_json_string (json, "stage", banger_props_string (properties, "Stage"));
  json_builder_set_member_name (json, "progress");
  if (fraction >= 0)
    json_builder_add_double_value (json, fraction);
  else
    json_builder_add_null_value (json);
  banger_json_number (json, "started_by_uid", banger_props_number (properties, "StartedByUid"));
  banger_json_flag (json, "cancelable", banger_props_flag (properties, "Cancelable"));
  add_timings (json, properties);
  banger_json_strings (json, "notes", notes);
  add_result (json, properties);
  banger_json_error (json, "error", error);
}

static char *
object_words (GVariant *objects, GVariant *properties)
{
  const char *id = NULL, *word = object_of (properties, &id);
  BangerObjectKind kind = BANGER_OBJECT_VM;
  const char *former = banger_props_string (properties, "ObjectName");
  g_autofree char *name = NULL;

  if (word == NULL || !banger_object_kind_from_string (word, &kind))
    return g_strdup ("");
  name = banger_objects_name (objects, banger_props_string (properties, "Object"),
                              banger_client_interface (kind));
  /* What has gone, or was never made, has the name that it had when the job began. */
  if (*name != '\0')
    return g_strdup_printf ("%s %s", word, name);
  return g_strdup_printf ("%s %s", word, *former != '\0' ? former : id);
}

const BangerColumn banger_job_columns[] = {
  { "id", NULL, N_ ("JOB"), BANGER_CELL_PLAIN, TRUE },
  { "kind", NULL, N_ ("KIND"), BANGER_CELL_PLAIN, TRUE },
  { "object", NULL, N_ ("OBJECT"), BANGER_CELL_PLAIN, TRUE },
  { "state", NULL, N_ ("STATE"), BANGER_CELL_PLAIN, TRUE },
  { "stage", NULL, N_ ("STAGE"), BANGER_CELL_PLAIN, TRUE },
  { "progress", NULL, N_ ("PROGRESS"), BANGER_CELL_PLAIN, FALSE },
  { "owner", "started_by_uid", N_ ("OWNER"), BANGER_CELL_PLAIN, FALSE },
  { "cancelable", NULL, N_ ("CANCELABLE"), BANGER_CELL_PLAIN, FALSE },
  { NULL, NULL, NULL, BANGER_CELL_PLAIN, FALSE },
};

int
banger_job_list (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (BangerListing) listing = banger_listing_new (args, error);
  g_autoptr (GVariant) objects = NULL;
  g_autoptr (GPtrArray) jobs = NULL;

  if (listing == NULL)
    return 0;
  objects = banger_client_objects (client, error);
  if (objects == NULL)
    return 0;
  jobs = banger_objects_select (objects, BANGER_IFACE_JOB);
  for (guint i = 0; i < jobs->len; i++) {
    GVariant *properties = ((BangerObject *)g_ptr_array_index (jobs, i))->properties;
    g_autofree char *object = object_words (objects, properties);
    g_autoptr (JsonBuilder) row = banger_json_row ();

    add_job (row, properties);
    banger_json_string (row, "object", object);
    banger_listing_add (listing, banger_json_end (row));
  }
  banger_listing_print (listing, "jobs");
  return BANGER_EXIT_OK;
}

/* A row, unless there is nothing to say. */
static void
add_row (BangerTable *table, const char *head, const char *text)
{
  if (text != NULL && *text != '\0')
    banger_table_add (table, g_strdup (head), g_strdup (text), NULL);
}

static void
print_job (GVariant *properties, const char *object)
{
  g_autofree const char **notes = banger_props_strings (properties, "Notes");
  g_autoptr (BangerTable) table = banger_table_new (NULL);
  g_autoptr (GVariant) timings
      = g_variant_lookup_value (properties, "Timings", G_VARIANT_TYPE ("a(stt)"));
  g_autoptr (GVariant) dictionary
      = g_variant_lookup_value (properties, "Error", G_VARIANT_TYPE_VARDICT);
  g_autoptr (GError) error = banger_error_from_variant (dictionary);

  add_row (table, _ ("job:"), banger_props_string (properties, "Id"));
  add_row (table, _ ("kind:"), banger_props_string (properties, "Kind"));
  add_row (table, _ ("object:"), object);
  add_row (table, _ ("state:"), banger_props_string (properties, "State"));
  for (gsize i = 0; timings != NULL && i < g_variant_n_children (timings); i++) {
    const char *stage = NULL;
    guint64 began = 0, took = 0;
    g_autofree char *time = NULL;

    g_variant_get_child (timings, i, "(&stt)", &stage, &began, &took);
    time = banger_text_duration (took);
    banger_table_add (table, g_strdup (i == 0 ? _ ("stages:") : ""),
                      g_strdup_printf ("%-11s %9s", stage, took != 0 ? time : "…"), NULL);
  }
  for (guint i = 0; notes != NULL && notes[i] != NULL; i++)
    add_row (table, _ ("note:"), notes[i]);
  if (error != NULL) {
    add_row (table, _ ("error:"), error->message);
    add_row (table, _ ("cause:"), banger_error_cause (error));
    add_row (table, _ ("hint:"), banger_error_hint (error));
  }
  banger_table_print (table);
}

int
banger_job_show (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autofree char *path
      = banger_client_find (client, BANGER_OBJECT_JOB, banger_args_words (args)[0], error);
  g_autoptr (GVariant) properties = NULL;
  g_autoptr (JsonBuilder) json = NULL;
  g_autoptr (JsonNode) document = NULL;
  g_autoptr (GVariant) objects = NULL;
  g_autofree char *object = NULL;
  gboolean for_people = FALSE;

  if (path == NULL)
    return 0;
  properties = banger_client_properties (client, path, BANGER_IFACE_JOB, error);
  if (properties == NULL)
    return 0;
  json = banger_json_new ();
  add_job (json, properties);
  document = banger_json_end (json);
  if (!banger_document_print (args, document, &for_people, error) || !for_people)
    return BANGER_EXIT_OK;
  objects = banger_client_objects (client, error);
  if (objects == NULL)
    return 0;
  object = object_words (objects, properties);
  print_job (properties, object);
  return BANGER_EXIT_OK;
}

int
banger_job_cancel (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *ids = banger_args_words (args);
  g_autoptr (BangerOutcomes) outcomes
      = banger_outcomes_new (client, args, BANGER_OBJECT_JOB, ids[1] == NULL);

  for (guint i = 0; ids[i] != NULL; i++) {
    BangerOutcome *outcome = banger_outcomes_add (outcomes, ids[i]);
    g_autoptr (GVariant) reply = NULL;
    GError *cause = NULL;

    outcome->path = banger_client_find (client, BANGER_OBJECT_JOB, ids[i], &cause);
    if (outcome->path != NULL)
      reply = banger_client_call (client, outcome->path, BANGER_IFACE_JOB, "Cancel",
                                  g_variant_new ("(@a{sv})", banger_no_args ()), NULL, NULL, NULL,
                                  &cause);
    if (reply == NULL)
      banger_outcomes_fail (outcomes, outcome, cause);
    else if (!banger_args_wants_document (args))
      banger_output_line (_ ("job %s is being cancelled"), ids[i]);
  }
  return banger_outcomes_end (outcomes, NULL, NULL, error);
}
