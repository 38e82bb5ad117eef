/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Importing images. */
#include "import.h"
#include "verbs.h"

int
banger_image_import (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *words = banger_args_words (args);
  GUnixFDList *fds = NULL;
  GVariant *handle = NULL;
  int fd = -1;

  if (!banger_name_check (BANGER_OBJECT_IMAGE, words[0], error))
    return 0;
  fd = banger_import_open (words[1], error);
  if (fd < 0)
    return 0;
  fds = g_unix_fd_list_new ();
  handle = banger_import_add_fd (fds, fd, error);
  if (handle == NULL) {
    g_object_unref (fds);
    return 0;
  }
  banger_import_run (client, args, BANGER_OBJECT_IMAGE, "ImportImage",
                     g_variant_new ("(s@h@a{sv})", words[0], handle, banger_import_options (args)),
                     fds, error);
  return 0;
}
