/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "modules.h"

#include "elf-file.h"

#include "codec/codec.h"
#include "common/common.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define STAGE "modules"
#define MODULE_MAX (256ull * 1024 * 1024)
#define SPOOL_MAX (8ull * 1024 * 1024 * 1024)
#define FILES_MAX 65536
#define TEXT_MAX (64ull * 1024 * 1024)

/* Made by depmod from what is there: never taken over, as we make our own. */
static const char *const generated[] = {
  "modules.alias",   "modules.alias.bin",   "modules.builtin.alias.bin", "modules.dep",
  "modules.dep.bin", "modules.builtin.bin", "modules.devname",           "modules.softdep",
  "modules.symbols", "modules.weakdep",     "modules.symbols.bin",       NULL,
};

static void
module_free (gpointer data)
{
  BangerModule *module = data;

  g_free (module->path);
  g_free (module->name);
  g_ptr_array_unref (module->depends);
  g_ptr_array_unref (module->aliases);
  g_ptr_array_unref (module->softdeps);
  g_free (module);
}

static void
builtin_alias_clear (gpointer data)
{
  BangerBuiltinAlias *each = data;

  g_free (each->alias);
  g_free (each->module);
}

BangerModules *
banger_modules_new (int spool)
{
  BangerModules *modules = g_new0 (BangerModules, 1);

  modules->spool = spool;
  modules->all = g_ptr_array_new_with_free_func (module_free);
  modules->by_name = g_hash_table_new (g_str_hash, g_str_equal);
  modules->by_alias
      = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
  modules->files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  modules->builtin = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  modules->builtin_aliases = g_array_new (FALSE, FALSE, sizeof (BangerBuiltinAlias));
  g_array_set_clear_func (modules->builtin_aliases, builtin_alias_clear);
  modules->orders = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  return modules;
}

void
banger_modules_free (BangerModules *modules)
{
  g_hash_table_unref (modules->by_name);
  g_hash_table_unref (modules->by_alias);
  g_hash_table_unref (modules->files);
  g_hash_table_unref (modules->builtin);
  g_hash_table_unref (modules->orders);
  g_clear_pointer (&modules->boot, g_ptr_array_unref);
  g_clear_pointer (&modules->given_dep, g_bytes_unref);
  g_array_unref (modules->builtin_aliases);
  g_ptr_array_unref (modules->all);
  g_free (modules);
}

guint
banger_modules_count (BangerModules *modules)
{
  return modules->all->len;
}

static gboolean
refuse (GError **error, const char *path, const char *cause)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, STAGE, cause,
                    "take the modules anew from the kernel's package or build",
                    "module file '%s': not usable", path);
  return FALSE;
}

/* The length of the path without the suffix of its compression, 0 if it is not a module's. */
static gsize
plain_length (const char *path)
{
  static const char *const suffixes[] = { ".ko", ".ko.xz", ".ko.zst", ".ko.gz" };

  for (gsize i = 0; i < G_N_ELEMENTS (suffixes); i++) {
    if (g_str_has_suffix (path, suffixes[i]))
      return strlen (path) - strlen (suffixes[i]) + strlen (".ko");
  }
  return 0;
}

char *
banger_module_name (const char *path)
{
  const char *slash = strrchr (path, '/');
  const char *base = slash != NULL ? slash + 1 : path;
  gsize length = plain_length (base);

  if (length <= strlen (".ko"))
    return NULL;
  return g_strdelimit (g_strndup (base, length - strlen (".ko")), "-", '_');
}

static gboolean
name_is_valid (const char *name)
{
  for (const char *at = name; *at != '\0'; at++) {
    if (!g_ascii_isalnum (*at) && *at != '_')
      return FALSE;
  }
  return name[0] != '\0' && strlen (name) < 56; /* Linux, MODULE_NAME_LEN */
}

static void
take_dependencies (BangerModule *module, const char *list)
{
  g_auto (GStrv) names = g_strsplit (list, ",", -1);

  for (guint i = 0; names[i] != NULL; i++) {
    g_strdelimit (g_strstrip (names[i]), "-", '_');
    if (name_is_valid (names[i]))
      g_ptr_array_add (module->depends, g_strdup (names[i]));
  }
}

/* Values go into text files of lines: one with a line break or another control is left out. */
static gboolean
is_line (const char *value)
{
  for (const char *at = value; *at != '\0'; at++) {
    if (!g_ascii_isprint (*at))
      return FALSE;
  }
  return value[0] != '\0';
}

static void
take_info (BangerModule *module, const char *info)
{
  const char *value = strchr (info, '=');

  if (value == NULL || !is_line (++value))
    return;
  if (g_str_has_prefix (info, "depends="))
    take_dependencies (module, value);
  else if (g_str_has_prefix (info, "alias=") && strchr (value, ' ') == NULL)
    g_ptr_array_add (module->aliases, g_strdup (value));
  else if (g_str_has_prefix (info, "softdep="))
    g_ptr_array_add (module->softdeps, g_strdup (value));
}

/* Calls @func for each NUL-terminated string; what the end cuts off does not count. */
static void
each_string (const BangerSpan *strings, void (*func) (gpointer data, const char *text),
             gpointer data)
{
  const char *at = (const char *)strings->data;
  const char *end = at + strings->length;

  while (at < end) {
    const char *stop = memchr (at, '\0', end - at);

    if (stop == NULL)
      return;
    func (data, at);
    at = stop + 1;
  }
}

static void
take_module_info (gpointer data, const char *info)
{
  take_info (data, info);
}

static gboolean
spool (BangerModules *modules, BangerModule *module, GBytes *plain, GError **error)
{
  gsize length;
  const guint8 *data = g_bytes_get_data (plain, &length);

  if (modules->spooled + length > SPOOL_MAX)
    return refuse (error, module->path, "all modules together are larger than 8 GiB");
  module->offset = modules->spooled;
  module->size = length;
  modules->spooled += length;
  return banger_write_all (modules->spool, data, length, error);
}

static gboolean
add_module (BangerModules *modules, const char *path, char *name, GBytes *plain, GError **error)
{
  g_autofree char *owned_name = name;
  BangerModule *module = g_new0 (BangerModule, 1);
  BangerSpan file, info;

  module->path = g_strdup (path);
  module->name = g_steal_pointer (&owned_name);
  module->depends = g_ptr_array_new_with_free_func (g_free);
  module->aliases = g_ptr_array_new_with_free_func (g_free);
  module->softdeps = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (modules->all, module);
  file.data = g_bytes_get_data (plain, &file.length);
  if (!name_is_valid (module->name) || modules->all->len > BANGER_MODULES_MAX)
    return refuse (error, path, "its name, or how many there are, is beyond what Linux has");
  /* modules.dep has a line for each: "path: path path". */
  if (strchr (path, ':') != NULL || strchr (path, ' ') != NULL || !is_line (path))
    return refuse (error, path, "its path holds what no list of modules can");
  if (!banger_elf_is (&file, ET_REL))
    return refuse (error, path, "it is not a module for x86-64");
  if (!banger_elf_section (&file, ".modinfo", &info))
    return refuse (error, path, "it does not say what it needs (.modinfo)");
  modules->text += info.length;
  if (modules->text > TEXT_MAX)
    return refuse (error, path, "the modules say more than 64 MiB about themselves");
  each_string (&info, take_module_info, module);
  return spool (modules, module, plain, error);
}

static void
take_order (BangerModules *modules, const char *line, guint number)
{
  if (g_str_has_suffix (line, ".ko"))
    g_hash_table_insert (modules->orders, g_strdup (line), GUINT_TO_POINTER (number + 1));
}

static void
take_builtin (BangerModules *modules, const char *line, guint number)
{
  char *name = banger_module_name (line);

  if (name != NULL && name_is_valid (name))
    g_hash_table_add (modules->builtin, name);
  else
    g_free (name);
}

static void
each_line (BangerModules *modules, GBytes *content,
           void (*func) (BangerModules *modules, const char *line, guint number))
{
  gsize length;
  const char *data = g_bytes_get_data (content, &length);
  g_autofree char *text = g_strndup (data != NULL ? data : "", length);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (guint i = 0; lines[i] != NULL; i++)
    func (modules, lines[i], i);
}

/* "module.alias=value" in modules.builtin.modinfo. */
static void
take_builtin_info (gpointer data, const char *info)
{
  BangerModules *modules = data;
  const char *dot = strchr (info, '.');
  BangerBuiltinAlias each;

  if (dot == NULL || !g_str_has_prefix (dot, ".alias="))
    return;
  each.alias = g_strdup (dot + strlen (".alias="));
  each.module = g_strndup (info, dot - info);
  if (is_line (each.alias) && name_is_valid (each.module))
    g_array_append_val (modules->builtin_aliases, each);
  else
    builtin_alias_clear (&each);
}

static gboolean
take_list (BangerModules *modules, const char *path, GBytes *content, GError **error)
{
  BangerSpan span;

  span.data = g_bytes_get_data (content, &span.length);
  modules->text += span.length;
  if (modules->text > TEXT_MAX)
    return refuse (error, path, "larger than 64 MiB");
  if (g_str_equal (path, "modules.order"))
    each_line (modules, content, take_order);
  else if (g_str_equal (path, "modules.builtin"))
    each_line (modules, content, take_builtin);
  else if (g_str_equal (path, "modules.builtin.modinfo"))
    each_string (&span, take_builtin_info, modules);
  return TRUE;
}

static gboolean
take_module (BangerModules *modules, const char *path, GBytes *content, GError **error)
{
  gsize length;
  const guint8 *data = g_bytes_get_data (content, &length);
  g_autoptr (GBytes) plain = NULL;

  if (g_str_has_suffix (path, ".ko"))
    plain = g_bytes_ref (content);
  else if (banger_codec_detect (data, length) != BANGER_CODEC_NONE)
    plain = banger_codec_decode_bytes (path, content, MODULE_MAX, error);
  else
    return refuse (error, path, "it is not compressed as its name says");
  return plain != NULL && add_module (modules, path, banger_module_name (path), plain, error);
}

/* It is not part of the tree, and yet looked at. */
static gboolean
keep_dep (BangerModules *modules, GBytes *content, GError **error)
{
  modules->text += g_bytes_get_size (content);
  if (modules->text > TEXT_MAX)
    return refuse (error, "modules.dep", "larger than 64 MiB");
  g_clear_pointer (&modules->given_dep, g_bytes_unref);
  modules->given_dep = g_bytes_ref (content);
  return TRUE;
}

gboolean
banger_modules_add (BangerModules *modules, const char *path, GBytes *content, gboolean *keep,
                    GError **error)
{
  g_autofree char *name = NULL;

  *keep = !g_strv_contains (generated, path);
  if (g_str_equal (path, "modules.dep"))
    return keep_dep (modules, content, error);
  if (!*keep)
    return TRUE;
  if (!g_hash_table_add (modules->files, g_strdup (path)))
    return refuse (error, path, "it is there twice");
  if (g_hash_table_size (modules->files) > FILES_MAX)
    return refuse (error, path, "there are too many files");
  name = banger_module_name (path);
  if (name != NULL) {
    if (take_module (modules, path, content, error))
      return TRUE;
    banger_error_set_stage (error, STAGE);
    return FALSE;
  }
  return take_list (modules, path, content, error);
}

static guint
order_of (BangerModules *modules, const char *path)
{
  g_autofree char *plain = g_strndup (path, plain_length (path));

  return GPOINTER_TO_UINT (g_hash_table_lookup (modules->orders, plain)) - 1;
}

static int
compare_modules (gconstpointer a, gconstpointer b)
{
  const BangerModule *left = *(BangerModule *const *)a;
  const BangerModule *right = *(BangerModule *const *)b;

  if (left->order != right->order)
    return left->order < right->order ? -1 : 1;
  return strcmp (left->path, right->path);
}

static void
insert_alias (BangerModules *modules, const char *alias, BangerModule *module)
{
  GPtrArray *all = g_hash_table_lookup (modules->by_alias, alias);

  if (all == NULL) {
    all = g_ptr_array_new ();
    g_hash_table_insert (modules->by_alias, (gpointer)alias, all);
  }
  g_ptr_array_add (all, module);
}

void
banger_modules_sort (BangerModules *modules)
{
  if (modules->sorted)
    return;
  modules->sorted = TRUE;
  for (guint i = 0; i < modules->all->len; i++) {
    BangerModule *module = modules->all->pdata[i];

    module->order = order_of (modules, module->path);
  }
  g_ptr_array_sort (modules->all, compare_modules);
  for (guint i = 0; i < modules->all->len; i++) {
    BangerModule *module = modules->all->pdata[i];

    if (!g_hash_table_contains (modules->by_name, module->name))
      g_hash_table_insert (modules->by_name, module->name, module);
    for (guint j = 0; j < module->aliases->len; j++)
      insert_alias (modules, module->aliases->pdata[j], module);
  }
}
