/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/exec.h"

#include <glib.h>

static void
test_round_trip (void)
{
  const guint32 lengths[] = { 0, 1, 255, 256, BANGER_EXEC_PAYLOAD_MAX };

  for (int type = BANGER_EXEC_STDIN; type <= BANGER_EXEC_SIGNAL; type++) {
    for (guint i = 0; i < G_N_ELEMENTS (lengths); i++) {
      guint8 header[BANGER_EXEC_HEADER_SIZE];
      BangerExecType read_type;
      guint32 length;

      banger_exec_write_header (header, type, lengths[i]);
      g_assert_true (banger_exec_read_header (header, &read_type, &length));
      g_assert_cmpint (read_type, ==, type);
      g_assert_cmpuint (length, ==, lengths[i]);
    }
  }
}

static void
test_layout (void)
{
  const guint8 expected[] = { 2, 0, 0, 0, 0, 1, 0, 0 };
  guint8 header[BANGER_EXEC_HEADER_SIZE];

  banger_exec_write_header (header, BANGER_EXEC_STDERR, 65536);
  g_assert_cmpmem (header, sizeof header, expected, sizeof expected);
}

static void
test_refused (void)
{
  const guint8 bad[][BANGER_EXEC_HEADER_SIZE] = {
    { 9, 0, 0, 0, 0, 0, 0, 0 },         { 255, 0, 0, 0, 0, 0, 0, 0 }, { 1, 1, 0, 0, 0, 0, 0, 0 },
    { 1, 0, 1, 0, 0, 0, 0, 0 },         { 1, 0, 0, 1, 0, 0, 0, 0 },   { 1, 0, 0, 0, 0, 1, 0, 1 },
    { 1, 0, 0, 0, 255, 255, 255, 255 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    BangerExecType type = BANGER_EXEC_EXIT;
    guint32 length = 77;

    g_assert_false (banger_exec_read_header (bad[i], &type, &length));
    g_assert_cmpint (type, ==, BANGER_EXEC_EXIT);
    g_assert_cmpuint (length, ==, 77);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/wire/exec/round-trip", test_round_trip);
  g_test_add_func ("/wire/exec/layout", test_layout);
  g_test_add_func ("/wire/exec/refused", test_refused);
  return g_test_run ();
}
