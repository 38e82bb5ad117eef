/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "files.h"
#include "vm.h"

typedef struct {
  BangerVm *vm;
  BangerJob *job;
  GError *outcome;
} Removal;

static gboolean
forget (gpointer object, GError **error)
{
  const BangerVm *self = object;
  BangerStore *store = self->service->store;
  const char *id = self->record->id;
  g_autoptr (BangerTransaction) transaction = banger_store_begin (store, error);

  return transaction != NULL && banger_store_remove_vm (store, id, error)
         && banger_store_clear_intent (store, BANGER_INTENT_VM_DIR, id, error)
         && banger_store_clear_intent (store, BANGER_INTENT_RUN_DIR, id, error)
         && banger_store_clear_intent (store, BANGER_INTENT_MONITOR, id, error)
         && banger_transaction_commit (transaction, error);
}

static void
release (gpointer object)
{
  ((BangerVm *)object)->job = NULL;
}

static void
withdraw (gpointer object)
{
  banger_vm_withdraw (object);
}

static void
on_files_removed (GObject *source, GAsyncResult *result, gpointer data)
{
  static const BangerForgetCalls calls = { forget, release, withdraw };
  g_autofree Removal *removal = data;
  BangerVm *self = removal->vm;
  GError *error = NULL;

  if (banger_files_finish (result, NULL, &error)) {
    banger_forget_begin (&self->forget, &calls, self, removal->job, removal->outcome);
    return;
  }
  /* The row and the intent stay: Delete can be tried again, and the next start tries it. */
  self->job = NULL;
  banger_job_finish_not_undone (removal->job, removal->outcome, error);
}

void
banger_vm_remove (BangerVm *self, BangerJob *job, GError *outcome)
{
  Removal *removal = g_new0 (Removal, 1);

  self->job = job;
  if (self->record->state != BANGER_VM_DELETING)
    banger_vm_set_state (self, BANGER_VM_DELETING, NULL);
  removal->vm = self;
  removal->job = job;
  removal->outcome = outcome;
  banger_files_remove_async (self->service, BANGER_OBJECT_VM, self->record->id, on_files_removed,
                             removal);
}
