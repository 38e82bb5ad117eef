/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "worker.h"

#include "report.h"
#include "sandbox.h"

/* One row a job: the verb that asks for it and what does it. */
static const struct {
  const char *verb;
  BangerJobFunc func;
} jobs[] = {
  { "import-image", banger_job_import_image },
  { "import-kernel", banger_job_import_kernel },
  { "make-disks", banger_job_make_disks },
  { "change-disks", banger_job_change_disks },
  { "trim-disks", banger_job_trim_disks },
  { "read-files", banger_job_read_files },
  { "edit-files", banger_job_edit_files },
  { "settle-image", banger_job_settle_image },
  { "export-image", banger_job_export_image },
  { "register-image", banger_job_register_image },
  { NULL, NULL },
};

static BangerJobFunc
find_job (const char *verb, GError **error)
{
  for (gsize i = 0; jobs[i].verb != NULL; i++) {
    if (g_str_equal (jobs[i].verb, verb))
      return jobs[i].func;
  }
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    "job '%s' is not known to this worker", verb);
  return NULL;
}

static GVariant *
do_job (BangerMessage *message, BangerReport *report, GError **error)
{
  BangerJobFunc func = find_job (message->verb, error);
  const int *fds = NULL;
  gint n_fds = 0;

  if (func == NULL)
    return NULL;
  if (message->fds != NULL)
    fds = g_unix_fd_list_peek_fds (message->fds, &n_fds);
  if (!banger_sandbox_enter (fds, n_fds, error))
    return NULL;
  return func (message, report, error);
}

int
banger_worker_run (int fd)
{
  g_autoptr (BangerChannel) channel = banger_channel_new (fd);
  g_autoptr (BangerReport) report = banger_report_new (channel);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) result = NULL;
  g_autoptr (BangerMessage) message = banger_channel_receive (channel, &error);

  if (message == NULL) {
    if (error != NULL)
      g_printerr ("banger-worker: cannot take a job: %s\n", error->message);
    return 1;
  }
  result = do_job (message, report, &error);
  if (result != NULL)
    g_variant_ref_sink (result);
  else
    error = banger_error_adopt (g_steal_pointer (&error));
  return banger_report_end (report, result, error) ? 0 : 1;
}
