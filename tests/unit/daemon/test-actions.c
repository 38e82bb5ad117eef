/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table against what is installed: the interfaces, their documentation, the polkit policy. */
#include "daemon/actions.h"

#include "common/common.h"

#include <string.h>

static const char *const interfaces[] = { BANGER_IFACE_MANAGER, BANGER_IFACE_VM, BANGER_IFACE_IMAGE,
                                          BANGER_IFACE_KERNEL, BANGER_IFACE_JOB };

static char *
read_source (const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename (g_getenv ("BANGER_SOURCE"), folder, name, NULL);
  g_autoptr (GError) error = NULL;
  char *text = NULL;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  return text;
}

static char *
read_interface (const char *interface)
{
  g_autofree char *name = g_strconcat (interface, ".xml", NULL);

  return read_source ("data/dbus", name);
}

static GDBusNodeInfo *
parse_interface (const char *interface)
{
  g_autofree char *xml = read_interface (interface);
  g_autoptr (GError) error = NULL;
  GDBusNodeInfo *node = g_dbus_node_info_new_for_xml (xml, &error);

  g_assert_no_error (error);
  return node;
}

static void
test_every_method_has_a_row (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (interfaces); i++) {
    g_autoptr (GDBusNodeInfo) node = parse_interface (interfaces[i]);
    GDBusInterfaceInfo *info = g_dbus_node_info_lookup_interface (node, interfaces[i]);

    g_assert_nonnull (info);
    for (guint m = 0; info->methods != NULL && info->methods[m] != NULL; m++) {
      if (banger_action_find (interfaces[i], info->methods[m]->name) == NULL)
        g_error ("%s.%s has no row", interfaces[i], info->methods[m]->name);
    }
  }
  g_assert_null (banger_action_find (BANGER_IFACE_VM, "Cancel"));
  g_assert_null (banger_action_find ("org.freedesktop.DBus.Properties", "Set"));
  g_assert_null (banger_action_find (NULL, "Start"));
}

static void
test_every_row_has_a_method (void)
{
  for (const BangerAction *row = banger_action_table (); row->interface != NULL; row++) {
    g_autoptr (GDBusNodeInfo) node = parse_interface (row->interface);
    GDBusInterfaceInfo *info = g_dbus_node_info_lookup_interface (node, row->interface);
    GDBusMethodInfo *method = g_dbus_interface_info_lookup_method (info, row->method);

    g_assert_nonnull (method);
    g_assert_true (banger_action_find (row->interface, row->method) == row);
    if (row->owner_takes_back)
      g_assert_cmpstr (method->in_args[0]->signature, ==, "b");
  }
}

/* The comment above @method, where the interface's readers look. */
static char *
documentation (const char *xml, const char *method)
{
  g_autofree char *tag = g_strdup_printf ("<method name=\"%s\">", method);
  const char *end = strstr (xml, tag);
  const char *start = NULL;

  g_assert_nonnull (end);
  start = g_strrstr_len (xml, end - xml, "<!--");
  g_assert_nonnull (start);
  return g_strndup (start, (gsize)(end - start));
}

static void
test_documentation_says_the_same (void)
{
  for (const BangerAction *row = banger_action_table (); row->interface != NULL; row++) {
    g_autofree char *xml = read_interface (row->interface);
    g_autofree char *text = documentation (xml, row->method);
    g_autofree char *action = g_strdup_printf ("Action: `%s`", row->action);
    const char *needed = action;
    gboolean free = row->access == BANGER_ACCESS_OWNER || row->owner_takes_back;

    if (row->access == BANGER_ACCESS_PUBLIC)
      needed = "Public.";
    else if (row->access == BANGER_ACCESS_OWNER)
      needed = "no question asked.";
    if (strstr (text, needed) == NULL)
      g_error ("%s.%s: its documentation does not say: %s", row->interface, row->method, needed);
    if (free != (strstr (text, "no question asked") != NULL))
      g_error ("%s.%s: documentation and row differ on its owner", row->interface, row->method);
    if (row->or_shared && row->access == BANGER_ACCESS_ACTION
        && g_str_equal (row->action, BANGER_ACTION_VM_USE))
      g_assert_nonnull (strstr (text, "or a shared one"));
  }
}

static void
test_rows_are_whole (void)
{
  for (const BangerAction *row = banger_action_table (); row->interface != NULL; row++) {
    gboolean asks = row->access == BANGER_ACCESS_ACTION || row->access == BANGER_ACCESS_ALWAYS;

    g_assert_nonnull (row->verb);
    g_assert_true (asks == (row->action != NULL));
    g_assert_true (asks == (row->message != NULL));
    g_assert_true (row->access != BANGER_ACCESS_PUBLIC || row->reads);
    g_assert_true (banger_action_access (row, NULL) == row->access);
  }
}

static void
test_taking_back_is_the_owners (void)
{
  const BangerAction *row = banger_action_find (BANGER_IFACE_IMAGE, "Share");
  g_autoptr (GVariant) offer = g_variant_ref_sink (g_variant_new_parsed ("(true, @a{sv} {})"));
  g_autoptr (GVariant) back = g_variant_ref_sink (g_variant_new_parsed ("(false, @a{sv} {})"));
  g_autoptr (GVariant) odd = g_variant_ref_sink (g_variant_new_parsed ("(0, @a{sv} {})"));

  g_assert_true (banger_action_access (row, offer) == BANGER_ACCESS_ACTION);
  g_assert_true (banger_action_access (row, back) == BANGER_ACCESS_OWNER);
  g_assert_true (banger_action_access (row, odd) == BANGER_ACCESS_ACTION);
  row = banger_action_find (BANGER_IFACE_IMAGE, "Promote");
  g_assert_true (banger_action_access (row, back) == BANGER_ACCESS_ACTION);
}

typedef struct {
  GHashTable *actions; /* id → its owner annotation, or "" */
  GPtrArray *implied;
  char *action;
  char *key; /* of the annotation that is being read */
} Policy;

static void
on_start (GMarkupParseContext *context, const char *element, const char **names,
          const char **values, gpointer data, GError **error)
{
  Policy *policy = data;

  for (guint i = 0; names[i] != NULL; i++) {
    if (g_str_equal (element, "action") && g_str_equal (names[i], "id")) {
      g_free (policy->action);
      policy->action = g_strdup (values[i]);
      g_assert_false (g_hash_table_contains (policy->actions, values[i]));
      g_hash_table_insert (policy->actions, g_strdup (values[i]), g_strdup (""));
    } else if (g_str_equal (element, "annotate") && g_str_equal (names[i], "key")) {
      policy->key = g_strdup (values[i]);
    }
  }
}

static void
on_end (GMarkupParseContext *context, const char *element, gpointer data, GError **error)
{
  g_clear_pointer (&((Policy *)data)->key, g_free);
}

static void
on_text (GMarkupParseContext *context, const char *text, gsize length, gpointer data,
         GError **error)
{
  Policy *policy = data;

  if (g_strcmp0 (policy->key, "org.freedesktop.policykit.owner") == 0)
    g_hash_table_insert (policy->actions, g_strdup (policy->action), g_strndup (text, length));
  else if (g_strcmp0 (policy->key, "org.freedesktop.policykit.imply") == 0)
    g_ptr_array_add (policy->implied, g_strndup (text, length));
}

static void
policy_free (Policy *policy)
{
  g_hash_table_unref (policy->actions);
  g_ptr_array_unref (policy->implied);
  g_free (policy->action);
  g_free (policy);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Policy, policy_free)

static Policy *
read_policy (void)
{
  static const GMarkupParser parser = { on_start, on_end, on_text, NULL, NULL };
  g_autofree char *text = read_source ("policy", "org.banger.policy.in");
  g_autoptr (GMarkupParseContext) context = NULL;
  g_autoptr (GError) error = NULL;
  Policy *policy = g_new0 (Policy, 1);

  policy->actions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  policy->implied = g_ptr_array_new_with_free_func (g_free);
  context = g_markup_parse_context_new (&parser, 0, policy, NULL);
  g_markup_parse_context_parse (context, text, -1, &error);
  g_assert_no_error (error);
  g_markup_parse_context_end_parse (context, &error);
  g_assert_no_error (error);
  return policy;
}

static void
test_policy_knows_every_action (void)
{
  g_autoptr (Policy) policy = read_policy ();
  GHashTableIter iter;
  gpointer id = NULL, owner = NULL;

  for (const BangerAction *row = banger_action_table (); row->interface != NULL; row++) {
    if (row->action != NULL && !g_hash_table_contains (policy->actions, row->action))
      g_error ("%s.%s: %s is not in the policy", row->interface, row->method, row->action);
  }
  g_assert_true (g_hash_table_contains (policy->actions, BANGER_ACTION_MANAGE_OTHERS));
  g_hash_table_iter_init (&iter, policy->actions);
  while (g_hash_table_iter_next (&iter, &id, &owner)) {
    /* Else polkit refuses to answer a service that is not root. */
    g_assert_cmpstr (owner, ==, "unix-user:bangerd");
  }
  for (guint i = 0; i < policy->implied->len; i++)
    g_assert_true (g_hash_table_contains (policy->actions, policy->implied->pdata[i]));
}

static void
test_rule_grants_known_actions (void)
{
  g_autoptr (Policy) policy = read_policy ();
  g_autofree char *rules = read_source ("policy", "org.banger.rules");
  g_autoptr (GRegex) regex = g_regex_new ("\"(org\\.banger\\.[^\"]*)\"", 0, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  guint count = 0;

  for (g_regex_match (regex, rules, 0, &match); g_match_info_matches (match);
       g_match_info_next (match, NULL)) {
    g_autofree char *id = g_match_info_fetch (match, 1);

    g_assert_true (g_hash_table_contains (policy->actions, id));
    count++;
  }
  g_assert_cmpuint (count, ==, 3);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/actions/every-method-has-a-row", test_every_method_has_a_row);
  g_test_add_func ("/actions/every-row-has-a-method", test_every_row_has_a_method);
  g_test_add_func ("/actions/documentation", test_documentation_says_the_same);
  g_test_add_func ("/actions/rows-are-whole", test_rows_are_whole);
  g_test_add_func ("/actions/taking-back", test_taking_back_is_the_owners);
  g_test_add_func ("/actions/policy", test_policy_knows_every_action);
  g_test_add_func ("/actions/rule", test_rule_grants_known_actions);
  return g_test_run ();
}
