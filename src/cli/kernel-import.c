/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Importing kernels. */
#include "import.h"
#include "pack.h"
#include "verbs.h"

#include <errno.h>
#include <glib/gi18n.h>

/* Opens @path and adds it to ImportKernel's files as @key. */
static gboolean
add_file (GVariantBuilder *files, GUnixFDList *fds, const char *key, const char *path,
          GError **error)
{
  int fd = banger_import_open (path, error);
  GVariant *handle = fd >= 0 ? banger_import_add_fd (fds, fd, error) : NULL;

  if (handle == NULL)
    return FALSE;
  g_variant_builder_add (files, "{s@h}", key, handle);
  return TRUE;
}

/* Begins to pack a directory of modules, whose last part is the kernel's release. */
static BangerPack *
add_directory (GVariantBuilder *files, GUnixFDList *fds, const char *path, GError **error)
{
  g_autofree char *real = realpath (path, NULL);
  g_autofree char *release = NULL;
  BangerPack *pack = NULL;
  int fd = -1;

  if (real == NULL) {
    banger_set_error_errno (error, errno, "receiving", _ ("cannot open '%s'"), path);
    return NULL;
  }
  release = g_path_get_basename (real);
  pack = banger_pack_start (real, release, &fd, error);
  if (pack != NULL)
    g_variant_builder_add (files, "{s@h}", "modules", banger_import_add_fd (fds, fd, error));
  return pack;
}

static gboolean
check_kernel_args (BangerArgs *args, GError **error)
{
  gboolean has_package = banger_args_words (args)[1] != NULL;
  gboolean has_vmlinuz = banger_args_text (args, "vmlinuz") != NULL;
  gboolean has_modules = banger_args_text (args, "modules") != NULL;

  if (!banger_name_check (BANGER_OBJECT_KERNEL, banger_args_words (args)[0], error))
    return FALSE;
  if (has_package ? !has_vmlinuz && !has_modules : has_vmlinuz && has_modules)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger help kernel import",
                    _ ("kernel import: give either a package, or --vmlinuz with --modules"));
  return FALSE;
}

int
banger_kernel_import (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  const char *modules = banger_args_text (args, "modules");
  g_auto (GVariantBuilder) files = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE ("a{sh}"));
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GError) cause = NULL, unread = NULL;
  BangerPack *pack = NULL;
  gboolean ready = FALSE;

  if (!check_kernel_args (args, error))
    return 0;
  if (modules == NULL) {
    ready = add_file (&files, fds, "package", words[1], &cause);
  } else if (add_file (&files, fds, "vmlinuz", banger_args_text (args, "vmlinuz"), &cause)) {
    if (g_file_test (modules, G_FILE_TEST_IS_DIR))
      ready = (pack = add_directory (&files, fds, modules, &cause)) != NULL;
    else
      ready = add_file (&files, fds, "modules", modules, &cause);
  }
  if (ready)
    banger_import_run (
        client, args, BANGER_OBJECT_KERNEL, "ImportKernel",
        g_variant_new ("(sa{sh}@a{sv})", words[0], &files, banger_import_options (args)),
        g_steal_pointer (&fds), &cause);
  /* What kept us from reading is the reason behind what the service says of a short archive. */
  if (pack != NULL && !banger_pack_finish (pack, &unread)) {
    g_clear_error (&cause);
    cause = g_steal_pointer (&unread);
  }
  if (cause != NULL)
    g_propagate_error (error, g_steal_pointer (&cause));
  return 0;
}
