/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth.h"

#include "audit.h"
#include "callers.h"
#include "polkit.h"

#include <string.h>
#include <unistd.h>

#define GETTEXT_DOMAIN "banger"
#define GROUP_HINT "ask an administrator to add you to group banger"

struct _BangerAuth {
  GObject parent_instance;
  BangerMode mode;
  GDBusConnection *connection;
  BangerCallers *callers;
  BangerAuthLimits limits;
  GHashTable *pending; /* uid → how many of its checks wait for polkit */
};

G_DEFINE_FINAL_TYPE (BangerAuth, banger_auth, G_TYPE_OBJECT)

/* One check, from its question to its answer. */
typedef struct {
  GDBusMethodInvocation *invocation;
  const BangerAction *row; /* NULL: there is none */
  char *method;            /* "VM.Start", for people */
  gboolean has_object;
  BangerAuthObject object;
  BangerCaller *caller; /* NULL until it is known */
  const char *action;   /* what polkit is asked, NULL if it is not */
  gboolean prompting;   /* somebody is being asked */
  gboolean counted;     /* in the pending checks of its uid */
  GCancellable *stop;   /* the caller's cancellable, or the caller has gone */
  GCancellable *cancellable;
  gulong on_cancelled;
  gulong on_gone;
} Check;

static char *
method_label (GDBusMethodInvocation *invocation, const BangerAction *row)
{
  const char *
      interface = row != NULL ? row->interface : g_dbus_method_invocation_get_interface_name (invocation);
  const char *method
      = row != NULL ? row->method : g_dbus_method_invocation_get_method_name (invocation);

  if (interface != NULL && g_str_has_prefix (interface, BANGER_BUS_NAME "."))
    interface += strlen (BANGER_BUS_NAME ".");
  return g_strdup_printf ("%s.%s", interface != NULL ? interface : "?", method);
}

/* Only what passes as a name: a caller's text must not stand in prompts and logs, and rules compare
 * these. */
static char *
copy_name (const char *name)
{
  return name != NULL && banger_name_is_valid (name) ? g_strdup (name) : NULL;
}

static void
copy_object (Check *check, const BangerAuthObject *object)
{
  if (object == NULL)
    return;
  check->has_object = TRUE;
  check->object = *object;
  if (object->kind == BANGER_OBJECT_MANAGER && check->row != NULL)
    check->object.kind = check->row->makes;
  check->object.id = g_strdup (object->id);
  check->object.name = copy_name (object->name);
  check->object.image = copy_name (object->image);
  check->object.kernel = copy_name (object->kernel);
}

static void
check_free (gpointer data)
{
  Check *check = data;

  if (check->cancellable != NULL)
    g_cancellable_disconnect (check->cancellable, check->on_cancelled);
  if (check->caller != NULL)
    g_cancellable_disconnect (check->caller->gone, check->on_gone);
  g_clear_object (&check->cancellable);
  g_clear_pointer (&check->caller, banger_caller_unref);
  g_object_unref (check->stop);
  g_object_unref (check->invocation);
  g_free ((char *)check->object.id);
  g_free ((char *)check->object.name);
  g_free ((char *)check->object.image);
  g_free ((char *)check->object.kernel);
  g_free (check->method);
  g_free (check);
}

/* "vm 'foo': start", or the method where there is no object yet. */
static char *
subject_of (const Check *check)
{
  if (check->object.kind == BANGER_OBJECT_MANAGER || check->object.name == NULL
      || check->row == NULL)
    return g_strdup (check->method);
  return g_strdup_printf ("%s '%s': %s", banger_object_kind_to_string (check->object.kind),
                          check->object.name, check->row->verb);
}

static void
release (BangerAuth *self, Check *check)
{
  gpointer key = GUINT_TO_POINTER (check->caller != NULL ? check->caller->uid : 0);
  guint count = 0;

  if (!check->counted)
    return;
  check->counted = FALSE;
  count = GPOINTER_TO_UINT (g_hash_table_lookup (self->pending, key)) - 1;
  if (count == 0)
    g_hash_table_remove (self->pending, key);
  else
    g_hash_table_insert (self->pending, key, GUINT_TO_POINTER (count));
}

static gboolean
admit (BangerAuth *self, Check *check)
{
  gpointer key = GUINT_TO_POINTER (check->caller->uid);
  guint count = GPOINTER_TO_UINT (g_hash_table_lookup (self->pending, key));

  if (count >= self->limits.pending_per_uid)
    return FALSE;
  g_hash_table_insert (self->pending, key, GUINT_TO_POINTER (count + 1));
  check->counted = TRUE;
  return TRUE;
}

static void
record (BangerAuth *self, Check *check, gboolean permitted, const char *reason)
{
  BangerDecision decision = {
    .permitted = permitted,
    .routine = permitted && (self->mode == BANGER_MODE_SESSION || check->row->reads),
    .reason = reason,
    .caller = g_dbus_method_invocation_get_sender (check->invocation),
    .uid = check->caller != NULL ? check->caller->uid : (uid_t)-1,
    .method = check->method,
    .verb = check->row != NULL ? check->row->verb : NULL,
    .action = check->action,
    .object = check->has_object ? &check->object : NULL,
  };

  if (decision.caller == NULL)
    decision.caller = "";
  banger_audit (&decision);
}

static void
permit (GTask *task, const char *reason)
{
  BangerAuth *self = g_task_get_source_object (task);
  Check *check = g_task_get_task_data (task);

  release (self, check);
  record (self, check, TRUE, reason);
  g_task_return_boolean (task, TRUE);
}

static void
deny (GTask *task, BangerErrorCode code, const char *reason, const char *cause, const char *hint)
{
  BangerAuth *self = g_task_get_source_object (task);
  Check *check = g_task_get_task_data (task);
  g_autofree char *subject = subject_of (check);
  GError *error = NULL;

  release (self, check);
  record (self, check, FALSE, reason);
  banger_set_error (&error, code, NULL, cause, hint, "%s: %s", subject,
                    code == BANGER_ERROR_CANCELLED ? "not decided" : "not permitted");
  g_task_return_error (task, error);
}

static void
deny_verdict (GTask *task, BangerVerdict verdict)
{
  Check *check = g_task_get_task_data (task);
  g_autofree char *cause = NULL;
  gboolean group = g_str_equal (check->action, BANGER_ACTION_VM_CREATE)
                   || g_str_equal (check->action, BANGER_ACTION_VM_USE)
                   || g_str_equal (check->action, BANGER_ACTION_VM_ENTER);

  if (verdict == BANGER_VERDICT_DISMISSED) {
    cause = g_strdup_printf ("the question for %s was not answered", check->action);
    deny (task, BANGER_ERROR_NOT_AUTHORIZED_DISMISSED, "dismissed", cause,
          "authenticate when you are asked");
  } else if (verdict == BANGER_VERDICT_CHALLENGE) {
    cause = g_strdup_printf ("%s needs authentication, and nobody could be asked", check->action);
    deny (task, BANGER_ERROR_NOT_AUTHORIZED_CAN_OBTAIN, "challenge", cause,
          group ? GROUP_HINT ", or call from a session with a polkit agent, interaction allowed"
                : "call from a session with a polkit agent, interaction allowed");
  } else {
    cause = g_strdup_printf ("polkit does not grant %s to user %lu", check->action,
                             (gulong)check->caller->uid);
    deny (task, BANGER_ERROR_NOT_AUTHORIZED, "polkit", cause, group ? GROUP_HINT : NULL);
  }
}

static void
deny_without_answer (GTask *task, const GError *error)
{
  Check *check = g_task_get_task_data (task);
  g_autofree char *cause = NULL;

  if (g_cancellable_is_cancelled (check->caller->gone)) {
    deny (task, BANGER_ERROR_CANCELLED, "caller-gone", "the caller left the bus", NULL);
  } else if (g_cancellable_is_cancelled (check->stop)) {
    deny (task, BANGER_ERROR_CANCELLED, "cancelled", NULL, NULL);
  } else if (check->prompting && g_error_matches (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT)) {
    deny_verdict (task, BANGER_VERDICT_DISMISSED);
  } else {
    cause = g_strdup_printf ("polkit gave no answer: %s", error->message);
    deny (task, BANGER_ERROR_NOT_AUTHORIZED, "polkit-failed", cause,
          "systemctl restart polkit.service");
  }
}

static void
add_name (GVariantBuilder *details, const char *key, const char *name)
{
  if (name != NULL)
    g_variant_builder_add (details, "{ss}", key, name);
}

/* Documented API for rules: vm, image, kernel (names), owner (uid), verb. */
static GVariant *
details_of (const Check *check)
{
  const BangerAuthObject *object = &check->object;
  uid_t owner = check->caller->uid;
  g_autofree char *owner_text = NULL;
  GVariantBuilder details;

  g_variant_builder_init (&details, G_VARIANT_TYPE ("a{ss}"));
  if (check->has_object) {
    if (object->owner_uid != BANGER_NO_OWNER)
      owner = object->owner_uid;
    if (object->kind == BANGER_OBJECT_VM)
      add_name (&details, "vm", object->name);
    add_name (&details, "image",
              object->kind == BANGER_OBJECT_IMAGE ? object->name : object->image);
    add_name (&details, "kernel",
              object->kind == BANGER_OBJECT_KERNEL ? object->name : object->kernel);
  }
  owner_text = g_strdup_printf ("%lu", (gulong)owner);
  g_variant_builder_add (&details, "{ss}", "owner", owner_text);
  g_variant_builder_add (&details, "{ss}", "verb", check->row->verb);
  /* The prompt of manage-others is the policy's own: it names the owner. */
  if (check->row->message != NULL && g_strcmp0 (check->action, check->row->action) == 0) {
    g_variant_builder_add (&details, "{ss}", "polkit.message", check->row->message);
    g_variant_builder_add (&details, "{ss}", "polkit.gettext_domain", GETTEXT_DOMAIN);
  }
  return g_variant_builder_end (&details);
}

static gboolean
may_prompt (const Check *check)
{
  GDBusMessage *message = g_dbus_method_invocation_get_message (check->invocation);

  return (g_dbus_message_get_flags (message) & G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION)
         != 0;
}

static void on_verdict (GObject *source, GAsyncResult *result, gpointer data);

/* Polkit is first asked without asking a person: only that answer can be expected in bounded time,
 * so a polkit that hangs is told from a person who thinks. */
static void
ask_polkit (GTask *task)
{
  BangerAuth *self = g_task_get_source_object (task);
  Check *check = g_task_get_task_data (task);
  BangerQuestion question = {
    .subject = check->caller->name,
    .action = check->action,
    .details = details_of (check),
    .interactive = check->prompting,
    .timeout_ms = check->prompting ? self->limits.prompt_ms : self->limits.answer_ms,
  };

  banger_polkit_ask_async (self->connection, &question, check->stop, on_verdict,
                           g_object_ref (task));
}

static void
on_verdict (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Check *check = g_task_get_task_data (task);
  BangerVerdict verdict = BANGER_VERDICT_NO;
  g_autoptr (GError) error = NULL;

  if (!banger_polkit_ask_finish (result, &verdict, &error)) {
    deny_without_answer (task, error);
  } else if (verdict == BANGER_VERDICT_YES) {
    permit (task, "polkit");
  } else if (verdict == BANGER_VERDICT_CHALLENGE && !check->prompting && may_prompt (check)) {
    check->prompting = TRUE;
    ask_polkit (task);
  } else {
    deny_verdict (task, verdict);
  }
}

/* Whether what the method works on is the caller's. A method of an object needs that object. */
static gboolean
is_own (const Check *check)
{
  if (!check->has_object)
    return g_str_equal (check->row->interface, BANGER_IFACE_MANAGER);
  return check->object.owner_uid == BANGER_NO_OWNER || check->object.owner_uid == check->caller->uid
         || (check->row->or_shared && check->object.shared);
}

static void
judge_on_system_bus (BangerAuth *self, GTask *task, Check *check)
{
  BangerAccess access = banger_action_access (
      check->row, g_dbus_method_invocation_get_parameters (check->invocation));

  if (access == BANGER_ACCESS_PUBLIC) {
    permit (task, "public");
    return;
  }
  if (check->caller->uid == 0) {
    permit (task, "root");
    return;
  }
  if (access == BANGER_ACCESS_OWNER && check->has_object
      && check->object.owner_uid == check->caller->uid) {
    permit (task, "owner");
    return;
  }
  check->action = BANGER_ACTION_MANAGE_OTHERS;
  if (access == BANGER_ACCESS_ALWAYS || (access == BANGER_ACCESS_ACTION && is_own (check)))
    check->action = check->row->action;
  if (admit (self, check))
    ask_polkit (task);
  else
    deny (task, BANGER_ERROR_BUSY, "too-many", "too many questions to polkit wait for this user",
          "answer or cancel those that are open");
}

static void
judge (GTask *task)
{
  BangerAuth *self = g_task_get_source_object (task);
  Check *check = g_task_get_task_data (task);

  if (g_cancellable_is_cancelled (check->stop))
    deny_without_answer (task, NULL);
  else if (self->mode == BANGER_MODE_SESSION && check->caller->uid != getuid ())
    deny (task, BANGER_ERROR_NOT_AUTHORIZED, "other-user",
          "this service serves only the user who runs it", NULL);
  else if (check->row == NULL)
    deny (task, BANGER_ERROR_NOT_AUTHORIZED, "no-row", "nobody may call this method", NULL);
  else if (self->mode == BANGER_MODE_SESSION)
    permit (task, "own-session");
  else
    judge_on_system_bus (self, task, check);
}

static void
on_stop (GCancellable *source, gpointer data)
{
  g_cancellable_cancel (data);
}

static void
on_caller (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Check *check = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;

  check->caller = banger_callers_find_finish (BANGER_CALLERS (source), result, &error);
  if (check->caller == NULL) {
    deny (task, BANGER_ERROR_NOT_AUTHORIZED, "unknown-caller", error->message, NULL);
    return;
  }
  check->on_gone = g_cancellable_connect (check->caller->gone, G_CALLBACK (on_stop),
                                          g_object_ref (check->stop), g_object_unref);
  judge (task);
}

void
banger_auth_check_async (BangerAuth *self, GDBusMethodInvocation *invocation,
                         const BangerAction *row, const BangerAuthObject *object,
                         GCancellable *cancellable, GAsyncReadyCallback callback, gpointer data)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, callback, data);
  const char *sender = g_dbus_method_invocation_get_sender (invocation);
  Check *check = g_new0 (Check, 1);

  check->invocation = g_object_ref (invocation);
  check->row = row;
  check->method = method_label (invocation, row);
  check->stop = g_cancellable_new ();
  copy_object (check, object);
  g_task_set_source_tag (task, banger_auth_check_async);
  g_task_set_task_data (task, check, check_free);
  if (cancellable != NULL) {
    check->cancellable = g_object_ref (cancellable);
    check->on_cancelled = g_cancellable_connect (cancellable, G_CALLBACK (on_stop),
                                                 g_object_ref (check->stop), g_object_unref);
  }
  if (sender == NULL)
    deny (task, BANGER_ERROR_NOT_AUTHORIZED, "unknown-caller", "the message has no sender", NULL);
  else
    banger_callers_find_async (self->callers, sender, on_caller, g_steal_pointer (&task));
}

gboolean
banger_auth_check_finish (BangerAuth *self, GAsyncResult *result, uid_t *caller_uid, GError **error)
{
  Check *check = g_task_get_task_data (G_TASK (result));

  if (caller_uid != NULL)
    *caller_uid = check->caller != NULL ? check->caller->uid : (uid_t)-1;
  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
banger_auth_finalize (GObject *object)
{
  BangerAuth *self = BANGER_AUTH (object);

  g_hash_table_unref (self->pending);
  g_object_unref (self->callers);
  g_object_unref (self->connection);
  G_OBJECT_CLASS (banger_auth_parent_class)->finalize (object);
}

static void
banger_auth_class_init (BangerAuthClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = banger_auth_finalize;
}

static void
banger_auth_init (BangerAuth *self)
{
  /* A polkit that has to be started on a busy host takes seconds; a client that gave no timeout
   * waits for 25. */
  self->limits = (BangerAuthLimits){
    .answer_ms = 20 * 1000,
    .prompt_ms = 10 * 60 * 1000,
    .pending_per_uid = 16,
  };
  self->pending = g_hash_table_new (NULL, NULL);
}

BangerAuth *
banger_auth_new (BangerMode mode, GDBusConnection *connection)
{
  BangerAuth *self = g_object_new (BANGER_TYPE_AUTH, NULL);

  self->mode = mode;
  self->connection = g_object_ref (connection);
  self->callers = banger_callers_new (connection);
  return self;
}

void
banger_auth_set_limits (BangerAuth *self, const BangerAuthLimits *limits)
{
  self->limits = *limits;
}
