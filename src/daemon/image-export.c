/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "image-export.h"

#include "asset.h"
#include "files.h"
#include "notes.h"
#include "readers.h"
#include "worker-client.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  BangerAsset *image;
  BangerJob *job;
} Export;

const BangerOption banger_image_export_options[]
    = { { "format", "s" }, { "compression", "s" }, { NULL, NULL } };

static gboolean
refuse_target (GError **error, const char *cause, const char *hint)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, cause, hint,
                    "the export cannot be written there");
  return FALSE;
}

/* What the worker could only find out when the job has begun. */
static gboolean
check_target (int target, GError **error)
{
  int flags = fcntl (target, F_GETFL);
  struct stat st;

  if (flags < 0 || fstat (target, &st) < 0)
    return refuse_target (error, g_strerror (errno), NULL);
  if ((flags & O_PATH) != 0 || (flags & O_ACCMODE) == O_RDONLY)
    return refuse_target (error, "it is not open for writing", NULL);
  if (S_ISREG (st.st_mode) && st.st_size > 0)
    return refuse_target (error, "the file is not empty", "give a new file");
  if (S_ISREG (st.st_mode) || S_ISFIFO (st.st_mode) || S_ISSOCK (st.st_mode)
      || S_ISCHR (st.st_mode))
    return TRUE;
  return refuse_target (error, "it is neither a file nor a pipe", NULL);
}

static gboolean
is_one_of (const char *const *words, const char *word, const char *option, GError **error)
{
  g_autofree char *list = NULL;

  if (g_strv_contains (words, word))
    return TRUE;
  list = g_strjoinv ("', '", (char **)words);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    "option '%s' must be one of '%s'", option, list);
  return FALSE;
}

static gboolean
take_options (BangerCall *call, GVariantDict *args, GError **error)
{
  static const char *const formats[] = { "tar", "raw", NULL };
  static const char *const compressions[] = { "none", "gzip", "zstd", NULL };
  g_autoptr (GVariant) options = banger_call_options (call);
  const char *format = "tar", *compression = "none";

  g_variant_lookup (options, "format", "&s", &format);
  g_variant_lookup (options, "compression", "&s", &compression);
  if (!is_one_of (formats, format, "format", error)
      || !is_one_of (compressions, compression, "compression", error))
    return FALSE;
  if (g_str_equal (format, "raw") && !g_str_equal (compression, "none")) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "option 'compression' is for a tar archive only");
    return FALSE;
  }
  g_variant_dict_insert (args, "format", "s", format);
  g_variant_dict_insert (args, "compression", "s", compression);
  return TRUE;
}

static gboolean
take_target (BangerCall *call, GUnixFDList *fds, GVariantDict *args, GError **error)
{
  banger_autofd int target = -1;
  gint32 handle = -1;

  g_variant_get_child (call->params, 0, "h", &handle);
  target = banger_call_get_fd (call, handle, error);
  return target >= 0 && check_target (target, error)
         && banger_message_add_fd (args, fds, "target", target, error);
}

static gboolean
open_image (BangerCall *call, BangerAsset *image, GUnixFDList *fds, GVariantDict *args,
            GError **error)
{
  banger_autofd int rootfs = banger_files_open_of (
      call->service, BANGER_OBJECT_IMAGE, image->record->id, "rootfs.ext4", O_RDONLY, error);

  return banger_message_add_fd (args, fds, "rootfs", rootfs, error);
}

static void
on_written (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autofree Export *export = data;
  GError *error = NULL;
  g_autoptr (GVariant) done = banger_worker_run_finish (result, &error);
  BangerAsset *image = export->image;
  g_autofree char *label = g_strdup_printf ("image '%s'", image->record->name);
  guint64 bytes = 0;

  if (done != NULL && g_variant_lookup (done, "bytes", "t", &bytes)) {
    GVariantDict facts;

    g_variant_dict_init (&facts, NULL);
    g_variant_dict_insert (&facts, "bytes", "t", bytes);
    banger_job_set_result (export->job, g_variant_dict_end (&facts));
    banger_notes_announce (image->service, export->job, done);
  }
  if (error != NULL)
    banger_error_name_object (&error, label);
  banger_job_finish (export->job, error);
  banger_readers_leave (image, export->job);
}

static void
run (BangerCall *call, BangerAsset *image, GVariant *args, GUnixFDList *fds)
{
  g_autoptr (BangerJob) job = banger_job_new (call->service, "export-image", call->kind, call->id,
                                              image->record->name, call->uid, TRUE);
  g_autoptr (GVariant) held = g_variant_ref_sink (args);
  BangerService *service = call->service;
  Export *export = NULL;
  GError *error = NULL;

  if (!banger_job_save (job, &error)) {
    banger_call_fail (call, error);
    return;
  }
  export = g_new (Export, 1);
  *export = (Export){ image, job };
  banger_readers_enter (image, export->job);
  banger_job_publish (g_steal_pointer (&job));
  banger_call_return (call, g_variant_new ("(o)", banger_job_path (export->job)));
  banger_job_stage (export->job, "writing");
  banger_worker_run_async (service, export->job, "export-image", held, fds, on_written, export);
}

void
banger_image_export (BangerCall *call)
{
  BangerAsset *image = banger_call_asset (call);
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GVariantDict args;
  GError *error = NULL;

  if (image == NULL)
    return;
  g_variant_dict_init (&args, NULL);
  if (banger_asset_check_readable (image, &error) && take_options (call, &args, &error)
      && take_target (call, fds, &args, &error) && open_image (call, image, fds, &args, &error)) {
    run (call, image, g_variant_dict_end (&args), fds);
    return;
  }
  g_variant_dict_clear (&args);
  banger_error_set_stage (&error, "admitted");
  banger_call_name_object (call, &error);
  banger_call_fail (call, error);
}
