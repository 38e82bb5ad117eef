/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What bangerd asks of a monitor: packets of the channel, the machine to start, commands to run. */
#include "vmm/exec.h"
#include "vmm/machine.h"

#include "wire/exec.h"

#include "fuzz.h"

#include <fcntl.h>
#include <unistd.h>

#define FDS 9

static void
check_machine (BangerMessage *message)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMachine) machine = banger_machine_parse (message, &error);

  if (machine == NULL) {
    g_assert_cmpint ((int)error->domain, ==, (int)BANGER_ERROR);
    g_assert_true (g_utf8_validate (error->message, -1, NULL));
    return;
  }
  g_assert_true (banger_id_is_valid (machine->id));
  g_assert_true (banger_name_is_valid (machine->name));
  g_assert_cmpuint (machine->vcpus, >=, 1);
  g_assert_cmpuint (machine->vcpus, <=, BANGER_VCPUS_MAX);
  g_assert_cmpuint (machine->memory_bytes, <=, BANGER_MEMORY_MAX);
  g_assert_cmpint (machine->kernel, >=, 0);
  g_assert_cmpint (machine->root, >=, 0);
}

/* What is sent to the agent is whole frames, the first of them a START. */
static void
check_request (const GByteArray *request)
{
  guint at = 0;

  g_assert_cmpuint (request->data[0], ==, BANGER_EXEC_START);
  while (at < request->len) {
    BangerExecType type;
    guint32 length = 0;

    g_assert_cmpuint (request->len - at, >=, BANGER_EXEC_HEADER_SIZE);
    g_assert_true (banger_exec_read_header (request->data + at, &type, &length));
    at += BANGER_EXEC_HEADER_SIZE + length;
  }
  g_assert_cmpuint (at, ==, request->len);
}

static void
check_exec (BangerMessage *message)
{
  g_autofree const char **argv = NULL;
  g_autoptr (GVariant) options
      = g_variant_lookup_value (message->args, "options", G_VARIANT_TYPE_VARDICT);
  g_autoptr (GByteArray) request = NULL;
  g_autoptr (GError) error = NULL;

  if (!g_variant_lookup (message->args, "argv", "^a&s", &argv))
    return;
  if (options == NULL)
    options = g_variant_ref_sink (banger_no_args ());
  request = banger_exec_request_new (argv, options, &error);
  if (request == NULL)
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  else
    check_request (request);
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  g_autoptr (GBytes) packet = g_bytes_new (bytes, MIN (length, BANGER_MESSAGE_MAX));
  GUnixFDList *fds = g_unix_fd_list_new ();
  g_autoptr (BangerMessage) message = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < FDS; i++) {
    banger_autofd int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);

    g_unix_fd_list_append (fds, fd, NULL);
  }
  message = banger_message_parse (packet, fds, &error);
  if (message == NULL) {
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
    return FALSE;
  }
  check_machine (message);
  check_exec (message);
  return TRUE;
}

const FuzzTarget fuzz_target = { .name = "vmm-calls", .run = run };
