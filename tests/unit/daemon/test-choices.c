/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When what people choose of a VM applies. */
#include "daemon/vm-choices.h"
#include "daemon/vm-options.h"

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

/* All that Set knows is chosen anew. */
static BangerVmRecord *
changed_copy (const BangerVmRecord *record)
{
  static const char *const ports[] = { "127.0.0.1:8080:80", NULL };
  BangerVmRecord *copy = banger_vm_record_copy (record);

  g_free (copy->name);
  copy->name = g_strdup ("other");
  g_hash_table_replace (copy->labels, g_strdup ("tier"), g_strdup ("2"));
  copy->restart = BANGER_RESTART_ALWAYS;
  copy->autostart = !copy->autostart;
  g_strfreev (copy->published);
  copy->published = g_strdupv ((char **)ports);
  copy->vcpus += 1;
  copy->memory_bytes += 100;
  copy->network = BANGER_NETWORK_USER;
  g_free (copy->kernel_id);
  copy->kernel_id = g_strdup ("k9");
  copy->disk_bytes += 1;
  copy->work_bytes += 1;
  return copy;
}

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
  g_autoptr (BangerVmRecord) former = record_new ("a", 1, "k1");
  g_autoptr (BangerVmRecord) same = NULL, next = NULL;
  guint n = 0;

  g_hash_table_insert (former->labels, g_strdup ("tier"), g_strdup ("1"));
  same = banger_vm_record_copy (former);
  next = changed_copy (former);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    const char *key = keys[i].key;
    /* Of these nobody knows what is on the disk. */
    const char *as_it_was = g_str_equal (key, "authorized-keys") ? "now" : "unchanged";

    g_assert_cmpstr (banger_choice_when (key, former, next, FALSE, 0, 0), ==,
                     keys[i].for_start ? "next-start" : "now");
    g_assert_cmpstr (banger_choice_when (key, former, next, TRUE, 1, 100), ==,
                     keys[i].for_start ? "needs-restart" : "now");
    g_assert_cmpstr (banger_choice_when (key, former, same, FALSE, 0, 0), ==, as_it_was);
    g_assert_cmpstr (banger_choice_when (key, former, same, TRUE, 1, 100), ==, as_it_was);
  }
  /* All keys of Set are above. */
  while (banger_vm_set_changes[n].name != NULL)
    n++;
  g_assert_cmpuint (n, ==, G_N_ELEMENTS (keys));
}

/* What waits for a restart does so until its guest has it. */
static void
test_when_set_back (void)
{
  g_autoptr (BangerVmRecord) former = record_new ("a", 2, "k2");
  g_autoptr (BangerVmRecord) same = NULL, back = record_new ("a", 1, "k2");
  g_autoptr (GVariant) all = parse ("{'vcpus': <uint32 2>, 'kernel': <'k2'>}");
  g_autoptr (BangerVmRecord) guest = record_new ("a", 1, "k1");

  banger_choices_note_pending (former, guest, 1, 100, all);
  same = banger_vm_record_copy (former);
  g_assert_cmpstr (banger_choice_when ("vcpus", former, back, TRUE, 1, 100), ==, "now");
  g_assert_cmpstr (banger_choice_when ("memory-bytes", former, back, TRUE, 1, 100), ==, "now");
  g_assert_cmpstr (banger_choice_when ("vcpus", former, same, TRUE, 1, 100), ==, "needs-restart");
  g_assert_cmpstr (banger_choice_when ("kernel", former, same, TRUE, 1, 100), ==, "needs-restart");
  g_assert_cmpstr (banger_choice_when ("network", former, same, TRUE, 1, 100), ==, "unchanged");
  /* A service that does not know what its guest has does not say that it has it. */
  g_assert_cmpstr (banger_choice_when ("vcpus", former, back, TRUE, 0, 0), ==, "needs-restart");
  /* Nor does a guest that is not there have anything. */
  g_assert_cmpstr (banger_choice_when ("vcpus", former, back, FALSE, 0, 0), ==, "next-start");
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
  g_test_add_func ("/choices/when-set-back", test_when_set_back);
  g_test_add_func ("/choices/pending", test_pending);
  g_test_add_func ("/choices/set-back", test_set_back);
  g_test_add_func ("/choices/swap", test_swap);
  return g_test_run ();
}
