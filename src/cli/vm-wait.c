/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "vm wait": by the service's signals and by an answer of the agent that comes when a port is
 * listened on. Nothing is asked twice without something having changed, but for an agent that could
 * not be reached: nobody tells when it can.
 */
#include "agent-http.h"
#include "verbs.h"

#include "text.h"
#include "wire/handshake.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SSH_PORT 22
#define RETRY_MS 1000

typedef enum {
  FOR_RUNNING,
  FOR_HEALTHY,
  FOR_STOPPED,
  FOR_PORT,
} Condition;

typedef struct {
  char *name, *label, *path;
  GVariantDict properties; /* as far as they were told */
  gboolean is_deleted;
  gboolean is_stale; /* something has changed since it was judged */
  gboolean is_done;
  int fd; /* to the agent, while it is asked for the port */
  BangerHttp *http;
  guint retry;     /* until it is asked again, where the asking broke off */
  GError *refused; /* the agent's, which will not change */
} Target;

typedef struct {
  BangerClient *client;
  BangerArgs *args;
  GCancellable *cancellable; /* what is asked when the time is over, or at Ctrl-C */
  guint32 seconds;
  Condition condition;
  guint port;
  GPtrArray *targets;
  guint subscriptions[3];
  gboolean owner_lost;
  gboolean timed_out;
} Wait;

static void
stop_asking (Target *target)
{
  g_clear_handle_id (&target->retry, g_source_remove);
  g_clear_pointer (&target->http, banger_http_free);
  banger_clear_fd (&target->fd);
}

static void
target_free (gpointer data)
{
  Target *target = data;

  stop_asking (target);
  g_variant_dict_clear (&target->properties);
  g_clear_error (&target->refused);
  g_free (target->name);
  g_free (target->label);
  g_free (target->path);
  g_free (target);
}

static Target *
find_target (Wait *wait, const char *path)
{
  for (guint i = 0; i < wait->targets->len; i++) {
    Target *target = g_ptr_array_index (wait->targets, i);

    if (g_strcmp0 (target->path, path) == 0)
      return target;
  }
  return NULL;
}

/* @is_news: a signal. An answer gives way to it: a signal of what changed since is dispatched
 * before whoever waits for the answer has it. */
static void
merge (Target *target, GVariant *properties, gboolean is_news)
{
  GVariantIter iter;
  const char *key = NULL;
  GVariant *value = NULL;

  g_variant_iter_init (&iter, properties);
  while (g_variant_iter_next (&iter, "{&sv}", &key, &value)) {
    if (is_news || !g_variant_dict_contains (&target->properties, key))
      g_variant_dict_insert_value (&target->properties, key, value);
    g_variant_unref (value);
  }
  target->is_stale = TRUE;
}

static void
on_changed (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
            const char *signal, GVariant *arguments, gpointer data)
{
  Target *target = find_target (data, path);
  g_autoptr (GVariant) changed = NULL;

  if (target == NULL || !g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(sa{sv}as)")))
    return;
  changed = g_variant_get_child_value (arguments, 1);
  merge (target, changed, TRUE);
}

static void
on_removed (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
            const char *signal, GVariant *arguments, gpointer data)
{
  Target *target = NULL;
  const char *removed = NULL;

  if (!g_variant_is_of_type (arguments, G_VARIANT_TYPE ("(oas)")))
    return;
  g_variant_get_child (arguments, 0, "&o", &removed);
  target = find_target (data, removed);
  if (target != NULL)
    target->is_deleted = target->is_stale = TRUE;
}

static void
on_owner_changed (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
                  const char *signal, GVariant *arguments, gpointer data)
{
  ((Wait *)data)->owner_lost = TRUE;
}

static gboolean
on_timeout (gpointer data)
{
  Wait *wait = data;

  wait->timed_out = TRUE;
  g_cancellable_cancel (wait->cancellable);
  return G_SOURCE_CONTINUE;
}

static gboolean
on_retry (gpointer data)
{
  Target *target = data;

  target->retry = 0;
  target->is_stale = TRUE;
  return G_SOURCE_REMOVE;
}

/* A guest that goes down will be told of; one whose agent is only busy, or starts anew, will not.
 * Whatever is told before has it asked at once. */
static void
ask_again_later (Target *target)
{
  if (target->retry == 0)
    target->retry = g_timeout_add (RETRY_MS, on_retry, target);
}

/* An agent that says no says so again; a stream that breaks off says nothing. */
static void
on_answer (BangerHttpAnswer *answer, const GError *error, gpointer data)
{
  Target *target = data;
  g_autoptr (JsonObject) ports = NULL;

  if (answer == NULL) {
    ask_again_later (target);
    return;
  }
  ports = banger_http_json (answer, &target->refused);
  banger_http_answer_clear (answer);
  target->is_done = ports != NULL;
  target->is_stale = TRUE;
}

static const char *
word_of (Target *target, const char *key)
{
  const char *word = NULL;

  return g_variant_dict_lookup (&target->properties, key, "&s", &word) ? word : "";
}

/* Begins to ask the agent; that it cannot be reached yet is no error. */
static gboolean
ask_for_port (Wait *wait, Target *target, GError **error)
{
  g_autoptr (GError) cause = NULL;
  g_autofree char *method = NULL;

  stop_asking (target);
  target->fd = banger_agent_open (wait->client, target->path, BANGER_AGENT_PORT, &cause);
  if (target->fd >= 0) {
    method = g_strdup_printf ("GET /ports?wait=%u", wait->port);
    target->http = banger_http_new (target->fd, method, "", on_answer, target);
    return TRUE;
  }
  /* Whoever cancelled it ends the wait. */
  if (g_cancellable_is_cancelled (wait->cancellable))
    return TRUE;
  if (g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_GUEST_UNREACHABLE)
      || g_error_matches (cause, BANGER_ERROR, BANGER_ERROR_WRONG_STATE)) {
    ask_again_later (target);
    return TRUE;
  }
  g_propagate_error (error, g_steal_pointer (&cause));
  return FALSE;
}

/* Nothing makes a guest healthy again: to whoever waits it is as good as to who has started it, but
 * is to be told of. Of another's VM we say no more: for that somebody would be asked to agree. */
static void
say_degraded (Wait *wait, Target *target)
{
  g_autoptr (GVariant) reply = NULL, health = NULL;
  g_autofree const char **problems = NULL;
  g_autofree char *list = NULL, *shown = NULL;
  guint32 owner = getuid ();

  g_variant_dict_lookup (&target->properties, "OwnerUid", "u", &owner);
  if (owner == getuid ())
    reply = banger_client_call (wait->client, target->path, BANGER_IFACE_VM, "GetHealth",
                                g_variant_new ("(@a{sv})", banger_no_args ()), "(a{sv})", NULL,
                                NULL, NULL);
  if (reply != NULL) {
    health = g_variant_get_child_value (reply, 0);
    problems = banger_props_strings (health, "problems");
  }
  if (problems == NULL || problems[0] == NULL) {
    g_printerr (_ ("%s is degraded\n"), target->label);
    return;
  }
  list = g_strjoinv (", ", (char **)problems);
  shown = banger_text_escape (list, -1);
  g_printerr (_ ("%s is degraded: %s\n"), target->label, shown);
}

static void
judge_health (Wait *wait, Target *target)
{
  const char *health = word_of (target, "Health");
  gboolean degraded = strcmp (health, "degraded") == 0;

  target->is_done = degraded || strcmp (health, "healthy") == 0;
  if (degraded)
    say_degraded (wait, target);
}

static gboolean
set_failed (Wait *wait, Target *target, GError **error)
{
  g_autoptr (GVariant) reply = NULL, details = NULL;
  GError *cause = NULL;

  reply = banger_client_call (wait->client, target->path, BANGER_IFACE_VM, "GetFailureDetails",
                              g_variant_new ("(@a{sv})", banger_no_args ()), "(a{sv})", NULL, NULL,
                              NULL);
  if (reply != NULL) {
    details = g_variant_get_child_value (reply, 0);
    cause = banger_error_from_variant (details);
  }
  if (cause == NULL)
    cause = g_error_new (BANGER_ERROR, BANGER_ERROR_FAILED, _ ("it has failed"));
  banger_error_name_object (&cause, target->label);
  g_propagate_error (error, cause);
  return FALSE;
}

/* Sets @is_done, or does what is to be done for it. FALSE: it will never be. */
static gboolean
judge (Wait *wait, Target *target, GError **error)
{
  const char *state = word_of (target, "State");
  gboolean runs = strcmp (state, "running") == 0;
  guint64 next_start = 0;

  target->is_stale = FALSE;
  if (target->is_deleted || strcmp (state, "deleting") == 0) {
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, NULL, NULL, _ ("%s was deleted"),
                      target->label);
    return FALSE;
  }
  if (target->refused != NULL) {
    g_propagate_prefixed_error (error, g_steal_pointer (&target->refused), "%s: ", target->label);
    return FALSE;
  }
  g_variant_dict_lookup (&target->properties, "NextStartAt", "t", &next_start);
  if (strcmp (state, "failed") == 0 && next_start == 0)
    return set_failed (wait, target, error);
  if (wait->condition == FOR_RUNNING)
    target->is_done = runs;
  else if (wait->condition == FOR_STOPPED)
    target->is_done = strcmp (state, "stopped") == 0;
  else if (wait->condition == FOR_HEALTHY && runs)
    judge_health (wait, target);
  else if (!runs)
    stop_asking (target);
  else if (!target->is_done && (target->http == NULL || !banger_http_is_pending (target->http)))
    return ask_for_port (wait, target, error);
  return TRUE;
}

static Target *
first_open (Wait *wait)
{
  for (guint i = 0; i < wait->targets->len; i++) {
    Target *target = g_ptr_array_index (wait->targets, i);

    if (!target->is_done)
      return target;
  }
  return NULL;
}

static gboolean
judge_all (Wait *wait, GError **error)
{
  for (guint i = 0; i < wait->targets->len; i++) {
    Target *target = g_ptr_array_index (wait->targets, i);

    while (target->is_stale && !target->is_done) {
      if (!judge (wait, target, error))
        return FALSE;
    }
  }
  return TRUE;
}

static const char *
condition_word (BangerArgs *args)
{
  const char *word = banger_args_text (args, "for");

  return word != NULL ? word : "healthy";
}

static void
set_timed_out (Wait *wait, Target *target, GError **error)
{
  const char *state = word_of (target, "State");
  g_autofree char *hint = g_strdup_printf ("banger vm show %s", target->name), *cause = NULL;

  /* The time may have been over before anything was told. */
  if (*state != '\0')
    cause = g_strdup_printf (_ ("it is %s, its health %s"), state, word_of (target, "Health"));
  banger_set_error (error, BANGER_ERROR_TIMEOUT, NULL, cause, hint, _ ("%s: not %s within %u s"),
                    target->label, condition_word (wait->args), wait->seconds);
}

/* What ends the wait for @target, which is not there yet; FALSE without. */
static gboolean
set_over (Wait *wait, Target *target, GError **error)
{
  if (wait->timed_out)
    set_timed_out (wait, target, error);
  else if (banger_client_interrupts (wait->client) > 0)
    banger_set_error (error, BANGER_ERROR_CANCELLED, NULL, NULL, NULL, _ ("%s: interrupted"),
                      target->label);
  else if (wait->owner_lost)
    banger_set_error (error, BANGER_ERROR_INTERRUPTED, BANGER_STAGE_CONNECT, NULL, NULL,
                      _ ("%s: bangerd ended"), target->label);
  else
    return FALSE;
  return TRUE;
}

static gboolean
wait_for_all (Wait *wait, GError **error)
{
  Target *open = NULL;

  for (;;) {
    if (!judge_all (wait, error))
      return FALSE;
    open = first_open (wait);
    if (open == NULL)
      return TRUE;
    if (set_over (wait, open, error))
      return FALSE;
    g_main_context_iteration (NULL, TRUE);
  }
}

static void
subscribe (Wait *wait)
{
  GDBusConnection *bus = banger_client_bus (wait->client);

  /* By the name, not by who has it now: that one may end before this is heard. */
  wait->subscriptions[0] = g_dbus_connection_signal_subscribe (
      bus, BANGER_BUS_NAME, "org.freedesktop.DBus.Properties", "PropertiesChanged", NULL,
      BANGER_IFACE_VM, G_DBUS_SIGNAL_FLAGS_NONE, on_changed, wait, NULL);
  wait->subscriptions[1] = g_dbus_connection_signal_subscribe (
      bus, BANGER_BUS_NAME, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved",
      BANGER_ROOT_PATH, NULL, G_DBUS_SIGNAL_FLAGS_NONE, on_removed, wait, NULL);
  wait->subscriptions[2] = g_dbus_connection_signal_subscribe (
      bus, "org.freedesktop.DBus", "org.freedesktop.DBus", "NameOwnerChanged",
      "/org/freedesktop/DBus", BANGER_BUS_NAME, G_DBUS_SIGNAL_FLAGS_NONE, on_owner_changed, wait,
      NULL);
}

static gboolean
add_targets (Wait *wait, const char *const *names, GError **error)
{
  for (guint i = 0; names[i] != NULL; i++) {
    g_autoptr (GVariant) properties = NULL;
    g_autoptr (GError) cause = NULL;
    Target *target = g_new0 (Target, 1);

    g_ptr_array_add (wait->targets, target);
    g_variant_dict_init (&target->properties, NULL);
    target->fd = -1;
    target->name = g_strdup (names[i]);
    target->label = banger_label (BANGER_OBJECT_VM, names[i]);
    target->path = banger_client_find (wait->client, BANGER_OBJECT_VM, names[i], &cause);
    if (target->path != NULL)
      properties = banger_client_properties (wait->client, target->path, BANGER_IFACE_VM, &cause);
    if (properties == NULL) {
      if (!set_over (wait, target, error))
        g_propagate_error (error, g_steal_pointer (&cause));
      return FALSE;
    }
    merge (target, properties, FALSE);
  }
  return TRUE;
}

static gboolean
take_condition (Wait *wait, const char *word, GError **error)
{
  static const char *const words[] = { "running", "healthy", "stopped" };
  guint64 port = 0;

  for (guint i = 0; i < G_N_ELEMENTS (words); i++) {
    if (strcmp (word, words[i]) == 0) {
      wait->condition = (Condition)i;
      return TRUE;
    }
  }
  wait->condition = FOR_PORT;
  if (strcmp (word, "ssh") == 0) {
    wait->port = SSH_PORT;
    return TRUE;
  }
  if (g_str_has_prefix (word, "port:")) {
    if (g_ascii_string_to_unsigned (word + strlen ("port:"), 10, 1, 65535, &port, NULL)) {
      wait->port = (guint)port;
      return TRUE;
    }
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("--for: a port is a number from 1 to 65535"));
    return FALSE;
  }
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL,
                    "--for running|healthy|ssh|stopped|port:N",
                    _ ("--for: there is no such state"));
  return FALSE;
}

int
banger_vm_wait (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Wait wait = { .client = client, .args = args, .cancellable = cancellable };
  guint timer = 0;

  if (!take_condition (&wait, condition_word (args), error)
      || !banger_client_connect (client, error))
    return 0;
  wait.targets = g_ptr_array_new_with_free_func (target_free);
  banger_client_catch_interrupts (client);
  banger_client_set_cancellable (client, cancellable);
  subscribe (&wait);
  if (banger_args_count (args, "timeout", &wait.seconds))
    timer = g_timeout_add_seconds (wait.seconds, on_timeout, &wait);
  if (add_targets (&wait, banger_args_words (args), error))
    wait_for_all (&wait, error);
  g_clear_handle_id (&timer, g_source_remove);
  for (guint i = 0; i < G_N_ELEMENTS (wait.subscriptions); i++)
    g_dbus_connection_signal_unsubscribe (banger_client_bus (client), wait.subscriptions[i]);
  g_ptr_array_unref (wait.targets);
  return 0;
}
