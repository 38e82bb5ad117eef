/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The life of VMs that are there. */
#include "verbs.h"

#include <glib/gi18n.h>

/* Which step of the ladder ended it. */
static const char *
ended_by (GVariant *result)
{
  const char *step = banger_props_string (result, "ended-by");

  if (g_str_equal (step, "guest"))
    return _ ("its guest shut down");
  if (g_str_equal (step, "button"))
    return _ ("its guest shut down when the power button was pressed");
  if (g_str_equal (step, "vmm"))
    return _ ("its guest did not shut down: the VMM was told to quit");
  if (g_str_equal (step, "kill"))
    return _ ("its guest did not shut down: the VMM was killed");
  return NULL;
}

static const char *
killed_by (GVariant *result)
{
  return g_str_equal (banger_props_string (result, "ended-by"), "kill")
             ? _ ("the VMM did not quit: it was killed")
             : NULL;
}

/* The option of Stop and Restart, floating. */
static GVariant *
stop_options (BangerArgs *args)
{
  GVariantDict options;
  guint32 timeout = 0;

  g_variant_dict_init (&options, NULL);
  if (banger_args_count (args, "timeout", &timeout))
    g_variant_dict_insert (&options, "timeout", "u", timeout);
  return g_variant_dict_end (&options);
}

int
banger_vm_start (BangerClient *client, BangerArgs *args, GError **error)
{
  BangerAction action = { .kind = BANGER_OBJECT_VM,
                          .method = "Start",
                          .done = _ ("%s is up"),
                          .undone = _ ("it is stopped, as before"),
                          .states = banger_args_command (args)->states };

  return banger_action_run (client, args, &action, error);
}

int
banger_vm_stop (BangerClient *client, BangerArgs *args, GError **error)
{
  BangerAction action = { .kind = BANGER_OBJECT_VM,
                          .method = "Stop",
                          .options = stop_options (args),
                          .done = _ ("%s is stopped"),
                          .undone = _ ("it runs on"),
                          .states = banger_args_command (args)->states,
                          .describe = ended_by };

  return banger_action_run (client, args, &action, error);
}

int
banger_vm_kill (BangerClient *client, BangerArgs *args, GError **error)
{
  BangerAction action = { .kind = BANGER_OBJECT_VM,
                          .method = "Kill",
                          .done = _ ("%s is stopped"),
                          .undone = _ ("it runs on"),
                          .states = banger_args_command (args)->states,
                          .destructive = TRUE,
                          .describe = killed_by };

  return banger_action_run (client, args, &action, error);
}

int
banger_vm_restart (BangerClient *client, BangerArgs *args, GError **error)
{
  BangerAction action = { .kind = BANGER_OBJECT_VM,
                          .method = "Restart",
                          .options = stop_options (args),
                          .done = _ ("%s is up again"),
                          .undone = _ ("it is stopped: 'banger vm start' starts it"),
                          .states = banger_args_command (args)->states,
                          .describe = ended_by };

  return banger_action_run (client, args, &action, error);
}

int
banger_vm_pause (BangerClient *client, BangerArgs *args, GError **error)
{
  BangerAction action = { .kind = BANGER_OBJECT_VM,
                          .method = "Pause",
                          .done = _ ("%s is paused"),
                          .undone = _ ("it runs on"),
                          .states = banger_args_command (args)->states };

  return banger_action_run (client, args, &action, error);
}

int
banger_vm_resume (BangerClient *client, BangerArgs *args, GError **error)
{
  BangerAction action = { .kind = BANGER_OBJECT_VM,
                          .method = "Resume",
                          .done = _ ("%s runs again"),
                          .undone = _ ("it is paused, as before"),
                          .states = banger_args_command (args)->states };

  return banger_action_run (client, args, &action, error);
}

int
banger_vm_delete (BangerClient *client, BangerArgs *args, GError **error)
{
  gboolean force = banger_args_flag (args, "force");
  BangerAction action = { .kind = BANGER_OBJECT_VM,
                          .method = "Delete",
                          .done = _ ("%s is deleted"),
                          .undone = _ ("it is kept"),
                          .states = force ? 0 : BANGER_STARTABLE,
                          .destructive = TRUE };
  GVariantDict options;

  g_variant_dict_init (&options, NULL);
  if (force)
    g_variant_dict_insert (&options, "force", "b", TRUE);
  action.options = g_variant_dict_end (&options);
  return banger_action_run (client, args, &action, error);
}
