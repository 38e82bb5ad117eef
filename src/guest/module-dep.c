/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The modules.dep that came with the modules, against what they say themselves: by that the tree's
 * own is made, as a list may be older than its modules. */
#include "modules.h"

#include <string.h>

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* Sorted and joined, so that sets compare as strings. Takes @names. */
static char *
join_set (GPtrArray *names)
{
  GString *text = g_string_new (NULL);

  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    g_string_append_printf (text, "%s ", (char *)names->pdata[i]);
  g_ptr_array_unref (names);
  return g_string_free (text, FALSE);
}

/* "path: path path", into @listed: name to set of names. */
static void
take_line (GHashTable *listed, const char *line)
{
  const char *colon = strchr (line, ':');
  GPtrArray *needs = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *path = colon != NULL ? g_strndup (line, colon - line) : NULL;
  char *name = path != NULL ? banger_module_name (path) : NULL;
  g_auto (GStrv) words = g_strsplit (colon != NULL ? colon + 1 : "", " ", -1);

  for (guint i = 0; words[i] != NULL; i++) {
    char *need = banger_module_name (words[i]);

    if (need != NULL)
      g_ptr_array_add (needs, need);
  }
  if (name != NULL)
    g_hash_table_insert (listed, name, join_set (needs));
  else
    g_ptr_array_unref (needs);
}

static GHashTable *
read_list (GBytes *content)
{
  GHashTable *listed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  gsize length;
  const char *data = g_bytes_get_data (content, &length);
  g_autofree char *text = g_strndup (data != NULL ? data : "", length);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++)
    take_line (listed, lines[i]);
  return listed;
}

static gboolean
agrees (BangerModules *modules, GHashTable *listed, BangerModule *module)
{
  g_autoptr (GPtrArray) order = g_ptr_array_new ();
  BangerModuleWalk walk = { .modules = modules, .order = order };
  GPtrArray *needs = g_ptr_array_new ();
  g_autofree char *own = NULL;

  banger_module_walk_start (&walk);
  banger_module_walk_to (&walk, module, NULL);
  /* The last is the module itself. */
  for (guint i = 0; i + 1 < order->len; i++)
    g_ptr_array_add (needs, ((BangerModule *)order->pdata[i])->name);
  own = join_set (needs);
  return g_strcmp0 (own, g_hash_table_lookup (listed, module->name)) == 0;
}

void
banger_modules_compare_dep (BangerModules *modules, GPtrArray *notes)
{
  g_autoptr (GHashTable) listed = NULL;
  const char *first = NULL;
  guint differ = 0;

  if (modules->given_dep == NULL)
    return;
  banger_modules_sort (modules);
  listed = read_list (modules->given_dep);
  for (guint i = 0; i < modules->all->len; i++) {
    BangerModule *module = modules->all->pdata[i];

    if (agrees (modules, listed, module))
      continue;
    differ++;
    first = first != NULL ? first : module->name;
  }
  if (differ > 0)
    g_ptr_array_add (notes, g_strdup_printf ("modules.dep says of %u modules, of which %s is one, "
                                             "other than they themselves: what they say is taken",
                                             differ, first));
}
