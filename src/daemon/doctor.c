/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "doctor.h"

#include "findings.h"

/* One look at a time and mode; whoever asks meanwhile waits for it too. */
static GPtrArray *waiting[BANGER_MODE_SYSTEM + 1];

static void
look (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  BangerMode mode = (BangerMode)GPOINTER_TO_INT (data);
  g_autofree char *state_path = banger_state_path (mode);
  GVariantBuilder findings;

  g_variant_builder_init (&findings, G_VARIANT_TYPE ("aa{sv}"));
  banger_findings_add_vmm (&findings, mode);
  banger_findings_add_programs (&findings);
  banger_findings_add_sandbox (&findings);
  banger_findings_add_room (&findings, state_path);
  g_task_return_pointer (task, g_variant_ref_sink (g_variant_builder_end (&findings)),
                         (GDestroyNotify)g_variant_unref);
}

static void
forget_cancellable (GTask *task)
{
  GSource *cancelled = g_task_get_task_data (task);

  if (cancelled != NULL)
    g_source_destroy (cancelled);
}

static void
on_looked (GObject *source, GAsyncResult *result, gpointer data)
{
  BangerMode mode = (BangerMode)GPOINTER_TO_INT (data);
  g_autoptr (GPtrArray) tasks = g_steal_pointer (&waiting[mode]);
  g_autoptr (GVariant) findings = g_task_propagate_pointer (G_TASK (result), NULL);

  for (guint i = 0; i < tasks->len; i++) {
    forget_cancellable (tasks->pdata[i]);
    g_task_return_pointer (tasks->pdata[i], g_variant_ref (findings),
                           (GDestroyNotify)g_variant_unref);
  }
}

/* The look goes on without it. */
static gboolean
on_cancelled (GCancellable *cancellable, gpointer data)
{
  g_autoptr (GTask) task = g_object_ref (G_TASK (data));

  for (guint mode = 0; mode < G_N_ELEMENTS (waiting); mode++) {
    if (waiting[mode] != NULL && g_ptr_array_remove (waiting[mode], task))
      g_task_return_error_if_cancelled (task);
  }
  return G_SOURCE_REMOVE;
}

static void
watch_cancellable (GTask *task, GCancellable *cancellable)
{
  GSource *cancelled = g_cancellable_source_new (cancellable);

  g_task_set_task_data (task, cancelled, (GDestroyNotify)g_source_unref);
  g_task_attach_source (task, cancelled, G_SOURCE_FUNC (on_cancelled));
}

void
banger_doctor_check_async (BangerMode mode, GCancellable *cancellable, GAsyncReadyCallback callback,
                           gpointer data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, data);
  g_autoptr (GTask) looking = NULL;

  g_task_set_source_tag (task, banger_doctor_check_async);
  if (cancellable != NULL)
    watch_cancellable (task, cancellable);
  if (waiting[mode] != NULL) {
    g_ptr_array_add (waiting[mode], g_steal_pointer (&task));
    return;
  }
  waiting[mode] = g_ptr_array_new_with_free_func (g_object_unref);
  g_ptr_array_add (waiting[mode], g_steal_pointer (&task));
  looking = g_task_new (NULL, NULL, on_looked, GINT_TO_POINTER (mode));
  g_task_set_task_data (looking, GINT_TO_POINTER (mode), NULL);
  g_task_run_in_thread (looking, look);
}

GVariant *
banger_doctor_check_finish (GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

gboolean
banger_doctor_preflight (GVariant *findings, const char *const *needs, GError **error)
{
  GVariantIter iter;
  GVariant *finding = NULL;

  g_variant_iter_init (&iter, findings);
  while ((finding = g_variant_iter_next_value (&iter)) != NULL) {
    g_autoptr (GVariant) owned = finding;
    const char *id = NULL, *status = NULL, *found = NULL, *fix = NULL;

    if (!g_variant_lookup (owned, "id", "&s", &id)
        || !g_variant_lookup (owned, "status", "&s", &status)
        || !g_variant_lookup (owned, "found", "&s", &found) || !g_strv_contains (needs, id)
        || !g_str_equal (status, "error"))
      continue;
    g_variant_lookup (owned, "fix", "&s", &fix);
    banger_set_error (error, BANGER_ERROR_HOST_NOT_READY, NULL, found, fix,
                      "this host is not ready: %s", id);
    return FALSE;
  }
  return TRUE;
}

static char *
text_of (GVariant *findings, const char *id, const char *key)
{
  for (gsize i = 0; i < g_variant_n_children (findings); i++) {
    g_autoptr (GVariant) finding = g_variant_get_child_value (findings, i);
    const char *known = NULL;
    char *text = NULL;

    if (!g_variant_lookup (finding, "id", "&s", &known) || !g_str_equal (known, id))
      continue;
    g_variant_lookup (finding, key, "s", &text);
    return text;
  }
  return NULL;
}

gboolean
banger_doctor_has (GVariant *findings, const char *id)
{
  g_autofree char *status = text_of (findings, id, "status");

  return g_strcmp0 (status, "ok") == 0;
}

char *
banger_doctor_found (GVariant *findings, const char *id)
{
  return text_of (findings, id, "found");
}
