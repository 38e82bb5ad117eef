/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many streams over one line that may drop, repeat or cut off bytes at either end's death: the
 * virtio-serial port between banger-vmm (host) and banger-agent (guest). No GLib, no I/O: both
 * programs feed it what they read and write what it hands them.
 *
 * A frame is a header of 24 bytes, little-endian, and up to 16 KiB:
 *
 *   0  u32 magic    "BGM1"
 *   4  u64 session  the host's random number for this attachment; 0 in KNOCK
 *  12  u32 channel  0 for the line itself
 *  16  u8  type     below
 *  17  u8  zero
 *  18  u16 length   of the payload
 *  20  u32 crc      CRC-32 (IEEE 802.3) of bytes 0 to 19 and the payload
 *
 *   KNOCK    guest: it has opened the port and knows no session
 *   HELLO    host: begins a session; both ends drop every channel and all unread bytes before it
 *   WELCOME  guest: the session is agreed
 *   OPEN     host: payload u32 port; the channel is the host's next number, from 1
 *   ACCEPT   guest: the channel is open       RESET  either: it is refused or broken off
 *   DATA     either, within the credit        EOF    either: no more DATA from here
 *   CREDIT   either: payload u32, bytes consumed; each way begins with BANGER_MUX_WINDOW
 *
 * A frame of another session is dropped. Zero bytes between frames mean nothing: KNOCK and the
 * first HELLO come after as many as a frame can hold, so that they are heard by a peer that was
 * left in the middle of one. Any other byte that begins no whole frame ends the session: the host
 * says HELLO, the guest KNOCK. Without a session only the frames that lead to one are heard. So
 * nothing stale or halved ever reaches a stream, whatever was cut off.
 *
 * Memory is bounded if no more than a window of each channel waits for banger_mux_consumed, and if
 * the host does not feed while much (some MiB) waits for the line: what it must answer to, such as
 * KNOCK, is never shorter than the answer. The guest always feeds, or both ends could wait.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BANGER_MUX_HEADER_SIZE 24
#define BANGER_MUX_PAYLOAD_MAX 16384
#define BANGER_MUX_WINDOW 65536
#define BANGER_MUX_CHANNELS_MAX 64

typedef struct BangerMux BangerMux;

/* Called from within the functions below. All but @write may call them in turn, except feed and
 * free. */
typedef struct {
  /* Whole frames for the line, to be kept in order. */
  void (*write) (void *data, const void *bytes, size_t length);
  /* The session is agreed: the host may open channels. Also when it begins anew, after @reset was
   * called for every open channel. */
  void (*ready) (void *data);
  /* Guest: the host asks for @port. True accepts; nothing can be sent before. Host: not called. */
  bool (*open) (void *data, uint32_t channel, uint32_t port);
  /* Host: the guest has accepted. */
  void (*opened) (void *data, uint32_t channel);
  void (*received) (void *data, uint32_t channel, const void *bytes, size_t length);
  void (*eof) (void *data, uint32_t channel);
  /* The channel is gone, by the peer's wish, by its fault or by a new session. Not called for one
   * that was aborted here, or has ended by both ends' EOF. */
  void (*reset) (void *data, uint32_t channel);
  /* There is credit again after banger_mux_send took less than it was given. */
  void (*writable) (void *data, uint32_t channel);
} BangerMuxHandler;

/* NULL if there is no memory. @handler must outlive it. */
BangerMux *banger_mux_new (bool host, const BangerMuxHandler *handler, void *data);
void banger_mux_free (BangerMux *mux);

/* Bytes from the line, cut anywhere. */
void banger_mux_feed (BangerMux *mux, const void *bytes, size_t length);

/* Host: begins a session, @session random and not 0; to be called once the line is there. When the
 * guest knocks later, the next session begins by itself. Guest: knocks. */
void banger_mux_hello (BangerMux *mux, uint64_t session);
void banger_mux_knock (BangerMux *mux);
bool banger_mux_is_ready (const BangerMux *mux);

/* Host: asks for a channel to @port. 0 if there is no session or no channel left. */
uint32_t banger_mux_open (BangerMux *mux, uint32_t port);
/* How many bytes were taken, at most what the credit allows; none before the channel is open. */
size_t banger_mux_send (BangerMux *mux, uint32_t channel, const void *bytes, size_t length);
/* The receiver has done with @length bytes: gives credit back to the peer. */
void banger_mux_consumed (BangerMux *mux, uint32_t channel, size_t length);
/* No more data from here; the channel ends when the peer has said so too. */
void banger_mux_finish (BangerMux *mux, uint32_t channel);
/* Breaks the channel off at once; its number is not used again in this session. */
void banger_mux_abort (BangerMux *mux, uint32_t channel);
