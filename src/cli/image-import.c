/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Importing images: of an archive, of a disk image, or of a directory that is packed here, as the
 * user. */
#include "disk-file.h"
#include "import.h"
#include "pack.h"
#include "text.h"
#include "verbs.h"

#include <glib/gi18n.h>
#include <string.h>
#include <sys/stat.h>

static gboolean
refuse (GError **error, const char *message)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "banger help image import",
                    "%s", message);
  return FALSE;
}

/* Whether an option says that it is a disk image. */
static gboolean
has_disk_option (BangerArgs *args)
{
  guint32 partition = 0;

  return banger_args_text (args, "disk-format") != NULL || banger_args_flag (args, "keep-fstab")
         || banger_args_count (args, "partition", &partition);
}

/* What is left of "" and "/" matches no file at all. */
static gboolean
check_exclude (const char *const *globs, GError **error)
{
  for (guint i = 0; globs[i] != NULL; i++) {
    if (globs[i][strspn (globs[i], "/")] != '\0')
      continue;
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "--exclude '/var/cache/*'",
                      _ ("--exclude: '%s' names nothing that could be left out"), globs[i]);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_args (BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  const char *directory = banger_args_text (args, "from-dir");

  if (!banger_name_check (BANGER_OBJECT_IMAGE, words[0], error))
    return FALSE;
  if (words[1] == NULL && directory == NULL) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      _ ("- is standard input; --from-dir DIR packs a directory"),
                      _ ("image import: what is it to be made of?"));
    return FALSE;
  }
  if (words[1] != NULL && directory != NULL)
    return refuse (error, _ ("image import: give either an archive, or --from-dir"));
  if (directory != NULL && has_disk_option (args))
    return refuse (error, _ ("image import: --from-dir is no disk image"));
  if (directory == NULL
      && (banger_args_text (args, "owner") != NULL
          || banger_args_list (args, "exclude")[0] != NULL))
    return refuse (error, _ ("image import: --owner and --exclude go with --from-dir"));
  return check_exclude (banger_args_list (args, "exclude"), error);
}

static gboolean
parse_id (const char *text, guint32 *id)
{
  guint64 number = 0;

  /* The last one is no user's: POSIX' (uid_t) -1. */
  if (!g_ascii_string_to_unsigned (text, 10, 0, G_MAXUINT32 - 1, &number, NULL))
    return FALSE;
  *id = number;
  return TRUE;
}

/* "0:0". */
static gboolean
parse_owner (const char *text, BangerTreeOwner *owner, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (text, ":", -1);
  g_autofree char *shown = NULL;

  if (g_strv_length (parts) == 2 && parse_id (parts[0], &owner->uid)
      && parse_id (parts[1], &owner->gid))
    return TRUE;
  shown = banger_text_escape (text, -1);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                    _ ("write two numbers, such as 0:0"), _ ("--owner: '%s' is not UID:GID"),
                    shown);
  return FALSE;
}

/* Those of all imports, of disk images, and what an image may hold; floating. */
static GVariant *
image_options (BangerArgs *args)
{
  g_autoptr (GVariant) common = g_variant_ref_sink (banger_import_options (args));
  GVariantDict options;
  guint64 bytes = 0;
  guint32 entries = 0, partition = 0;

  g_variant_dict_init (&options, common);
  if (banger_args_size (args, "max-bytes", &bytes))
    g_variant_dict_insert (&options, "max-bytes", "t", bytes);
  if (banger_args_count (args, "max-entries", &entries))
    g_variant_dict_insert (&options, "max-entries", "t", (guint64)entries);
  if (banger_args_text (args, "disk-format") != NULL)
    g_variant_dict_insert (&options, "format", "s", banger_args_text (args, "disk-format"));
  if (banger_args_count (args, "partition", &partition))
    g_variant_dict_insert (&options, "partition", "u", partition);
  if (banger_args_flag (args, "keep-fstab"))
    g_variant_dict_insert (&options, "keep-fstab", "b", TRUE);
  return g_variant_dict_end (&options);
}

static gboolean
import_disk (BangerClient *client, BangerArgs *args, int fd, GError **error)
{
  GUnixFDList *fds = g_unix_fd_list_new ();
  GVariant *handle = banger_import_add_fd (fds, fd, error);
  GVariantBuilder files;

  if (handle == NULL) {
    g_object_unref (fds);
    return FALSE;
  }
  g_variant_builder_init (&files, G_VARIANT_TYPE ("a{sh}"));
  g_variant_builder_add (&files, "{s@h}", "disk", handle);
  return banger_import_run (
      client, args, BANGER_OBJECT_IMAGE, "RegisterImage",
      g_variant_new ("(sa{sh}@a{sv})", banger_args_words (args)[0], &files, image_options (args)),
      fds, NULL, error);
}

/* Hands @fd, which it takes, to the service. @pack (may be NULL) is what fills it. */
static gboolean
import_from (BangerClient *client, BangerArgs *args, int fd, BangerPack *pack, GError **error)
{
  GUnixFDList *fds = g_unix_fd_list_new ();
  GVariant *handle = banger_import_add_fd (fds, fd, error);

  if (handle == NULL) {
    g_object_unref (fds);
    return FALSE;
  }
  return banger_import_run (
      client, args, BANGER_OBJECT_IMAGE, "ImportImage",
      g_variant_new ("(s@h@a{sv})", banger_args_words (args)[0], handle, image_options (args)), fds,
      pack, error);
}

/* As import_from; ends @pack. */
static gboolean
import_pack (BangerClient *client, BangerArgs *args, int fd, BangerPack *pack, GError **error)
{
  g_autoptr (GError) cause = NULL, unread = NULL;

  import_from (client, args, fd, pack, &cause);
  /* What kept us from reading is the reason behind what the service says of a short archive. */
  if (!banger_pack_finish (pack, &unread)) {
    g_clear_error (&cause);
    cause = g_steal_pointer (&unread);
  }
  if (cause == NULL)
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

/* Somebody watches how much comes from the pipe, which has neither a size nor a position to see. */
static gboolean
is_watched_pipe (BangerArgs *args, int fd)
{
  BangerProgressMode mode = BANGER_PROGRESS_NONE;
  struct stat info;

  banger_progress_mode (banger_args_text (args, "progress"), &mode);
  return mode == BANGER_PROGRESS_LIVE && !banger_args_flag (args, "no-wait")
         && fstat (fd, &info) == 0 && S_ISFIFO (info.st_mode);
}

static gboolean
import_archive (BangerClient *client, BangerArgs *args, int fd, GError **error)
{
  BangerPack *pack = NULL;
  int counted = -1;

  if (!is_watched_pipe (args, fd))
    return import_from (client, args, fd, NULL, error);
  pack = banger_pack_start_pipe (fd, &counted, error);
  return pack != NULL && import_pack (client, args, counted, pack, error);
}

static gboolean
import_file (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *path = banger_args_words (args)[1];
  int fd = -1;

  if (strcmp (path, "-") != 0 && g_file_test (path, G_FILE_TEST_IS_DIR)) {
    g_autofree char *shown = banger_text_escape (path, -1);

    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                      "banger image import NAME --from-dir DIR",
                      _ ("'%s' is a directory, not an archive"), shown);
    return FALSE;
  }
  fd = banger_import_open (path, error);
  if (fd < 0)
    return FALSE;
  return has_disk_option (args) || banger_file_is_disk (fd)
             ? import_disk (client, args, fd, error)
             : import_archive (client, args, fd, error);
}

static gboolean
import_directory (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *given = banger_args_text (args, "owner");
  BangerTreeOwner owner = { 0 };
  const BangerTreeTarSpec spec = {
    .prefix = ".",
    .owner = given != NULL ? &owner : NULL,
    .exclude = banger_args_list (args, "exclude"),
    .hint = _ ("leave it out with --exclude, or have root read it: "
               "sudo tar -c --xattrs --acls -C DIR . | banger image import NAME -"),
  };
  BangerPack *pack = NULL;
  int fd = -1;

  if (given != NULL && !parse_owner (given, &owner, error))
    return FALSE;
  pack = banger_pack_start_tree (banger_args_text (args, "from-dir"), &spec, &fd, error);
  return pack != NULL && import_pack (client, args, fd, pack, error);
}

int
banger_image_import (BangerClient *client, BangerArgs *args, GError **error)
{
  if (!check_args (args, error))
    return 0;
  if (banger_args_text (args, "from-dir") != NULL)
    import_directory (client, args, error);
  else
    import_file (client, args, error);
  return 0;
}
