/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel-tree.h"

#include "text.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#define STAGE "receiving"

/* /lib may be a link to /usr/lib, in a tree one that leads out of it. */
static const char *const module_folders[] = { "usr/lib/modules", "lib/modules" };

static void
clear_file (gpointer data)
{
  BangerPackFile *file = data;

  banger_clear_fd (&file->fd);
  g_clear_pointer (&file->name, g_free);
}

/* Of BangerPackFile. */
static GArray *
files_new (void)
{
  GArray *files = g_array_new (FALSE, FALSE, sizeof (BangerPackFile));

  g_array_set_clear_func (files, clear_file);
  return files;
}

/* Adds the file at @path as @name. FALSE, with errno, if it cannot be read. */
static gboolean
add_file (GArray *files, const char *path, const char *name)
{
  BangerPackFile file = { open (path, O_RDONLY | O_CLOEXEC), NULL };

  if (file.fd < 0)
    return FALSE;
  file.name = g_strdup (name);
  g_array_append_val (files, file);
  return TRUE;
}

static char *
find_modules (const char *root, const char *release)
{
  for (gsize i = 0; i < G_N_ELEMENTS (module_folders); i++) {
    g_autofree char *path = g_build_filename (root, module_folders[i], release, NULL);

    if (g_file_test (path, G_FILE_TEST_IS_DIR))
      return g_steal_pointer (&path);
  }
  return NULL;
}

/* Linux, Documentation/arch/x86/boot.rst: where a bzImage says its release, and a word to know one
 * by. */
#define HEADER_MAGIC 0x202
#define HEADER_VERSION 0x20e
#define HEADER_BASE 0x200

/* Whether the header of the kernel at @path says @release. */
static gboolean
says_release (const char *path, const char *release)
{
  banger_autofd int fd = open (path, O_RDONLY | O_CLOEXEC);
  guint8 magic[4], at[2];
  char said[128] = "";
  gsize length = strlen (release);

  if (fd < 0 || length >= sizeof said || pread (fd, magic, 4, HEADER_MAGIC) != 4
      || memcmp (magic, "HdrS", 4) != 0 || pread (fd, at, 2, HEADER_VERSION) != 2
      || pread (fd, said, length + 1, HEADER_BASE + at[0] + 256 * at[1]) != (ssize_t)length + 1)
    return FALSE;
  return strncmp (said, release, length) == 0 && (said[length] == ' ' || said[length] == '\0');
}

/* Alpine, Arch and others name a kernel by its flavour ("vmlinuz-virt"). */
static char *
find_flavour (const char *root, const char *release)
{
  g_autofree char *boot = g_build_filename (root, "boot", NULL);
  g_autoptr (GDir) dir = g_dir_open (boot, 0, NULL);
  const char *name = NULL;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (boot, name, NULL);

    if (g_str_has_prefix (name, "vmlinuz-") && says_release (path, release))
      return g_steal_pointer (&path);
  }
  return NULL;
}

/* In /boot, or where Fedora and Arch have it, beside its modules @modules. */
static char *
find_vmlinuz (const char *root, const char *release, const char *modules)
{
  g_autofree char *file = g_strconcat ("vmlinuz-", release, NULL);
  g_autofree char *path = g_build_filename (root, "boot", file, NULL);
  g_autofree char *other = g_build_filename (modules, "vmlinuz", NULL);

  if (g_file_test (path, G_FILE_TEST_EXISTS))
    return g_steal_pointer (&path);
  return g_file_test (other, G_FILE_TEST_EXISTS) ? g_steal_pointer (&other)
                                                 : find_flavour (root, release);
}

static void
add_releases (GPtrArray *releases, const char *root, const char *folder)
{
  g_autofree char *path = g_build_filename (root, folder, NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name = NULL;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *modules = find_modules (root, name);
    g_autofree char *vmlinuz = modules != NULL ? find_vmlinuz (root, name, modules) : NULL;

    if (vmlinuz != NULL && !g_ptr_array_find_with_equal_func (releases, name, g_str_equal, NULL))
      g_ptr_array_add (releases, g_strdup (name));
  }
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

/* Which have both a kernel and modules. */
static GPtrArray *
find_releases (const char *root)
{
  GPtrArray *releases = g_ptr_array_new_with_free_func (g_free);

  for (gsize i = 0; i < G_N_ELEMENTS (module_folders); i++)
    add_releases (releases, root, module_folders[i]);
  g_ptr_array_sort (releases, compare_names);
  return releases;
}

static char *
join (GPtrArray *names)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < names->len; i++) {
    g_autofree char *shown = banger_text_escape (names->pdata[i], -1);

    g_string_append_printf (text, "%s%s", i > 0 ? ", " : "", shown);
  }
  return g_string_free (g_steal_pointer (&text), FALSE);
}

static char *
choose_release (const char *root, GError **error)
{
  g_autoptr (GPtrArray) releases = find_releases (root);
  g_autofree char *shown = banger_text_escape (root, -1);
  g_autofree char *list = join (releases);

  if (releases->len == 1)
    return g_strdup (releases->pdata[0]);
  if (releases->len == 0)
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, STAGE,
                      _ ("there is no boot/vmlinuz-RELEASE with its lib/modules/RELEASE"), NULL,
                      _ ("'%s' holds no kernel"), shown);
  else
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, STAGE, list,
                      _ ("choose one with --release"), _ ("'%s' holds several kernels"), shown);
  return NULL;
}

/* Some distributions let nobody but root read it. */
static void
set_unreadable (const char *vmlinuz, const char *modules, const char *name, GError **error)
{
  g_autofree char *base = g_path_get_basename (vmlinuz);
  g_autofree char *shown = banger_text_escape (vmlinuz, -1);
  g_autofree char *hint = NULL;
  int errnum = errno;

  /* The names may be anybody's. The shell that writes the copy is the user's, and so is its place.
   */
  if (errnum == EACCES || errnum == EPERM) {
    g_autofree char *copy = g_build_filename (g_get_home_dir (), base, NULL);
    g_autofree char *from = g_shell_quote (vmlinuz), *to = g_shell_quote (copy);
    g_autofree char *with = g_shell_quote (modules), *as = g_shell_quote (name);

    hint = g_strdup_printf ("sudo cat %s > %s; banger kernel import %s --vmlinuz %s --modules %s",
                            from, to, as, to, with);
  }
  banger_set_error (error, BANGER_ERROR_FAILED, STAGE, g_strerror (errnum), hint,
                    _ ("cannot open '%s'"), shown);
}

static BangerPack *
pack (const char *root, const char *release, const char *name, int *read_fd, GError **error)
{
  g_autoptr (GArray) files = files_new ();
  g_autofree char *modules = find_modules (root, release);
  g_autofree char *vmlinuz = modules != NULL ? find_vmlinuz (root, release, modules) : NULL;
  g_autofree char *boot = g_strconcat ("boot/vmlinuz-", release, NULL);
  g_autofree char *config = g_strconcat ("boot/config-", release, NULL);
  g_autofree char *config_path = g_build_filename (root, config, NULL);
  g_autofree char *prefix = g_strconcat ("lib/modules/", release, NULL);
  g_autofree char *shown = banger_text_escape (root, -1);

  if (vmlinuz == NULL) {
    g_autofree char *cause
        = g_strdup_printf (_ ("there is no %s"), modules == NULL ? prefix : boot);

    banger_set_error (error, BANGER_ERROR_NOT_FOUND, STAGE, cause, NULL,
                      _ ("'%s' does not hold the kernel %s"), shown, release);
    return NULL;
  }
  if (!add_file (files, vmlinuz, boot)) {
    set_unreadable (vmlinuz, modules, name, error);
    return NULL;
  }
  add_file (files, config_path, config);
  return banger_pack_start_after (g_steal_pointer (&files), modules, prefix, read_fd, error);
}

BangerPack *
banger_kernel_tree_pack (const char *root, const char *release, const char *name, int *read_fd,
                         GError **error)
{
  g_autofree char *chosen = release != NULL ? g_strdup (release) : choose_release (root, error);

  return chosen != NULL ? pack (root, chosen, name, read_fd, error) : NULL;
}

BangerPack *
banger_kernel_tree_pack_modules (const char *modules, const char *vmlinuz, int *read_fd,
                                 GError **error)
{
  g_autoptr (GArray) files = files_new ();
  g_autofree char *real = realpath (modules, NULL);
  g_autofree char *folder = g_path_get_dirname (vmlinuz);
  g_autofree char *release = NULL, *base = NULL, *config = NULL, *name = NULL;

  if (real == NULL) {
    g_autofree char *shown = banger_text_escape (modules, -1);

    banger_set_error_errno (error, errno, STAGE, _ ("cannot open '%s'"), shown);
    return NULL;
  }
  release = g_path_get_basename (real);
  base = g_strconcat ("config-", release, NULL);
  config = g_build_filename (folder, base, NULL);
  name = g_build_filename ("boot", base, NULL);
  add_file (files, config, name);
  return banger_pack_start_after (g_steal_pointer (&files), real, release, read_fd, error);
}

char *
banger_kernel_tree_host_release (void)
{
  struct utsname host;

  return g_strdup (uname (&host) == 0 ? host.release : "");
}
