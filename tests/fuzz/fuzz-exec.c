/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Exec frames' headers and the payload of START. */
#include "agent/command.h"
#include "wire/exec.h"

#include "mutate.h"

static const char first[] = "arg=sh\0arg=-c\0arg=echo\0env=A=1\0cwd=/\0user=root\0tty=24x80";
static const char second[] = "shell=1\0arg=echo\0arg=more\0arg=most\0detach=1";
static const char third[] = "builtin=unpack\0arg=/in\0rename=it\0owner=keep\0mkdir=1";

static void
check_header (Mutator *mutator)
{
  guint8 header[BANGER_EXEC_HEADER_SIZE] = { 0 }, again[BANGER_EXEC_HEADER_SIZE];
  BangerExecType type;
  guint32 length;

  header[0] = (guint8)mutator_below (mutator, 10);
  header[mutator_below (mutator, sizeof header)] = (guint8)g_rand_int (mutator->random);
  if (!banger_exec_read_header (header, &type, &length))
    return;
  g_assert_cmpuint (length, <=, BANGER_EXEC_PAYLOAD_MAX);
  banger_exec_write_header (again, type, length);
  g_assert_cmpmem (header, sizeof header, again, sizeof again);
}

int
main (int argc, char **argv)
{
  Mutator mutator;
  AgentCommand *command = g_new0 (AgentCommand, 1);
  guint64 taken = 0;

  mutator_init (&mutator, argc, argv);
  while (mutator_goes_on (&mutator)) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    g_autofree char *payload = NULL;

    check_header (&mutator);
    switch (mutator_below (&mutator, 3)) {
    case 0:
      g_byte_array_append (bytes, (const guint8 *)first, sizeof first);
      break;
    case 1:
      g_byte_array_append (bytes, (const guint8 *)second, sizeof second);
      break;
    default:
      g_byte_array_append (bytes, (const guint8 *)third, sizeof third);
    }
    mutator_mutate (&mutator, bytes);
    /* Memory of exactly this size, so that a read beyond it is seen. */
    payload = g_memdup2 (bytes->data, bytes->len);
    if (agent_command_parse (command, payload, bytes->len) != NULL)
      continue;
    taken++;
    g_assert_true (command->n_args > 0 || command->shell);
    g_assert_null (command->args[command->n_args]);
    for (unsigned i = 0; i < command->n_args; i++)
      g_assert_true (command->args[i] > payload && command->args[i] < payload + bytes->len);
    for (unsigned i = 0; i < command->n_env; i++)
      g_assert_nonnull (strchr (command->env[i], '='));
  }
  g_assert_cmpuint (taken, >, 0);
  g_free (command);
  return mutator_done (&mutator);
}
