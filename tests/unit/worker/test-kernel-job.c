/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Job import-kernel as bangerd asks for it: of the program, in its sandbox. */
#include "common/common.h"
#include "disk-tools.h"
#include "fixture.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  const char *release; /* to choose, or NULL */
  int vmlinux, modules_image, boot_modules;
  GString *stages; /* a space before each */
  GVariant *done;
  GError *failed;
} Job;

static Job
job_new (void)
{
  return (Job){ NULL, unnamed_file (), unnamed_file (), unnamed_file (), g_string_new (NULL) };
}

static void
job_clear (Job *job)
{
  banger_clear_fd (&job->vmlinux);
  banger_clear_fd (&job->modules_image);
  banger_clear_fd (&job->boot_modules);
  g_string_free (job->stages, TRUE);
  g_clear_pointer (&job->done, g_variant_unref);
  g_clear_error (&job->failed);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Job, job_clear)

static void
take_message (Job *job, BangerMessage *message)
{
  const char *stage;

  if (g_str_equal (message->verb, "done")) {
    job->done = g_variant_ref (message->args);
  } else if (g_str_equal (message->verb, "failed")) {
    job->failed = banger_error_from_variant (message->args);
  } else {
    g_assert_true (g_variant_lookup (message->args, "stage", "&s", &stage));
    if (!g_str_has_suffix (job->stages->str, stage))
      g_string_append_printf (job->stages, " %s", stage);
  }
}

static void
collect (Job *job, BangerChannel *channel)
{
  for (;;) {
    g_autoptr (GError) error = NULL;
    g_autoptr (BangerMessage) message = banger_channel_receive (channel, &error);

    g_assert_no_error (error);
    if (message == NULL)
      return;
    take_message (job, message);
  }
}

static GPid
start_worker (int channel)
{
  g_autofree char *program = banger_program_path ("banger-worker");
  const char *const argv[] = { program, NULL };
  /* LeakSanitizer would trace the worker, which its sandbox forbids. */
  const char *const env[] = { "ASAN_OPTIONS=detect_leaks=0", NULL };
  const BangerRunFd fds[] = { { channel, STDIN_FILENO }, { STDERR_FILENO, STDERR_FILENO } };
  const BangerRunSpec spec = { .argv = argv, .env = env, .fds = fds, .n_fds = 2 };
  g_autoptr (GError) error = NULL;
  GPid pid;

  g_assert_true (banger_run_spawn (&spec, &pid, &error));
  g_assert_no_error (error);
  return pid;
}

/* @keys and @inputs: the inputs by name, ended by NULL. */
static void
run (Job *job, const char *const *keys, GBytes *const *inputs)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GError) error = NULL;
  banger_autofd int child_fd = -1;
  g_autoptr (BangerChannel) channel = banger_channel_pair (&child_fd, &error);
  GPid pid = start_worker (child_fd);
  GVariantDict args;

  banger_clear_fd (&child_fd);
  g_variant_dict_init (&args, NULL);
  g_assert_true (banger_message_add_fd (&args, fds, "vmlinux", job->vmlinux, NULL));
  g_assert_true (banger_message_add_fd (&args, fds, "modules-image", job->modules_image, NULL));
  g_assert_true (banger_message_add_fd (&args, fds, "boot-modules", job->boot_modules, NULL));
  if (job->release != NULL)
    g_variant_dict_insert (&args, "release", "s", job->release);
  for (guint i = 0; keys[i] != NULL; i++) {
    gsize length;
    const void *data = g_bytes_get_data (inputs[i], &length);
    banger_autofd int fd = banger_memfd_new (keys[i], data, length, NULL);

    g_assert_true (banger_message_add_fd (&args, fds, keys[i], fd, NULL));
  }
  g_assert_true (
      banger_channel_send (channel, 0, "import-kernel", g_variant_dict_end (&args), fds, &error));
  collect (job, channel);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}

static void
run_package (Job *job, GBytes *package)
{
  const char *const keys[] = { "package", NULL };

  run (job, keys, &package);
}

static void
run_parts (Job *job, GBytes *vmlinuz, GBytes *modules)
{
  const char *const keys[] = { "vmlinuz", "modules", NULL };
  GBytes *const inputs[] = { vmlinuz, modules };

  run (job, keys, inputs);
}

static char *
ask_image (const char *const *argv, int image)
{
  const BangerRunFd fd = { image, 3 };
  const BangerRunSpec spec = { .argv = argv, .fds = &fd, .n_fds = 1 };
  g_autoptr (GError) error = NULL;
  char *output = NULL;

  g_assert_true (banger_run_wait (&spec, &output, NULL, &error));
  g_assert_no_error (error);
  return output;
}

static void
assert_in_image (int image, const char *command, const char *expected)
{
  const char *const argv[] = { "debugfs", "-R", command, "/proc/self/fd/3", NULL };
  g_autofree char *output = ask_image (argv, image);

  if (strstr (output, expected) == NULL)
    g_error ("%s: '%s' is not in '%s'", command, expected, output);
}

/* The outputs, looked at by programs that had no part in making them. */
static void
assert_outputs (Job *job, gsize vmlinux_size)
{
  const char *const check[] = { "e2fsck", "-fn", "/proc/self/fd/3", NULL };
  g_autofree char *checked = ask_image (check, job->modules_image);
  char magic[7] = { 0 };
  struct stat st;

  g_assert_nonnull (strstr (checked, "files (0"));
  assert_in_image (job->modules_image, "cat /modules.dep",
                   "kernel/virtio_blk.ko.xz: kernel/virtio.ko\n");
  assert_in_image (job->modules_image, "stat /kernel/overlay.ko", "Mode:  0644");
  assert_in_image (job->modules_image, "ls /", "modules.alias.bin");
  assert_in_image (job->modules_image, "ls /", "modules.order");
  g_assert_cmpint (fstat (job->vmlinux, &st), ==, 0);
  g_assert_cmpint (st.st_size, ==, vmlinux_size);
  g_assert_cmpint (pread (job->boot_modules, magic, 6, 0), ==, 6);
  g_assert_cmpstr (magic, ==, "070701");
  g_assert_cmpint (fstat (job->boot_modules, &st), ==, 0);
  g_assert_cmpint (st.st_size, <, 8192);
}

static void
assert_done (Job *job)
{
  g_autofree char *digest = NULL;
  g_autofree char *expected = NULL;
  g_autofree const char **notes = NULL;
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE });
  const char *release;
  guint64 size = 0;

  g_assert_no_error (job->failed);
  g_assert_nonnull (job->done);
  g_assert_true (g_variant_lookup (job->done, "release", "&s", &release));
  g_assert_cmpstr (release, ==, FIXTURE_RELEASE);
  g_assert_true (g_variant_lookup (job->done, "size-bytes", "t", &size));
  g_assert_cmpuint (size, ==, g_bytes_get_size (vmlinux));
  digest = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, vmlinux);
  expected = g_strconcat ("sha256:", digest, NULL);
  g_assert_true (g_variant_lookup (job->done, "notes", "^a&s", &notes));
  g_assert_nonnull (strstr (notes[0], "virtio_net"));
  g_assert_true (g_variant_lookup (job->done, "digest", "&s", &release));
  g_assert_cmpstr (release, ==, expected);
  assert_outputs (job, size);
}

static GBytes *
package_of (const FixtureFile *files)
{
  g_autoptr (GBytes) tar = fixture_tar (files, "xz");

  return fixture_deb ("data.tar.xz", tar);
}

static void
test_package (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) package = package_of (files);
  g_auto (Job) job = job_new ();

  run_package (&job, package);
  assert_done (&job);
  g_assert_cmpstr (job.stages->str, ==, " receiving extracting modules checking");
  fixture_files_free (files);
}

static void
test_parts (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE });
  g_autoptr (GBytes) modules = fixture_tar (files, "zstd");
  g_auto (Job) job = job_new ();

  run_parts (&job, vmlinux, modules);
  assert_done (&job);
  fixture_files_free (files);
}

static void
assert_facts (Job *job, const char *capabilities, const char *config)
{
  g_autofree const char **list = NULL;
  g_autofree char *joined = NULL;
  g_autoptr (GVariant) facts = g_variant_lookup_value (job->done, "facts", G_VARIANT_TYPE_VARDICT);
  const char *text = NULL;

  g_assert_true (g_variant_lookup (job->done, "capabilities", "^a&s", &list));
  joined = g_strjoinv (" ", (char **)list);
  g_assert_cmpstr (joined, ==, capabilities);
  g_assert_true (g_variant_lookup (facts, "config", "&s", &text));
  g_assert_cmpstr (text, ==, config);
}

#define CAPABILITIES "acpi-devices orphan-file overlay virtio-serial"

static void
assert_failed (Job *job, int code, const char *stage, const char *cause)
{
  g_assert_null (job->done);
  g_assert_error (job->failed, BANGER_ERROR, code);
  g_test_message ("%s", banger_error_cause (job->failed));
  g_assert_cmpstr (banger_error_stage (job->failed), ==, stage);
  if (cause != NULL)
    g_assert_nonnull (strstr (banger_error_cause (job->failed), cause));
}

/* The kernel in one package, its modules and configuration in another. */
static void
test_two_packages (void)
{
  FixtureFile *files = fixture_kernel_files ();
  const FixtureFile kernel_files[] = { files[1], { NULL } };
  const char *const keys[] = { "package", "modules", NULL };
  g_autoptr (GBytes) kernel = package_of (kernel_files);
  g_autoptr (GBytes) modules = package_of (files + 2);
  GBytes *const inputs[] = { kernel, modules };
  g_auto (Job) job = job_new ();

  run (&job, keys, inputs);
  assert_done (&job);
  assert_facts (&job, CAPABILITIES, "file");
  fixture_files_free (files);
}

static void
test_modules_package (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE });
  g_autoptr (GBytes) modules = package_of (files + 3);
  g_auto (Job) job = job_new ();

  run_parts (&job, vmlinux, modules);
  assert_done (&job);
  assert_facts (&job, CAPABILITIES, "none");
  fixture_files_free (files);
}

static void
run_tree (Job *job, const FixtureFile *files)
{
  const char *const keys[] = { "tree", NULL };
  GBytes *tree = fixture_tar (files, "zstd");

  run (job, keys, &tree);
  g_bytes_unref (tree);
}

static void
test_tree (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_auto (Job) job = job_new ();

  run_tree (&job, files);
  assert_done (&job);
  assert_facts (&job, CAPABILITIES, "file");
  fixture_files_free (files);
}

static void
test_tree_release (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GArray) all = g_array_new (TRUE, TRUE, sizeof (FixtureFile));
  const FixtureFile other[]
      = { { "boot/vmlinuz-5.9", files[1].content }, { "lib/modules/5.9/a.ko", files[1].content } };
  g_auto (Job) unsaid = job_new ();
  g_auto (Job) job = job_new ();

  g_array_append_vals (all, other, G_N_ELEMENTS (other));
  for (guint i = 0; files[i].path != NULL; i++)
    g_array_append_val (all, files[i]);
  job.release = FIXTURE_RELEASE;
  run_tree (&job, &g_array_index (all, FixtureFile, 0));
  assert_done (&job);
  /* The kernel that was chosen is not the one of that name. */
  unsaid.release = "5.9";
  run_tree (&unsaid, &g_array_index (all, FixtureFile, 0));
  assert_failed (&unsaid, BANGER_ERROR_BAD_IMAGE, "modules", NULL);
  fixture_files_free (files);
}

/* A configuration inside the kernel counts, and one that is given counts more. */
static void
test_embedded_config (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) vmlinux
      = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE, FIXTURE_CONFIG });
  g_autoptr (GBytes) bad
      = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE, "\nCONFIG_ACPI=y\n" });
  g_autoptr (GBytes) modules = fixture_tar (files + 3, "none");
  g_autoptr (GBytes) with_config = fixture_tar (files + 2, "none");
  g_auto (Job) embedded = job_new ();
  g_auto (Job) refused = job_new ();
  g_auto (Job) given = job_new ();

  run_parts (&embedded, vmlinux, modules);
  g_assert_no_error (embedded.failed);
  assert_facts (&embedded, CAPABILITIES, "embedded");
  run_parts (&refused, bad, modules);
  assert_failed (&refused, BANGER_ERROR_BAD_IMAGE, "checking", "CONFIG_BLK_DEV_INITRD");
  run_parts (&given, bad, with_config);
  g_assert_no_error (given.failed);
  assert_facts (&given, CAPABILITIES, "file");
  fixture_files_free (files);
}

#define WHOLE                                                                          \
  "CONFIG_EXT4_FS=y\nCONFIG_OVERLAY_FS=y\nCONFIG_VIRTIO_MMIO=y\nCONFIG_VIRTIO_BLK=y\n" \
  "CONFIG_VIRTIO_CONSOLE=y\n"

static void
run_vmlinuz (Job *job, const char *config)
{
  const char *const keys[] = { "vmlinuz", NULL };
  GBytes *vmlinux = fixture_vmlinux (&(FixtureKernel){ FIXTURE_RELEASE, TRUE, config });

  run (job, keys, &vmlinux);
  g_bytes_unref (vmlinux);
}

/* A kernel that has no modules is whole by itself, if it says so. */
static void
test_without_modules (void)
{
  g_auto (Job) job = job_new ();
  g_auto (Job) modular = job_new ();
  g_auto (Job) silent = job_new ();
  g_auto (Job) lacking = job_new ();

  run_vmlinuz (&job, FIXTURE_CONFIG_BASE WHOLE);
  g_assert_no_error (job.failed);
  assert_facts (&job, CAPABILITIES, "embedded");
  assert_in_image (job.modules_image, "ls /", "modules.dep.bin");
  run_vmlinuz (&modular, FIXTURE_CONFIG WHOLE);
  assert_failed (&modular, BANGER_ERROR_BAD_IMAGE, "extracting", "no modules");
  run_vmlinuz (&silent, NULL);
  assert_failed (&silent, BANGER_ERROR_BAD_IMAGE, "extracting", "no modules");
  run_vmlinuz (&lacking, FIXTURE_CONFIG_BASE);
  assert_failed (&lacking, BANGER_ERROR_BAD_IMAGE, "checking", "virtio_mmio");
}

/* A list that is older than its modules is said to be so, and the tree has one that is right. */
static void
test_stale_dep (void)
{
  static const char dep[] = "kernel/virtio.ko: kernel/overlay.ko\n";
  FixtureFile *files = fixture_kernel_files ();
  guint last = 0;
  g_autoptr (GBytes) package = NULL;
  g_autofree const char **notes = NULL;
  g_auto (Job) job = job_new ();

  while (files[last + 1].path != NULL)
    last++;
  g_assert_true (g_str_has_suffix (files[last].path, "modules.dep"));
  g_bytes_unref (files[last].content);
  files[last].content = g_bytes_new_static (dep, strlen (dep));
  package = package_of (files);
  run_package (&job, package);
  g_assert_no_error (job.failed);
  g_assert_true (g_variant_lookup (job.done, "notes", "^a&s", &notes));
  g_assert_nonnull (strstr (notes[0], "modules.dep"));
  assert_in_image (job.modules_image, "cat /modules.dep",
                   "kernel/virtio_blk.ko.xz: kernel/virtio.ko\n");
  fixture_files_free (files);
}

static void
test_wrong_release (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) vmlinux = fixture_vmlinux (&(FixtureKernel){ "6.1.0-10-test", TRUE });
  g_autoptr (GBytes) modules = fixture_tar (files, "none");
  g_auto (Job) job = job_new ();

  run_parts (&job, vmlinux, modules);
  assert_failed (&job, BANGER_ERROR_BAD_IMAGE, "modules", "6.1.0-10-test");
  fixture_files_free (files);
}

static void
test_no_kernel (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) without_kernel = package_of (files + 2);
  g_autoptr (GBytes) text = g_bytes_new_static ("hello", 5);
  g_auto (Job) headers = job_new ();
  g_auto (Job) no_package = job_new ();

  run_package (&headers, without_kernel);
  assert_failed (&headers, BANGER_ERROR_BAD_IMAGE, "modules", "no kernel");
  run_package (&no_package, text);
  assert_failed (&no_package, BANGER_ERROR_BAD_IMAGE, "extracting", NULL);
  fixture_files_free (files);
}

/* As distributions have it that pack modules apart. */
static void
test_no_modules (void)
{
  FixtureFile *files = fixture_kernel_files ();
  const FixtureFile few[] = { files[1], files[2], { NULL } };
  g_autoptr (GBytes) package = package_of (few);
  g_auto (Job) job = job_new ();

  run_package (&job, package);
  assert_failed (&job, BANGER_ERROR_BAD_IMAGE, "extracting", "no modules");
  g_assert_nonnull (strstr (banger_error_hint (job.failed), "modules"));
  fixture_files_free (files);
}

/* Without virtio_blk. */
static void
test_cannot_boot (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) package = NULL;
  g_auto (Job) job = job_new ();

  g_assert_true (g_str_has_suffix (files[7].path, "virtio_blk.ko.xz"));
  files[7].path = "./elsewhere";
  package = package_of (files);
  run_package (&job, package);
  assert_failed (&job, BANGER_ERROR_BAD_IMAGE, "checking", "virtio_blk");
  fixture_files_free (files);
}

static void
test_truncated (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) package = package_of (files);
  gsize length = g_bytes_get_size (package);

  for (guint i = 1; i < 8; i++) {
    g_autoptr (GBytes) part = g_bytes_new_from_bytes (package, 0, length * i / 8);
    g_auto (Job) job = job_new ();

    run_package (&job, part);
    g_assert_null (job.done);
    g_assert_error (job.failed, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  }
  fixture_files_free (files);
}

static void
test_full_disk (void)
{
  FixtureFile *files = fixture_kernel_files ();
  g_autoptr (GBytes) package = package_of (files);
  g_auto (Job) no_kernel = job_new ();
  g_auto (Job) no_spool = job_new ();

  banger_clear_fd (&no_kernel.vmlinux);
  no_kernel.vmlinux = open ("/dev/full", O_RDWR | O_CLOEXEC);
  run_package (&no_kernel, package);
  assert_failed (&no_kernel, BANGER_ERROR_NO_SPACE, "extracting", NULL);
  banger_clear_fd (&no_spool.boot_modules);
  no_spool.boot_modules = open ("/dev/full", O_RDWR | O_CLOEXEC);
  run_package (&no_spool, package);
  assert_failed (&no_spool, BANGER_ERROR_NO_SPACE, "modules", NULL);
  fixture_files_free (files);
}

static void
test_no_input (void)
{
  const char *const keys[] = { NULL };
  g_auto (Job) job = job_new ();

  run (&job, keys, NULL);
  assert_failed (&job, BANGER_ERROR_INVALID_ARGUMENT, "receiving", NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/worker/import-kernel/package", test_package);
  g_test_add_func ("/worker/import-kernel/parts", test_parts);
  g_test_add_func ("/worker/import-kernel/two-packages", test_two_packages);
  g_test_add_func ("/worker/import-kernel/modules-package", test_modules_package);
  g_test_add_func ("/worker/import-kernel/tree", test_tree);
  g_test_add_func ("/worker/import-kernel/tree-release", test_tree_release);
  g_test_add_func ("/worker/import-kernel/embedded-config", test_embedded_config);
  g_test_add_func ("/worker/import-kernel/without-modules", test_without_modules);
  g_test_add_func ("/worker/import-kernel/stale-dep", test_stale_dep);
  g_test_add_func ("/worker/import-kernel/wrong-release", test_wrong_release);
  g_test_add_func ("/worker/import-kernel/no-kernel", test_no_kernel);
  g_test_add_func ("/worker/import-kernel/no-modules", test_no_modules);
  g_test_add_func ("/worker/import-kernel/cannot-boot", test_cannot_boot);
  g_test_add_func ("/worker/import-kernel/truncated", test_truncated);
  g_test_add_func ("/worker/import-kernel/full-disk", test_full_disk);
  g_test_add_func ("/worker/import-kernel/no-input", test_no_input);
  return g_test_run ();
}
