/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people may say of a VM: defaults, bounds, and errors that name the option. */
#include "daemon/vm-options.h"

#include <string.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define GIB (G_GUINT64_CONSTANT (1) << 30)

static BangerConfig *config;

static GVariant *with_passt, *without_passt;

static BangerVmBounds
bounds_of (BangerMode mode, gboolean passt)
{
  GVariant *findings = passt ? with_passt : without_passt;

  return (BangerVmBounds){ .mode = mode, .config = config, .cpus = 4, .findings = findings };
}

static GVariant *
find_passt (const char *status, const char *found)
{
  return g_variant_ref_sink (
      g_variant_new_parsed ("[{'id': <'passt'>, 'status': <%s>, 'found': <%s>}]", status, found));
}

static GVariant *
parse (const char *text)
{
  GVariant *value = g_variant_parse (G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);

  g_assert_nonnull (value);
  return value;
}

static BangerVmRecord *
create (const char *text)
{
  BangerVmBounds bounds = bounds_of (BANGER_MODE_SESSION, TRUE);
  g_autoptr (GVariant) options = parse (text);
  g_autoptr (GError) error = NULL;
  BangerVmRecord *record = banger_vm_options_create (options, &bounds, &error);

  g_assert_no_error (error);
  return record;
}

static void
refuse (const char *text, BangerMode mode, gboolean passt, BangerErrorCode code,
        const char *expected)
{
  BangerVmBounds bounds = bounds_of (mode, passt);
  g_autoptr (GVariant) options = parse (text);
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerVmRecord) record = banger_vm_options_create (options, &bounds, &error);

  g_assert_null (record);
  g_assert_error (error, BANGER_ERROR, (int)code);
  g_assert_cmpstr (banger_error_stage (error), ==, NULL);
  if (strstr (error->message, expected) == NULL)
    g_error ("'%s' does not say '%s'", error->message, expected);
}

static void
refuse_value (const char *text, const char *expected)
{
  refuse (text, BANGER_MODE_SESSION, TRUE, BANGER_ERROR_INVALID_ARGUMENT, expected);
}

static void
test_defaults (void)
{
  g_autoptr (BangerVmRecord) record = create ("@a{sv} {}");

  g_assert_cmpuint (record->vcpus, ==, 1);
  g_assert_cmpuint (record->memory_bytes, ==, 512 * MIB);
  g_assert_cmpuint (record->disk_bytes, ==, 4 * GIB);
  g_assert_cmpuint (record->work_bytes, ==, 4 * GIB);
  g_assert_cmpint (record->root, ==, BANGER_ROOT_OVERLAY);
  g_assert_cmpint (record->restart, ==, BANGER_RESTART_NEVER);
  g_assert_cmpint (record->network, ==, BANGER_NETWORK_USER);
  g_assert_cmpstr (record->backend, ==, "qemu");
  g_assert_cmpuint (g_strv_length (record->published), ==, 0);
  g_assert_false (record->autostart);
}

static void
test_configured_defaults (void)
{
  g_autoptr (BangerVmRecord) record = NULL, small G_GNUC_UNUSED = NULL;

  config->vcpus = 64;
  config->memory_bytes = 256 * MIB;
  config->root = BANGER_ROOT_CLONE;
  config->restart = BANGER_RESTART_ALWAYS;
  config->network = g_strdup ("none");
  record = create ("{'memory-bytes': <uint64 134217728>}");
  /* More than the host has is not what a default means. */
  g_assert_cmpuint (record->vcpus, ==, 4);
  g_assert_cmpuint (record->memory_bytes, ==, 128 * MIB);
  g_assert_cmpint (record->root, ==, BANGER_ROOT_CLONE);
  g_assert_cmpint (record->restart, ==, BANGER_RESTART_ALWAYS);
  g_assert_cmpint (record->network, ==, BANGER_NETWORK_NONE);
  banger_config_free (config);
  config = banger_config_new (BANGER_MODE_SESSION);
}

static void
test_takes_all (void)
{
  g_autoptr (BangerVmRecord) record
      = create ("{'vcpus': <uint32 4>, 'memory-bytes': <uint64 67108864>,"
                " 'disk-bytes': <uint64 16777216>, 'work-bytes': <uint64 274877906944>,"
                " 'root': <'clone'>, 'labels': <{'a': 'b', 'c': 'd'}>, 'backend': <'qemu'>,"
                " 'network': <'none'>, 'publish': <['8080:80']>, 'restart': <'on-failure'>,"
                " 'autostart': <true>, 'start': <false>, 'kernel': <objectpath '/'>}");

  g_assert_cmpuint (record->vcpus, ==, 4);
  g_assert_cmpuint (record->memory_bytes, ==, 64 * MIB);
  g_assert_cmpuint (record->disk_bytes, ==, 16 * MIB);
  g_assert_cmpuint (record->work_bytes, ==, 256 * GIB);
  g_assert_cmpint (record->root, ==, BANGER_ROOT_CLONE);
  g_assert_cmpstr (g_hash_table_lookup (record->labels, "c"), ==, "d");
  g_assert_cmpint (record->network, ==, BANGER_NETWORK_NONE);
  g_assert_cmpstr (record->published[0], ==, "127.0.0.1:8080:80");
  g_assert_cmpint (record->restart, ==, BANGER_RESTART_ON_FAILURE);
  g_assert_true (record->autostart);
}

static void
test_refuses_values (void)
{
  refuse_value ("{'vcpus': <uint32 0>}", "option 'vcpus' must be from 1 to the 4 CPUs");
  refuse_value ("{'vcpus': <uint32 5>}", "'vcpus'");
  refuse_value ("{'memory-bytes': <uint64 66060288>}", "'memory-bytes' must be a whole number of "
                                                       "MiB, from 64 to 1048576 MiB");
  refuse_value ("{'memory-bytes': <uint64 67108865>}", "'memory-bytes'");
  refuse_value ("{'disk-bytes': <uint64 1048576>}", "'disk-bytes'");
  refuse_value ("{'work-bytes': <uint64 274878955520>}", "'work-bytes'");
  refuse_value ("{'root': <'snapshot'>}", "'root' must be overlay or clone");
  refuse_value ("{'restart': <'sometimes'>}", "'restart' must be never, on-failure or always");
  refuse_value ("{'network': <'bridge'>}", "'network' must be user or none");
  refuse_value ("{'labels': <{'': 'x'}>}", "'labels' must have keys of 1 to 256 bytes");
  refuse_value ("{'labels': <{'a': 'b', 'k\\ny': 'x'}>}", "printable ASCII, not 'k\\ny'");
  refuse_value ("{'labels': <{'a': 'b', 'c': 'x\\ny'}>}",
                "'labels' must have values of printable text up to 256 bytes: that of 'c' is not");
  refuse ("{'backend': <'firecracker'>}", BANGER_MODE_SESSION, TRUE, BANGER_ERROR_NOT_SUPPORTED,
          "'backend'");
}

static void
test_bounds_labels (void)
{
  g_autoptr (GString) text = g_string_new ("{'labels': <{");
  g_autofree char *value = g_strnfill (257, 'x');
  g_autofree char *one = g_strdup_printf ("{'labels': <{'long': '%s'}>}", value);

  for (int i = 0; i < 65; i++)
    g_string_append_printf (text, "%s'k%d': 'v'", i > 0 ? ", " : "", i);
  g_string_append (text, "}>}");
  refuse_value (text->str, "at most 64 labels");
  refuse_value (one, "up to 256 bytes: that of 'long' is not");
}

static void
test_network (void)
{
  BangerVmBounds system = bounds_of (BANGER_MODE_SYSTEM, TRUE);
  BangerVmBounds bare = bounds_of (BANGER_MODE_SESSION, FALSE);
  g_autoptr (GVariant) options = parse ("@a{sv} {}");
  g_autoptr (BangerVmRecord) on_system = NULL, without = NULL;

  /* Each host's own default is no error, what was asked for and cannot be had is. */
  on_system = banger_vm_options_create (options, &system, NULL);
  g_assert_cmpint (on_system->network, ==, BANGER_NETWORK_NONE);
  without = banger_vm_options_create (options, &bare, NULL);
  g_assert_cmpint (without->network, ==, BANGER_NETWORK_NONE);
  refuse ("{'network': <'user'>}", BANGER_MODE_SYSTEM, TRUE, BANGER_ERROR_NOT_SUPPORTED,
          "system bus");
  refuse ("{'network': <'user'>}", BANGER_MODE_SESSION, FALSE, BANGER_ERROR_HOST_NOT_READY,
          "no passt");
  config->network = g_strdup ("user");
  refuse ("@a{sv} {}", BANGER_MODE_SESSION, FALSE, BANGER_ERROR_HOST_NOT_READY, "no passt");
  g_clear_pointer (&on_system, banger_vm_record_free);
  on_system = banger_vm_options_create (options, &system, NULL);
  g_assert_cmpint (on_system->network, ==, BANGER_NETWORK_NONE);
  g_clear_pointer (&config->network, g_free);
}

/* Why, and what else can be done. */
static void
test_network_reason (void)
{
  BangerVmBounds bare = bounds_of (BANGER_MODE_SESSION, FALSE);
  g_autoptr (GVariant) options = parse ("{'network': <'user'>}");
  g_autoptr (GError) error = NULL;

  g_assert_null (banger_vm_options_create (options, &bare, &error));
  g_assert_cmpstr (banger_error_cause (error), ==, "/bin/passt cannot be used: no namespace");
  g_assert_nonnull (strstr (banger_error_hint (error), "--network none"));
}

static void
check_published (const char *given, const char *expected)
{
  g_autofree char *text = g_strdup_printf ("{'publish': <['%s']>}", given);
  g_autoptr (BangerVmRecord) record = create (text);

  g_assert_cmpstr (record->published[0], ==, expected);
  g_assert_null (record->published[1]);
}

static void
refuse_published (const char *list, const char *expected)
{
  g_autofree char *text = g_strdup_printf ("{'publish': <%s>}", list);

  refuse_value (text, expected);
}

static void
test_publish (void)
{
  check_published ("1:65535", "127.0.0.1:1:65535");
  check_published ("127.9.9.9:80:80", "127.9.9.9:80:80");
  check_published ("[::1]:80:80", "[::1]:80:80");
  check_published ("[0:0:0:0:0:0:0:1]:80:80", "[::1]:80:80");
  refuse_published ("['80']", "must be [ADDRESS:]PORT:GUEST-PORT");
  refuse_published ("['']", "must be");
  refuse_published ("[':80']", "must be");
  refuse_published ("['0:80']", "must be");
  refuse_published ("['80:65536']", "must be");
  refuse_published ("['+80:80']", "must be");
  refuse_published ("['080:80']", "must be");
  refuse_published ("['80:80 ']", "must be");
  refuse_published ("['::1:80:80']", "must be");
  refuse_published ("['[127.0.0.1]:80:80']", "must be");
  refuse_published ("['[]:80:80']", "must be");
  refuse_published ("['localhost:80:80']", "must be");
  refuse_published ("['[::1%lo]:80:80']", "must be");
  refuse_published ("['8024:1024']", "agent's own port");
  refuse_published ("['0.0.0.0:80:80']", "not an address of loopback");
  refuse_published ("['[::]:80:80']", "not an address of loopback");
  refuse_published ("['80:80', '127.0.0.1:80:81']",
                    "'80:80' and '127.0.0.1:80:81' are both port 127.0.0.1:80 of the host");
  refuse_published ("['[::1]:80:80', '[0::1]:80:81']",
                    "'[::1]:80:80' and '[0::1]:80:81' are both port [::1]:80 of the host");
  refuse_published ("['80:80\\n']", "80:80\\n");
}

/* There a monitor has no socket of the host's; what was published once can be taken away. */
static void
test_publish_on_system (void)
{
  BangerVmBounds bounds = bounds_of (BANGER_MODE_SYSTEM, TRUE);
  g_autoptr (GVariant) none = parse ("{'publish': <@as []>}");
  g_autoptr (GVariant) one = parse ("{'publish': <['80:80']>}");
  g_autoptr (BangerVmRecord) record = create ("{'publish': <['1:1']>}");
  g_autoptr (GError) error = NULL;

  refuse ("{'publish': <['80:80']>}", BANGER_MODE_SYSTEM, TRUE, BANGER_ERROR_NOT_SUPPORTED,
          "option 'publish' cannot be had: on the system bus a VM's monitor has no network");
  g_assert_false (banger_vm_options_change (record, one, &bounds, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_SUPPORTED);
  g_assert_cmpstr (record->published[0], ==, "127.0.0.1:1:1");
  g_assert_true (banger_vm_options_change (record, none, &bounds, NULL));
  g_assert_null (record->published[0]);
}

static void
test_publish_bounds (void)
{
  g_autoptr (GString) list = g_string_new ("[");

  for (int i = 1; i <= 33; i++)
    g_string_append_printf (list, "%s'%d:80'", i > 1 ? ", " : "", i);
  g_string_append (list, "]");
  refuse_published (list->str, "at most 32");
  config->publish_any = TRUE;
  check_published ("0.0.0.0:80:80", "0.0.0.0:80:80");
  check_published ("[2001:DB8::1]:80:80", "[2001:db8::1]:80:80");
  config->publish_any = FALSE;
}

static gboolean
change (BangerVmRecord *record, const char *text, GError **error)
{
  BangerVmBounds bounds = bounds_of (BANGER_MODE_SESSION, TRUE);
  g_autoptr (GVariant) changes = parse (text);

  return banger_vm_options_change (record, changes, &bounds, error);
}

static void
test_changes (void)
{
  g_autoptr (BangerVmRecord) record = create ("{'labels': <{'a': 'b'}>, 'publish': <['1:1']>}");
  g_autoptr (BangerVmRecord) copy = NULL;
  g_autoptr (GError) error = NULL;

  record->id = banger_id_new ();
  copy = banger_vm_record_copy (record);
  g_assert_true (change (copy,
                         "{'labels': <{'c': 'd'}>, 'publish': <@as []>, 'vcpus': <uint32 2>,"
                         " 'disk-bytes': <uint64 8589934592>, 'autostart': <true>}",
                         &error));
  g_assert_no_error (error);
  g_assert_cmpuint (g_hash_table_size (copy->labels), ==, 1);
  g_assert_cmpstr (g_hash_table_lookup (copy->labels, "c"), ==, "d");
  g_assert_null (copy->published[0]);
  g_assert_cmpuint (copy->vcpus, ==, 2);
  g_assert_cmpuint (copy->disk_bytes, ==, 8 * GIB);
  /* What was not named stays, and the VM's own record is another one. */
  g_assert_cmpuint (copy->memory_bytes, ==, record->memory_bytes);
  g_assert_cmpstr (g_hash_table_lookup (record->labels, "a"), ==, "b");
  g_assert_cmpstr (record->published[0], ==, "127.0.0.1:1:1");
}

static void
test_disks_only_grow (void)
{
  static const char *const shrinking[]
      = { "{'disk-bytes': <uint64 4293918720>}", "{'work-bytes': <uint64 16777216>}" };
  g_autoptr (BangerVmRecord) record = create ("@a{sv} {}");

  record->id = banger_id_new ();
  for (guint i = 0; i < G_N_ELEMENTS (shrinking); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (change (record, shrinking[i], &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
    g_assert_nonnull (strstr (error->message, "at least the 4096 MiB"));
  }
  g_assert_true (change (record, "{'disk-bytes': <uint64 4294967296>}", NULL));
}

static void
test_refuses_changes (void)
{
  static const char *const keys[]
      = { "{'root': <'clone'>}", "{'backend': <'qemu'>}", "{'vcpus': <2>}", "{'start': <true>}" };
  g_autoptr (BangerVmRecord) record = create ("@a{sv} {}");

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (change (record, keys[i], &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  }
}

/* Every key of Set has a time when it holds, and those that only a start can apply are known. */
static void
test_when (void)
{
  static const char *const for_start[] = { "vcpus", "memory-bytes", "network", "kernel", NULL };

  for (guint i = 0; banger_vm_set_changes[i].name != NULL; i++) {
    const char *key = banger_vm_set_changes[i].name;

    g_assert_cmpint (banger_vm_option_is_for_start (key), ==, g_strv_contains (for_start, key));
  }
}

static void
test_keys (void)
{
  g_autoptr (GVariant) none = parse ("@a{sv} {}");
  g_autoptr (GVariant) one = parse ("{'authorized-keys': <'ssh-ed25519 AAAA me'>}");
  g_autoptr (GVariant) bad = parse ("{'authorized-keys': <'a\\rb'>}");
  g_autofree char *large = g_strnfill (BANGER_KEYS_MAX + 1, 'x');
  g_autofree char *large_text = g_strdup_printf ("{'authorized-keys': <'%s'>}", large);
  g_autoptr (GVariant) too_large = parse (large_text);
  g_autofree char *keys = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (banger_vm_options_get_keys (none, &keys, &error));
  g_assert_null (keys);
  g_assert_true (banger_vm_options_get_keys (one, &keys, &error));
  g_assert_cmpstr (keys, ==, "ssh-ed25519 AAAA me\n");
  g_clear_pointer (&keys, g_free);
  g_assert_false (banger_vm_options_get_keys (bad, &keys, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  g_assert_false (banger_vm_options_get_keys (too_large, &keys, &error));
  g_assert_nonnull (strstr (error->message, "'authorized-keys' holds at most 32 KiB"));
}

int
main (int argc, char **argv)
{
  int status = 0;

  g_test_init (&argc, &argv, NULL);
  config = banger_config_new (BANGER_MODE_SESSION);
  with_passt = find_passt ("ok", "/bin/passt");
  without_passt = find_passt ("warning", "/bin/passt cannot be used: no namespace");
  g_test_add_func ("/vm-options/defaults", test_defaults);
  g_test_add_func ("/vm-options/configured-defaults", test_configured_defaults);
  g_test_add_func ("/vm-options/takes-all", test_takes_all);
  g_test_add_func ("/vm-options/refuses-values", test_refuses_values);
  g_test_add_func ("/vm-options/bounds-labels", test_bounds_labels);
  g_test_add_func ("/vm-options/network", test_network);
  g_test_add_func ("/vm-options/network-reason", test_network_reason);
  g_test_add_func ("/vm-options/publish", test_publish);
  g_test_add_func ("/vm-options/publish-on-system", test_publish_on_system);
  g_test_add_func ("/vm-options/publish-bounds", test_publish_bounds);
  g_test_add_func ("/vm-options/changes", test_changes);
  g_test_add_func ("/vm-options/disks-only-grow", test_disks_only_grow);
  g_test_add_func ("/vm-options/refuses-changes", test_refuses_changes);
  g_test_add_func ("/vm-options/when", test_when);
  g_test_add_func ("/vm-options/keys", test_keys);
  status = g_test_run ();
  g_variant_unref (with_passt);
  g_variant_unref (without_passt);
  banger_config_free (config);
  return status;
}
