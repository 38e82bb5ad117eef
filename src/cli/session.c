/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "session.h"

#include "agent-http.h"
#include "verbs.h"

#include <glib/gi18n.h>
#include <unistd.h>

/* Nobody wants to wait for this once the session is over. */
#define ANSWER_SECONDS 3

void
banger_session_say_running (BangerClient *client, const char *vm, const char *name)
{
  g_autofree char *label = banger_label (BANGER_OBJECT_VM, name);
  g_autoptr (JsonObject) stats = NULL;

  if (!isatty (STDERR_FILENO))
    return;
  /* A guest that does not answer has nothing that runs on, or its own troubles. */
  stats = banger_agent_get (client, vm, "/stats", ANSWER_SECONDS, NULL);
  if (stats == NULL || banger_member_number (stats, "commands") > 0
      || banger_member_number (stats, "streams") > 0)
    return;
  g_printerr (_ ("%s still runs; to stop it: banger stop %s\n"), label, name);
}
