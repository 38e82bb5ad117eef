/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* banger.conf: what is taken, in which order, and what is refused with file and line. */
#include "common/configuration-table.h"
#include "common/io.h"

#include <fcntl.h>
#include <string.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define GIB (G_GUINT64_CONSTANT (1) << 30)

static void
take (BangerConfig *config, const char *text)
{
  g_autoptr (GError) error = NULL;

  banger_config_parse (config, "x.conf", text, strlen (text), &error);
  g_assert_no_error (error);
}

static void
refuse_bytes (const char *text, gsize length, const char *expected)
{
  g_autoptr (BangerConfig) config = banger_config_new (BANGER_MODE_SESSION);
  g_autoptr (GError) error = NULL;

  g_assert_false (banger_config_parse (config, "x.conf", text, length, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  if (!g_str_has_prefix (error->message, expected))
    g_error ("'%s' is not '%s'", error->message, expected);
}

static void
refuse (const char *text, const char *expected)
{
  refuse_bytes (text, strlen (text), expected);
}

static void
test_takes (void)
{
  g_autoptr (BangerConfig) config = banger_config_new (BANGER_MODE_SESSION);

  take (config,
        "# what people write\n\n"
        "[defaults]\nvcpus=2\nmemory = 1.5G \r\n  disk=8GiB\nwork=10G\nwork=100G\nroot=clone\n"
        "restart=on-failure\nnetwork=none\n"
        "[limits]\nvms=10\nvcpus=8\nmemory=16G\ndisk=1T\nreserve-memory=1024M\n"
        "reserve-disk=0\nimport-stall=7\npublish-any=true\n[client]\nbus=system\nprogress=plain");
  g_assert_cmpuint (config->vcpus, ==, 2);
  g_assert_cmpuint (config->memory_bytes, ==, 3 * GIB / 2);
  g_assert_cmpuint (config->disk_bytes, ==, 8 * GIB);
  g_assert_cmpuint (config->work_bytes, ==, 100 * GIB);
  g_assert_cmpint (config->root, ==, BANGER_ROOT_CLONE);
  g_assert_cmpint (config->restart, ==, BANGER_RESTART_ON_FAILURE);
  g_assert_cmpstr (config->network, ==, "none");
  g_assert_cmpuint (config->vms, ==, 10);
  g_assert_cmpuint (config->user_vcpus, ==, 8);
  g_assert_cmpuint (config->user_memory_bytes, ==, 16 * GIB);
  g_assert_cmpuint (config->user_disk_bytes, ==, 1024 * GIB);
  g_assert_cmpuint (config->reserve_memory_bytes, ==, 1 * GIB);
  g_assert_cmpuint (config->reserve_disk_bytes, ==, 0);
  g_assert_cmpuint (config->import_stall, ==, 7);
  g_assert_true (config->publish_any);
  g_assert_cmpstr (config->bus, ==, "system");
  g_assert_cmpstr (config->progress, ==, "plain");
}

static void
test_refuses (void)
{
  refuse ("vcpus=1\n", "x.conf:1: a group such as [defaults] must come before the first key");
  refuse ("\n[default]\n", "x.conf:2: group [default] is not known");
  refuse ("[defaults]\n\ncpus=1\n", "x.conf:3: key 'cpus' is not known in group [defaults]");
  refuse ("[client]\nvcpus=1\n", "x.conf:2: key 'vcpus' is not known in group [client]");
  refuse ("[defaults]\nvcpus[de]=1\n", "x.conf:2: key 'vcpus[de]' is not known");
  refuse ("[defaults]\nvcpus=0\n", "x.conf:2: key 'vcpus' of group [defaults] must be a number "
                                   "from 1 to 288");
  refuse ("[defaults]\nvcpus=two\n", "x.conf:2: key 'vcpus'");
  refuse ("[defaults]\nvcpus=-1\n", "x.conf:2: key 'vcpus'");
  refuse ("[defaults]\nmemory=63M\n",
          "x.conf:2: key 'memory' of group [defaults] must be a size of "
          "whole MiB such as 512M or 4G, from 64M to 1048576M");
  refuse ("[defaults]\nmemory=512\n", "x.conf:2: key 'memory'");
  refuse ("[defaults]\nmemory=512m\n", "x.conf:2: key 'memory'");
  refuse ("[defaults]\nmemory=512MB\n", "x.conf:2: key 'memory'");
  refuse ("[defaults]\nmemory=1.00001G\n", "x.conf:2: key 'memory'");
  refuse ("[defaults]\nmemory=1.5.5G\n", "x.conf:2: key 'memory'");
  refuse ("[defaults]\nmemory=1e9G\n", "x.conf:2: key 'memory'");
  refuse ("[defaults]\nmemory=0x4G\n", "x.conf:2: key 'memory'");
  refuse ("[defaults]\nmemory=65537K\n", "x.conf:2: key 'memory'");
  refuse ("[defaults]\nmemory=99999999999999999999T\n", "x.conf:2: key 'memory'");
  refuse ("[limits]\nmemory=17592186044417T\n", "x.conf:2: key 'memory'");
  refuse ("[defaults]\nroot=snapshot\n", "x.conf:2: key 'root' of group [defaults] must be one of "
                                         "overlay, clone");
  refuse ("[limits]\npublish-any=yes\n", "x.conf:2: key 'publish-any'");
  refuse ("[defaults]\nvcpus\n", "x.conf:2: this is neither [GROUP] nor KEY=VALUE");
  refuse ("[defaults\nvcpus=1\n", "x.conf:1: this is neither");
  refuse ("[defaults]\nnetwork=\\q\n",
          "x.conf:2: key 'network' of group [defaults] must be one of user, none");
  refuse ("[defaults]\nnetwork=none\\s\n", "x.conf:2: key 'network'");
  refuse ("[defaults]\nvcpus=\xff\n", "x.conf:2: this is neither");
  refuse_bytes ("[defaults]\nvcpus=1\0\n", 20, "x.conf:2: it holds a NUL");
}

/* Each key can be said as it is printed, and what is printed is the same again. */
static void
test_prints (void)
{
  g_autoptr (BangerConfig) config = banger_config_new (BANGER_MODE_SYSTEM);
  g_autoptr (BangerConfig) again = banger_config_new (BANGER_MODE_SESSION);
  g_autofree char *text = NULL, *second = NULL;

  take (config, "[defaults]\nmemory=1536M\nnetwork=user\n[client]\nbus=session\nprogress=none\n");
  text = banger_config_print (config);
  g_assert_nonnull (strstr (text, "memory=1536M\n"));
  g_assert_nonnull (strstr (text, "disk=4G\n"));
  g_assert_nonnull (strstr (text, "reserve-memory=256M\n"));
  take (again, text);
  second = banger_config_print (again);
  g_assert_cmpstr (text, ==, second);
  for (const BangerConfigKey *key = banger_config_keys; key->group != NULL; key++) {
    g_autofree char *value = banger_config_value (again, key);

    g_assert_nonnull (value);
  }
}

static void
test_man_names_every_key (void)
{
  g_autofree char *page = banger_config_man ();

  for (const BangerConfigKey *key = banger_config_keys; key->group != NULL; key++) {
    g_auto (GStrv) parts = g_strsplit (key->key, "-", -1);
    g_autofree char *name = g_strjoinv ("\\-", parts);
    g_autofree char *item = g_strdup_printf (".TP\n\\fB%s\\fR=\n", name);
    g_autofree char *group = g_strdup_printf (".SH \"GROUP [%s]\"\n", key->group);

    g_assert_nonnull (strstr (page, item));
    g_assert_nonnull (strstr (page, group));
  }
}

static void
put (const char *folder, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

/* The user's own files, later ones over earlier ones; a system's service does not see them. */
static void
test_order (void)
{
  g_autofree char *folder = g_build_filename (g_get_user_config_dir (), "banger", NULL);
  g_autofree char *more = g_build_filename (folder, "banger.conf.d", NULL);
  g_autoptr (BangerConfig) config = NULL, system = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir_with_parents (more, 0700), ==, 0);
  put (folder, "banger.conf", "[limits]\nvms=1\nvcpus=1\nmemory=1G\n");
  put (more, "20.conf", "[limits]\nvcpus=20\n");
  put (more, "10.conf", "[limits]\nvcpus=10\nmemory=10G\n");
  put (more, "30.conf.old", "[limits]\nvcpus=30\n");
  put (more, ".40.conf", "[limits]\nvcpus=40\n");
  config = banger_config_load (BANGER_MODE_SESSION, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (config->vms, ==, 1);
  g_assert_cmpuint (config->user_vcpus, ==, 20);
  g_assert_cmpuint (config->user_memory_bytes, ==, 10 * GIB);
  system = banger_config_load (BANGER_MODE_SYSTEM, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (system->vms, !=, 1);
  put (more, "50.conf", "[limits]\n\nvm=1\n");
  g_assert_null (banger_config_load (BANGER_MODE_SESSION, &error));
  g_assert_nonnull (strstr (error->message, "/banger.conf.d/50.conf:3: key 'vm' is not known"));
}

static void
test_bounds_files (void)
{
  g_autofree char *folder = g_build_filename (g_get_user_config_dir (), "banger", NULL);
  g_autofree char *large = g_strnfill (BANGER_CONFIG_FILE_MAX + 1, '\n');
  g_autoptr (GError) error = NULL;

  banger_remove_tree_at (AT_FDCWD, folder, NULL);
  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  put (folder, "banger.conf", large);
  g_assert_null (banger_config_load (BANGER_MODE_SESSION, &error));
  g_assert_nonnull (strstr (error->message, "larger than"));
}

int
main (int argc, char **argv)
{
  g_autofree char *home = g_dir_make_tmp ("banger-config-XXXXXX", NULL);
  int status = 0;

  g_test_init (&argc, &argv, NULL);
  g_setenv ("XDG_CONFIG_HOME", home, TRUE);
  g_test_add_func ("/configuration/takes", test_takes);
  g_test_add_func ("/configuration/refuses", test_refuses);
  g_test_add_func ("/configuration/prints", test_prints);
  g_test_add_func ("/configuration/man-names-every-key", test_man_names_every_key);
  g_test_add_func ("/configuration/order", test_order);
  g_test_add_func ("/configuration/bounds-files", test_bounds_files);
  status = g_test_run ();
  banger_remove_tree_at (AT_FDCWD, home, NULL);
  return status;
}
