/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handshake.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>
#include <string.h>

#define GREETING "BANGER/1 "
#define GREETING_SIZE (sizeof GREETING - 1)
#define PORT_HEX 8
#define NONCE_AT (GREETING_SIZE + PORT_HEX + 1)
#define NONCE_HEX (2 * BANGER_NONCE_SIZE)
#define PROOF_HEX (2 * BANGER_PROOF_SIZE)

_Static_assert(BANGER_HOST_HELLO_SIZE == NONCE_AT + NONCE_HEX + 1, "host hello");
_Static_assert(BANGER_GUEST_HELLO_SIZE == GREETING_SIZE + NONCE_HEX + 1 + PROOF_HEX + 1,
               "guest hello");
_Static_assert(BANGER_HOST_PROOF_SIZE == PROOF_HEX + 1, "host proof");
_Static_assert(BANGER_PROOF_SIZE == SHA256_DIGEST_SIZE, "HMAC-SHA256");

void
banger_hex_encode (const uint8_t *bytes, size_t size, char *hex)
{
  static const char digits[] = "0123456789abcdef";

  for (size_t i = 0; i < size; i++) {
    hex[2 * i] = digits[bytes[i] >> 4];
    hex[2 * i + 1] = digits[bytes[i] & 15];
  }
}

static int
hex_digit (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return -1;
}

bool
banger_hex_decode (const char *hex, size_t size, uint8_t *bytes)
{
  for (size_t i = 0; i < size; i++) {
    int high = hex_digit (hex[2 * i]);
    int low = high < 0 ? -1 : hex_digit (hex[2 * i + 1]);

    if (low < 0)
      return false;
    bytes[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}

static void
port_to_bytes (uint32_t port, uint8_t *bytes)
{
  for (int i = 0; i < 4; i++)
    bytes[i] = (uint8_t)(port >> (24 - 8 * i));
}

static void
make_proof (const BangerHandshake *hs, const char *who, uint8_t *proof)
{
  struct hmac_sha256_ctx ctx;
  uint8_t port[4];

  port_to_bytes (hs->port, port);
  hmac_sha256_set_key (&ctx, BANGER_KEY_SIZE, hs->key);
  hmac_sha256_update (&ctx, strlen (who), (const uint8_t *)who);
  hmac_sha256_update (&ctx, sizeof port, port);
  hmac_sha256_update (&ctx, BANGER_NONCE_SIZE, hs->host_nonce);
  hmac_sha256_update (&ctx, BANGER_NONCE_SIZE, hs->guest_nonce);
  hmac_sha256_digest (&ctx, BANGER_PROOF_SIZE, proof);
  explicit_bzero (&ctx, sizeof ctx);
}

static void
write_proof (const BangerHandshake *hs, const char *who, char *hex)
{
  uint8_t proof[BANGER_PROOF_SIZE];

  make_proof (hs, who, proof);
  banger_hex_encode (proof, sizeof proof, hex);
}

static bool
check_proof (const BangerHandshake *hs, const char *who, const char *hex)
{
  uint8_t expected[BANGER_PROOF_SIZE], given[BANGER_PROOF_SIZE];

  make_proof (hs, who, expected);
  return banger_hex_decode (hex, sizeof given, given) && memeql_sec (expected, given, sizeof given);
}

void
banger_handshake_host_hello (const BangerHandshake *hs, char *line)
{
  uint8_t port[4];

  port_to_bytes (hs->port, port);
  memcpy (line, GREETING, GREETING_SIZE);
  banger_hex_encode (port, sizeof port, line + GREETING_SIZE);
  line[NONCE_AT - 1] = ' ';
  banger_hex_encode (hs->host_nonce, BANGER_NONCE_SIZE, line + NONCE_AT);
  line[BANGER_HOST_HELLO_SIZE - 1] = '\n';
}

bool
banger_handshake_read_host_hello (BangerHandshake *hs, const char *line)
{
  uint8_t port[4];

  if (memcmp (line, GREETING, GREETING_SIZE) != 0 || line[NONCE_AT - 1] != ' '
      || line[BANGER_HOST_HELLO_SIZE - 1] != '\n'
      || !banger_hex_decode (line + GREETING_SIZE, sizeof port, port)
      || !banger_hex_decode (line + NONCE_AT, BANGER_NONCE_SIZE, hs->host_nonce))
    return false;
  hs->port = (uint32_t)port[0] << 24 | (uint32_t)port[1] << 16 | (uint32_t)port[2] << 8 | port[3];
  return true;
}

void
banger_handshake_guest_hello (const BangerHandshake *hs, char *line)
{
  memcpy (line, GREETING, GREETING_SIZE);
  banger_hex_encode (hs->guest_nonce, BANGER_NONCE_SIZE, line + GREETING_SIZE);
  line[GREETING_SIZE + NONCE_HEX] = ' ';
  write_proof (hs, "banger guest", line + GREETING_SIZE + NONCE_HEX + 1);
  line[BANGER_GUEST_HELLO_SIZE - 1] = '\n';
}

bool
banger_handshake_read_guest_hello (BangerHandshake *hs, const char *line)
{
  return memcmp (line, GREETING, GREETING_SIZE) == 0 && line[GREETING_SIZE + NONCE_HEX] == ' '
         && line[BANGER_GUEST_HELLO_SIZE - 1] == '\n'
         && banger_hex_decode (line + GREETING_SIZE, BANGER_NONCE_SIZE, hs->guest_nonce)
         && check_proof (hs, "banger guest", line + GREETING_SIZE + NONCE_HEX + 1);
}

void
banger_handshake_host_proof (const BangerHandshake *hs, char *line)
{
  write_proof (hs, "banger host", line);
  line[BANGER_HOST_PROOF_SIZE - 1] = '\n';
}

bool
banger_handshake_read_host_proof (const BangerHandshake *hs, const char *line)
{
  return line[BANGER_HOST_PROOF_SIZE - 1] == '\n' && check_proof (hs, "banger host", line);
}
