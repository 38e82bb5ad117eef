/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A VM whose monitor was started by another version of banger: how a service finds it, and what it
 * says of it. The monitor is played by this test. */
#include "daemon/versions.h"

#include "config.h"
#include "daemon/files.h"
#include "daemon/reconcile.h"
#include "daemon/vm.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ID "abcdefghijkl"

typedef struct {
  GTestDBus *bus;
  GDBusConnection *connection;
  BangerService *service;
  int listener;
  BangerChannel *channel; /* the monitor's end */
  GVariant *facts;        /* what it answers to `hello` */
} Fixture;

static char *base;

static void
on_message (BangerChannel *channel, BangerMessage *message, gpointer data)
{
  Fixture *self = data;

  if (message != NULL && g_str_equal (message->verb, "hello"))
    banger_channel_reply (channel, message->serial, self->facts, NULL, NULL);
}

static gboolean
on_connection (int fd, GIOCondition condition, gpointer data)
{
  Fixture *self = data;

  self->channel = banger_channel_new (accept4 (fd, NULL, NULL, SOCK_CLOEXEC));
  banger_channel_listen (self->channel, on_message, self);
  return G_SOURCE_REMOVE;
}

static void
add_asset (BangerStore *store, BangerObjectKind kind)
{
  g_autoptr (BangerAssetRecord) record = banger_asset_record_new (kind);
  g_autoptr (GError) error = NULL;

  record->id = g_strdup (ID);
  record->name = g_strdup ("one");
  record->state = BANGER_ASSET_READY;
  g_free (record->release);
  record->release = g_strdup ("6.1");
  g_free (record->digest);
  record->digest = g_strdup ("sha256:0");
  g_assert_true (banger_store_add_asset (store, record, &error));
  g_assert_no_error (error);
}

static void
add_vm (BangerStore *store)
{
  g_autoptr (BangerVmRecord) record = banger_vm_record_new ();
  g_autoptr (GError) error = NULL;

  record->id = g_strdup (ID);
  record->name = g_strdup ("old");
  record->state = BANGER_VM_RUNNING;
  record->image_id = g_strdup (ID);
  record->kernel_id = g_strdup (ID);
  record->backend = g_strdup ("qemu");
  record->vcpus = 1;
  g_assert_true (banger_store_add_vm (store, record, &error));
  g_assert_no_error (error);
}

static void
make_dir (BangerService *service, BangerObjectKind kind)
{
  banger_autofd int fd = banger_files_make_dir (service, kind, ID, NULL);

  g_assert_cmpint (fd, >=, 0);
}

static void
listen_as_monitor (Fixture *self)
{
  g_autofree char *path = banger_files_control_path (self->service, ID);
  banger_autofd int dir = banger_files_make_run_dir (self->service, ID, NULL);
  struct sockaddr_un address = { .sun_family = AF_UNIX };

  g_assert_cmpint (dir, >=, 0);
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  self->listener = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  g_assert_cmpint (bind (self->listener, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint (listen (self->listener, 1), ==, 0);
  g_unix_fd_add (self->listener, G_IO_IN, on_connection, self);
}

static void
set_up (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  self->bus = g_test_dbus_new (G_TEST_DBUS_NONE);
  g_test_dbus_up (self->bus);
  self->connection = g_dbus_connection_new_for_address_sync (
      g_test_dbus_get_bus_address (self->bus),
      G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT
          | G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION,
      NULL, NULL, &error);
  g_assert_no_error (error);
  self->service = banger_service_new (BANGER_MODE_SESSION, self->connection, &error);
  g_assert_no_error (error);
  add_asset (self->service->store, BANGER_OBJECT_IMAGE);
  add_asset (self->service->store, BANGER_OBJECT_KERNEL);
  add_vm (self->service->store);
  make_dir (self->service, BANGER_OBJECT_IMAGE);
  make_dir (self->service, BANGER_OBJECT_KERNEL);
  make_dir (self->service, BANGER_OBJECT_VM);
  listen_as_monitor (self);
  self->facts
      = g_variant_ref_sink (g_variant_new_parsed (data, ID)); /* one string is taken: the id */
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  banger_service_free (self->service);
  g_clear_object (&self->channel);
  g_variant_unref (self->facts);
  close (self->listener);
  g_dbus_connection_close_sync (self->connection, NULL, NULL);
  g_object_unref (self->connection);
  g_test_dbus_down (self->bus);
  g_object_unref (self->bus);
  g_assert_true (banger_remove_tree_at (AT_FDCWD, base, NULL));
}

static void
on_reconciled (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_reconcile_finish (result, &error));
  g_assert_no_error (error);
  *(gboolean *)data = TRUE;
}

static BangerVm *
reconcile (Fixture *self)
{
  gboolean done = FALSE;

  banger_reconcile_async (self->service, on_reconciled, &done);
  while (!done)
    g_main_context_iteration (NULL, TRUE);
  return banger_service_vm (self->service, ID);
}

/* The finding that is added to those of the host. */
static GVariant *
look (Fixture *self)
{
  g_autoptr (GVariant) host
      = g_variant_ref_sink (g_variant_new_parsed ("[{'id': <'kvm'>, 'status': <'ok'>}]"));
  g_autoptr (GVariant) all = g_variant_ref_sink (banger_versions_add (self->service, host));

  g_assert_cmpuint (g_variant_n_children (all), ==, 2);
  return g_variant_get_child_value (all, 1);
}

static void
assert_text (GVariant *finding, const char *key, const char *expected)
{
  const char *found = "";

  g_variant_lookup (finding, key, "&s", &found);
  g_assert_cmpstr (found, ==, expected);
}

static void
test_same (Fixture *self, gconstpointer data)
{
  BangerVm *vm = reconcile (self);
  g_autoptr (GVariant) finding = look (self);

  /* What it does not say has a default. */
  g_assert_cmpint (vm->record->state, ==, BANGER_VM_RUNNING);
  g_assert_true (banger_vm_check_running (vm, NULL));
  assert_text (finding, "id", "versions");
  assert_text (finding, "status", "ok");
  assert_text (finding, "found", "service " BANGER_VERSION ", protocol 1");
  assert_text (finding, "fix", "");
}

static void
test_other_version (Fixture *self, gconstpointer data)
{
  BangerVm *vm = reconcile (self);
  g_autoptr (GVariant) finding = look (self);

  g_assert_true (banger_vm_check_running (vm, NULL));
  assert_text (finding, "status", "warning");
  assert_text (finding, "found",
               "service " BANGER_VERSION ", protocol 1; VM old runs with version 0.0.9~rc1");
  assert_text (finding, "fix", "banger vm restart old");
}

/* It is left running; what needs its answer is refused, and it can be killed. */
static void
test_other_protocol (Fixture *self, gconstpointer data)
{
  BangerVm *vm = reconcile (self);
  g_autoptr (GVariant) finding = look (self);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (vm->record->state, ==, BANGER_VM_RUNNING);
  g_assert_nonnull (vm->monitor);
  g_assert_false (banger_vm_check_running (vm, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_SUPPORTED);
  assert_text (finding, "status", "error");
  assert_text (finding, "fix", "banger vm kill old && banger vm start old");
}

/* What it says of its version is shown to people. */
static void
test_bad_version (Fixture *self, gconstpointer data)
{
  BangerVm *vm = reconcile (self);
  g_autoptr (GVariant) finding = look (self);

  g_assert_nonnull (vm->monitor);
  assert_text (finding, "status", "ok");
}

static void
test_paused (Fixture *self, gconstpointer data)
{
  BangerVm *vm = reconcile (self);

  g_assert_cmpint (vm->record->state, ==, BANGER_VM_PAUSED);
  g_assert_false (vm->end_wanted);
}

/* Somebody asked it to stop before this service began: it still does. */
static void
test_stopping (Fixture *self, gconstpointer data)
{
  BangerVm *vm = reconcile (self);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (vm->record->state, ==, BANGER_VM_STOPPING);
  g_assert_null (vm->job);
  g_assert_false (banger_vm_check_up (vm, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_WRONG_STATE);
}

static void
tell_state (Fixture *self, const char *word)
{
  g_autoptr (GVariant) args = g_variant_ref_sink (g_variant_new_parsed ("{'state': <%s>}", word));

  g_assert_true (banger_channel_send (self->channel, 0, "state", args, NULL, NULL));
}

static void
wait_for_state (BangerVm *vm, BangerVmState state)
{
  while (vm->record->state != state)
    g_main_context_iteration (NULL, TRUE);
}

/* Asked to by a service before us, it pauses, runs and stops only now. */
static void
test_told (Fixture *self, gconstpointer data)
{
  BangerVm *vm = reconcile (self);

  g_assert_cmpint (vm->record->state, ==, BANGER_VM_RUNNING);
  tell_state (self, "paused");
  wait_for_state (vm, BANGER_VM_PAUSED);
  tell_state (self, "odd");
  tell_state (self, "failed");
  tell_state (self, "running");
  wait_for_state (vm, BANGER_VM_RUNNING);
  tell_state (self, "stopping");
  wait_for_state (vm, BANGER_VM_STOPPING);
}

int
main (int argc, char **argv)
{
  int status = 0;

  base = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  g_setenv ("XDG_STATE_HOME", base, TRUE);
  g_setenv ("XDG_RUNTIME_DIR", base, TRUE);
  g_test_init (&argc, &argv, NULL);
#define ADD(name, facts, func) \
  g_test_add ("/versions/" name, Fixture, facts, set_up, func, tear_down)
  ADD ("same", "{'id': <%s>, 'state': <'running'>}", test_same);
  ADD ("other-version",
       "{'id': <%s>, 'state': <'running'>, 'protocol': <uint32 1>, 'version': <'0.0.9~rc1'>}",
       test_other_version);
  ADD ("other-protocol", "{'id': <%s>, 'protocol': <uint32 2>, 'version': <'9.0'>}",
       test_other_protocol);
  ADD ("bad-version", "{'id': <%s>, 'state': <'running'>, 'version': <'1\\u001b[2J'>}",
       test_bad_version);
  ADD ("paused", "{'id': <%s>, 'state': <'paused'>}", test_paused);
  ADD ("told", "{'id': <%s>, 'state': <'running'>}", test_told);
  ADD ("stopping", "{'id': <%s>, 'state': <'stopping'>}", test_stopping);
  status = g_test_run ();
  g_free (base);
  return status;
}
