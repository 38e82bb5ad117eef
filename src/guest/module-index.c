/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What depmod makes of a tree of modules, from the same facts: kmod's modprobe reads the binary
 * files, busybox' the text. */
#include "modules.h"

#include "kmod-index.h"

#include "common/common.h"

#include <stdio.h>
#include <string.h>

#define INDEX_MAX (64 * 1024 * 1024)

static void
add_file (GPtrArray *files, const char *path, GBytes *content)
{
  BangerTreeFile *file = g_new0 (BangerTreeFile, 1);

  file->path = g_strdup (path);
  file->content = content;
  g_ptr_array_add (files, file);
}

static void
add_text (GPtrArray *files, const char *path, GString *text)
{
  add_file (files, path, g_string_free_to_bytes (text));
}

void
banger_tree_file_free (gpointer data)
{
  BangerTreeFile *file = data;

  g_free (file->path);
  g_clear_pointer (&file->content, g_bytes_unref);
  g_free (file);
}

/* "path: what it needs", in the reverse of the order to load them. */
static char *
dependency_line (BangerModules *modules, BangerModule *module, GError **error)
{
  g_autoptr (GPtrArray) order = g_ptr_array_new ();
  BangerModuleWalk walk = { .modules = modules, .order = order };
  g_autoptr (GString) line = g_string_new (module->path);

  banger_module_walk_start (&walk);
  if (!banger_module_walk_to (&walk, module, error))
    return NULL;
  g_string_append_c (line, ':');
  for (guint i = order->len - 1; i > 0; i--)
    g_string_append_printf (line, " %s", ((BangerModule *)order->pdata[i - 1])->path);
  return g_string_free (g_steal_pointer (&line), FALSE);
}

static gboolean
add_dependencies (BangerModules *modules, GPtrArray *files, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (BangerKmodIndex) index = banger_kmod_index_new ();

  for (guint i = 0; i < modules->all->len; i++) {
    BangerModule *module = modules->all->pdata[i];
    g_autofree char *line = dependency_line (modules, module, error);

    if (line == NULL)
      return FALSE;
    g_string_append_printf (text, "%s\n", line);
    banger_kmod_index_add (index, module->name, line, i);
    if (text->len > INDEX_MAX) {
      banger_set_error (error, BANGER_ERROR_BAD_IMAGE, "modules",
                        "they need one another in too many ways", NULL, "modules: not usable");
      return FALSE;
    }
  }
  add_text (files, "modules.dep", g_steal_pointer (&text));
  add_file (files, "modules.dep.bin", banger_kmod_index_finish (index));
  return TRUE;
}

static void
index_alias (BangerKmodIndex *index, const char *alias, const char *module, guint priority)
{
  g_autofree char *normal = banger_kmod_alias_normalize (alias);

  if (normal != NULL)
    banger_kmod_index_add (index, normal, module, priority);
}

static void
add_aliases (BangerModules *modules, GPtrArray *files)
{
  GString *text = g_string_new ("# Aliases extracted from modules themselves.\n");
  g_autoptr (BangerKmodIndex) index = banger_kmod_index_new ();

  for (guint i = 0; i < modules->all->len; i++) {
    BangerModule *module = modules->all->pdata[i];

    for (guint j = 0; j < module->aliases->len; j++) {
      const char *alias = module->aliases->pdata[j];

      g_string_append_printf (text, "alias %s %s\n", alias, module->name);
      index_alias (index, alias, module->name, i);
    }
  }
  add_text (files, "modules.alias", text);
  add_file (files, "modules.alias.bin", banger_kmod_index_finish (index));
}

static void
add_softdeps (BangerModules *modules, GPtrArray *files)
{
  GString *text = g_string_new ("# Soft dependencies extracted from modules themselves.\n");

  for (guint i = 0; i < modules->all->len; i++) {
    BangerModule *module = modules->all->pdata[i];

    for (guint j = 0; j < module->softdeps->len; j++)
      g_string_append_printf (text, "softdep %s %s\n", module->name,
                              (char *)module->softdeps->pdata[j]);
  }
  add_text (files, "modules.softdep", text);
}

static void
add_builtins (BangerModules *modules, GPtrArray *files)
{
  g_autoptr (BangerKmodIndex) names = banger_kmod_index_new ();
  g_autoptr (BangerKmodIndex) aliases = banger_kmod_index_new ();
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, modules->builtin);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    banger_kmod_index_add (names, name, "", 0);
  for (guint i = 0; i < modules->builtin_aliases->len; i++) {
    BangerBuiltinAlias *each = &g_array_index (modules->builtin_aliases, BangerBuiltinAlias, i);

    index_alias (aliases, each->alias, each->module, 0);
  }
  add_file (files, "modules.builtin.bin", banger_kmod_index_finish (names));
  add_file (files, "modules.builtin.alias.bin", banger_kmod_index_finish (aliases));
}

/* A line for a device node that loads its module when it is opened: "fuse fuse c10:229". */
static void
append_device (GString *text, const BangerModule *module)
{
  const char *node = NULL;
  guint major, minor;
  char kind = '\0';

  for (guint i = 0; i < module->aliases->len; i++) {
    const char *alias = module->aliases->pdata[i];

    if (g_str_has_prefix (alias, "devname:"))
      node = alias + strlen ("devname:");
    else if (kind == '\0' && sscanf (alias, "char-major-%u-%u", &major, &minor) == 2)
      kind = 'c';
    else if (kind == '\0' && sscanf (alias, "block-major-%u-%u", &major, &minor) == 2)
      kind = 'b';
  }
  if (node != NULL && kind != '\0')
    g_string_append_printf (text, "%s %s %c%u:%u\n", module->name, node, kind, major, minor);
}

static void
add_devices (BangerModules *modules, GPtrArray *files)
{
  GString *text = g_string_new ("# Device nodes to trigger on-demand module loading.\n");

  for (guint i = 0; i < modules->all->len; i++)
    append_device (text, modules->all->pdata[i]);
  add_text (files, "modules.devname", text);
}

GPtrArray *
banger_modules_index (BangerModules *modules, GError **error)
{
  g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (banger_tree_file_free);

  banger_modules_sort (modules);
  if (!add_dependencies (modules, files, error))
    return NULL;
  add_aliases (modules, files);
  add_softdeps (modules, files);
  add_builtins (modules, files);
  add_devices (modules, files);
  return g_steal_pointer (&files);
}
