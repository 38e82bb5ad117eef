/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/common.h"
#include "guest/guest.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CPIO_END                                                                                   \
  "070701000000000000000000000000000000000000000100000000000000000000000000000000000000000000000B" \
  "00000000TRAILER!!!"

static BangerBootConfig
plain_config (void)
{
  BangerBootConfig config = { .hostname = "web-1", .transport = "vsock", .overlay = TRUE };

  for (guint i = 0; i < sizeof config.key; i++)
    config.key[i] = i * 7;
  return config;
}

static void
test_format_all (void)
{
  const char *binds[] = { "/var/lib/docker", "/var/lib/containers", NULL };
  const char *addresses[] = { "10.0.0.2/24", "fd00::2/64", NULL };
  const char *nameservers[] = { "10.0.0.1", NULL };
  BangerBootConfig config = plain_config ();
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  config.doorbell = 70000;
  config.binds = binds;
  config.work = TRUE;
  config.modules_release = "6.1.0-56-cloud-amd64";
  config.addresses = addresses;
  config.gateway = "10.0.0.1";
  config.nameservers = nameservers;
  config.search = "vm";
  text = banger_boot_config_format (&config, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (text, ==,
                   "version=1\nhostname=web-1\ntransport=vsock\ndoorbell=70000\nroot=overlay\n"
                   "bind=/var/lib/docker\nbind=/var/lib/containers\nwork=yes\n"
                   "modules=6.1.0-56-cloud-amd64\naddress=10.0.0.2/24\naddress=fd00::2/64\n"
                   "gateway=10.0.0.1\nnameserver=10.0.0.1\nsearch=vm\n"
                   "key=00070e151c232a31383f464d545b626970777e858c939aa1a8afb6bdc4cbd2d9\n");
}

static void
test_format_least (void)
{
  BangerBootConfig config = plain_config ();
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  config.overlay = FALSE;
  config.transport = "virtio-serial";
  text = banger_boot_config_format (&config, &error);
  g_assert_no_error (error);
  g_assert_true (g_str_has_prefix (
      text, "version=1\nhostname=web-1\ntransport=virtio-serial\nroot=plain\nkey="));
}

static void
assert_refused (const BangerBootConfig *config)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (banger_boot_config_format (config, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
}

static void
test_format_refuses (void)
{
  const char *const bad_hostnames[] = { NULL, "", "Web", "a.b", "a\nb", "-a", "a\nroot=plain" };
  const char *const bad_releases[] = { "", ".", "..", "../x", "a/b", "6.1\nwork=yes" };
  const char *bad_lists[][2] = { { "a\nwork=yes", NULL }, { "", NULL }, { "\xff", NULL } };
  g_autofree char *long_value = g_strnfill (65536, 'a');
  BangerBootConfig config;

  for (guint i = 0; i < G_N_ELEMENTS (bad_hostnames); i++) {
    config = plain_config ();
    config.hostname = bad_hostnames[i];
    assert_refused (&config);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad_releases); i++) {
    config = plain_config ();
    config.modules_release = bad_releases[i];
    assert_refused (&config);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad_lists); i++) {
    config = plain_config ();
    config.nameservers = bad_lists[i];
    assert_refused (&config);
    config = plain_config ();
    config.binds = bad_lists[i];
    assert_refused (&config);
  }
  config = plain_config ();
  config.search = long_value;
  assert_refused (&config);
  config = plain_config ();
  config.transport = "carrier-pigeon";
  assert_refused (&config);
}

typedef struct {
  const char *name;
  mode_t mode;
  guint size;
} Expected;

static void
assert_entry (struct archive *reader, const Expected *expected)
{
  struct archive_entry *entry;

  g_assert_cmpint (archive_read_next_header (reader, &entry), ==, ARCHIVE_OK);
  g_assert_cmpstr (archive_entry_pathname (entry), ==, expected->name);
  g_assert_cmpuint (archive_entry_mode (entry), ==, expected->mode);
  g_assert_cmpint (archive_entry_size (entry), ==, expected->size);
  g_assert_cmpint (archive_entry_uid (entry), ==, 0);
  if (S_ISCHR (expected->mode)) {
    g_assert_cmpuint (archive_entry_rdevmajor (entry), ==, 5);
    g_assert_cmpuint (archive_entry_rdevminor (entry), ==, 1);
  }
}

/* A length that is no multiple of four in the modules' part proves the padding between. */
static void
test_initramfs (void)
{
  g_autofree char *program = g_strdup_printf ("\177ELF%0*d", 8999, 1);
  g_autoptr (GError) error = NULL;
  BangerBootConfig config = plain_config ();
  g_autofree char *text = banger_boot_config_format (&config, NULL);
  banger_autofd int modules = banger_memfd_new ("m", CPIO_END "\0\0", sizeof CPIO_END + 1, NULL);
  banger_autofd int agent = banger_memfd_new ("a", program, strlen (program), NULL);
  banger_autofd int fd = -1;
  const Expected entries[] = {
    { "dev", S_IFDIR | 0755, 0 },
    { "dev/console", S_IFCHR | 0600, 0 },
    { "init", S_IFREG | 0755, strlen (program) },
    { "banger", S_IFDIR | 0700, 0 },
    { "banger/boot.conf", S_IFREG | 0600, strlen (text) },
  };
  struct archive *reader = archive_read_new ();
  struct archive_entry *entry;
  g_autofree char *read_back = g_malloc0 (65536);
  off_t start = (sizeof CPIO_END + 1 + 3) / 4 * 4;

  g_assert_cmpint (lseek (agent, 100, SEEK_SET), ==, 100);
  fd = banger_initramfs_new (modules, agent, &config, &error);
  g_assert_no_error (error);
  g_assert_cmpint (lseek (agent, 0, SEEK_CUR), ==, 100);
  g_assert_cmpint (lseek (fd, 0, SEEK_CUR), ==, 0);
  g_assert_cmpint (lseek (fd, start, SEEK_SET), ==, start);
  archive_read_support_format_cpio (reader);
  g_assert_cmpint (archive_read_open_fd (reader, fd, 4096), ==, ARCHIVE_OK);
  for (guint i = 0; i < G_N_ELEMENTS (entries); i++) {
    assert_entry (reader, &entries[i]);
    if (i == 2) {
      g_assert_cmpint (archive_read_data (reader, read_back, 65535), ==, strlen (program));
      g_assert_cmpstr (read_back, ==, program);
      memset (read_back, 0, 65536);
    }
  }
  g_assert_cmpint (archive_read_data (reader, read_back, 65535), ==, strlen (text));
  g_assert_cmpstr (read_back, ==, text);
  g_assert_cmpint (archive_read_next_header (reader, &entry), ==, ARCHIVE_EOF);
  archive_read_free (reader);
}

static void
test_initramfs_is_sealed (void)
{
  BangerBootConfig config = plain_config ();
  g_autoptr (GError) error = NULL;
  banger_autofd int modules = banger_memfd_new ("m", CPIO_END, sizeof CPIO_END, NULL);
  banger_autofd int agent = banger_memfd_new ("a", "\177ELF", 4, NULL);
  banger_autofd int fd = banger_initramfs_new (modules, agent, &config, &error);

  g_assert_no_error (error);
  g_assert_cmpint (write (fd, "x", 1), ==, -1);
  g_assert_cmpint (errno, ==, EPERM);
  g_assert_cmpint (ftruncate (fd, 0), ==, -1);
}

static void
test_initramfs_refuses (void)
{
  const char *const bad[] = { "", "0707", "hello, world" };
  BangerBootConfig config = plain_config ();
  banger_autofd int modules = banger_memfd_new ("m", CPIO_END, sizeof CPIO_END, NULL);
  banger_autofd int agent = banger_memfd_new ("a", "\177ELF", 4, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++) {
    banger_autofd int fd = banger_memfd_new ("bad", bad[i], strlen (bad[i]), NULL);
    g_autoptr (GError) error = NULL;

    g_assert_cmpint (banger_initramfs_new (fd, agent, &config, &error), ==, -1);
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
    g_clear_error (&error);
    g_assert_cmpint (banger_initramfs_new (modules, fd, &config, &error), ==, -1);
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/guest/boot-config/all", test_format_all);
  g_test_add_func ("/guest/boot-config/least", test_format_least);
  g_test_add_func ("/guest/boot-config/refuses", test_format_refuses);
  g_test_add_func ("/guest/initramfs/archive", test_initramfs);
  g_test_add_func ("/guest/initramfs/sealed", test_initramfs_is_sealed);
  g_test_add_func ("/guest/initramfs/refuses", test_initramfs_refuses);
  return g_test_run ();
}
