/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "select.h"

#include "text.h"

#include <glib/gi18n.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of what is asked about: more names would hide the question. */
#define NAMES_SHOWN 5

static gboolean
is_pattern (const char *word)
{
  return strpbrk (word, "*?") != NULL;
}

static const char *const *
labels_of (BangerArgs *args, const BangerSelection *selection)
{
  static const char *const none[] = { NULL };

  return selection->own_labels ? none : banger_args_has_list (args, "label");
}

static gboolean
is_broad (BangerArgs *args, const char *const *words, const BangerSelection *selection)
{
  gboolean broad = banger_args_has_flag (args, "all") || labels_of (args, selection)[0] != NULL;

  for (guint i = 0; words[i] != NULL; i++)
    broad |= is_pattern (words[i]);
  return broad;
}

gboolean
banger_select_is_one (BangerArgs *args, const char *const *words, const BangerSelection *selection)
{
  return words[0] != NULL && words[1] == NULL && !is_broad (args, words, selection);
}

static gboolean
check_words (BangerArgs *args, const char *const *words, const BangerSelection *selection,
             GError **error)
{
  gboolean all = banger_args_has_flag (args, "all");
  g_autofree char *name = banger_command_name (banger_args_command (args));
  g_autofree char *hint = g_strdup_printf ("banger help %s", name);

  if (words[0] == NULL && !is_broad (args, words, selection)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint,
                      _ ("%s: something is missing: banger %s %s"), name, name,
                      banger_command_usage (banger_args_command (args)));
    return FALSE;
  }
  if (words[0] != NULL && all) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, hint,
                      _ ("%s: names and --all exclude each other"), name);
    return FALSE;
  }
  return TRUE;
}

/* @wanted: "KEY=VALUE", the value may be a pattern, or "KEY". */
static gboolean
has_label (GVariant *properties, const char *wanted)
{
  const char *equals = strchr (wanted, '='), *value = NULL;
  g_autofree char *key = equals != NULL ? g_strndup (wanted, equals - wanted) : g_strdup (wanted);
  g_autoptr (GVariant) labels
      = g_variant_lookup_value (properties, "Labels", G_VARIANT_TYPE ("a{ss}"));

  if (labels == NULL || !g_variant_lookup (labels, key, "&s", &value))
    return FALSE;
  return equals == NULL || g_pattern_match_simple (equals + 1, value);
}

static gboolean
matches (GVariant *properties, const char *const *words, const char *const *labels)
{
  const char *name = banger_props_string (properties, "Name");
  gboolean meant = words[0] == NULL;

  /* What a pattern means is the caller's own; to do something to others' they are named. */
  if (banger_props_number (properties, "OwnerUid") != getuid ())
    return FALSE;
  for (guint i = 0; words[i] != NULL; i++)
    meant |= g_pattern_match_simple (words[i], name);
  for (guint i = 0; labels[i] != NULL; i++)
    meant &= has_label (properties, labels[i]);
  return meant;
}

gboolean
banger_select_in_states (GVariant *properties, guint states)
{
  BangerVmState state = BANGER_VM_CREATING;

  return states == 0
         || (banger_vm_state_from_string (banger_props_string (properties, "State"), &state)
             && (states & (1u << state)) != 0);
}

static gboolean
nothing_matches (BangerArgs *args, BangerObjectKind kind, GError **error)
{
  g_autofree char *hint = g_strdup_printf ("banger %s list", banger_object_kind_to_string (kind));

  if (banger_args_has_flag (args, "all")) {
    g_printerr (_ ("there is no %s of yours\n"), banger_object_kind_to_string (kind));
    return TRUE;
  }
  banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, NULL, hint,
                    _ ("no %s of yours is meant by that"), banger_object_kind_to_string (kind));
  return FALSE;
}

/* What is meant, into @names; FALSE with NotFound. */
static gboolean
choose (BangerClient *client, BangerArgs *args, const char *const *words,
        const BangerSelection *selection, GPtrArray *names, GError **error)
{
  const char *const *labels = labels_of (args, selection);
  g_autoptr (GVariant) objects = banger_client_objects (client, error);
  g_autoptr (GPtrArray) list = NULL;
  guint n_matched = 0;

  if (objects == NULL)
    return FALSE;
  list = banger_objects_select (objects, banger_client_interface (selection->kind));
  for (guint i = 0; i < list->len; i++) {
    GVariant *properties = ((BangerObject *)g_ptr_array_index (list, i))->properties;
    const char *name = banger_props_string (properties, "Name");

    if (!matches (properties, words, labels))
      continue;
    n_matched++;
    if (banger_select_in_states (properties, selection->states)
        && !g_ptr_array_find_with_equal_func (names, name, g_str_equal, NULL))
      g_ptr_array_add (names, g_strdup (name));
  }
  if (n_matched == 0 && names->len == 0)
    return nothing_matches (args, selection->kind, error);
  if (names->len == 0)
    g_printerr (_ ("nothing to do: %u in another state\n"), n_matched);
  return TRUE;
}

static gboolean
agrees (const char *question)
{
  g_autofree char *line = NULL, *folded = NULL;
  size_t size = 0;

  g_printerr ("%s ", question);
  if (getline (&line, &size, stdin) <= 0)
    return FALSE;
  g_strstrip (line);
  folded = g_utf8_casefold (line, -1);
  /* rpmatch(3) looks at how the line begins only. */
  return g_str_equal (folded, "yes") || g_str_equal (folded, _ ("yes"))
         || (g_utf8_strlen (line, -1) == 1 && rpmatch (line) == 1);
}

static char *
count_text (BangerObjectKind kind, guint n)
{
  switch (kind) {
  case BANGER_OBJECT_IMAGE:
    return g_strdup_printf (ngettext ("%u image", "%u images", n), n);
  case BANGER_OBJECT_KERNEL:
    return g_strdup_printf (ngettext ("%u kernel", "%u kernels", n), n);
  default:
    return g_strdup_printf (ngettext ("%u VM", "%u VMs", n), n);
  }
}

/* "7 VMs: a, b, c, d, e and 2 more": how much is at stake is read before which. */
static char *
stake_text (BangerObjectKind kind, GPtrArray *names)
{
  g_autofree char *count = count_text (kind, names->len), *shown = NULL;
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < MIN (names->len, NAMES_SHOWN); i++)
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "",
                            (const char *)g_ptr_array_index (names, i));
  shown = banger_text_escape (text->str, -1);
  if (names->len <= NAMES_SHOWN)
    return g_strdup_printf ("%s: %s", count, shown);
  /* Translators: "7 VMs: a, b, c, d, e and 2 more" */
  return g_strdup_printf (_ ("%s: %s and %u more"), count, shown, names->len - NAMES_SHOWN);
}

static gboolean
confirm (BangerArgs *args, BangerObjectKind kind, GPtrArray *names, GError **error)
{
  g_autofree char *command = banger_command_name (banger_args_command (args));
  g_autofree char *stake = NULL, *question = NULL, *instead = NULL;

  if (names->len == 0 || banger_args_has_flag (args, "yes"))
    return TRUE;
  stake = stake_text (kind, names);
  if (!banger_args_flag (args, "no-input") && isatty (STDIN_FILENO) && isatty (STDERR_FILENO)) {
    question = g_strdup_printf (_ ("%s: %s? [y/N]"), command, stake);
    if (agrees (question))
      return TRUE;
    banger_set_error (error, BANGER_ERROR_CANCELLED, NULL, NULL, NULL, _ ("nothing was done"));
    return FALSE;
  }
  instead = banger_args_line (args, "--yes");
  banger_set_error (error, BANGER_ERROR_CANCELLED, NULL, NULL, instead,
                    _ ("%s: %s: nobody can be asked whether this is meant"), command, stake);
  return FALSE;
}

GStrv
banger_select (BangerClient *client, BangerArgs *args, const char *const *words,
               const BangerSelection *selection, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  gboolean labelled = labels_of (args, selection)[0] != NULL;
  gboolean broad = is_broad (args, words, selection);

  if (!check_words (args, words, selection, error))
    return NULL;
  /* A plain name is meant whatever its state: what forbids it is for the service to say. */
  for (guint i = 0; words[i] != NULL && !labelled; i++) {
    if (!is_pattern (words[i])
        && !g_ptr_array_find_with_equal_func (names, words[i], g_str_equal, NULL))
      g_ptr_array_add (names, g_strdup (words[i]));
  }
  if (broad && !choose (client, args, words, selection, names, error))
    return NULL;
  if (broad && selection->destructive && !confirm (args, selection->kind, names, error))
    return NULL;
  g_ptr_array_add (names, NULL);
  return (GStrv)g_ptr_array_steal (names, NULL);
}
