/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exec frames as the agent reads them: a header, and the payload of START behind it. */
#include "agent/command.h"
#include "wire/exec.h"

#include "fuzz.h"

static AgentCommand *command;

static void
init (void)
{
  command = g_new0 (AgentCommand, 1);
}

static void
check_header (const guint8 *header)
{
  guint8 again[BANGER_EXEC_HEADER_SIZE];
  BangerExecType type;
  guint32 length;

  if (!banger_exec_read_header (header, &type, &length))
    return;
  g_assert_cmpuint (length, <=, BANGER_EXEC_PAYLOAD_MAX);
  banger_exec_write_header (again, type, length);
  g_assert_cmpmem (header, BANGER_EXEC_HEADER_SIZE, again, sizeof again);
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  g_autofree char *payload = NULL;

  if (length < BANGER_EXEC_HEADER_SIZE)
    return FALSE;
  check_header (bytes);
  length -= BANGER_EXEC_HEADER_SIZE;
  payload = g_memdup2 (bytes + BANGER_EXEC_HEADER_SIZE, length);
  if (payload == NULL || agent_command_parse (command, payload, length) != NULL)
    return FALSE;
  for (unsigned i = 0; i < command->n_args; i++)
    g_assert_true (command->args[i] > payload && command->args[i] < payload + length);
  g_assert_null (command->args[command->n_args]);
  for (unsigned i = 0; i < command->n_env; i++)
    g_assert_nonnull (strchr (command->env[i], '='));
  return TRUE;
}

const FuzzTarget fuzz_target = { .name = "exec", .init = init, .run = run };
