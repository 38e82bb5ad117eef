/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's frames on their way to its network: what comes out is whole frames that may leave. */
#include "vmm/frames.h"

#include "fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

/* As much as a socket takes at once. */
#define OUT_MAX (1024 * 1024)

static void
on_lost (gpointer data)
{
  g_assert_not_reached ();
}

static void
run_loop (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
}

/* How many frames came. */
static guint
check_out (int network)
{
  g_autofree guint8 *out = g_malloc (OUT_MAX);
  ssize_t length = recv (network, out, OUT_MAX, MSG_DONTWAIT);
  gsize at = 0;
  guint frames = 0;

  while (length > 0 && at < (gsize)length) {
    gsize size = 0;

    g_assert_cmpuint ((gsize)length - at, >=, 4);
    size = (gsize)out[at] << 24 | out[at + 1] << 16 | out[at + 2] << 8 | out[at + 3];
    at += 4;
    g_assert_cmpuint (size, <=, (gsize)length - at);
    g_assert_true (banger_frame_may_leave (out + at, size));
    at += size;
    frames++;
  }
  return frames;
}

static gboolean
run (const guint8 *bytes, gsize length)
{
  FuzzChoice choice = fuzz_choice (bytes, length);
  BangerFrames *frames = NULL;
  int guest[2], network[2];
  gsize at = 0;
  guint came = 0;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, guest), ==, 0);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, network), ==, 0);
  frames = banger_frames_new (guest[1], network[1], on_lost, NULL);
  length = MIN (length, 65536);
  while (at < length) {
    gsize piece = 1 + fuzz_below (&choice, (guint)(length - at));

    g_assert_cmpint (send (guest[0], bytes + at, piece, MSG_NOSIGNAL | MSG_DONTWAIT), ==,
                     (int)piece);
    at += piece;
    run_loop ();
  }
  came = check_out (network[0]);
  banger_frames_free (frames);
  close (guest[0]);
  close (network[0]);
  return came > 0;
}

const FuzzTarget fuzz_target = { .name = "frames", .run = run };
