/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When what people choose of a VM applies. */
#include "daemon/vm-choices.h"
#include "daemon/vm-options.h"

static void
test_when (void)
{
  const struct {
    const char *key;
    gboolean for_start;
  } keys[] = {
    { "name", FALSE },        { "labels", FALSE },     { "restart", FALSE },
    { "autostart", FALSE },   { "publish", FALSE },    { "vcpus", TRUE },
    { "memory-bytes", TRUE }, { "network", TRUE },     { "kernel", TRUE },
    { "disk-bytes", FALSE },  { "work-bytes", FALSE }, { "authorized-keys", FALSE },
  };
  guint n = 0;

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    gboolean for_start = keys[i].for_start;

    g_assert_cmpstr (banger_choice_when (keys[i].key, FALSE), ==, for_start ? "next-start" : "now");
    g_assert_cmpstr (banger_choice_when (keys[i].key, TRUE), ==,
                     for_start ? "needs-restart" : "now");
  }
  /* All keys of Set are above. */
  while (banger_vm_set_changes[n].name != NULL)
    n++;
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (keys));
}

static BangerVmRecord *
record_new (const char *name, guint vcpus, const char *kernel)
{
  BangerVmRecord *record = banger_vm_record_new ();

  record->name = g_strdup (name);
  record->vcpus = vcpus;
  record->memory_bytes = vcpus * 100;
  record->kernel_id = g_strdup (kernel);
  return record;
}

static GVariant *
parse (const char *text)
{
  g_autoptr (GError) error = NULL;
  GVariant *value = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, &error);

  g_assert_no_error (error);
  return value;
}

static void
assert_pending (BangerVmRecord *record, const char *expected)
{
  g_autofree char *pending = g_strjoinv (" ", record->pending);

  g_assert_cmpstr (pending, ==, expected);
}

static void
test_pending (void)
{
  g_autoptr (BangerVmRecord) former = record_new ("a", 1, "k1");
  g_autoptr (BangerVmRecord) record = record_new ("b", 2, "k1");
  g_autoptr (GVariant) first = parse ("{'name': <'b'>, 'vcpus': <uint32 2>, 'kernel': <'k1'>}");
  g_autoptr (GVariant) second = parse ("{'vcpus': <uint32 2>, 'memory-bytes': <uint64 200>}");

  /* What applies at once is not pending, nor what is as it was. */
  banger_choices_note_pending (record, former, 0, 0, first);
  assert_pending (record, "vcpus");
  banger_choices_note_pending (record, former, 0, 0, second);
  assert_pending (record, "vcpus memory-bytes");
}

static void
test_set_back (void)
{
  g_autoptr (BangerVmRecord) former = record_new ("a", 1, "k1");
  g_autoptr (BangerVmRecord) record = record_new ("a", 2, "k2");
  g_autoptr (GVariant) all
      = parse ("{'vcpus': <uint32 2>, 'memory-bytes': <uint64 200>, 'kernel': <'k2'>}");
  g_autoptr (GVariant) vcpus = parse ("{'vcpus': <uint32 1>}");
  g_autoptr (GVariant) memory = parse ("{'memory-bytes': <uint64 100>}");

  banger_choices_note_pending (record, former, 1, 100, all);
  assert_pending (record, "vcpus memory-bytes kernel");
  former->vcpus = 2;
  record->vcpus = 1;
  banger_choices_note_pending (record, former, 1, 100, vcpus);
  assert_pending (record, "memory-bytes kernel");
  former->memory_bytes = 200;
  record->memory_bytes = 100;
  banger_choices_note_pending (record, former, 1, 100, memory);
  assert_pending (record, "kernel");
  /* A service that does not know what its guest has does not say that it has it. */
  former->vcpus = 3;
  banger_choices_note_pending (record, former, 0, 0, vcpus);
  assert_pending (record, "kernel vcpus");
}

static void
test_swap (void)
{
  g_autoptr (BangerVmRecord) a = record_new ("a", 1, "k1");
  g_autoptr (BangerVmRecord) b = record_new ("b", 2, "k2");

  a->state = BANGER_VM_RUNNING;
  b->state = BANGER_VM_STOPPED;
  a->restarts = 7;
  banger_choices_swap (a, b);
  g_assert_cmpstr (a->name, ==, "b");
  g_assert_cmpstr (b->name, ==, "a");
  g_assert_cmpuint (a->vcpus, ==, 2);
  g_assert_cmpstr (a->kernel_id, ==, "k2");
  /* What happened to a VM is nobody's choice. */
  g_assert_cmpint (a->state, ==, BANGER_VM_RUNNING);
  g_assert_cmpuint (a->restarts, ==, 7);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/choices/when", test_when);
  g_test_add_func ("/choices/pending", test_pending);
  g_test_add_func ("/choices/set-back", test_set_back);
  g_test_add_func ("/choices/swap", test_swap);
  return g_test_run ();
}
