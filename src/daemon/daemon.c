/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon.h"

#include "config.h"
#include "doctor.h"
#include "manager.h"
#include "reconcile.h"
#include "service.h"
#include "stages.h"
#include "vm-restart.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

typedef struct {
  GMainLoop *loop;
  BangerService *service;
  guint name_id;
  int status;
} Daemon;

/* Takes @error. */
static int
fail (GError *error)
{
  g_autoptr (GError) ours = banger_error_adopt (error);
  g_autofree char *message = banger_error_dbus_message (ours);

  g_printerr ("bangerd: %s\n", message);
  return EXIT_FAILURE;
}

/* As above, and clients are told too. Those of the system's service cannot read what is its own:
 * they are told of its journal. Takes @error. */
static int
fail_to_start (BangerMode mode, GError *error)
{
  g_autofree char *runtime_path = banger_runtime_path (mode);

  if (mode == BANGER_MODE_SESSION)
    banger_start_error_write (runtime_path, error);
  return fail (error);
}

/* Takes @error. */
static void
give_up (Daemon *self, GError *error)
{
  self->status = fail_to_start (self->service->mode, error);
  g_main_loop_quit (self->loop);
}

static void
on_findings (GObject *source, GAsyncResult *result, gpointer data)
{
  Daemon *self = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) findings = banger_doctor_check_finish (result, &error);

  if (findings == NULL)
    g_warning ("%s", error->message);
  else if (self->service != NULL)
    banger_manager_set_findings (self->service, findings);
}

static void
on_name_acquired (GDBusConnection *connection, const char *name, gpointer data)
{
  Daemon *self = data;

  banger_doctor_check_async (self->service->mode, NULL, on_findings, self);
}

/* The bus has gone: the session is over, or the host shuts down. Nobody can ask us any more; VMs
 * run on. */
static void
on_bus_closed (GDBusConnection *connection, gboolean remote_peer_vanished, GError *error,
               gpointer data)
{
  Daemon *self = data;

  g_main_loop_quit (self->loop);
}

static void
on_name_lost (GDBusConnection *connection, const char *name, gpointer data)
{
  Daemon *self = data;
  GError *error = NULL;

  if (g_dbus_connection_is_closed (self->service->connection))
    return;
  banger_set_error (&error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                    "the name " BANGER_BUS_NAME " is taken, or this user may not have it");
  give_up (self, error);
}

static void
on_reconciled (GObject *source, GAsyncResult *result, gpointer data)
{
  Daemon *self = data;
  g_autoptr (GError) error = NULL;

  if (!banger_reconcile_finish (result, &error) || !banger_service_export (self->service, &error)) {
    give_up (self, g_steal_pointer (&error));
    return;
  }
  banger_start_error_remove (self->service->runtime_path);
  self->name_id = g_bus_own_name_on_connection (self->service->connection, BANGER_BUS_NAME,
                                                G_BUS_NAME_OWNER_FLAGS_DO_NOT_QUEUE,
                                                on_name_acquired, on_name_lost, self, NULL);
  banger_restart_begin (self->service);
}

static gboolean
on_signal (gpointer data)
{
  Daemon *self = data;

  g_main_loop_quit (self->loop);
  return G_SOURCE_CONTINUE;
}

static int
list_stages (void)
{
  const char *const *kinds = banger_stage_kinds ();

  for (guint i = 0; kinds[i] != NULL; i++) {
    const char *const *stages = banger_stages_of (kinds[i]);

    for (guint j = 0; stages[j] != NULL; j++)
      g_print ("%s %s\n", kinds[i], stages[j]);
  }
  return EXIT_SUCCESS;
}

static int
check_configuration (BangerMode mode)
{
  GError *error = NULL;
  g_autoptr (BangerConfig) config = banger_config_load (mode, &error);
  g_autofree char *text = config != NULL ? banger_config_print (config) : NULL;

  if (text == NULL)
    return fail (error);
  g_print ("%s", text);
  return EXIT_SUCCESS;
}

static int
print_man (void)
{
  g_autofree char *page = banger_config_man ();

  g_print ("%s", page);
  return EXIT_SUCCESS;
}

static int
serve (BangerMode mode)
{
  GBusType bus = mode == BANGER_MODE_SYSTEM ? G_BUS_TYPE_SYSTEM : G_BUS_TYPE_SESSION;
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) connection = g_bus_get_sync (bus, NULL, &error);
  g_autoptr (BangerService) service = NULL;
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  Daemon self = { .loop = loop };

  if (connection != NULL) {
    g_dbus_connection_set_exit_on_close (connection, FALSE);
    g_signal_connect (connection, "closed", G_CALLBACK (on_bus_closed), &self);
    service = banger_service_new (mode, connection, &error);
  }
  if (service == NULL)
    return fail_to_start (mode, g_steal_pointer (&error));
  self.service = service;
  g_unix_signal_add (SIGTERM, on_signal, &self);
  g_unix_signal_add (SIGINT, on_signal, &self);
  banger_reconcile_async (service, on_reconciled, &self);
  g_main_loop_run (loop);
  g_signal_handlers_disconnect_by_data (connection, &self);
  g_clear_handle_id (&self.name_id, g_bus_unown_name);
  g_dbus_connection_flush_sync (connection, NULL, NULL);
  return self.status;
}

int
banger_daemon_run (int argc, char **argv)
{
  gboolean system = FALSE, session = FALSE, stages = FALSE, version = FALSE;
  gboolean check = FALSE, man = FALSE;
  BangerMode mode = BANGER_MODE_SESSION;
  const GOptionEntry entries[] = {
    { "system", 0, 0, G_OPTION_ARG_NONE, &system, "Serve the system bus", NULL },
    { "session", 0, 0, G_OPTION_ARG_NONE, &session, "Serve the session bus", NULL },
    { "list-stages", 0, 0, G_OPTION_ARG_NONE, &stages, "List the stages of all jobs", NULL },
    { "check-configuration", 0, 0, G_OPTION_ARG_NONE, &check,
      "With --system or --session: say what is wrong with the configuration, or print it", NULL },
    { "configuration-man", 0, G_OPTION_FLAG_HIDDEN, G_OPTION_ARG_NONE, &man,
      "Print the page banger.conf(5)", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version", NULL },
    { NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  umask (0077);
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error)) {
    g_printerr ("bangerd: %s\n", error->message);
    return EXIT_FAILURE;
  }
  if (version) {
    g_print ("bangerd %s\n", BANGER_VERSION);
    return EXIT_SUCCESS;
  }
  if (stages)
    return list_stages ();
  if (man)
    return print_man ();
  if (system == session) {
    g_printerr ("bangerd: one of --system and --session must be given\n");
    return EXIT_FAILURE;
  }
  mode = system ? BANGER_MODE_SYSTEM : BANGER_MODE_SESSION;
  if (check)
    return check_configuration (mode);
  /* A channel, pidfds and timers for each VM, and what clients bring: 1024 is soon too few. */
  banger_run_raise_files ();
  return serve (mode);
}
