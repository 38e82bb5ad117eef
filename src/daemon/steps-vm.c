/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "steps.h"

#include "vm-disks.h"

#include "common/binds.h"

#include <fcntl.h>

static void
end (BangerSteps *steps, GError *error)
{
  BangerVm *vm = steps->vm;
  BangerJob *job = steps->job;

  banger_steps_end (steps, error);
  banger_vm_release_job (vm, job);
}

static void
on_read (GObject *source, GAsyncResult *result, gpointer data)
{
  GError *error = NULL;
  g_autoptr (GVariant) done G_GNUC_UNUSED = banger_vm_disks_work_finish (result, &error);

  end (data, error);
}

static void
on_edited (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerSteps *steps = data;
  GError *error = NULL;
  g_autoptr (GVariant) done = banger_vm_disks_work_finish (result, &error);

  if (done != NULL)
    banger_steps_take_done (steps, done);
  end (steps, error);
}

static gboolean
open_disks (BangerSteps *steps, GError **error)
{
  const BangerVmRecord *record = steps->vm->record;

  if (!banger_steps_open (steps, BANGER_OBJECT_VM, record->id, banger_vm_root_file (record), O_RDWR,
                          "root", error)
      || !banger_steps_open (steps, BANGER_OBJECT_VM, record->id, "work.ext4", O_RDWR, "work",
                             error))
    return FALSE;
  if (record->root == BANGER_ROOT_CLONE)
    return TRUE;
  g_variant_dict_insert_value (&steps->args, "binds", g_variant_new_strv (banger_binds, -1));
  return banger_steps_open (steps, BANGER_OBJECT_IMAGE, record->image_id, "rootfs.ext4", O_RDONLY,
                            "lower", error);
}

static void
on_settled (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerSteps *steps = data;
  g_autoptr (GUnixFDList) fds = NULL;
  GError *error = NULL;

  if (!banger_vm_disks_finish (result, &error) || !open_disks (steps, &error)) {
    end (steps, error);
    return;
  }
  fds = banger_steps_take_fds (steps);
  if (steps->edit) {
    banger_vm_disks_work_async (steps->vm, steps->job, "edit-files", banger_steps_args (steps), fds,
                                on_edited, steps);
  } else {
    g_variant_dict_insert (&steps->args, "recover", "b", TRUE);
    banger_vm_disks_read_async (steps->vm, steps->job, "read-files", banger_steps_args (steps), fds,
                                on_read, steps);
  }
}

static void
on_former_left (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerSteps *steps = data;

  banger_vm_disks_settle_async (steps->vm, steps->job, on_settled, steps);
}

static gboolean
check_at_rest (BangerVm *vm, GError **error)
{
  BangerVmState state = vm->record->state;
  g_autofree char *hint = NULL;

  if (!banger_vm_check_free (vm, error))
    return FALSE;
  if (state == BANGER_VM_STOPPED || state == BANGER_VM_FAILED)
    return TRUE;
  hint = g_strdup_printf ("banger vm stop %s", vm->record->name);
  banger_set_error (error, BANGER_ERROR_WRONG_STATE, "admitted",
                    "its guest has the disks, and would not see what is changed behind its back",
                    hint, "vm '%s' is %s, not stopped", vm->record->name,
                    banger_vm_state_to_string (state));
  return FALSE;
}

static void
begin (BangerCall *call, gboolean edit)
{
  BangerVm *vm = banger_call_vm (call);
  BangerSteps *steps = vm != NULL ? banger_steps_new (call, edit) : NULL;
  GError *error = NULL;

  if (steps == NULL)
    return;
  steps->vm = vm;
  if (!check_at_rest (vm, &error)) {
    banger_steps_refuse (steps, error);
    return;
  }
  if (!banger_steps_admit (steps))
    return;
  vm->job = steps->job;
  banger_job_stage (steps->job, edit ? "editing" : "reading");
  banger_vm_wait_end_async (vm, on_former_left, steps);
}

void
banger_steps_read_vm (BangerCall *call)
{
  begin (call, FALSE);
}

void
banger_steps_edit_vm (BangerCall *call)
{
  begin (call, TRUE);
}
