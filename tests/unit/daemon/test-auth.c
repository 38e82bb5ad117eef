/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Authorisation against a polkit that does what a test tells it, on a bus of its own. The callers'
 * uid is ours: never root, who is not asked about. tests/bus has real users and the real polkit. */
#include "daemon/auth.h"

#include "bus-tools.h"
#include "common/common.h"

#include <string.h>
#include <unistd.h>

#define NOBODY 65534
#define ALLOWED "org.banger.Test.Allowed"
#define POLKIT_XML                                                                  \
  "<node><interface name='org.freedesktop.PolicyKit1.Authority'>"                   \
  "<method name='CheckAuthorization'><arg type='(sa{sv})' direction='in'/>"         \
  "<arg type='s' direction='in'/><arg type='a{ss}' direction='in'/>"                \
  "<arg type='u' direction='in'/><arg type='s' direction='in'/>"                    \
  "<arg type='(bba{ss})' direction='out'/></method>"                                \
  "<method name='CancelCheckAuthorization'><arg type='s' direction='in'/></method>" \
  "</interface></node>"
/* Both interfaces' shape is only as much as a call needs. */
#define SERVICE_XML                                                                            \
  "<node><interface name='org.banger.Banger1.VM'><method name='Start'/><method name='Stop'/>"  \
  "<method name='GetStats'/><method name='SetOwner'/><method name='Nameless'/></interface>"    \
  "<interface name='org.banger.Banger1.Manager'><method name='CreateVM'/>"                     \
  "<method name='Check'/></interface>"                                                         \
  "<interface name='org.banger.Banger1.Image'><method name='Promote'/><method name='Export'/>" \
  "<method name='Share'><arg type='b' direction='in'/></method></interface></node>"

typedef enum { YES, NO, CHALLENGE, DISMISSED, REFUSE, HANG } Answer;

typedef struct {
  GTestDBus *bus;
  GDBusConnection *service, *polkit, *client;
  GDBusNodeInfo *service_info, *polkit_info;
  guint polkit_name;
  BangerAuth *auth;
  BangerAuthObject object;
  gboolean no_object;
  GCancellable *cancellable;
  uid_t uid; /* as the last check found it */
  /* polkit */
  Answer plain, prompt;
  guint asked, prompted, withdrawn;
  char *action, *subject;
  GVariant *details;
  GPtrArray *hanging;
  /* log */
  GHashTable *record;
  guint records;
} Fixture;

static Fixture *logged;

static GLogWriterOutput
on_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  gboolean audit = FALSE;

  for (gsize i = 0; i < n_fields; i++)
    audit |= g_str_equal (fields[i].key, "BANGER_DECISION");
  if (!audit || logged == NULL)
    return g_log_writer_default (level, fields, n_fields, data);
  if (level == G_LOG_LEVEL_INFO)
    return G_LOG_WRITER_HANDLED;
  logged->records++;
  for (gsize i = 0; i < n_fields; i++)
    g_hash_table_insert (logged->record, g_strdup (fields[i].key), g_strdup (fields[i].value));
  return G_LOG_WRITER_HANDLED;
}

static void
reply_verdict (GDBusMethodInvocation *invocation, Answer answer)
{
  GVariantBuilder details;

  g_variant_builder_init (&details, G_VARIANT_TYPE ("a{ss}"));
  if (answer == DISMISSED)
    g_variant_builder_add (&details, "{ss}", "polkit.dismissed", "true");
  g_dbus_method_invocation_return_value (
      invocation, g_variant_new ("((bba{ss}))", answer == YES, answer == CHALLENGE, &details));
}

static void
on_polkit_call (GDBusConnection *connection, const char *sender, const char *path,
                const char *interface, const char *method, GVariant *parameters,
                GDBusMethodInvocation *invocation, gpointer data)
{
  Fixture *fixture = data;
  g_autoptr (GVariant) subject = NULL;
  Answer answer = YES;
  guint32 flags = 0;

  if (g_str_equal (method, "CancelCheckAuthorization")) {
    fixture->withdrawn++;
    g_dbus_method_invocation_return_value (invocation, NULL);
    return;
  }
  g_clear_pointer (&fixture->details, g_variant_unref);
  g_free (fixture->action);
  g_free (fixture->subject);
  g_variant_get (parameters, "((s@a{sv})s@a{ss}us)", NULL, &subject, &fixture->action,
                 &fixture->details, &flags, NULL);
  fixture->subject = NULL;
  g_variant_lookup (subject, "name", "s", &fixture->subject);
  fixture->asked++;
  fixture->prompted += flags & 1;
  answer = flags & 1 ? fixture->prompt : fixture->plain;
  if (answer == HANG)
    g_ptr_array_add (fixture->hanging, invocation);
  else if (answer == REFUSE)
    g_dbus_method_invocation_return_dbus_error (
        invocation, "org.freedesktop.PolicyKit1.Error.Failed", "Action is not registered");
  else
    reply_verdict (invocation, answer);
}

static void
on_checked (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GDBusMethodInvocation) invocation = data;
  g_autoptr (GError) error = NULL;
  Fixture *fixture = g_dbus_method_invocation_get_user_data (invocation);

  if (banger_auth_check_finish (BANGER_AUTH (source), result, &fixture->uid, &error)) {
    g_assert_no_error (error);
    g_dbus_method_invocation_return_dbus_error (g_object_ref (invocation), ALLOWED, "yes");
  } else {
    g_autofree char *text = banger_error_dbus_message (error);

    g_dbus_method_invocation_return_dbus_error (g_object_ref (invocation),
                                                banger_error_dbus_name (error), text);
  }
}

static void
on_service_call (GDBusConnection *connection, const char *sender, const char *path,
                 const char *interface, const char *method, GVariant *parameters,
                 GDBusMethodInvocation *invocation, gpointer data)
{
  Fixture *fixture = data;

  banger_auth_check_async (fixture->auth, invocation, banger_action_find (interface, method),
                           fixture->no_object ? NULL : &fixture->object, fixture->cancellable,
                           on_checked, invocation);
}

static void
publish (GDBusConnection *connection, GDBusNodeInfo *node, const char *path,
         GDBusInterfaceMethodCallFunc call, Fixture *fixture)
{
  const GDBusInterfaceVTable vtable = { .method_call = call };

  for (guint i = 0; node->interfaces[i] != NULL; i++) {
    guint id = g_dbus_connection_register_object (connection, path, node->interfaces[i], &vtable,
                                                  fixture, NULL, NULL);

    g_assert_cmpuint (id, !=, 0);
  }
}

static void
on_acquired (GDBusConnection *connection, const char *name, gpointer data)
{
  *(gboolean *)data = TRUE;
}

static void
own_polkit (Fixture *fixture)
{
  gboolean owned = FALSE;

  fixture->polkit_name = g_bus_own_name_on_connection (
      fixture->polkit, "org.freedesktop.PolicyKit1", 0, on_acquired, NULL, &owned, NULL);
  while (!owned)
    g_main_context_iteration (NULL, TRUE);
}

static void
set_up_mode (Fixture *fixture, BangerMode mode)
{
  const BangerAuthLimits limits = { .answer_ms = 200, .prompt_ms = 400, .pending_per_uid = 2 };

  fixture->bus = g_test_dbus_new (G_TEST_DBUS_NONE);
  g_test_dbus_up (fixture->bus);
  fixture->service = connect_to (fixture->bus);
  fixture->polkit = connect_to (fixture->bus);
  fixture->client = connect_to (fixture->bus);
  fixture->service_info = g_dbus_node_info_new_for_xml (SERVICE_XML, NULL);
  fixture->polkit_info = g_dbus_node_info_new_for_xml (POLKIT_XML, NULL);
  publish (fixture->service, fixture->service_info, "/o", on_service_call, fixture);
  publish (fixture->polkit, fixture->polkit_info, "/org/freedesktop/PolicyKit1/Authority",
           on_polkit_call, fixture);
  fixture->hanging = g_ptr_array_new_with_free_func (g_object_unref);
  fixture->record = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  fixture->auth = banger_auth_new (mode, fixture->service);
  banger_auth_set_limits (fixture->auth, &limits);
  fixture->cancellable = g_cancellable_new ();
  fixture->object = (BangerAuthObject){ .kind = BANGER_OBJECT_VM,
                                        .id = "abcdefghijkl",
                                        .name = "web",
                                        .owner_uid = getuid (),
                                        .image = "debian",
                                        .kernel = "cloud" };
  own_polkit (fixture);
  logged = fixture;
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  set_up_mode (fixture, BANGER_MODE_SYSTEM);
}

static void
set_up_session (Fixture *fixture, gconstpointer data)
{
  set_up_mode (fixture, BANGER_MODE_SESSION);
}

static void
drop_connection (GDBusConnection **connection)
{
  if (*connection != NULL)
    g_dbus_connection_close_sync (*connection, NULL, NULL);
  g_clear_object (connection);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GMainContext) context = g_main_context_ref (g_main_context_default ());

  logged = NULL;
  while (g_main_context_iteration (context, FALSE))
    continue;
  g_bus_unown_name (fixture->polkit_name);
  g_ptr_array_unref (fixture->hanging);
  g_assert_finalize_object (fixture->auth);
  drop_connection (&fixture->client);
  drop_connection (&fixture->service);
  drop_connection (&fixture->polkit);
  while (g_main_context_iteration (context, FALSE))
    continue;
  g_test_dbus_down (fixture->bus);
  g_object_unref (fixture->bus);
  g_dbus_node_info_unref (fixture->service_info);
  g_dbus_node_info_unref (fixture->polkit_info);
  g_object_unref (fixture->cancellable);
  g_hash_table_unref (fixture->record);
  g_clear_pointer (&fixture->details, g_variant_unref);
  g_free (fixture->action);
  g_free (fixture->subject);
}

typedef struct {
  gboolean done;
  char *name;
  char *message;
} Reply;

static void
on_reply (GObject *source, GAsyncResult *result, gpointer data)
{
  Reply *reply = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) value
      = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);

  g_assert_null (value); /* the service of these tests answers with errors only */
  reply->done = TRUE;
  reply->name = g_dbus_error_get_remote_error (error);
  g_dbus_error_strip_remote_error (error);
  reply->message = g_strdup (error->message);
}

static void
call (Fixture *fixture, const char *method, GVariant *arguments, gboolean interactive, Reply *reply)
{
  g_autofree char *interface = g_strdup_printf ("org.banger.Banger1.%s", method);
  char *dot = strrchr (interface, '.');

  *dot = '\0';
  *reply = (Reply){ 0 };
  g_dbus_connection_call (fixture->client, g_dbus_connection_get_unique_name (fixture->service),
                          "/o", interface, dot + 1, arguments, NULL,
                          interactive ? G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION
                                      : G_DBUS_CALL_FLAGS_NONE,
                          G_MAXINT, NULL, on_reply, reply);
}

static void
wait_for (Reply *reply)
{
  while (!reply->done)
    g_main_context_iteration (NULL, TRUE);
}

static void
clear_reply (Reply *reply)
{
  g_clear_pointer (&reply->name, g_free);
  g_clear_pointer (&reply->message, g_free);
}

/* Calls @method and expects the error @nick, or "Allowed". */
static void
expect_full (Fixture *fixture, const char *method, GVariant *arguments, gboolean interactive,
             const char *nick)
{
  Reply reply;
  const char *dot = NULL;

  call (fixture, method, arguments, interactive, &reply);
  wait_for (&reply);
  dot = strrchr (reply.name, '.');
  if (g_strcmp0 (dot + 1, nick) != 0)
    g_error ("%s: %s (%s) instead of %s", method, reply.name, reply.message, nick);
  g_assert_cmpuint (fixture->uid, ==, getuid ());
  clear_reply (&reply);
}

static void
expect (Fixture *fixture, const char *method, const char *nick)
{
  expect_full (fixture, method, NULL, FALSE, nick);
}

/* Calls @method and expects an error whose text begins with @start. */
static void
expect_words (Fixture *fixture, const char *method, const char *start)
{
  Reply reply;

  call (fixture, method, NULL, FALSE, &reply);
  wait_for (&reply);
  if (!g_str_has_prefix (reply.message, start))
    g_error ("%s: %s", method, reply.message);
  clear_reply (&reply);
}

static const char *
field (Fixture *fixture, const char *key)
{
  return g_hash_table_lookup (fixture->record, key);
}

static const char *
detail (Fixture *fixture, const char *key)
{
  const char *value = NULL;

  g_variant_lookup (fixture->details, key, "&s", &value);
  return value;
}

static void
test_own (Fixture *fixture, gconstpointer data)
{
  g_autofree char *uid = g_strdup_printf ("%u", getuid ());

  expect (fixture, "VM.Start", "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_VM_USE);
  g_assert_cmpstr (fixture->subject, ==, g_dbus_connection_get_unique_name (fixture->client));
  g_assert_cmpstr (detail (fixture, "vm"), ==, "web");
  g_assert_cmpstr (detail (fixture, "image"), ==, "debian");
  g_assert_cmpstr (detail (fixture, "kernel"), ==, "cloud");
  g_assert_cmpstr (detail (fixture, "owner"), ==, uid);
  g_assert_cmpstr (detail (fixture, "verb"), ==, "start");
  g_assert_cmpstr (detail (fixture, "polkit.gettext_domain"), ==, "banger");
  g_assert_nonnull (detail (fixture, "polkit.message"));
  g_assert_cmpstr (field (fixture, "BANGER_DECISION"), ==, "permitted");
  g_assert_cmpstr (field (fixture, "BANGER_REASON"), ==, "polkit");
  g_assert_cmpstr (field (fixture, "BANGER_CALLER_UID"), ==, uid);
  g_assert_cmpstr (field (fixture, "BANGER_METHOD"), ==, "VM.Start");
  g_assert_cmpstr (field (fixture, "BANGER_ACTION"), ==, BANGER_ACTION_VM_USE);
  g_assert_cmpstr (field (fixture, "BANGER_OBJECT"), ==, "/org/banger/Banger1/vm/abcdefghijkl");
  g_assert_cmpstr (field (fixture, "BANGER_OWNER_UID"), ==, uid);
}

static void
test_no_question (Fixture *fixture, gconstpointer data)
{
  fixture->plain = NO;
  expect (fixture, "VM.Stop", "Allowed");
  g_assert_cmpuint (fixture->records, ==, 1);
  g_assert_cmpstr (field (fixture, "BANGER_REASON"), ==, "owner");
  expect (fixture, "VM.GetStats", "Allowed");
  expect (fixture, "Manager.Check", "Allowed");
  g_assert_cmpuint (fixture->records, ==, 1); /* reading is a routine */
  g_assert_cmpuint (fixture->asked, ==, 0);
}

static void
test_of_others (Fixture *fixture, gconstpointer data)
{
  const char *const methods[] = { "VM.Start", "VM.Stop", "VM.GetStats" };

  fixture->object.owner_uid = getuid () + 1;
  for (guint i = 0; i < G_N_ELEMENTS (methods); i++) {
    fixture->plain = NO;
    expect (fixture, methods[i], "NotAuthorized");
    g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_MANAGE_OTHERS);
    g_assert_null (detail (fixture, "polkit.message"));
    fixture->plain = YES;
    expect (fixture, methods[i], "Allowed");
  }
  g_assert_cmpuint (fixture->asked, ==, 6);
  fixture->object.owner_uid = getuid ();
  expect (fixture, "VM.SetOwner", "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_MANAGE_OTHERS);
}

static void
test_shared (Fixture *fixture, gconstpointer data)
{
  fixture->object.kind = BANGER_OBJECT_IMAGE;
  expect_full (fixture, "Image.Share", g_variant_new ("(b)", TRUE), FALSE, "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_IMAGE_SHARE);
  g_assert_cmpstr (detail (fixture, "image"), ==, "web");
  g_assert_null (detail (fixture, "vm"));
  g_assert_cmpuint (fixture->asked, ==, 1);
  expect_full (fixture, "Image.Share", g_variant_new ("(b)", FALSE), FALSE, "Allowed");
  g_assert_cmpuint (fixture->asked, ==, 1);

  fixture->object.owner_uid = getuid () + 1;
  expect_full (fixture, "Image.Share", g_variant_new ("(b)", FALSE), FALSE, "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_MANAGE_OTHERS);
  /* One may share, but not what somebody else keeps private. */
  expect_full (fixture, "Image.Share", g_variant_new ("(b)", TRUE), FALSE, "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_MANAGE_OTHERS);
  expect (fixture, "Image.Export", "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_MANAGE_OTHERS);
  fixture->object.shared = TRUE;
  expect (fixture, "Image.Export", "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_VM_USE);
  expect (fixture, "Image.Promote", "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_IMAGE_SHARE);
}

static void
test_nothing_yet (Fixture *fixture, gconstpointer data)
{
  g_autofree char *uid = g_strdup_printf ("%u", getuid ());

  fixture->no_object = TRUE;
  expect (fixture, "Manager.CreateVM", "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_VM_CREATE);
  g_assert_cmpstr (detail (fixture, "owner"), ==, uid);
  /* A method of an object without its object is nobody's own. */
  expect (fixture, "VM.Start", "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_MANAGE_OTHERS);
  expect (fixture, "VM.Stop", "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_MANAGE_OTHERS);

  fixture->no_object = FALSE;
  fixture->object.owner_uid = BANGER_NO_OWNER;
  fixture->object.name = "two\nlines";
  expect (fixture, "Manager.CreateVM", "Allowed");
  g_assert_cmpstr (fixture->action, ==, BANGER_ACTION_VM_CREATE);
  g_assert_cmpstr (detail (fixture, "owner"), ==, uid);
  g_assert_null (detail (fixture, "vm"));
  g_assert_cmpstr (field (fixture, "BANGER_OBJECT_NAME"), ==, "");
  g_assert_null (strchr (field (fixture, "MESSAGE"), '\n'));

  /* What the manager makes is named by what it will be. */
  fixture->object.kind = BANGER_OBJECT_MANAGER;
  fixture->object.name = "new";
  expect (fixture, "Manager.CreateVM", "Allowed");
  g_assert_cmpstr (detail (fixture, "vm"), ==, "new");
  fixture->object.name = "two\nlines";
  expect (fixture, "Manager.Check", "Allowed");
  fixture->object.name = "new";
  fixture->plain = NO;
  expect_words (fixture, "Manager.CreateVM", "vm 'new': create: not permitted\n");
}

static void
test_denials (Fixture *fixture, gconstpointer data)
{
  fixture->plain = NO;
  expect_full (fixture, "VM.Start", NULL, TRUE, "NotAuthorized");
  g_assert_cmpuint (fixture->asked, ==, 1);
  g_assert_cmpstr (field (fixture, "BANGER_DECISION"), ==, "denied");

  fixture->plain = CHALLENGE;
  expect (fixture, "VM.Start", "NotAuthorizedCanObtain");
  g_assert_cmpuint (fixture->prompted, ==, 0);
  g_assert_cmpstr (field (fixture, "BANGER_REASON"), ==, "challenge");

  fixture->prompt = YES;
  expect_full (fixture, "VM.Start", NULL, TRUE, "Allowed");
  g_assert_cmpuint (fixture->prompted, ==, 1);
  fixture->prompt = DISMISSED;
  expect_full (fixture, "VM.Start", NULL, TRUE, "NotAuthorizedDismissed");
  fixture->prompt = NO;
  expect_full (fixture, "VM.Start", NULL, TRUE, "NotAuthorized");
  fixture->prompt = CHALLENGE; /* there is no agent */
  expect_full (fixture, "VM.Start", NULL, TRUE, "NotAuthorizedCanObtain");

  fixture->plain = YES;
  expect (fixture, "VM.Nameless", "NotAuthorized");
  g_assert_cmpstr (field (fixture, "BANGER_REASON"), ==, "no-row");
}

static void
test_words (Fixture *fixture, gconstpointer data)
{
  Reply reply;

  fixture->plain = NO;
  call (fixture, "VM.Start", NULL, FALSE, &reply);
  wait_for (&reply);
  g_assert_true (g_str_has_prefix (reply.message, "vm 'web': start: not permitted\n"));
  g_assert_nonnull (strstr (reply.message, "cause: polkit does not grant org.banger.vm.use"));
  g_assert_nonnull (strstr (reply.message, "hint: "));
  clear_reply (&reply);
}

static void
test_no_answer (Fixture *fixture, gconstpointer data)
{
  fixture->plain = REFUSE;
  expect (fixture, "VM.Start", "NotAuthorized");
  g_assert_cmpstr (field (fixture, "BANGER_REASON"), ==, "polkit-failed");
  g_assert_cmpuint (fixture->withdrawn, ==, 0);

  fixture->plain = HANG;
  expect_full (fixture, "VM.Start", NULL, TRUE, "NotAuthorized");
  g_assert_cmpuint (fixture->prompted, ==, 0);
  while (fixture->withdrawn < 1)
    g_main_context_iteration (NULL, TRUE);

  fixture->plain = CHALLENGE;
  fixture->prompt = HANG;
  expect_full (fixture, "VM.Start", NULL, TRUE, "NotAuthorizedDismissed");
  while (fixture->withdrawn < 2)
    g_main_context_iteration (NULL, TRUE);

  g_bus_unown_name (fixture->polkit_name);
  expect (fixture, "VM.Start", "NotAuthorized");
  expect (fixture, "VM.Stop", "Allowed");
  own_polkit (fixture);
  fixture->plain = YES;
  expect (fixture, "VM.Start", "Allowed");
}

static void
test_too_many (Fixture *fixture, gconstpointer data)
{
  Reply waiting[2], more;
  const BangerAuthLimits limits = { .answer_ms = 60000, .prompt_ms = 60000, .pending_per_uid = 2 };

  banger_auth_set_limits (fixture->auth, &limits);
  fixture->plain = HANG;
  for (guint i = 0; i < 2; i++)
    call (fixture, "VM.Start", NULL, FALSE, &waiting[i]);
  while (fixture->asked < 2)
    g_main_context_iteration (NULL, TRUE);
  call (fixture, "VM.Start", NULL, FALSE, &more);
  wait_for (&more);
  g_assert_cmpstr (more.name, ==, "org.banger.Banger1.Error.Busy");
  clear_reply (&more);
  /* What is one's own can always be stopped. */
  expect (fixture, "VM.Stop", "Allowed");

  for (guint i = 0; i < 2; i++)
    reply_verdict (g_object_ref (fixture->hanging->pdata[i]), NO);
  for (guint i = 0; i < 2; i++) {
    wait_for (&waiting[i]);
    g_assert_cmpstr (waiting[i].name, ==, "org.banger.Banger1.Error.NotAuthorized");
    clear_reply (&waiting[i]);
  }
  fixture->plain = YES;
  expect (fixture, "VM.Start", "Allowed");
}

static void
test_caller_leaves (Fixture *fixture, gconstpointer data)
{
  Reply reply;

  fixture->plain = CHALLENGE;
  fixture->prompt = HANG;
  call (fixture, "VM.Start", NULL, TRUE, &reply);
  while (fixture->prompted < 1)
    g_main_context_iteration (NULL, TRUE);
  drop_connection (&fixture->client);
  while (fixture->records < 1 || fixture->withdrawn < 1)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpstr (field (fixture, "BANGER_REASON"), ==, "caller-gone");
  wait_for (&reply);
  clear_reply (&reply);
}

static void
test_cancelled (Fixture *fixture, gconstpointer data)
{
  Reply reply;

  fixture->plain = HANG;
  call (fixture, "VM.Start", NULL, FALSE, &reply);
  while (fixture->asked < 1)
    g_main_context_iteration (NULL, TRUE);
  g_cancellable_cancel (fixture->cancellable);
  wait_for (&reply);
  g_assert_cmpstr (reply.name, ==, "org.banger.Banger1.Error.Cancelled");
  clear_reply (&reply);
  while (fixture->withdrawn < 1)
    g_main_context_iteration (NULL, TRUE);
  expect (fixture, "VM.Start", "Cancelled"); /* cancelled before it began */
  g_assert_cmpuint (fixture->asked, ==, 1);
}

static void
test_session (Fixture *fixture, gconstpointer data)
{
  fixture->plain = NO;
  fixture->object.owner_uid = getuid () + 1;
  expect (fixture, "VM.Start", "Allowed");
  expect (fixture, "VM.SetOwner", "Allowed");
  g_assert_cmpuint (fixture->asked, ==, 0);
  expect (fixture, "VM.Nameless", "NotAuthorized");
}

static void
add (const char *path, void (*set_up_func) (Fixture *, gconstpointer),
     void (*test) (Fixture *, gconstpointer))
{
  g_test_add (path, Fixture, NULL, set_up_func, test, tear_down);
}

int
main (int argc, char **argv)
{
  if (getuid () == 0 && (setgid (NOBODY) != 0 || setuid (NOBODY) != 0))
    return 1;
  g_test_init (&argc, &argv, NULL);
  g_log_set_writer_func (on_log, NULL, NULL);
  add ("/auth/own", set_up, test_own);
  add ("/auth/no-question", set_up, test_no_question);
  add ("/auth/of-others", set_up, test_of_others);
  add ("/auth/shared", set_up, test_shared);
  add ("/auth/nothing-yet", set_up, test_nothing_yet);
  add ("/auth/denials", set_up, test_denials);
  add ("/auth/words", set_up, test_words);
  add ("/auth/no-answer", set_up, test_no_answer);
  add ("/auth/too-many", set_up, test_too_many);
  add ("/auth/caller-leaves", set_up, test_caller_leaves);
  add ("/auth/cancelled", set_up, test_cancelled);
  add ("/auth/session", set_up_session, test_session);
  return g_test_run ();
}
