/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/handshake.h"

#include <glib.h>
#include <string.h>

static void
fill (guint8 *bytes, gsize size, guint8 first)
{
  for (gsize i = 0; i < size; i++)
    bytes[i] = (guint8)(first + i);
}

static BangerHandshake
make_host (void)
{
  BangerHandshake hs = { .port = 1024 };

  fill (hs.key, sizeof hs.key, 1);
  fill (hs.host_nonce, sizeof hs.host_nonce, 100);
  return hs;
}

static BangerHandshake
make_guest (void)
{
  BangerHandshake hs = { 0 };

  fill (hs.key, sizeof hs.key, 1);
  fill (hs.guest_nonce, sizeof hs.guest_nonce, 200);
  return hs;
}

/* How far two ends come: 0 the host's hello is refused, 1 the guest's, 2 the host's proof, 3 done.
 */
static int
shake (BangerHandshake *host, BangerHandshake *guest)
{
  char hello[BANGER_HOST_HELLO_SIZE], answer[BANGER_GUEST_HELLO_SIZE],
      proof[BANGER_HOST_PROOF_SIZE];

  banger_handshake_host_hello (host, hello);
  if (!banger_handshake_read_host_hello (guest, hello))
    return 0;
  banger_handshake_guest_hello (guest, answer);
  if (!banger_handshake_read_guest_hello (host, answer))
    return 1;
  banger_handshake_host_proof (host, proof);
  return banger_handshake_read_host_proof (guest, proof) ? 3 : 2;
}

static void
test_agree (void)
{
  BangerHandshake host = make_host (), guest = make_guest ();

  g_assert_cmpint (shake (&host, &guest), ==, 3);
  g_assert_cmpmem (host.guest_nonce, 32, guest.guest_nonce, 32);
  g_assert_cmpmem (host.host_nonce, 32, guest.host_nonce, 32);
  g_assert_cmpuint (guest.port, ==, 1024);
}

/* The bytes as documented, computed anew with GLib's HMAC. */
static void
test_bytes (void)
{
  BangerHandshake host = make_host (), guest = make_guest ();
  const guint8 port[] = { 0, 0, 4, 0 };
  char hello[BANGER_HOST_HELLO_SIZE], answer[BANGER_GUEST_HELLO_SIZE];
  char proof[BANGER_HOST_PROOF_SIZE];
  const char *who[] = { "banger guest", "banger host" };

  banger_handshake_host_hello (&host, hello);
  g_assert_cmpmem (hello, 24, "BANGER/1 00000400 646566", 24);
  g_assert_cmpint (hello[BANGER_HOST_HELLO_SIZE - 1], ==, '\n');
  g_assert_true (banger_handshake_read_host_hello (&guest, hello));
  banger_handshake_guest_hello (&guest, answer);
  g_assert_true (banger_handshake_read_guest_hello (&host, answer));
  banger_handshake_host_proof (&host, proof);
  for (guint i = 0; i < 2; i++) {
    g_autoptr (GHmac) hmac = g_hmac_new (G_CHECKSUM_SHA256, host.key, sizeof host.key);

    g_hmac_update (hmac, (const guint8 *)who[i], (gssize)strlen (who[i]));
    g_hmac_update (hmac, port, sizeof port);
    g_hmac_update (hmac, host.host_nonce, 32);
    g_hmac_update (hmac, guest.guest_nonce, 32);
    g_assert_cmpmem (i == 0 ? answer + 74 : proof, 64, g_hmac_get_string (hmac), 64);
  }
}

static void
test_refused (void)
{
  BangerHandshake host, guest;

  host = make_host ();
  guest = make_guest ();
  guest.key[31] ^= 1;
  g_assert_cmpint (shake (&host, &guest), ==, 1);
}

/* Whoever is between the two cannot lead the stream to another port. */
static void
test_other_port (void)
{
  BangerHandshake host = make_host (), guest = make_guest ();
  char hello[BANGER_HOST_HELLO_SIZE], answer[BANGER_GUEST_HELLO_SIZE],
      proof[BANGER_HOST_PROOF_SIZE];

  host.port = 0xfedcba98;
  banger_handshake_host_hello (&host, hello);
  g_assert_cmpmem (hello, 18, "BANGER/1 fedcba98 ", 18);
  g_assert_true (banger_handshake_read_host_hello (&guest, hello));
  g_assert_cmphex (guest.port, ==, 0xfedcba98);

  hello[16] = '9';
  g_assert_true (banger_handshake_read_host_hello (&guest, hello));
  banger_handshake_guest_hello (&guest, answer);
  g_assert_false (banger_handshake_read_guest_hello (&host, answer));
  banger_handshake_host_proof (&host, proof);
  g_assert_false (banger_handshake_read_host_proof (&guest, proof));
}

/* A proof fits its own stream and direction only. */
static void
test_replay (void)
{
  BangerHandshake host = make_host (), guest = make_guest (), other;
  char hello[BANGER_HOST_HELLO_SIZE], answer[BANGER_GUEST_HELLO_SIZE],
      proof[BANGER_HOST_PROOF_SIZE];

  banger_handshake_host_hello (&host, hello);
  g_assert_true (banger_handshake_read_host_hello (&guest, hello));
  banger_handshake_guest_hello (&guest, answer);
  g_assert_true (banger_handshake_read_guest_hello (&host, answer));
  banger_handshake_host_proof (&host, proof);
  g_assert_true (banger_handshake_read_host_proof (&guest, proof));

  other = guest;
  other.guest_nonce[0] ^= 1;
  g_assert_false (banger_handshake_read_host_proof (&other, proof));
  other = host;
  other.host_nonce[0] ^= 1;
  g_assert_false (banger_handshake_read_guest_hello (&other, answer));
  memcpy (proof, answer + 74, 64);
  g_assert_false (banger_handshake_read_host_proof (&guest, proof));
}

/* Each single wrong byte of each line is refused. */
static void
test_every_byte (void)
{
  BangerHandshake host = make_host (), guest = make_guest (), copy;
  char hello[BANGER_HOST_HELLO_SIZE], answer[BANGER_GUEST_HELLO_SIZE],
      proof[BANGER_HOST_PROOF_SIZE];

  banger_handshake_host_hello (&host, hello);
  g_assert_true (banger_handshake_read_host_hello (&guest, hello));
  banger_handshake_guest_hello (&guest, answer);
  g_assert_true (banger_handshake_read_guest_hello (&host, answer));
  banger_handshake_host_proof (&host, proof);
  for (gsize i = 0; i < sizeof hello; i++) {
    char wrong[BANGER_HOST_HELLO_SIZE];

    memcpy (wrong, hello, sizeof wrong);
    wrong[i] = 'F';
    copy = guest;
    g_assert_false (banger_handshake_read_host_hello (&copy, wrong));
  }
  for (gsize i = 0; i < sizeof answer; i++) {
    char wrong[BANGER_GUEST_HELLO_SIZE];

    memcpy (wrong, answer, sizeof wrong);
    wrong[i] = wrong[i] == '0' ? '1' : '0';
    copy = host;
    g_assert_false (banger_handshake_read_guest_hello (&copy, wrong));
  }
  for (gsize i = 0; i < sizeof proof; i++) {
    char wrong[BANGER_HOST_PROOF_SIZE];

    memcpy (wrong, proof, sizeof wrong);
    wrong[i] = wrong[i] == '0' ? '1' : '0';
    g_assert_false (banger_handshake_read_host_proof (&guest, wrong));
  }
}

static void
test_hex (void)
{
  guint8 bytes[4];
  char hex[8];

  g_assert_true (banger_hex_decode ("00ff10a9", 4, bytes));
  banger_hex_encode (bytes, 4, hex);
  g_assert_cmpmem (hex, 8, "00ff10a9", 8);
  g_assert_false (banger_hex_decode ("00FF10a9", 4, bytes));
  g_assert_false (banger_hex_decode ("0 ff10a9", 4, bytes));
  g_assert_false (banger_hex_decode ("00ff10a\n", 4, bytes));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wire/handshake/agree", test_agree);
  g_test_add_func ("/wire/handshake/bytes", test_bytes);
  g_test_add_func ("/wire/handshake/refused", test_refused);
  g_test_add_func ("/wire/handshake/other-port", test_other_port);
  g_test_add_func ("/wire/handshake/replay", test_replay);
  g_test_add_func ("/wire/handshake/every-byte", test_every_byte);
  g_test_add_func ("/wire/handshake/hex", test_hex);
  return g_test_run ();
}
