/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "files-client.h"

#include "output.h"
#include "text.h"
#include "verbs.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define METER_MS 100

/* ── What words name ─────────────────────────────────────────────────────────────────────────── */

static gboolean
refuse_word (const char *word, GError **error)
{
  g_autofree char *shown = banger_text_escape (word, -1);

  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, _ ("write NAME:PATH"),
                    _ ("'%s' names no file of an image"), shown);
  return FALSE;
}

/* Takes the word apart; all of a command are of one object. */
static gboolean
take_word (BangerFilesTarget *target, const char *word, gboolean bare, GError **error)
{
  const char *colon = strchr (word, ':');
  gsize length = colon != NULL ? (gsize)(colon - word) : strlen (word);
  g_autofree char *name = g_strndup (word, length);
  const char *path = colon != NULL ? colon + 1 : "";

  if (length == 0 || (colon == NULL && !bare) || !g_utf8_validate (name, -1, NULL)
      || strchr (name, '/') != NULL)
    return refuse_word (word, error);
  if (target->name != NULL && strcmp (target->name, name) != 0) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("'%s' and '%s' are for two commands"), target->name, name);
    return FALSE;
  }
  g_free (target->name);
  target->name = g_steal_pointer (&name);
  g_ptr_array_add (target->paths, *path == '/' ? g_strdup (path) : g_strconcat ("/", path, NULL));
  return TRUE;
}

BangerFilesTarget *
banger_files_target_new (BangerClient *client, BangerArgs *args, const char *const *words,
                         gboolean bare, GError **error)
{
  g_autoptr (BangerFilesTarget) target = g_new0 (BangerFilesTarget, 1);

  target->client = client;
  target->args = args;
  target->kind = banger_args_flag (args, "vm") ? BANGER_OBJECT_VM : BANGER_OBJECT_IMAGE;
  target->paths = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; words[i] != NULL; i++) {
    if (!take_word (target, words[i], bare, error))
      return NULL;
  }
  target->path = banger_client_find (client, target->kind, target->name, error);
  return target->path != NULL ? g_steal_pointer (&target) : NULL;
}

void
banger_files_target_free (BangerFilesTarget *target)
{
  g_free (target->name);
  g_free (target->path);
  g_ptr_array_unref (target->paths);
  g_free (target);
}

char *
banger_files_label (BangerFilesTarget *target, const char *path)
{
  g_autofree char *shown = banger_text_escape (path, -1);

  return g_strconcat (target->name, ":", shown, NULL);
}

/* ── Steps ───────────────────────────────────────────────────────────────────────────────────── */

GVariant *
banger_files_path (const char *path)
{
  return g_utf8_validate (path, -1, NULL)
             ? g_variant_new_string (path)
             : g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, path, strlen (path), 1);
}

void
banger_files_steps_init (BangerFilesSteps *steps)
{
  g_variant_builder_init (&steps->list, G_VARIANT_TYPE (BANGER_FILE_STEPS_TYPE));
  steps->fds = g_unix_fd_list_new ();
  steps->n = 0;
}

void
banger_files_steps_clear (BangerFilesSteps *steps)
{
  g_variant_builder_clear (&steps->list);
  g_clear_object (&steps->fds);
}

void
banger_files_steps_add (BangerFilesSteps *steps, const char *verb, const char *path,
                        GVariantDict *more)
{
  GVariantDict empty;

  if (more == NULL) {
    g_variant_dict_init (&empty, NULL);
    more = &empty;
  }
  g_variant_dict_insert_value (more, "path", banger_files_path (path));
  g_variant_builder_add (&steps->list, "(s@a{sv})", verb, g_variant_dict_end (more));
  steps->n++;
}

static gboolean
on_meter (gpointer data)
{
  BangerFilesTarget *target = data;

  banger_meter_update (target->meter, target->bytes (target->data));
  return G_SOURCE_CONTINUE;
}

/* Calls @method and waits for its job. What was done before an error is said in @done. */
static gboolean
run (BangerFilesTarget *target, const char *method, GVariant *arguments, GUnixFDList *fds,
     guint *done, GError **error)
{
  g_autoptr (GVariant) held = g_variant_ref_sink (arguments);
  g_autoptr (GUnixFDList) list = fds;
  g_autoptr (BangerWatch) watch = banger_watch_new (target->client, target->args, error);
  g_autofree char *label = banger_label (target->kind, target->name);
  g_autoptr (GVariant) reply = NULL;
  const char *job = NULL;
  gboolean metered = target->meter != NULL && target->meter->mode == BANGER_PROGRESS_LIVE;
  gboolean whole = FALSE;
  guint source = 0;

  if (watch == NULL)
    return FALSE;
  if (metered || strcmp (method, "ReadFiles") == 0)
    banger_watch_be_quiet (watch);
  reply = banger_client_call (target->client, target->path, banger_client_interface (target->kind),
                              method, held, "(o)", list, NULL, error);
  /* So that a pipe ends for its other side when the service has no use for it. */
  g_clear_object (&list);
  if (reply == NULL)
    return FALSE;
  g_variant_get (reply, "(&o)", &job);
  banger_watch_add (watch, job, label, _ ("what was done before that stays"));
  if (metered)
    source = g_timeout_add (METER_MS, on_meter, target);
  whole = banger_watch_wait (watch, job, NULL, error);
  g_clear_handle_id (&source, g_source_remove);
  if (done != NULL && banger_watch_result (watch) != NULL)
    *done = (guint)banger_props_number (banger_watch_result (watch), "done");
  return whole;
}

gboolean
banger_files_read (BangerFilesTarget *target, BangerFilesSteps *steps, int output, GError **error)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  int index = g_unix_fd_list_append (fds, output, error);

  return index >= 0
         && run (target, "ReadFiles",
                 g_variant_new ("(@" BANGER_FILE_STEPS_TYPE "h@a{sv})",
                                g_variant_builder_end (&steps->list), index, banger_no_args ()),
                 g_steal_pointer (&fds), NULL, error);
}

GBytes *
banger_files_read_bytes (BangerFilesTarget *target, BangerFilesSteps *steps, GError **error)
{
  banger_autofd int fd = memfd_create ("files", MFD_CLOEXEC);
  g_autofree char *bytes = NULL;
  struct stat info;

  if (fd < 0) {
    banger_set_error_errno (error, errno, NULL, _ ("cannot make a memory file"));
    return NULL;
  }
  if (!banger_files_read (target, steps, fd, error))
    return NULL;
  if (fstat (fd, &info) == 0)
    bytes = g_try_malloc (info.st_size + 1);
  if (bytes == NULL || pread (fd, bytes, info.st_size, 0) != info.st_size) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                      _ ("what was read is not there"));
    return NULL;
  }
  bytes[info.st_size] = '\0';
  return g_bytes_new_take (g_steal_pointer (&bytes), info.st_size);
}

gboolean
banger_files_edit (BangerFilesTarget *target, BangerFilesSteps *steps, guint *done, GError **error)
{
  return run (target, "EditFiles",
              g_variant_new ("(@" BANGER_FILE_STEPS_TYPE "@a{sv})",
                             g_variant_builder_end (&steps->list), banger_no_args ()),
              g_object_ref (steps->fds), done, error);
}

gboolean
banger_files_say (BangerFilesTarget *target, guint done, const char *text, GError **error)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();
  g_autoptr (JsonNode) document = NULL;
  gboolean for_people = FALSE;

  banger_json_string (json, "object_kind", banger_object_kind_to_string (target->kind));
  banger_json_string (json, "id", banger_object_path_id (target->path, target->kind));
  banger_json_string (json, "name", target->name);
  banger_json_number (json, "steps_done", done);
  document = banger_json_end (json);
  if (!banger_document_print (target->args, document, &for_people, error))
    return FALSE;
  if (for_people && !banger_args_flag (target->args, "quiet"))
    banger_output_line ("%s", text);
  return TRUE;
}
