/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "outcome.h"

struct _BangerOutcomes {
  BangerClient *client;
  BangerArgs *args;
  BangerObjectKind kind;
  gboolean alone;
  GPtrArray *list; /* of BangerOutcome */
  int status;      /* of the first that failed */
};

static void
outcome_free (gpointer data)
{
  BangerOutcome *outcome = data;

  g_free (outcome->name);
  g_free (outcome->path);
  g_free (outcome->job);
  g_free (outcome->ended_by);
  g_clear_error (&outcome->error);
  g_free (outcome);
}

BangerOutcomes *
banger_outcomes_new (BangerClient *client, BangerArgs *args, BangerObjectKind kind, gboolean alone)
{
  BangerOutcomes *self = g_new0 (BangerOutcomes, 1);

  self->client = client;
  self->args = args;
  self->kind = kind;
  self->alone = alone;
  self->list = g_ptr_array_new_with_free_func (outcome_free);
  self->status = BANGER_EXIT_OK;
  return self;
}

void
banger_outcomes_free (BangerOutcomes *self)
{
  g_ptr_array_unref (self->list);
  g_free (self);
}

BangerOutcome *
banger_outcomes_add (BangerOutcomes *self, const char *name)
{
  BangerOutcome *outcome = g_new0 (BangerOutcome, 1);

  outcome->name = g_strdup (name);
  g_ptr_array_add (self->list, outcome);
  return outcome;
}

void
banger_outcomes_fail (BangerOutcomes *self, BangerOutcome *outcome, GError *cause)
{
  outcome->error = banger_args_explain (self->args, cause);
  if (self->status == BANGER_EXIT_OK)
    self->status = banger_output_status (outcome->error);
  if (!self->alone && banger_output_tells_people (banger_args_wants_document (self->args)))
    banger_output_error (outcome->error);
}

/* NULL if it has gone. */
static GVariant *
find_properties (GPtrArray *objects, const char *path)
{
  for (guint i = 0; path != NULL && objects != NULL && i < objects->len; i++) {
    BangerObject *object = g_ptr_array_index (objects, i);

    if (g_str_equal (object->path, path))
      return object->properties;
  }
  return NULL;
}

static void
add_duration (JsonBuilder *json, guint64 usec)
{
  if (usec != 0)
    banger_json_number (json, "duration_us", usec);
  else
    banger_json_string (json, "duration_us", NULL);
}

static void
add_outcome (BangerOutcomes *self, JsonBuilder *json, const BangerOutcome *outcome,
             GVariant *properties)
{
  g_autoptr (GVariant) error = outcome->error != NULL
                                   ? g_variant_ref_sink (banger_error_to_variant (outcome->error))
                                   : NULL;
  const char *id = outcome->path != NULL ? banger_object_path_id (outcome->path, self->kind) : NULL;

  if (self->kind == BANGER_OBJECT_JOB)
    id = outcome->name;

  json_builder_begin_object (json);
  banger_json_string (json, "id", id);
  if (self->kind != BANGER_OBJECT_JOB) {
    banger_json_string (json, "name",
                        properties != NULL ? banger_props_string (properties, "Name")
                                           : outcome->name);
    banger_json_string (json, "job", outcome->job);
    add_duration (json, outcome->usec);
  }
  banger_json_string (json, "state",
                      properties != NULL ? banger_props_string (properties, "State") : NULL);
  if (self->kind == BANGER_OBJECT_VM)
    banger_json_string (json, "ended_by", outcome->ended_by);
  banger_json_error (json, "error", error);
  json_builder_end_object (json);
}

/* The states are those of now: of what waited for the last job, too. */
static void
add_all (BangerOutcomes *self, JsonBuilder *json)
{
  g_autoptr (GVariant) objects
      = self->list->len > 0 ? banger_client_objects (self->client, NULL) : NULL;
  g_autoptr (GPtrArray) present
      = objects != NULL ? banger_objects_select (objects, banger_client_interface (self->kind))
                        : NULL;
  g_autofree char *member = g_strdup_printf ("%ss", banger_object_kind_to_string (self->kind));

  json_builder_set_member_name (json, member);
  json_builder_begin_array (json);
  for (guint i = 0; i < self->list->len; i++) {
    const BangerOutcome *outcome = g_ptr_array_index (self->list, i);

    add_outcome (self, json, outcome, find_properties (present, outcome->path));
  }
  json_builder_end_array (json);
}

int
banger_outcomes_end (BangerOutcomes *self, JsonBuilder *json, gboolean *for_people, GError **error)
{
  g_autoptr (JsonBuilder) own = json == NULL ? banger_json_new () : NULL;
  g_autoptr (JsonNode) document = NULL;
  gboolean silent = TRUE;

  if (json == NULL)
    json = own;
  if (for_people != NULL)
    *for_people = FALSE;
  if (self->alone && self->list->len == 1) {
    BangerOutcome *outcome = g_ptr_array_index (self->list, 0);

    if (outcome->error != NULL) {
      g_propagate_error (error, g_steal_pointer (&outcome->error));
      return 0;
    }
  }
  if (banger_args_wants_document (self->args)) {
    add_all (self, json);
    document = banger_json_end (json);
    if (!banger_document_print (self->args, document, &silent, error))
      return 0;
  } else if (for_people != NULL) {
    *for_people = TRUE;
  }
  return self->status;
}
