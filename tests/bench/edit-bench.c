/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How long it takes to write FILE under COUNT new names of /etc; prints the seconds:
 *
 *   edit-bench disk DISK FILE COUNT    by the library: from before the open to after the finish
 *   edit-bench call IMAGE FILE COUNT   by bangerd, to the image at this object path: from the call
 * of EditFiles to the end of its job
 */
#include "common/names.h"
#include "disk/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void G_GNUC_NORETURN
die (const char *what, const GError *error)
{
  fprintf (stderr, "edit-bench: %s%s%s\n", what, error != NULL ? ": " : "",
           error != NULL ? error->message : "");
  exit (1);
}

static void
print_since (gint64 began)
{
  printf ("%.6f\n", (double)(g_get_monotonic_time () - began) / G_USEC_PER_SEC);
}

/* Not the same names as the time before. */
static char *
make_path (int number)
{
  return g_strdup_printf ("/etc/edit-bench-%d-%d", (int)getpid (), number);
}

static void
edit_disk (const char *disk, const char *file, int count)
{
  banger_autofd int root = open (disk, O_RDWR | O_CLOEXEC);
  banger_autofd int content = open (file, O_RDONLY | O_CLOEXEC);
  const BangerDiskViewSpec spec = { .root = root, .lower = -1, .work = -1, .write = TRUE };
  g_autoptr (BangerDiskView) view = NULL;
  g_autoptr (GError) error = NULL;
  gint64 began = g_get_monotonic_time ();

  view = banger_disk_view_open (&spec, &error);
  if (view == NULL)
    die (disk, error);
  for (int i = 0; i < count; i++) {
    g_autofree char *path = make_path (i);

    lseek (content, 0, SEEK_SET);
    if (!banger_disk_view_write (view, path, content, 0, NULL, &error))
      die (path, error);
  }
  if (!banger_disk_view_finish (view, &error))
    die (disk, error);
  print_since (began);
}

static GVariant *
make_steps (const char *file, int count)
{
  g_autofree char *bytes = NULL;
  g_autoptr (GVariant) content = NULL;
  GVariantBuilder steps;
  gsize length = 0;

  if (!g_file_get_contents (file, &bytes, &length, NULL))
    die (file, NULL);
  content = g_variant_ref_sink (
      g_variant_new_fixed_array (G_VARIANT_TYPE_BYTE, bytes, length, sizeof *bytes));
  g_variant_builder_init (&steps, G_VARIANT_TYPE ("a(sa{sv})"));
  for (int i = 0; i < count; i++) {
    g_autofree char *path = make_path (i);
    GVariantDict step;

    g_variant_dict_init (&step, NULL);
    g_variant_dict_insert (&step, "path", "s", path);
    g_variant_dict_insert_value (&step, "content", content);
    g_variant_builder_add (&steps, "(s@a{sv})", "write", g_variant_dict_end (&step));
  }
  return g_variant_builder_end (&steps);
}

typedef struct {
  GMainLoop *loop;
  GHashTable *ended; /* jobs to how: one may end before the call's answer is here */
  char *job;
} Call;

static void
end_call (Call *call)
{
  if (call->job != NULL && g_hash_table_contains (call->ended, call->job))
    g_main_loop_quit (call->loop);
}

static void
on_finished (GDBusConnection *bus, const char *sender, const char *path, const char *interface,
             const char *signal, GVariant *arguments, gpointer data)
{
  const char *job = NULL, *result = NULL;
  Call *call = data;

  g_variant_get (arguments, "(&o&s&o&s@a{sv})", &job, NULL, NULL, &result, NULL);
  g_hash_table_insert (call->ended, g_strdup (job), g_strdup (result));
  end_call (call);
}

static void
on_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer
      = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &error);
  Call *call = data;

  if (answer == NULL)
    die ("EditFiles", error);
  g_variant_get (answer, "(o)", &call->job);
  end_call (call);
}

static void
edit_image (const char *image, const char *file, int count)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDBusConnection) bus = g_bus_get_sync (G_BUS_TYPE_SESSION, NULL, &error);
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GHashTable) ended = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GVariant *steps = make_steps (file, count);
  Call call = { loop, ended, NULL };
  gint64 began = 0;

  if (bus == NULL)
    die ("the session bus", error);
  g_dbus_connection_signal_subscribe (bus, BANGER_BUS_NAME, BANGER_IFACE_MANAGER, "JobFinished",
                                      BANGER_ROOT_PATH, NULL, G_DBUS_SIGNAL_FLAGS_NONE, on_finished,
                                      &call, NULL);
  began = g_get_monotonic_time ();
  g_dbus_connection_call (bus, BANGER_BUS_NAME, image, BANGER_IFACE_IMAGE, "EditFiles",
                          g_variant_new ("(@a(sa{sv})a{sv})", steps, NULL), G_VARIANT_TYPE ("(o)"),
                          G_DBUS_CALL_FLAGS_NONE, -1, NULL, on_answer, &call);
  g_main_loop_run (loop);
  if (!g_str_equal (g_hash_table_lookup (ended, call.job), "done"))
    die ("the image was not edited", NULL);
  print_since (began);
  g_free (call.job);
}

int
main (int argc, char **argv)
{
  if (argc == 5 && g_str_equal (argv[1], "disk"))
    edit_disk (argv[2], argv[3], atoi (argv[4]));
  else if (argc == 5 && g_str_equal (argv[1], "call"))
    edit_image (argv[2], argv[3], atoi (argv[4]));
  else
    die ("disk | call, and what they need", NULL);
  return 0;
}
