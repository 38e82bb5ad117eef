/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modules.h"

#include "common/common.h"

void
banger_module_walk_start (BangerModuleWalk *walk)
{
  walk->modules->walk++;
}

static gboolean visit (BangerModuleWalk *walk, BangerModule *module, guint depth, GError **error);

static gboolean
visit_name (BangerModuleWalk *walk, const char *name, guint depth, GError **error)
{
  BangerModule *module = g_hash_table_lookup (walk->modules->by_name, name);

  if (module != NULL)
    return visit (walk, module, depth, error);
  if (walk->missing != NULL && !g_hash_table_contains (walk->modules->builtin, name))
    g_ptr_array_add (walk->missing, (gpointer)name);
  return TRUE;
}

static gboolean
visit_alias (BangerModuleWalk *walk, const char *alias, guint depth, GError **error)
{
  GPtrArray *all = g_hash_table_lookup (walk->modules->by_alias, alias);

  for (guint i = 0; all != NULL && i < all->len; i++) {
    if (!visit (walk, all->pdata[i], depth, error))
      return FALSE;
  }
  return TRUE;
}

/* What a softdep names is a module, or an alias of several of which the processor may suit but one
 * ("crc32c", in full "crypto-crc32c"). It need not be there at all. */
static gboolean
visit_soft (BangerModuleWalk *walk, const char *word, guint depth, GError **error)
{
  g_autofree char *name = g_strdelimit (g_strdup (word), "-", '_');
  g_autofree char *crypto = g_strconcat ("crypto-", word, NULL);
  BangerModule *module = g_hash_table_lookup (walk->modules->by_name, name);

  if (module != NULL)
    return visit (walk, module, depth, error);
  if (g_hash_table_contains (walk->modules->builtin, name))
    return TRUE;
  return visit_alias (walk, word, depth, error) && visit_alias (walk, crypto, depth, error);
}

static gboolean
visit_softdep (BangerModuleWalk *walk, const char *softdep, guint depth, GError **error)
{
  g_auto (GStrv) words = g_strsplit (softdep, " ", -1);
  gboolean before = FALSE;

  for (guint i = 0; words[i] != NULL; i++) {
    if (g_str_has_suffix (words[i], ":"))
      before = g_str_equal (words[i], "pre:");
    else if (before && words[i][0] != '\0' && !visit_soft (walk, words[i], depth, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
visit_needed (BangerModuleWalk *walk, BangerModule *module, guint depth, GError **error)
{
  for (guint i = 0; walk->soft && i < module->softdeps->len; i++) {
    if (!visit_softdep (walk, module->softdeps->pdata[i], depth, error))
      return FALSE;
  }
  for (guint i = 0; i < module->depends->len; i++) {
    if (!visit_name (walk, module->depends->pdata[i], depth, error))
      return FALSE;
  }
  return TRUE;
}

/* A module that needs itself by a circle is met again while it is marked, and ends there. */
static gboolean
visit (BangerModuleWalk *walk, BangerModule *module, guint depth, GError **error)
{
  if (module->walk == walk->modules->walk)
    return TRUE;
  module->walk = walk->modules->walk;
  if (depth > BANGER_MODULES_DEPTH_MAX) {
    banger_set_error (error, BANGER_ERROR_BAD_IMAGE, "modules",
                      "modules need one another in too long a row", NULL,
                      "module file '%s': not usable", module->path);
    return FALSE;
  }
  if (!visit_needed (walk, module, depth + 1, error))
    return FALSE;
  g_ptr_array_add (walk->order, module);
  return TRUE;
}

gboolean
banger_module_walk_to (BangerModuleWalk *walk, BangerModule *module, GError **error)
{
  return visit (walk, module, 0, error);
}

gboolean
banger_modules_have (BangerModules *modules, const char *name)
{
  BangerModule *module = g_hash_table_lookup (modules->by_name, name);
  g_autoptr (GPtrArray) order = g_ptr_array_new ();
  g_autoptr (GPtrArray) missing = g_ptr_array_new ();
  BangerModuleWalk walk = { .modules = modules, .order = order, .missing = missing };

  if (module == NULL)
    return g_hash_table_contains (modules->builtin, name);
  banger_module_walk_start (&walk);
  return banger_module_walk_to (&walk, module, NULL) && missing->len == 0;
}
