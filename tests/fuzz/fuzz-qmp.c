/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What QEMU says over QMP, and what a guest that broke out of it could say. */
#include "vmm/qmp.h"

#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

static gboolean heard;

static void
on_ready (gpointer data)
{
  heard = TRUE;
}

static void
on_event (gpointer data, const char *name, JsonObject *values)
{
  g_assert_true (g_utf8_validate (name, -1, NULL));
}

static void
on_closed (gpointer data, const GError *error)
{
}

static const BangerQmpEvents events = { on_ready, on_event, on_closed };

static gboolean
run (const guint8 *bytes, gsize length)
{
  g_autoptr (BangerQmp) connection = NULL;
  int ends[2];

  /* More would wait for a reader. */
  length = MIN (length, 100000);
  heard = FALSE;
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), ==, 0);
  connection = banger_qmp_new (ends[0], &events, NULL);
  g_assert_cmpint (write (ends[1], bytes, length), ==, (gssize)length);
  banger_qmp_drain (connection);
  close (ends[1]);
  return heard;
}

const FuzzTarget fuzz_target = { .name = "qmp", .run = run };
