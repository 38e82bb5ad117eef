/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Takes the service's name and lets its authorisation judge every method of every interface:
 * auth-service --system|--session. What is permitted is answered with the error
 * org.banger.Test.Allowed, for nothing stands behind it.
 *
 * The object at /org/banger/Banger1/KIND/u1000 belongs to uid 1000; at …/s1000 it is shared, too.
 */
#include "daemon/auth.h"

#include "banger-dbus.h"

#include <glib-unix.h>
#include <string.h>

typedef struct {
  GMainLoop *loop;
  BangerMode mode;
  BangerAuth *auth;
  int status;
} Service;

static gboolean
parse_path (const char *path, BangerAuthObject *object)
{
  const char *id = NULL;

  for (int kind = BANGER_OBJECT_VM; kind <= BANGER_OBJECT_JOB; kind++) {
    id = banger_object_path_id (path, (BangerObjectKind)kind);
    if (id == NULL || (id[0] != 'u' && id[0] != 's'))
      continue;
    *object = (BangerAuthObject){ .kind = (BangerObjectKind)kind,
                                  .id = id,
                                  .name = id,
                                  .owner_uid = (uid_t)g_ascii_strtoull (id + 1, NULL, 10),
                                  .shared = id[0] == 's' };
    return TRUE;
  }
  return FALSE;
}

static void
on_checked (GObject *source, GAsyncResult *result, gpointer data)
{
  GDBusMethodInvocation *invocation = data;
  g_autoptr (GError) error = NULL;
  g_autofree char *message = NULL;

  if (banger_auth_check_finish (BANGER_AUTH (source), result, NULL, &error)) {
    g_dbus_method_invocation_return_dbus_error (invocation, "org.banger.Test.Allowed", "yes");
    return;
  }
  message = banger_error_dbus_message (error);
  g_dbus_method_invocation_return_dbus_error (invocation, banger_error_dbus_name (error), message);
}

static void
on_call (GDBusConnection *connection, const char *sender, const char *path, const char *interface,
         const char *method, GVariant *parameters, GDBusMethodInvocation *invocation, gpointer data)
{
  Service *service = data;
  BangerAuthObject object = { 0 };
  gboolean has_object = parse_path (path, &object);

  banger_auth_check_async (service->auth, invocation, banger_action_find (interface, method),
                           has_object ? &object : NULL, NULL, on_checked, invocation);
}

static const GDBusInterfaceVTable vtable = { .method_call = on_call };

static GDBusInterfaceInfo *
info_of (BangerObjectKind kind)
{
  switch (kind) {
  case BANGER_OBJECT_VM:
    return banger_dbus_vm_interface_info ();
  case BANGER_OBJECT_IMAGE:
    return banger_dbus_image_interface_info ();
  case BANGER_OBJECT_KERNEL:
    return banger_dbus_kernel_interface_info ();
  case BANGER_OBJECT_JOB:
    return banger_dbus_job_interface_info ();
  default:
    return banger_dbus_manager_interface_info ();
  }
}

static GDBusInterfaceInfo **
introspect (GDBusConnection *connection, const char *sender, const char *path, const char *node,
            gpointer data)
{
  GDBusInterfaceInfo **all = g_new0 (GDBusInterfaceInfo *, 2);
  BangerAuthObject object = { 0 };

  if (parse_path (path, &object))
    all[0] = g_dbus_interface_info_ref (info_of (object.kind));
  return all;
}

static char **
enumerate (GDBusConnection *connection, const char *sender, const char *path, gpointer data)
{
  return g_new0 (char *, 1);
}

static const GDBusInterfaceVTable *
dispatch (GDBusConnection *connection, const char *sender, const char *path, const char *interface,
          const char *node, gpointer *out_data, gpointer data)
{
  *out_data = data;
  return &vtable;
}

static void
on_bus (GDBusConnection *connection, const char *name, gpointer data)
{
  static const char *const kinds[] = { "vm", "image", "kernel", "job" };
  static const GDBusSubtreeVTable subtree = { enumerate, introspect, dispatch, { NULL } };
  Service *service = data;

  service->auth = banger_auth_new (service->mode, connection);
  g_dbus_connection_register_object (connection, BANGER_ROOT_PATH,
                                     banger_dbus_manager_interface_info (), &vtable, service, NULL,
                                     NULL);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autofree char *path = g_strdup_printf ("%s/%s", BANGER_ROOT_PATH, kinds[i]);

    g_dbus_connection_register_subtree (connection, path, &subtree,
                                        G_DBUS_SUBTREE_FLAGS_DISPATCH_TO_UNENUMERATED_NODES,
                                        service, NULL, NULL);
  }
}

static void
on_lost (GDBusConnection *connection, const char *name, gpointer data)
{
  Service *service = data;

  service->status = 1;
  g_main_loop_quit (service->loop);
}

static gboolean
on_signal (gpointer data)
{
  g_main_loop_quit (((Service *)data)->loop);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  gboolean system = argc == 2 && g_str_equal (argv[1], "--system");
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Service service = { .loop = loop, .mode = system ? BANGER_MODE_SYSTEM : BANGER_MODE_SESSION };
  guint owner = g_bus_own_name (system ? G_BUS_TYPE_SYSTEM : G_BUS_TYPE_SESSION, BANGER_BUS_NAME,
                                G_BUS_NAME_OWNER_FLAGS_NONE, on_bus, NULL, on_lost, &service, NULL);

  g_unix_signal_add (SIGTERM, on_signal, &service);
  g_main_loop_run (loop);
  g_bus_unown_name (owner);
  g_clear_object (&service.auth);
  return service.status;
}
