/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Importing images and kernels: files are opened here, as the user. */
#include "pack.h"
#include "verbs.h"

#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <string.h>
#include <unistd.h>

/* Opens @path for reading; "-" is standard input. -1 with an error. */
static int
open_source (const char *path, GError **error)
{
  g_autofree char *shown = banger_text_escape (path, -1);
  int fd = -1;

  if (strcmp (path, "-") == 0) {
    if (isatty (STDIN_FILENO)) {
      banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                        "tar -c … | banger image import NAME -",
                        _ ("standard input is a terminal, not an archive"));
      return -1;
    }
    fd = fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  } else {
    fd = open (path, O_RDONLY | O_CLOEXEC);
  }
  if (fd < 0) {
    banger_set_error (error, errno == ENOENT ? BANGER_ERROR_NOT_FOUND : BANGER_ERROR_FAILED, NULL,
                      g_strerror (errno), NULL, _ ("cannot open '%s'"), shown);
  } else if (g_file_test (path, G_FILE_TEST_IS_DIR)) {
    banger_clear_fd (&fd);
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("'%s' is a directory, not an archive"), shown);
  }
  return fd;
}

/* Adds the descriptor and returns its index as a value of type h, floating; closes @fd. */
static GVariant *
add_fd (GUnixFDList *fds, int fd, GError **error)
{
  banger_autofd int held = fd;
  int index = g_unix_fd_list_append (fds, held, error);

  return index >= 0 ? g_variant_new_handle (index) : NULL;
}

static GVariant *
import_options (BangerArgs *args)
{
  static const char *const words[] = { "user", "cwd" };
  const char *const *env = banger_args_has_list (args, "env");
  GVariantDict options;

  g_variant_dict_init (&options, NULL);
  if (banger_args_flag (args, "default"))
    g_variant_dict_insert (&options, "default", "b", TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (words); i++) {
    const char *word = banger_args_has_text (args, words[i]);

    if (word != NULL)
      g_variant_dict_insert (&options, words[i], "s", word);
  }
  if (env[0] != NULL)
    g_variant_dict_insert_value (&options, "env", g_variant_new_strv (env, -1));
  return g_variant_dict_end (&options);
}

static gboolean
say_imported (BangerClient *client, BangerArgs *args, BangerObjectKind kind, const char *path,
              guint64 usec, GError **error)
{
  g_autofree char *name = NULL, *label = NULL, *time = banger_text_duration (usec);

  if (banger_args_wants_document (args))
    return banger_asset_print (client, kind, path, args, error);
  name = banger_client_name_of (client, path, banger_client_interface (kind));
  if (banger_args_flag (args, "quiet")) {
    banger_output_line ("%s", name);
    return TRUE;
  }
  label = banger_label (kind, name);
  if (banger_args_flag (args, "no-wait"))
    banger_output_line (_ ("%s is being imported"), label);
  else
    banger_output_line (_ ("%s is ready (%s)"), label, time);
  return TRUE;
}

/* Calls @method and waits for its job. The descriptors are given up before the wait, so that a
 * pipe ends for its writer when the service has no use for it. */
static gboolean
import (BangerClient *client, BangerArgs *args, BangerObjectKind kind, const char *method,
        GVariant *arguments, GUnixFDList *fds, GError **error)
{
  g_autoptr (GVariant) held = g_variant_ref_sink (arguments);
  g_autoptr (GUnixFDList) list = fds;
  g_autoptr (BangerWatch) watch = banger_watch_new (client, args, error);
  g_autoptr (GVariant) reply = NULL;
  g_autofree char *path = NULL, *job = NULL, *label = NULL;
  guint64 usec = 0;

  if (watch == NULL)
    return FALSE;
  reply = banger_client_call (client, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, method, held, "(oo)",
                              list, NULL, error);
  g_clear_object (&list);
  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(oo)", &path, &job);
  if (!banger_args_flag (args, "no-wait")) {
    label = banger_label (kind, banger_args_words (args)[0]);
    banger_watch_add (watch, job, label, _ ("nothing of it is left"));
    if (!banger_watch_wait (watch, job, &usec, error))
      return FALSE;
  }
  return say_imported (client, args, kind, path, usec, error);
}

int
banger_image_import (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  GUnixFDList *fds = NULL;
  GVariant *handle = NULL;
  int fd = -1;

  if (!banger_name_check (BANGER_OBJECT_IMAGE, words[0], error))
    return 0;
  fd = open_source (words[1], error);
  if (fd < 0)
    return 0;
  fds = g_unix_fd_list_new ();
  handle = add_fd (fds, fd, error);
  if (handle == NULL) {
    g_object_unref (fds);
    return 0;
  }
  import (client, args, BANGER_OBJECT_IMAGE, "ImportImage",
          g_variant_new ("(s@h@a{sv})", words[0], handle, import_options (args)), fds, error);
  return 0;
}

/* Opens @path and adds it to ImportKernel's files as @key. */
static gboolean
add_file (GVariantBuilder *files, GUnixFDList *fds, const char *key, const char *path,
          GError **error)
{
  int fd = open_source (path, error);
  GVariant *handle = fd >= 0 ? add_fd (fds, fd, error) : NULL;

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
    g_variant_builder_add (files, "{s@h}", "modules", add_fd (fds, fd, error));
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
    import (client, args, BANGER_OBJECT_KERNEL, "ImportKernel",
            g_variant_new ("(sa{sh}@a{sv})", words[0], &files, import_options (args)),
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
