/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Importing kernels. */
#include "import.h"
#include "kernel-tree.h"
#include "verbs.h"

#include <glib/gi18n.h>

#define TAKES N_ ("kernel import: give one of a package, --vmlinuz, --tree and --host")

/* What is given to ImportKernel. */
typedef struct {
  GVariantBuilder files;
  GUnixFDList *fds;
  BangerPack *pack; /* of a directory */
} Inputs;

static gboolean
add_fd (Inputs *inputs, const char *key, int fd, GError **error)
{
  GVariant *handle = fd >= 0 ? banger_import_add_fd (inputs->fds, fd, error) : NULL;

  if (handle == NULL)
    return FALSE;
  g_variant_builder_add (&inputs->files, "{s@h}", key, handle);
  return TRUE;
}

static gboolean
add_file (Inputs *inputs, const char *key, const char *path, GError **error)
{
  return add_fd (inputs, key, banger_import_open (path, error), error);
}

static gboolean
add_modules (Inputs *inputs, const char *modules, const char *vmlinuz, GError **error)
{
  int fd = -1;

  if (!g_file_test (modules, G_FILE_TEST_IS_DIR))
    return add_file (inputs, "modules", modules, error);
  inputs->pack = banger_kernel_tree_pack_modules (modules, vmlinuz, &fd, error);
  return inputs->pack != NULL && add_fd (inputs, "modules", fd, error);
}

static gboolean
add_root (Inputs *inputs, const char *root, const char *release, const char *name, GError **error)
{
  int fd = -1;

  inputs->pack = banger_kernel_tree_pack (root, release, name, &fd, error);
  return inputs->pack != NULL && add_fd (inputs, "tree", fd, error);
}

static gboolean
add_host (Inputs *inputs, const char *name, GError **error)
{
  g_autofree char *release = banger_kernel_tree_host_release ();

  return add_root (inputs, "/", release, name, error);
}

static gboolean
add_tree (Inputs *inputs, BangerArgs *args, GError **error)
{
  const char *tree = banger_args_text (args, "tree");

  if (!g_file_test (tree, G_FILE_TEST_IS_DIR))
    return add_file (inputs, "tree", tree, error);
  return add_root (inputs, tree, banger_args_text (args, "release"), banger_args_words (args)[0],
                   error);
}

static gboolean
refuse (GError **error, const char *message)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger help kernel import",
                    "%s", message);
  return FALSE;
}

static gboolean
check_kernel_args (BangerArgs *args, GError **error)
{
  gboolean package = banger_args_words (args)[1] != NULL;
  gboolean vmlinuz = banger_args_text (args, "vmlinuz") != NULL;
  gboolean modules = banger_args_text (args, "modules") != NULL;
  gboolean tree = banger_args_text (args, "tree") != NULL;
  gboolean host = banger_args_flag (args, "host");

  if (!banger_name_check (BANGER_OBJECT_KERNEL, banger_args_words (args)[0], error))
    return FALSE;
  if (package + vmlinuz + tree + host != 1 || (modules && !package && !vmlinuz))
    return refuse (error, _ (TAKES));
  if (banger_args_text (args, "release") != NULL && !tree)
    return refuse (error, _ ("kernel import: --release chooses from a --tree"));
  return TRUE;
}

static gboolean
add_inputs (Inputs *inputs, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  const char *vmlinuz = banger_args_text (args, "vmlinuz");
  const char *modules = banger_args_text (args, "modules");

  if (banger_args_flag (args, "host"))
    return add_host (inputs, words[0], error);
  if (banger_args_text (args, "tree") != NULL)
    return add_tree (inputs, args, error);
  if (!add_file (inputs, vmlinuz != NULL ? "vmlinuz" : "package",
                 vmlinuz != NULL ? vmlinuz : words[1], error))
    return FALSE;
  return modules == NULL
         || add_modules (inputs, modules, vmlinuz != NULL ? vmlinuz : words[1], error);
}

int
banger_kernel_import (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GError) cause = NULL, unread = NULL;
  Inputs inputs = { .fds = fds };

  if (!check_kernel_args (args, error))
    return 0;
  g_variant_builder_init (&inputs.files, G_VARIANT_TYPE ("a{sh}"));
  if (add_inputs (&inputs, args, &cause))
    banger_import_run (client, args, BANGER_OBJECT_KERNEL, "ImportKernel",
                       g_variant_new ("(sa{sh}@a{sv})", banger_args_words (args)[0], &inputs.files,
                                      banger_import_options (args)),
                       g_steal_pointer (&fds), NULL, &cause);
  g_variant_builder_clear (&inputs.files);
  /* A pack that nobody was given to read ends as soon as its reader's end is gone. */
  g_clear_object (&fds);
  /* What kept us from reading is the reason behind what the service says of a short archive. */
  if (inputs.pack != NULL && !banger_pack_finish (inputs.pack, &unread)) {
    g_clear_error (&cause);
    cause = g_steal_pointer (&unread);
  }
  if (cause != NULL)
    g_propagate_error (error, g_steal_pointer (&cause));
  return 0;
}
