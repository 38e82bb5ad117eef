/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "vm stats": what VMs use, once or again and again. */
#include "verbs.h"

#include "text.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WATCH_SECONDS 2

/* Numbers of GetStats and the members of the JSON that they become. */
static const struct {
  const char *key, *member;
} numbers[] = {
  { "memory-resident-bytes", "memory_resident_bytes" },
  { "disk-allocated-bytes", "disk_allocated_bytes" },
  { "monitor-resident-bytes", "monitor_resident_bytes" },
  { "disk-read-bytes", "disk_read_bytes" },
  { "disk-written-bytes", "disk_written_bytes" },
  { "guest-memory-total-bytes", "guest_memory_total_bytes" },
  { "guest-memory-available-bytes", "guest_memory_available_bytes" },
  { "guest-disk-total-bytes", "guest_disk_total_bytes" },
  { "guest-disk-free-bytes", "guest_disk_free_bytes" },
  { "guest-work-total-bytes", "guest_work_total_bytes" },
  { "guest-work-free-bytes", "guest_work_free_bytes" },
  { "guest-commands", "guest_commands" },
  { "guest-streams", "guest_streams" },
};

typedef struct {
  char *name, *path;
  GVariant *stats;    /* the last answer */
  double cpu_seconds; /* of the answer before */
  gint64 at, before;  /* monotonic, of the two */
} Subject;

static void
subject_free (gpointer data)
{
  Subject *subject = data;

  g_clear_pointer (&subject->stats, g_variant_unref);
  g_free (subject->name);
  g_free (subject->path);
  g_free (subject);
}

static Subject *
subject_new (const char *name, const char *path)
{
  Subject *subject = g_new0 (Subject, 1);

  subject->name = g_strdup (name);
  subject->path = g_strdup (path);
  return subject;
}

static GPtrArray *
find_named (BangerClient *client, const char *const *names, GError **error)
{
  g_autoptr (GPtrArray) subjects = g_ptr_array_new_with_free_func (subject_free);

  for (guint i = 0; names[i] != NULL; i++) {
    g_autofree char *path = banger_client_find (client, BANGER_OBJECT_VM, names[i], error);

    if (path == NULL)
      return NULL;
    g_ptr_array_add (subjects, subject_new (names[i], path));
  }
  return g_steal_pointer (&subjects);
}

/* Takes the one at @path out of @subjects. */
static Subject *
take_subject (GPtrArray *subjects, const char *path)
{
  for (guint i = 0; i < subjects->len; i++) {
    if (strcmp (((Subject *)g_ptr_array_index (subjects, i))->path, path) == 0)
      return g_ptr_array_steal_index (subjects, i);
  }
  return NULL;
}

static gboolean
is_meant (GVariant *properties)
{
  /* Of others' an administrator would be asked; to see those they are named. */
  return banger_props_number (properties, "OwnerUid") == getuid ()
         && strcmp (banger_props_string (properties, "State"), "running") == 0;
}

/* The caller's own that run now. Those that are in @before are taken from there. */
static GPtrArray *
find_running (BangerClient *client, GPtrArray *before, GError **error)
{
  g_autoptr (GPtrArray) subjects = g_ptr_array_new_with_free_func (subject_free);
  g_autoptr (GVariant) objects = banger_client_objects (client, error);
  g_autoptr (GPtrArray) vms = NULL;

  if (objects == NULL)
    return NULL;
  vms = banger_objects_select (objects, BANGER_IFACE_VM);
  for (guint i = 0; i < vms->len; i++) {
    BangerObject *vm = g_ptr_array_index (vms, i);
    Subject *subject = NULL;

    if (!is_meant (vm->properties))
      continue;
    subject = before != NULL ? take_subject (before, vm->path) : NULL;
    g_ptr_array_add (subjects, subject != NULL ? subject : subject_new (vm->name, vm->path));
  }
  return g_steal_pointer (&subjects);
}

static gboolean
ask (BangerClient *client, Subject *subject, GError **error)
{
  GVariantDict options;
  g_autoptr (GVariant) reply = NULL;

  g_variant_dict_init (&options, NULL);
  g_variant_dict_insert (&options, "guest", "b", TRUE);
  reply = banger_client_call (client, subject->path, BANGER_IFACE_VM, "GetStats",
                              g_variant_new ("(@a{sv})", g_variant_dict_end (&options)), "(a{sv})",
                              NULL, NULL, error);
  if (reply == NULL)
    return FALSE;
  subject->before = subject->at;
  subject->at = g_get_monotonic_time ();
  if (subject->stats != NULL) {
    subject->cpu_seconds = banger_props_double (subject->stats, "cpu-seconds");
    g_variant_unref (subject->stats);
  }
  subject->stats = g_variant_get_child_value (reply, 0);
  return TRUE;
}

/* Of one CPU, since the answer before; negative if there is none. */
static double
cpu_share (Subject *subject)
{
  double used = banger_props_double (subject->stats, "cpu-seconds") - subject->cpu_seconds;

  return subject->before != 0 && used >= 0 ? used * 1e6 / (double)(subject->at - subject->before)
                                           : -1;
}

static void
add_json (JsonBuilder *json, Subject *subject)
{
  double share = cpu_share (subject);
  GVariant *stats = subject->stats;

  banger_json_string (json, "name", subject->name);
  banger_json_string (json, "id", banger_object_path_id (subject->path, BANGER_OBJECT_VM));
  banger_json_number (json, "cpu_us",
                      (guint64)(MAX (banger_props_double (stats, "cpu-seconds"), 0) * 1e6));
  if (share >= 0)
    banger_json_number (json, "cpu_percent", (guint64)(share * 100 + 0.5));
  for (guint i = 0; i < G_N_ELEMENTS (numbers); i++) {
    g_autoptr (GVariant) value = g_variant_lookup_value (stats, numbers[i].key, NULL);

    if (value != NULL)
      banger_json_number (json, numbers[i].member, banger_props_number (stats, numbers[i].key));
  }
  if (banger_props_number (stats, "guest-memory-total-bytes") != 0) {
    banger_json_number (
        json, "guest_uptime_us",
        (guint64)(MAX (banger_props_double (stats, "guest-uptime-seconds"), 0) * 1e6));
    json_builder_set_member_name (json, "guest_load");
    json_builder_add_double_value (json, banger_props_double (stats, "guest-load"));
  }
}

static void
print_document (GPtrArray *subjects)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();

  json_builder_set_member_name (json, "vms");
  json_builder_begin_array (json);
  for (guint i = 0; i < subjects->len; i++) {
    json_builder_begin_object (json);
    add_json (json, g_ptr_array_index (subjects, i));
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
  banger_json_print (json);
}

/* One object a line, one line a VM. */
static void
print_lines (GPtrArray *subjects)
{
  for (guint i = 0; i < subjects->len; i++) {
    g_autoptr (JsonBuilder) json = banger_json_new ();
    g_autoptr (JsonGenerator) generator = json_generator_new ();
    g_autoptr (JsonNode) root = NULL;
    g_autofree char *text = NULL;

    banger_json_time (json, "at", (guint64)(g_get_real_time () / G_USEC_PER_SEC));
    add_json (json, g_ptr_array_index (subjects, i));
    json_builder_end_object (json);
    root = json_builder_get_root (json);
    json_generator_set_root (generator, root);
    text = json_generator_to_data (generator, NULL);
    puts (text);
  }
  fflush (stdout);
}

static char *
used_of (GVariant *stats, const char *total_key, const char *free_key)
{
  guint64 total = banger_props_number (stats, total_key);
  guint64 left = banger_props_number (stats, free_key);
  g_autofree char *used = banger_text_size (total > left ? total - left : 0);
  g_autofree char *all = banger_text_size (total);

  return total != 0 ? g_strdup_printf ("%s / %s", used, all) : g_strdup ("-");
}

static void
print_table (GPtrArray *subjects)
{
  const char *headers[] = { _ ("NAME"),       _ ("CPU"),        _ ("MEMORY"), _ ("GUEST MEMORY"),
                            _ ("GUEST DISK"), _ ("GUEST WORK"), _ ("LOAD"),   NULL };
  g_autoptr (BangerTable) table = banger_table_new (headers);

  for (guint i = 0; i < subjects->len; i++) {
    Subject *subject = g_ptr_array_index (subjects, i);
    GVariant *stats = subject->stats;
    double share = cpu_share (subject);
    gboolean answers = banger_props_number (stats, "guest-memory-total-bytes") != 0;

    banger_table_add (table, g_strdup (subject->name),
                      share >= 0
                          ? g_strdup_printf ("%.0f %%", share * 100)
                          : banger_text_duration (
                              (guint64)(MAX (banger_props_double (stats, "cpu-seconds"), 0) * 1e6)),
                      banger_text_size (banger_props_number (stats, "memory-resident-bytes")),
                      used_of (stats, "guest-memory-total-bytes", "guest-memory-available-bytes"),
                      used_of (stats, "guest-disk-total-bytes", "guest-disk-free-bytes"),
                      used_of (stats, "guest-work-total-bytes", "guest-work-free-bytes"),
                      answers ? g_strdup_printf ("%.2f", banger_props_double (stats, "guest-load"))
                              : g_strdup ("-"),
                      NULL);
  }
  banger_table_print (table);
}

/* One that is deleted meanwhile is left out of all, but ends a watch of itself. */
static gboolean
ask_all (BangerClient *client, GPtrArray *subjects, gboolean named, GError **error)
{
  for (guint i = 0; i < subjects->len;) {
    g_autoptr (GError) cause = NULL;

    if (ask (client, g_ptr_array_index (subjects, i), &cause)) {
      i++;
    } else if (named || !g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_NOT_FOUND)) {
      g_propagate_error (error, g_steal_pointer (&cause));
      return FALSE;
    } else {
      g_ptr_array_remove_index (subjects, i);
    }
  }
  return TRUE;
}

static gboolean
on_tick (gpointer data)
{
  *(gboolean *)data = TRUE;
  return G_SOURCE_REMOVE;
}

/* FALSE if it was interrupted: that is how a watch ends. */
static gboolean
wait_a_while (BangerClient *client)
{
  gboolean over = FALSE;
  guint timer = g_timeout_add_seconds (WATCH_SECONDS, on_tick, &over);

  while (!over && banger_client_interrupts (client) == 0)
    g_main_context_iteration (NULL, TRUE);
  if (!over)
    g_source_remove (timer);
  return over;
}

/* Of all: those that run then, which may be others at each turn. */
static void
watch (BangerClient *client, BangerArgs *args, GPtrArray **subjects, GError **error)
{
  gboolean json = banger_args_flag (args, "json"), named = banger_args_words (args)[0] != NULL;
  gboolean terminal = isatty (STDOUT_FILENO);

  banger_client_catch_interrupts (client);
  while (ask_all (client, *subjects, named, error)) {
    GPtrArray *running = NULL;

    /* On a terminal each table takes the place of the one before. */
    if (!json && terminal)
      g_print ("\033[H\033[J");
    if (json)
      print_lines (*subjects);
    else
      print_table (*subjects);
    fflush (stdout);
    if (!wait_a_while (client))
      return;
    if (named)
      continue;
    running = find_running (client, *subjects, error);
    if (running == NULL)
      return;
    g_ptr_array_unref (*subjects);
    *subjects = running;
  }
}

int
banger_vm_stats (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *names = banger_args_words (args);
  g_autoptr (GPtrArray) subjects
      = names[0] != NULL ? find_named (client, names, error) : find_running (client, NULL, error);

  if (subjects == NULL)
    return 0;
  if (banger_args_flag (args, "watch"))
    watch (client, args, &subjects, error);
  else if (!ask_all (client, subjects, names[0] != NULL, error))
    return 0;
  else if (banger_args_flag (args, "json"))
    print_document (subjects);
  else
    print_table (subjects);
  return 0;
}
