/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vmm/panic.h"

#include <string.h>

static gboolean
is_panic (const char *console)
{
  BangerPanicWatch watch = { 0 };

  /* However it comes. */
  for (gsize i = 0; console[i] != '\0'; i++)
    banger_panic_watch_take (&watch, (const guint8 *)console + i, 1);
  return banger_panic_watch_is_last (&watch);
}

static void
test_lines (void)
{
  g_assert_true (is_panic ("Kernel panic - not syncing: test"));
  g_assert_true (is_panic ("up\r\n[    1.234567] Kernel panic - not syncing: VFS\r\n"));
  g_assert_true (is_panic ("\n[    1.234567][    T1] Kernel panic - not syncing: VFS\r\n"));
  g_assert_false (is_panic (""));
  g_assert_false (is_panic ("grep: Kernel panic - not syncing\n"));
  g_assert_false (is_panic ("[note] Kernel panic - not syncing\n"));
  g_assert_false (is_panic ("[    1.234567] x: Kernel panic - not syncing\n"));
  g_assert_false (is_panic ("Kernel panic - not\nsyncing\n"));
}

static void
test_long_line (void)
{
  g_autofree char *dots = g_strnfill (500, '.');
  g_autofree char *behind = g_strconcat (dots, "Kernel panic - not syncing", NULL);
  g_autofree char *after = g_strconcat (dots, "\nKernel panic - not syncing", NULL);

  g_assert_false (is_panic (behind));
  g_assert_true (is_panic (after));
}

/* What a guest did long before its reset is not why. */
static void
test_long_ago (void)
{
  g_autofree char *dots = g_strnfill (BANGER_PANIC_LAST_BYTES, '.');
  g_autofree char *just = g_strconcat ("Kernel panic - not syncing", dots, NULL);
  g_autofree char *before = g_strconcat (just, ".", NULL);
  g_autofree char *again = g_strconcat (before, "\nKernel panic - not syncing", NULL);

  g_assert_true (is_panic (just));
  g_assert_false (is_panic (before));
  g_assert_true (is_panic (again));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vmm/panic/lines", test_lines);
  g_test_add_func ("/vmm/panic/long-line", test_long_line);
  g_test_add_func ("/vmm/panic/long-ago", test_long_ago);
  return g_test_run ();
}
