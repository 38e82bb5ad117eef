/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mux.h"

#include "crc.h"

#include <stdlib.h>
#include <string.h>

#define MAGIC "BGM1"
#define FRAME_MAX (BANGER_MUX_HEADER_SIZE + BANGER_MUX_PAYLOAD_MAX)
/* Small returns are gathered: what is withheld must stay below the window, or both ends wait. */
#define CREDIT_STEP (BANGER_MUX_WINDOW / 4)

typedef enum {
  FRAME_KNOCK = 1,
  FRAME_HELLO,
  FRAME_WELCOME,
  FRAME_OPEN,
  FRAME_ACCEPT,
  FRAME_RESET,
  FRAME_DATA,
  FRAME_EOF,
  FRAME_CREDIT,
} FrameType;

typedef struct {
  uint32_t number; /* 0: the slot is free */
  bool accepted;
  bool eof_sent;
  bool eof_received;
  bool blocked;       /* the last send took less than it was given */
  uint32_t credit;    /* what we may send */
  uint32_t allowance; /* what the peer may send */
  uint32_t used;      /* consumed here, not yet returned as credit */
} Channel;

typedef struct {
  uint64_t session;
  uint32_t channel;
  FrameType type;
  uint16_t length;
  const uint8_t *payload;
} Frame;

typedef enum {
  PARSED_FRAME,
  PARSED_GARBAGE,
  PARSED_NOTHING, /* more bytes are needed */
} Parsed;

struct BangerMux {
  const BangerMuxHandler *handler;
  void *data;
  bool host;
  bool ready;
  uint64_t session; /* host: the last that was begun; 0: none */
  uint32_t last_number;
  Channel channels[BANGER_MUX_CHANNELS_MAX];
  BangerCrc crc;
  size_t fill;
  uint8_t in[FRAME_MAX];
  uint8_t out[FRAME_MAX];
};

static uint32_t
get32 (const uint8_t *p)
{
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t
get64 (const uint8_t *p)
{
  return get32 (p) | (uint64_t)get32 (p + 4) << 32;
}

static void
put32 (uint8_t *p, uint32_t value)
{
  for (int i = 0; i < 4; i++)
    p[i] = (uint8_t)(value >> 8 * i);
}

static void
put64 (uint8_t *p, uint64_t value)
{
  put32 (p, (uint32_t)value);
  put32 (p + 4, (uint32_t)(value >> 32));
}

BangerMux *
banger_mux_new (bool host, const BangerMuxHandler *handler, void *data)
{
  BangerMux *mux = calloc (1, sizeof *mux);

  if (mux == NULL)
    return NULL;
  mux->host = host;
  mux->handler = handler;
  mux->data = data;
  banger_crc_init (&mux->crc);
  return mux;
}

void
banger_mux_free (BangerMux *mux)
{
  free (mux);
}

bool
banger_mux_is_ready (const BangerMux *mux)
{
  return mux->ready;
}

static Channel *
find_channel (BangerMux *mux, uint32_t number)
{
  if (number == 0 || !mux->ready)
    return NULL;
  for (size_t i = 0; i < BANGER_MUX_CHANNELS_MAX; i++) {
    if (mux->channels[i].number == number)
      return &mux->channels[i];
  }
  return NULL;
}

static Channel *
add_channel (BangerMux *mux, uint32_t number)
{
  for (size_t i = 0; i < BANGER_MUX_CHANNELS_MAX; i++) {
    Channel *channel = &mux->channels[i];

    if (channel->number == 0) {
      *channel = (Channel){ .number = number,
                            .credit = BANGER_MUX_WINDOW,
                            .allowance = BANGER_MUX_WINDOW };
      return channel;
    }
  }
  return NULL;
}

static uint32_t
frame_crc (const BangerMux *mux, const uint8_t *frame, size_t length)
{
  uint32_t crc = banger_crc_update (&mux->crc, 0, frame, 20);

  return banger_crc_update (&mux->crc, crc, frame + BANGER_MUX_HEADER_SIZE, length);
}

static void
write_frame (BangerMux *mux, uint64_t session, uint32_t channel, FrameType type,
             const void *payload, size_t length)
{
  uint8_t *out = mux->out;

  memcpy (out, MAGIC, 4);
  put64 (out + 4, session);
  put32 (out + 12, channel);
  out[16] = (uint8_t)type;
  out[17] = 0;
  out[18] = (uint8_t)length;
  out[19] = (uint8_t)(length >> 8);
  if (length > 0)
    memcpy (out + BANGER_MUX_HEADER_SIZE, payload, length);
  put32 (out + 20, frame_crc (mux, out, length));
  mux->handler->write (mux->data, out, BANGER_MUX_HEADER_SIZE + length);
}

static void
write_number (BangerMux *mux, uint32_t channel, FrameType type, uint32_t value)
{
  uint8_t payload[4];

  put32 (payload, value);
  write_frame (mux, mux->session, channel, type, payload, sizeof payload);
}

/* Completes whatever frame the peer may be in the middle of: its checksum then fails, and the peer
 * looks for the next one. */
static void
write_padding (BangerMux *mux)
{
  memset (mux->out, 0, sizeof mux->out);
  mux->handler->write (mux->data, mux->out, sizeof mux->out);
}

/* No callback finds a channel while others of its session are still told of. */
static void
end_session (BangerMux *mux)
{
  mux->ready = false;
  mux->last_number = 0;
  for (size_t i = 0; i < BANGER_MUX_CHANNELS_MAX; i++) {
    uint32_t number = mux->channels[i].number;

    mux->channels[i].number = 0;
    if (number != 0)
      mux->handler->reset (mux->data, number);
  }
}

void
banger_mux_hello (BangerMux *mux, uint64_t session)
{
  mux->session = session;
  end_session (mux);
  write_padding (mux);
  write_frame (mux, session, 0, FRAME_HELLO, NULL, 0);
}

void
banger_mux_knock (BangerMux *mux)
{
  end_session (mux);
  write_padding (mux);
  write_frame (mux, 0, 0, FRAME_KNOCK, NULL, 0);
}

/* A number that differs from those before it (splitmix64 is a permutation); never 0. */
static uint64_t
next_session (uint64_t session)
{
  uint64_t z = session + 0x9e3779b97f4a7c15u;

  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return z != 0 ? z : 1;
}

/* What was written before is whole, so there is nothing to pad. */
static void
begin_again (BangerMux *mux)
{
  if (mux->host)
    mux->session = next_session (mux->session);
  end_session (mux);
  if (mux->host)
    write_frame (mux, mux->session, 0, FRAME_HELLO, NULL, 0);
  else
    write_frame (mux, 0, 0, FRAME_KNOCK, NULL, 0);
}

uint32_t
banger_mux_open (BangerMux *mux, uint32_t port)
{
  Channel *channel;

  if (!mux->host || !mux->ready || mux->last_number == UINT32_MAX)
    return 0;
  channel = add_channel (mux, mux->last_number + 1);
  if (channel == NULL)
    return 0;
  mux->last_number++;
  write_number (mux, channel->number, FRAME_OPEN, port);
  return mux->last_number;
}

size_t
banger_mux_send (BangerMux *mux, uint32_t number, const void *bytes, size_t length)
{
  Channel *channel = find_channel (mux, number);
  size_t sent = 0;

  if (channel == NULL || !channel->accepted || channel->eof_sent)
    return 0;
  while (sent < length && channel->credit > 0) {
    size_t part = length - sent;

    if (part > BANGER_MUX_PAYLOAD_MAX)
      part = BANGER_MUX_PAYLOAD_MAX;
    if (part > channel->credit)
      part = channel->credit;
    channel->credit -= (uint32_t)part;
    write_frame (mux, mux->session, number, FRAME_DATA, (const uint8_t *)bytes + sent, part);
    sent += part;
  }
  channel->blocked = sent < length;
  return sent;
}

void
banger_mux_consumed (BangerMux *mux, uint32_t number, size_t length)
{
  Channel *channel = find_channel (mux, number);

  if (channel == NULL || channel->eof_received)
    return;
  /* Never more than what came: a caller's slip must not widen the window. */
  if (length > BANGER_MUX_WINDOW - channel->allowance - channel->used)
    length = BANGER_MUX_WINDOW - channel->allowance - channel->used;
  channel->used += (uint32_t)length;
  if (channel->used < CREDIT_STEP)
    return;
  channel->allowance += channel->used;
  length = channel->used;
  channel->used = 0;
  write_number (mux, number, FRAME_CREDIT, (uint32_t)length);
}

void
banger_mux_finish (BangerMux *mux, uint32_t number)
{
  Channel *channel = find_channel (mux, number);

  if (channel == NULL || !channel->accepted || channel->eof_sent)
    return;
  channel->eof_sent = true;
  if (channel->eof_received)
    channel->number = 0;
  write_frame (mux, mux->session, number, FRAME_EOF, NULL, 0);
}

void
banger_mux_abort (BangerMux *mux, uint32_t number)
{
  Channel *channel = find_channel (mux, number);

  if (channel == NULL)
    return;
  channel->number = 0;
  write_frame (mux, mux->session, number, FRAME_RESET, NULL, 0);
}

/* The peer broke the rules of this channel: it ends for both. */
static void
refuse_channel (BangerMux *mux, Channel *channel)
{
  uint32_t number = channel->number;

  banger_mux_abort (mux, number);
  mux->handler->reset (mux->data, number);
}

static void
on_open (BangerMux *mux, const Frame *frame)
{
  Channel *channel;
  bool accepted;

  if (frame->channel <= mux->last_number)
    return;
  mux->last_number = frame->channel;
  channel = add_channel (mux, frame->channel);
  if (channel == NULL) {
    write_frame (mux, mux->session, frame->channel, FRAME_RESET, NULL, 0);
    return;
  }
  accepted = mux->handler->open (mux->data, frame->channel, get32 (frame->payload));
  channel = find_channel (mux, frame->channel);
  if (channel == NULL)
    return;
  if (!accepted) {
    banger_mux_abort (mux, frame->channel);
    return;
  }
  channel->accepted = true;
  write_frame (mux, mux->session, frame->channel, FRAME_ACCEPT, NULL, 0);
}

static void
on_data (BangerMux *mux, Channel *channel, const Frame *frame)
{
  if (!channel->accepted || channel->eof_received || frame->length > channel->allowance) {
    refuse_channel (mux, channel);
    return;
  }
  channel->allowance -= frame->length;
  mux->handler->received (mux->data, channel->number, frame->payload, frame->length);
}

static void
on_eof (BangerMux *mux, Channel *channel)
{
  uint32_t number = channel->number;

  if (!channel->accepted || channel->eof_received) {
    refuse_channel (mux, channel);
    return;
  }
  channel->eof_received = true;
  if (channel->eof_sent)
    channel->number = 0;
  mux->handler->eof (mux->data, number);
}

static void
on_credit (BangerMux *mux, Channel *channel, uint32_t amount)
{
  if (!channel->accepted || amount > BANGER_MUX_WINDOW - channel->credit) {
    refuse_channel (mux, channel);
    return;
  }
  channel->credit += amount;
  if (!channel->blocked || channel->credit == 0)
    return;
  channel->blocked = false;
  mux->handler->writable (mux->data, channel->number);
}

static void
on_channel_frame (BangerMux *mux, Channel *channel, const Frame *frame)
{
  uint32_t number = channel->number;

  switch (frame->type) {
  case FRAME_ACCEPT:
    if (channel->accepted)
      break;
    channel->accepted = true;
    mux->handler->opened (mux->data, number);
    break;
  case FRAME_RESET:
    channel->number = 0;
    mux->handler->reset (mux->data, number);
    break;
  case FRAME_DATA:
    on_data (mux, channel, frame);
    break;
  case FRAME_EOF:
    on_eof (mux, channel);
    break;
  case FRAME_CREDIT:
    on_credit (mux, channel, get32 (frame->payload));
    break;
  default:
    break;
  }
}

static void
on_hello (BangerMux *mux, uint64_t session)
{
  bool again = mux->ready && mux->session == session;

  if (!again) {
    end_session (mux);
    mux->session = session;
    mux->ready = true;
  }
  write_frame (mux, session, 0, FRAME_WELCOME, NULL, 0);
  if (!again)
    mux->handler->ready (mux->data);
}

static void
on_frame (BangerMux *mux, const Frame *frame)
{
  Channel *channel;

  if (frame->type == FRAME_KNOCK) {
    if (mux->session != 0)
      begin_again (mux);
    return;
  }
  if (frame->type == FRAME_HELLO) {
    on_hello (mux, frame->session);
    return;
  }
  if (frame->session != mux->session)
    return;
  if (frame->type == FRAME_WELCOME) {
    if (mux->ready)
      return;
    mux->ready = true;
    mux->handler->ready (mux->data);
    return;
  }
  if (frame->type == FRAME_OPEN) {
    on_open (mux, frame);
    return;
  }
  channel = find_channel (mux, frame->channel);
  if (channel != NULL)
    on_channel_frame (mux, channel, frame);
}

/* Whether this end takes such a frame now. Without a session only those that lead to one count;
 * they have no payload, so that no stray length can swallow what comes after it. */
static bool
frame_is_wanted (const BangerMux *mux, const Frame *frame)
{
  bool line = frame->type <= FRAME_WELCOME;

  if (!mux->ready && !line)
    return false;
  if (line != (frame->channel == 0) || (frame->session == 0) != (frame->type == FRAME_KNOCK))
    return false;
  switch (frame->type) {
  case FRAME_KNOCK:
  case FRAME_WELCOME:
    return mux->host && frame->length == 0;
  case FRAME_ACCEPT:
    return mux->host && frame->length == 0;
  case FRAME_HELLO:
    return !mux->host && frame->length == 0;
  case FRAME_OPEN:
    return !mux->host && frame->length == 4;
  case FRAME_RESET:
  case FRAME_EOF:
    return frame->length == 0;
  case FRAME_CREDIT:
    return frame->length == 4;
  case FRAME_DATA:
    return frame->length > 0 && frame->length <= BANGER_MUX_PAYLOAD_MAX;
  }
  return false;
}

static Parsed
parse_frame (const BangerMux *mux, const uint8_t *bytes, size_t length, Frame *frame)
{
  if (memcmp (bytes, MAGIC, length < 4 ? length : 4) != 0)
    return PARSED_GARBAGE;
  if (length < BANGER_MUX_HEADER_SIZE)
    return PARSED_NOTHING;
  frame->session = get64 (bytes + 4);
  frame->channel = get32 (bytes + 12);
  frame->type = bytes[16];
  frame->length = (uint16_t)(bytes[18] | bytes[19] << 8);
  frame->payload = bytes + BANGER_MUX_HEADER_SIZE;
  if (bytes[17] != 0 || !frame_is_wanted (mux, frame))
    return PARSED_GARBAGE;
  if (length < BANGER_MUX_HEADER_SIZE + (size_t)frame->length)
    return PARSED_NOTHING;
  if (get32 (bytes + 20) != frame_crc (mux, bytes, frame->length))
    return PARSED_GARBAGE;
  return PARSED_FRAME;
}

/* Takes what it can from the buffer; returns how many bytes are done with. */
static size_t
parse_buffer (BangerMux *mux)
{
  size_t at = 0;

  while (at < mux->fill) {
    const uint8_t *bytes = mux->in + at;
    Frame frame;
    Parsed parsed;

    if (bytes[0] == 0) {
      at++;
      continue;
    }
    parsed = parse_frame (mux, bytes, mux->fill - at, &frame);
    if (parsed == PARSED_NOTHING)
      break;
    if (parsed == PARSED_FRAME) {
      at += BANGER_MUX_HEADER_SIZE + (size_t)frame.length;
      on_frame (mux, &frame);
      continue;
    }
    /* Bytes were lost: no stream of this session can be trusted to be whole. */
    if (mux->ready)
      begin_again (mux);
    at++;
  }
  return at;
}

void
banger_mux_feed (BangerMux *mux, const void *bytes, size_t length)
{
  const uint8_t *from = bytes;

  while (length > 0) {
    size_t part = sizeof mux->in - mux->fill;
    size_t done;

    if (part > length)
      part = length;
    memcpy (mux->in + mux->fill, from, part);
    mux->fill += part;
    from += part;
    length -= part;
    done = parse_buffer (mux);
    mux->fill -= done;
    memmove (mux->in, mux->in + done, mux->fill);
  }
}
