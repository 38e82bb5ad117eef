/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which files of an archive belong to a kernel, by their paths. */
#include "package.h"

#include "common/common.h"

#include <stdio.h>
#include <string.h>

#define PATH_LENGTH_MAX 512
#define DEPTH_MAX 24
#define RELEASES_MAX 64

#define KERNEL "boot/vmlinuz-" /* RELEASE, or any word */
#define CONFIG "boot/config-"

/* What a tree has of a release. */
#define HAS_KERNEL 1u
#define HAS_MODULES 2u

/* The path without "./" and "/" before it; NULL if it leads out or is out of bounds. */
static const char *
clean_path (const char *path)
{
  guint depth = 0;

  if (path == NULL || !g_utf8_validate (path, -1, NULL))
    return NULL;
  while (path[0] == '/' || g_str_has_prefix (path, "./"))
    path += path[0] == '/' ? 1 : 2;
  if (strlen (path) > PATH_LENGTH_MAX)
    return NULL;
  for (const char *part = path; part != NULL; part = strchr (part, '/')) {
    part += part != path;
    if (g_str_equal (part, "..") || g_str_has_prefix (part, "../") || g_str_has_prefix (part, "./")
        || part[0] == '/' || ++depth > DEPTH_MAX)
      return NULL;
  }
  return path;
}

/* The part of @path from the release on, NULL if it is not below a folder of modules. */
static const char *
module_part (BangerPackage *package, const char *path)
{
  static const char *const tops[] = { "usr/lib/modules/", "lib/modules/" };
  static const char *const others[] = { "usr/", "lib/", "boot/", "etc/" };
  gboolean may_be_bare = package->form == BANGER_PACKAGE_MODULES && package->outer == NULL;

  for (guint i = 0; i < G_N_ELEMENTS (tops); i++) {
    if (g_str_has_prefix (path, tops[i]))
      return path + strlen (tops[i]);
  }
  for (guint i = 0; may_be_bare && i < G_N_ELEMENTS (others); i++) {
    if (g_str_has_prefix (path, others[i]))
      return NULL;
  }
  return may_be_bare ? path : NULL;
}

static gboolean
note_release (BangerPackage *package, const char *release, GError **error)
{
  if (!banger_release_is_valid (release))
    return banger_package_refuse (package, "the folder of its modules is not named like a release",
                                  NULL, error);
  if (package->release == NULL)
    package->release = g_strdup (release);
  else if (!g_str_equal (package->release, release))
    return banger_package_refuse (package, "it holds the modules of more than one kernel", NULL,
                                  error);
  return TRUE;
}

/* What distributions call "virt" or "linux" is no release. */
static gboolean
looks_like_release (const char *text)
{
  guint major, minor;

  return banger_release_is_valid (text) && sscanf (text, "%u.%u", &major, &minor) == 2;
}

/* Takes down what a tree has of @release; *@chosen: whether that is the one to take. */
static gboolean
note_in_tree (BangerPackage *package, const char *release, guint has, gboolean *chosen,
              GError **error)
{
  guint before;

  *chosen = FALSE;
  if (!looks_like_release (release))
    return TRUE;
  before = GPOINTER_TO_UINT (g_hash_table_lookup (package->releases, release));
  g_hash_table_insert (package->releases, g_strdup (release), GUINT_TO_POINTER (before | has));
  if (g_hash_table_size (package->releases) > RELEASES_MAX)
    return banger_package_refuse (package, "it holds more than 64 kernels", NULL, error);
  if (package->release == NULL
      && (package->wanted == NULL || g_str_equal (package->wanted, release)))
    package->release = g_strdup (release);
  *chosen = g_strcmp0 (package->release, release) == 0;
  return TRUE;
}

/* The first kernel counts: distributions have one both in /boot and beside its modules. */
static gboolean
take_tree_kernel (BangerPackage *package, const char *release, BangerPackageEntry *entry,
                  GError **error)
{
  gboolean chosen;

  if (!note_in_tree (package, release, HAS_KERNEL, &chosen, error))
    return FALSE;
  if (chosen && !package->has_kernel) {
    package->has_kernel = TRUE;
    entry->kind = BANGER_PACKAGE_KERNEL;
    entry->path = g_strdup (release);
  }
  return TRUE;
}

static gboolean
take_boot_kernel (BangerPackage *package, const char *release, BangerPackageEntry *entry,
                  GError **error)
{
  if (package->form == BANGER_PACKAGE_TREE && !looks_like_release (release)) {
    entry->kind = BANGER_PACKAGE_UNNAMED;
    return TRUE;
  }
  if (package->form == BANGER_PACKAGE_TREE)
    return take_tree_kernel (package, release, entry, error);
  if (package->form == BANGER_PACKAGE_DEB) {
    entry->kind = BANGER_PACKAGE_KERNEL;
    entry->path = g_strdup (release);
  }
  return TRUE;
}

static void
take_config (const char *release, BangerPackageEntry *entry)
{
  if (!banger_release_is_valid (release))
    return;
  entry->kind = BANGER_PACKAGE_CONFIG;
  entry->path = g_strdup (release);
}

/* @file: below the folder of @release. Some distributions have the kernel and its configuration
 * there too. */
static gboolean
take_module_file (BangerPackage *package, const char *release, const char *file,
                  BangerPackageEntry *entry, GError **error)
{
  gboolean in_tree = package->form == BANGER_PACKAGE_TREE;
  gboolean chosen = TRUE;

  if (in_tree && g_str_equal (file, "vmlinuz"))
    return take_tree_kernel (package, release, entry, error);
  if (in_tree ? !note_in_tree (package, release, HAS_MODULES, &chosen, error)
              : !note_release (package, release, error))
    return FALSE;
  if (!chosen)
    return TRUE;
  if (g_str_equal (file, "config")) {
    take_config (release, entry);
  } else {
    entry->kind = BANGER_PACKAGE_MODULE_FILE;
    entry->path = g_strdup (file);
  }
  return TRUE;
}

gboolean
banger_package_classify (BangerPackage *package, const char *raw, gboolean is_file,
                         BangerPackageEntry *entry, GError **error)
{
  const char *path = clean_path (raw);
  const char *part, *slash;
  g_autofree char *release = NULL;

  entry->kind = BANGER_PACKAGE_OTHER;
  /* A tree may be a whole root with names of any kind: what is strange there is passed over. */
  if (path == NULL && package->form != BANGER_PACKAGE_TREE)
    return banger_package_refuse (
        package, "it names a file outside of itself, or in a way not allowed", NULL, error);
  if (path == NULL || !is_file)
    return TRUE;
  if (g_str_has_prefix (path, KERNEL))
    return take_boot_kernel (package, path + strlen (KERNEL), entry, error);
  if (g_str_has_prefix (path, CONFIG)) {
    take_config (path + strlen (CONFIG), entry);
    return TRUE;
  }
  part = module_part (package, path);
  slash = part != NULL ? strchr (part, '/') : NULL;
  if (slash == NULL || slash[1] == '\0')
    return TRUE;
  release = g_strndup (part, slash - part);
  return take_module_file (package, release, slash + 1, entry, error);
}

gboolean
banger_package_name_kernel (BangerPackage *package, BangerPackageEntry *entry, GError **error)
{
  g_autofree char *release = banger_kernel_header_release (entry->content);

  entry->kind = BANGER_PACKAGE_OTHER;
  if (release != NULL && !take_tree_kernel (package, release, entry, error))
    return FALSE;
  if (entry->kind == BANGER_PACKAGE_OTHER)
    g_clear_pointer (&entry->content, g_bytes_unref);
  return TRUE;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* Releases of which the tree has all of @has, sorted. */
static GPtrArray *
releases_with (BangerPackage *package, guint has)
{
  GPtrArray *names = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name, value;

  g_hash_table_iter_init (&iter, package->releases);
  while (g_hash_table_iter_next (&iter, &name, &value)) {
    if ((GPOINTER_TO_UINT (value) & has) == has)
      g_ptr_array_add (names, name);
  }
  g_ptr_array_sort (names, compare_names);
  return names;
}

static char *
join (GPtrArray *names)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < names->len; i++)
    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", (char *)names->pdata[i]);
  return g_string_free (text, FALSE);
}

static gboolean
refuse_wanted (BangerPackage *package, GPtrArray *whole, GError **error)
{
  g_autofree char *list = join (whole);
  g_autofree char *cause = g_strdup_printf (
      "it does not hold boot/vmlinuz-%s with lib/modules/%s; whole in it %s: %s", package->wanted,
      package->wanted, whole->len == 1 ? "is" : "are", whole->len > 0 ? list : "none");

  return banger_package_refuse (
      package, cause, whole->len > 0 ? "choose one of these with option 'release'" : NULL, error);
}

static gboolean
refuse_several (BangerPackage *package, GPtrArray *whole, GError **error)
{
  g_autofree char *list = join (whole);
  g_autofree char *cause = g_strdup_printf (
      whole->len == 1 ? "it holds parts of other kernels than %s" : "it holds the kernels %s",
      list);

  return banger_package_refuse (package, cause, "choose one with option 'release'", error);
}

gboolean
banger_package_settle (BangerPackage *package, GError **error)
{
  g_autoptr (GPtrArray) whole = releases_with (package, HAS_KERNEL | HAS_MODULES);
  gboolean taken = package->release != NULL
                   && g_ptr_array_find_with_equal_func (whole, package->release, g_str_equal, NULL);

  if (package->form != BANGER_PACKAGE_TREE)
    return TRUE;
  if (package->wanted != NULL)
    return taken || refuse_wanted (package, whole, error);
  if (whole->len == 0)
    return banger_package_refuse (
        package, "it holds no boot/vmlinuz-RELEASE with its lib/modules/RELEASE", NULL, error);
  return (taken && whole->len == 1) || refuse_several (package, whole, error);
}
