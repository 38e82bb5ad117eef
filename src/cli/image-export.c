/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* image export: the file is made here, as the user, and written by the service. */
#include "verbs.h"

#include "part-file.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where it goes: a file under another name until it is whole, or what is there and is no file. */
typedef struct {
  const char *path;
  char *part; /* NULL: it is written as it is */
  int fd;
} Target;

static gboolean
set_target_error (const char *path, int errnum, GError **error)
{
  g_autofree char *shown = banger_text_escape (path, -1);

  banger_set_error_errno (error, errnum, NULL, _ ("cannot write '%s'"), shown);
  return FALSE;
}

static gboolean
open_output (Target *target, GError **error)
{
  if (isatty (STDOUT_FILENO)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      "banger image export NAME FILE",
                      _ ("standard output is a terminal: an image is not written there"));
    return FALSE;
  }
  target->fd = fcntl (STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  return target->fd >= 0 || set_target_error (target->path, errno, error);
}

/* A pipe with a name, or a device. */
static gboolean
is_no_file (const char *path)
{
  struct stat st;

  return stat (path, &st) == 0 && !S_ISREG (st.st_mode) && !S_ISDIR (st.st_mode);
}

/* Could the file have this name in the end? What is written first takes long. */
static gboolean
check_name (const char *path, GError **error)
{
  g_autofree char *shown = banger_text_escape (path, -1);
  struct stat st;

  if (*path == '\0') {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      "banger image export NAME FILE", _ ("a path is empty"));
    return FALSE;
  }
  if (g_str_has_suffix (path, "/") || (stat (path, &st) == 0 && S_ISDIR (st.st_mode))) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      _ ("name a file that is to be in it"), _ ("'%s' is a directory"), shown);
    return FALSE;
  }
  return TRUE;
}

static gboolean
open_part (Target *target, gboolean force, GError **error)
{
  g_autofree char *shown = banger_text_escape (target->path, -1);
  struct stat st;

  if (!check_name (target->path, error))
    return FALSE;
  if (!force && lstat (target->path, &st) == 0) {
    banger_set_error (error, BANGER_ERROR_EXISTS, NULL, NULL, _ ("replace it with --force"),
                      _ ("'%s' is there already"), shown);
    return FALSE;
  }
  /* An image may hold keys and passwords. */
  target->fd = banger_part_open (target->path, force, &target->part, error);
  return target->fd >= 0;
}

static gboolean
open_target (Target *target, gboolean force, GError **error)
{
  if (strcmp (target->path, "-") == 0)
    return open_output (target, error);
  if (!is_no_file (target->path))
    return open_part (target, force, error);
  target->fd = open (target->path, O_WRONLY | O_CLOEXEC);
  return target->fd >= 0 || set_target_error (target->path, errno, error);
}

static gboolean
end_target (Target *target, gboolean whole, GError **error)
{
  if (target->part == NULL)
    return whole;
  return banger_part_end (target->fd, target->part, target->path, whole, error);
}

static GVariant *
options_of (BangerArgs *args)
{
  const char *compression = banger_args_has_text (args, "compress");
  GVariantDict options;

  g_variant_dict_init (&options, NULL);
  if (banger_args_flag (args, "raw"))
    g_variant_dict_insert (&options, "format", "s", "raw");
  if (compression != NULL)
    g_variant_dict_insert (&options, "compression", "s", compression);
  return g_variant_dict_end (&options);
}

static gboolean
export_to (BangerClient *client, BangerArgs *args, const char *image, const Target *target,
           GError **error)
{
  g_autofree char *label = banger_label (BANGER_OBJECT_IMAGE, banger_args_words (args)[0]);
  g_autoptr (BangerWatch) watch = banger_watch_new (client, args, error);
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GVariant) reply = NULL;
  const char *job = NULL;
  int index = watch != NULL ? g_unix_fd_list_append (fds, target->fd, error) : -1;

  if (index < 0)
    return FALSE;
  reply = banger_client_call (client, image, BANGER_IFACE_IMAGE, "Export",
                              g_variant_new ("(h@a{sv})", index, options_of (args)), "(o)", fds,
                              NULL, error);
  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(&o)", &job);
  banger_watch_add (watch, job, label, _ ("nothing of the file is left"));
  return banger_watch_wait (watch, job, NULL, error);
}

int
banger_image_export (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  Target target = { words[1], NULL, -1 };
  g_autofree char *path = banger_client_find (client, BANGER_OBJECT_IMAGE, words[0], error);
  g_autofree char *label = banger_label (BANGER_OBJECT_IMAGE, words[0]);
  g_autofree char *shown = banger_text_escape (words[1], -1);

  if (path != NULL && open_target (&target, banger_args_flag (args, "force"), error)
      && end_target (&target, export_to (client, args, path, &target, error), error)
      && strcmp (words[1], "-") != 0)
    banger_output_line (_ ("%s is written to '%s'"), label, shown);
  banger_clear_fd (&target.fd);
  g_free (target.part);
  return 0;
}
