/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gather.h"

#include <string.h>

void
banger_gather_clear (BangerGather *gather)
{
  g_clear_pointer (&gather->bytes, g_free);
  g_clear_pointer (&gather->decoded, g_free);
}

const guint8 *
banger_gather_take (BangerGather *gather, BangerDecodeStep *step, gsize length)
{
  gsize n = MIN (length - gather->length, step->in_length);
  const guint8 *given = step->in;

  if (gather->length == 0 && n == length) {
    banger_decode_advance (step, n, 0);
    return given;
  }
  if (gather->room < length) {
    gather->bytes = g_realloc (gather->bytes, length);
    gather->room = length;
  }
  if (n > 0)
    memcpy (gather->bytes + gather->length, given, n);
  gather->length += n;
  banger_decode_advance (step, n, 0);
  if (gather->length < length)
    return NULL;
  gather->length = 0;
  return gather->bytes;
}

guint8 *
banger_gather_room (BangerGather *gather, BangerDecodeStep *step, gsize most)
{
  if (step->out_length >= most)
    return step->out;
  if (gather->decoded == NULL)
    gather->decoded = g_malloc (BANGER_BLOCK_MAX);
  return gather->decoded;
}

void
banger_gather_decoded (BangerGather *gather, BangerDecodeStep *step, const guint8 *room,
                       gsize length)
{
  if (room == step->out) {
    banger_decode_advance (step, 0, length);
    return;
  }
  gather->begin = 0;
  gather->end = length;
}

gboolean
banger_gather_give (BangerGather *gather, BangerDecodeStep *step)
{
  gsize n = MIN (gather->end - gather->begin, step->out_length);

  if (n > 0)
    memcpy (step->out, gather->decoded + gather->begin, n);
  gather->begin += n;
  banger_decode_advance (step, 0, n);
  return gather->begin == gather->end;
}
