/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "complete.h"

#include "listing.h"
#include "select.h"
#include "vm.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>

static const char *const list_forms[] = { "table", "json", "yaml", "csv", NULL };
static const char *const show_forms[] = { "table", "json", "yaml", NULL };
static const char *const compressions[] = { "none", "gzip", "zstd", NULL };
static const char *const disk_forms[] = { "raw", "qcow2", NULL };
static const char *const progress_forms[] = { "auto", "plain", "none", NULL };
static const char *const restarts[] = { "never", "on-failure", "always", NULL };
static const char *const networks[] = { "user", "none", NULL };
static const char *const roots[] = { "overlay", "clone", NULL };
static const char *const backends[] = { "qemu", NULL };
static const char *const conditions[] = { "running", "healthy", "ssh", "stopped", "port:", NULL };
static const char *const flags[] = { "true", "false", NULL };

void
banger_offer_word (const BangerOffer *offer, const char *word)
{
  /* Not by g_print: it writes each line by itself, which takes longer than to ask for hundreds. */
  if (g_str_has_prefix (word, offer->begun))
    printf ("%s%s\n", offer->prefix, word);
}

static void
offer_all (const BangerOffer *offer, const char *const *words)
{
  for (guint i = 0; words[i] != NULL; i++)
    banger_offer_word (offer, words[i]);
}

/* All objects of the bus. The service is not started for this. */
static GPtrArray *
objects_of (const BangerOffer *offer, BangerObjectKind kind)
{
  g_autoptr (GVariant) objects = NULL;

  /* What is known without the bus is not to be lost to the deadline. */
  fflush (stdout);
  if (!banger_client_connect_passive (offer->client, NULL))
    return g_ptr_array_new ();
  objects = banger_client_objects (offer->client, NULL);
  if (objects == NULL)
    return g_ptr_array_new ();
  /* Nothing is waited for from here on, and no word is to be cut off. */
  setitimer (ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
  return banger_objects_select (objects, banger_client_interface (kind));
}

/* Of VMs those in a state that the command is for. Each with @after behind it. */
static void
offer_objects (const BangerOffer *offer, BangerObjectKind kind, const char *after)
{
  g_autoptr (GPtrArray) list = objects_of (offer, kind);
  guint states = kind == BANGER_OBJECT_VM && offer->command != NULL ? offer->command->states : 0;

  for (guint i = 0; i < list->len; i++) {
    GVariant *properties = ((BangerObject *)g_ptr_array_index (list, i))->properties;
    const char *name = banger_props_string (properties, kind == BANGER_OBJECT_JOB ? "Id" : "Name");
    g_autofree char *word = g_strconcat (name, after, NULL);

    if (banger_select_in_states (properties, states))
      banger_offer_word (offer, word);
  }
}

/* The shell knows files best: this line asks it to. */
static void
offer_files (void)
{
  puts (":file");
}

/* What is in a guest is not asked, and is not to be taken for a file here. */
static void
offer_for_cp (const BangerOffer *offer, BangerObjectKind kind)
{
  char end = offer->begun[strcspn (offer->begun, "/:")];

  if (end == ':')
    return;
  offer_files ();
  if (end != '/')
    offer_objects (offer, kind, ":");
}

/* What is in an image is not asked. */
static void
offer_for_files (const BangerOffer *offer)
{
  if (strchr (offer->begun, ':') == NULL)
    offer_objects (offer, offer->of_vm ? BANGER_OBJECT_VM : BANGER_OBJECT_IMAGE, ":");
}

/* The labels that VMs have, each once; @format as for g_strdup_printf with key and value. */
static void
offer_labels (const BangerOffer *offer, gboolean values)
{
  g_autoptr (GPtrArray) list = objects_of (offer, BANGER_OBJECT_VM);
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < list->len; i++) {
    GVariant *properties = ((BangerObject *)g_ptr_array_index (list, i))->properties;
    g_autoptr (GVariant) labels
        = g_variant_lookup_value (properties, "Labels", G_VARIANT_TYPE ("a{ss}"));
    const char *key = NULL, *value = NULL;
    GVariantIter iter;

    if (labels == NULL)
      continue;
    g_variant_iter_init (&iter, labels);
    while (g_variant_iter_next (&iter, "{&s&s}", &key, &value)) {
      char *word = values ? g_strconcat (key, "=", value, NULL) : g_strdup (key);

      if (g_hash_table_add (seen, word))
        banger_offer_word (offer, word);
    }
  }
}

/* What may follow "KEY=", for keys whose values are words. */
static void
offer_value_of (const BangerOffer *offer, const char *key)
{
  if (g_str_equal (key, "restart"))
    offer_all (offer, restarts);
  else if (g_str_equal (key, "network"))
    offer_all (offer, networks);
  else if (g_str_equal (key, "root"))
    offer_all (offer, roots);
  else if (g_str_equal (key, "kernel"))
    offer_objects (offer, BANGER_OBJECT_KERNEL, NULL);
  else if (g_str_equal (key, "image"))
    offer_objects (offer, BANGER_OBJECT_IMAGE, NULL);
  else if (g_str_equal (key, "autostart") || g_str_equal (key, "shared")
           || g_str_equal (key, "default"))
    offer_all (offer, flags);
  for (int i = BANGER_VM_CREATING; i <= BANGER_VM_DELETING && g_str_equal (key, "state"); i++)
    banger_offer_word (offer, banger_vm_state_to_string (i));
  for (int i = BANGER_HEALTH_UNKNOWN; i <= BANGER_HEALTH_UNREACHABLE && g_str_equal (key, "health");
       i++)
    banger_offer_word (offer, banger_health_to_string (i));
}

/* After "KEY=" its values, with the key in front as the shell has it. FALSE: there is no "=" yet.
 */
static gboolean
offer_after_key (const BangerOffer *offer)
{
  const char *equals = strchr (offer->begun, '=');
  g_autofree char *key = NULL, *prefix = NULL;
  BangerOffer inner = *offer;

  if (equals == NULL)
    return FALSE;
  key = g_strndup (offer->begun, equals - offer->begun);
  prefix = g_strconcat (offer->prefix, key, "=", NULL);
  if (g_str_has_suffix (key, "!"))
    key[strlen (key) - 1] = '\0';
  inner.begun = equals + 1;
  inner.prefix = prefix;
  if (g_str_equal (key, "label") || g_str_equal (key, "labels"))
    offer_labels (&inner, TRUE);
  else
    offer_value_of (&inner, key);
  return TRUE;
}

static void
offer_changes (const BangerOffer *offer)
{
  if (offer_after_key (offer))
    return;
  for (guint i = 0; banger_set_keys[i] != NULL; i++) {
    g_autofree char *word = g_strconcat (banger_set_keys[i], "=", NULL);

    banger_offer_word (offer, word);
  }
  offer_objects (offer, BANGER_OBJECT_VM, NULL);
}

/* The columns of a list, each with @before and @after around it. */
static void
offer_columns (const BangerOffer *offer, const char *before, const char *after)
{
  const BangerColumn *columns = offer->command != NULL ? offer->command->columns : NULL;

  for (; columns != NULL && columns->key != NULL; columns++) {
    g_autofree char *word = g_strconcat (before, columns->key, after, NULL);

    banger_offer_word (offer, word);
  }
}

/* The last of several columns with commas between. */
static void
offer_more_columns (const BangerOffer *offer)
{
  const char *comma = strrchr (offer->begun, ',');
  BangerOffer inner = *offer;
  g_autofree char *prefix = NULL;

  if (comma != NULL) {
    prefix
        = g_strdup_printf ("%s%.*s", offer->prefix, (int)(comma + 1 - offer->begun), offer->begun);
    inner.prefix = prefix;
    inner.begun = comma + 1;
  }
  offer_columns (&inner, "", "");
}

/* Members of the JSON of an object: what its list has columns for. */
static void
offer_properties (const BangerOffer *offer)
{
  const BangerCommand *const *commands = banger_commands ();

  for (guint i = 0; commands[i] != NULL; i++) {
    const BangerColumn *column = commands[i]->columns;

    if (column == NULL || offer->command == NULL
        || g_strcmp0 (commands[i]->noun, offer->command->noun) != 0)
      continue;
    for (; column->key != NULL; column++)
      banger_offer_word (offer, column->member != NULL ? column->member : column->key);
  }
}

static void
offer_commands (const BangerOffer *offer)
{
  g_auto (GStrv) words = banger_command_words (offer->before);

  offer_all (offer, (const char *const *)words);
  if (offer->before != NULL) {
    g_auto (GStrv) short_verbs = banger_command_short_verbs (offer->before);

    offer_all (offer, (const char *const *)short_verbs);
  }
}

void
banger_offer_kind (const BangerOffer *offer, BangerComplete kind)
{
  switch (kind) {
  case BANGER_COMPLETE_VM:
    offer_objects (offer, BANGER_OBJECT_VM, NULL);
    break;
  case BANGER_COMPLETE_IMAGE:
    offer_objects (offer, BANGER_OBJECT_IMAGE, NULL);
    break;
  case BANGER_COMPLETE_KERNEL:
    offer_objects (offer, BANGER_OBJECT_KERNEL, NULL);
    break;
  case BANGER_COMPLETE_JOB:
    offer_objects (offer, BANGER_OBJECT_JOB, NULL);
    break;
  case BANGER_COMPLETE_FILE:
    offer_files ();
    break;
  case BANGER_COMPLETE_CP:
    offer_for_cp (offer, BANGER_OBJECT_VM);
    break;
  case BANGER_COMPLETE_FILES:
    offer_for_files (offer);
    break;
  case BANGER_COMPLETE_IMAGE_CP:
    offer_for_cp (offer, offer->of_vm ? BANGER_OBJECT_VM : BANGER_OBJECT_IMAGE);
    break;
  case BANGER_COMPLETE_COMMAND:
    offer_commands (offer);
    break;
  case BANGER_COMPLETE_COMPRESSION:
    offer_all (offer, compressions);
    break;
  case BANGER_COMPLETE_DISK_FORMAT:
    offer_all (offer, disk_forms);
    break;
  case BANGER_COMPLETE_PROGRESS:
    offer_all (offer, progress_forms);
    break;
  case BANGER_COMPLETE_FORMAT:
    offer_all (offer, list_forms);
    break;
  case BANGER_COMPLETE_SHOW_FORMAT:
    offer_all (offer, show_forms);
    break;
  case BANGER_COMPLETE_COLUMNS:
    offer_more_columns (offer);
    break;
  case BANGER_COMPLETE_FILTER:
    if (!offer_after_key (offer))
      offer_columns (offer, "", "=");
    break;
  case BANGER_COMPLETE_SORT:
    offer_columns (offer, offer->begun[0] == '-' ? "-" : "", "");
    break;
  case BANGER_COMPLETE_PROPERTY:
    offer_properties (offer);
    break;
  case BANGER_COMPLETE_LABEL:
    offer_labels (offer, TRUE);
    break;
  case BANGER_COMPLETE_LABEL_KEY:
    offer_labels (offer, FALSE);
    break;
  case BANGER_COMPLETE_RESTART:
    offer_all (offer, restarts);
    break;
  case BANGER_COMPLETE_NETWORK:
    offer_all (offer, networks);
    break;
  case BANGER_COMPLETE_ROOT:
    offer_all (offer, roots);
    break;
  case BANGER_COMPLETE_BACKEND:
    offer_all (offer, backends);
    break;
  case BANGER_COMPLETE_CONDITION:
    offer_all (offer, conditions);
    break;
  case BANGER_COMPLETE_CHANGE:
    offer_changes (offer);
    break;
  case BANGER_COMPLETE_NOTHING:
    break;
  }
}
