/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The mutual challenge at the start of every stream to the guest: each end proves that it knows
 * this boot's key, without showing it. No GLib, no I/O.
 *
 *   host   BANGER/1 <port, 8 hex> <host nonce, 64 hex>\n
 *   guest  BANGER/1 <guest nonce, 64 hex> <guest proof, 64 hex>\n
 *   host   <host proof, 64 hex>\n
 *   guest  OK\n                                 then the stream is the port's
 *
 * Whatever carries a stream leads to the agent; which port the host wants is told here alone.
 *
 * A proof is HMAC-SHA256 (RFC 2104) under the key over: "banger guest" or "banger host", the port
 * as u32 big-endian, the host nonce, the guest nonce. So a proof fits one stream, one port and one
 * direction. Lines have a fixed length: an end that reads more is broken.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The agent's own port; any other is one of the guest's loopback. */
#define BANGER_AGENT_PORT 1024

#define BANGER_KEY_SIZE 32
#define BANGER_NONCE_SIZE 32
#define BANGER_PROOF_SIZE 32

#define BANGER_HOST_HELLO_SIZE 83
#define BANGER_GUEST_HELLO_SIZE 139
#define BANGER_HOST_PROOF_SIZE 65
#define BANGER_GUEST_OK_SIZE 3

/* Both nonces are drawn anew (getrandom) for each stream by the end they are named after. */
typedef struct {
  uint8_t key[BANGER_KEY_SIZE];
  uint32_t port;
  uint8_t host_nonce[BANGER_NONCE_SIZE];
  uint8_t guest_nonce[BANGER_NONCE_SIZE];
} BangerHandshake;

/* Host, first line: writes BANGER_HOST_HELLO_SIZE bytes to @line. */
void banger_handshake_host_hello (const BangerHandshake *hs, char *line);
/* Guest: takes the port and the host's nonce out of the first line. */
bool banger_handshake_read_host_hello (BangerHandshake *hs, const char *line);
/* Guest, second line: writes BANGER_GUEST_HELLO_SIZE bytes. */
void banger_handshake_guest_hello (const BangerHandshake *hs, char *line);
/* Host: takes the guest's nonce and checks its proof, in constant time. */
bool banger_handshake_read_guest_hello (BangerHandshake *hs, const char *line);
/* Host, third line: writes BANGER_HOST_PROOF_SIZE bytes. */
void banger_handshake_host_proof (const BangerHandshake *hs, char *line);
/* Guest: checks the host's proof, in constant time. */
bool banger_handshake_read_host_proof (const BangerHandshake *hs, const char *line);

/* 2 x @size lower-case digits, no NUL; and back (false for anything else). */
void banger_hex_encode (const uint8_t *bytes, size_t size, char *hex);
bool banger_hex_decode (const char *hex, size_t size, uint8_t *bytes);
