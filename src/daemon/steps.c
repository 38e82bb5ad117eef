/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "steps.h"

#include "capacity.h"
#include "files.h"

#include <unistd.h>

static void
steps_free (BangerSteps *steps)
{
  g_clear_object (&steps->fds);
  g_variant_dict_clear (&steps->args);
  g_clear_error (&steps->failure);
  g_free (steps);
}

static gboolean
add_fd (BangerSteps *steps, const char *key, int fd, GError **error)
{
  return banger_message_add_fd (&steps->args, steps->fds, key, fd, error);
}

gboolean
banger_steps_open (BangerSteps *steps, BangerObjectKind kind, const char *id, const char *name,
                   int flags, const char *key, GError **error)
{
  banger_autofd int fd = banger_files_open_of (steps->service, kind, id, name, flags, error);

  return add_fd (steps, key, fd, error);
}

/* In memory, as they came: a message to the worker takes less. GDBus has put them together from a
 * message value by value, so that they are in normal form. */
static gboolean
add_steps (BangerSteps *steps, GVariant *list, GError **error)
{
  banger_autofd int fd
      = banger_memfd_new ("steps", g_variant_get_data (list), g_variant_get_size (list), error);

  return add_fd (steps, "steps", fd, error);
}

/* Those that steps name by their place among the call's. */
static gboolean
add_callers_fds (BangerSteps *steps, guint n, GError **error)
{
  for (guint i = 0; steps->edit && i < n; i++) {
    g_autofree char *key = g_strdup_printf ("file-%u", i);
    banger_autofd int fd = banger_call_get_fd (steps->call, (gint32)i, error);

    if (!add_fd (steps, key, fd, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
add_output (BangerSteps *steps, GError **error)
{
  banger_autofd int fd = -1;
  gint32 handle = -1;

  if (steps->edit)
    return TRUE;
  g_variant_get_child (steps->call->params, 1, "h", &handle);
  fd = banger_call_get_fd (steps->call, handle, error);
  return add_fd (steps, "output", fd, error);
}

static guint
count_fds (BangerCall *call)
{
  GDBusMessage *message = g_dbus_method_invocation_get_message (call->invocation);
  GUnixFDList *fds = g_dbus_message_get_unix_fd_list (message);

  return fds != NULL ? g_unix_fd_list_get_length (fds) : 0;
}

static gboolean
take_call (BangerSteps *steps, GError **error)
{
  g_autoptr (GVariant) list = g_variant_get_child_value (steps->call->params, 0);
  guint n = count_fds (steps->call);

  if (n > BANGER_FILE_STEPS_FDS) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL,
                      "at most " G_STRINGIFY (BANGER_FILE_STEPS_FDS) " descriptors are taken");
    return FALSE;
  }
  return banger_file_steps_check (list, steps->edit, n, error) && add_steps (steps, list, error)
         && add_callers_fds (steps, n, error) && add_output (steps, error)
         && (!steps->edit || banger_capacity_check_disk (steps->service, error));
}

BangerSteps *
banger_steps_new (BangerCall *call, gboolean edit)
{
  BangerSteps *steps = g_new0 (BangerSteps, 1);
  GError *error = NULL;

  steps->service = call->service;
  steps->call = call;
  steps->edit = edit;
  steps->fds = g_unix_fd_list_new ();
  g_variant_dict_init (&steps->args, NULL);
  if (edit)
    g_variant_dict_insert (&steps->args, "reserve-bytes", "t",
                           steps->service->config->reserve_disk_bytes);
  if (take_call (steps, &error))
    return steps;
  banger_steps_refuse (steps, error);
  return NULL;
}

void
banger_steps_refuse (BangerSteps *steps, GError *error)
{
  banger_error_set_stage (&error, "admitted");
  banger_call_name_object (steps->call, &error);
  banger_call_fail (steps->call, error);
  steps_free (steps);
}

gboolean
banger_steps_admit (BangerSteps *steps)
{
  BangerCall *call = steps->call;
  const char *name = steps->image != NULL ? steps->image->record->name : steps->vm->record->name;
  g_autoptr (BangerJob) job
      = banger_job_new (steps->service, steps->edit ? "edit-files" : "read-files", call->kind,
                        call->id, name, call->uid, TRUE);
  GError *error = NULL;

  if (!banger_job_save (job, &error)) {
    banger_steps_refuse (steps, error);
    return FALSE;
  }
  steps->job = job;
  banger_job_publish (g_steal_pointer (&job));
  banger_call_return (g_steal_pointer (&steps->call),
                      g_variant_new ("(o)", banger_job_path (steps->job)));
  return TRUE;
}

GVariant *
banger_steps_args (BangerSteps *steps)
{
  GVariant *args = g_variant_dict_end (&steps->args);

  g_variant_dict_init (&steps->args, NULL);
  return args;
}

GUnixFDList *
banger_steps_take_fds (BangerSteps *steps)
{
  /* Not to be kept: while we have a disk open, nobody is sure that it is not in use. */
  return g_steal_pointer (&steps->fds);
}

void
banger_steps_take_done (BangerSteps *steps, GVariant *done)
{
  g_autoptr (GVariant) error = g_variant_lookup_value (done, "error", G_VARIANT_TYPE_VARDICT);
  GVariantDict result;
  guint n = 0;

  g_variant_lookup (done, "done", "u", &n);
  g_variant_dict_init (&result, NULL);
  if (steps->edit)
    g_variant_dict_insert (&result, "done", "u", MIN (n, BANGER_FILE_STEPS_MAX));
  banger_job_set_result (steps->job, g_variant_dict_end (&result));
  if (error != NULL && steps->failure == NULL)
    steps->failure = banger_error_from_variant (error);
}

void
banger_steps_end (BangerSteps *steps, GError *error)
{
  GError *failure = error != NULL ? error : g_steal_pointer (&steps->failure);
  const char *kind = banger_object_kind_to_string (steps->image != NULL ? BANGER_OBJECT_IMAGE
                                                                        : BANGER_OBJECT_VM);
  const char *name = steps->image != NULL ? steps->image->record->name : steps->vm->record->name;
  g_autofree char *label = g_strdup_printf ("%s '%s'", kind, name);

  if (failure != NULL)
    banger_error_name_object (&failure, label);
  banger_job_finish (steps->job, failure);
  steps_free (steps);
}
