/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program banger-worker as bangerd uses it: one job over a channel, in its sandbox. */
#include "common/common.h"
#include "disk-tools.h"
#include "tar-maker.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (1024ULL * 1024)

typedef struct {
  GString *stages; /* in order, a space behind each */
  GVariant *done;  /* the arguments of "done", or NULL */
  GError *failed;
  int status;
} Outcome;

/* What a test does to the worker before it starts. */
typedef void (*PrepareFunc) (void);

static void
outcome_clear (Outcome *outcome)
{
  g_string_free (outcome->stages, TRUE);
  g_clear_pointer (&outcome->done, g_variant_unref);
  g_clear_error (&outcome->failed);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Outcome, outcome_clear)

static off_t
size_of (int fd)
{
  struct stat st;

  g_assert_cmpint (fstat (fd, &st), ==, 0);
  return st.st_size;
}

static pid_t
start_worker (int channel, PrepareFunc prepare)
{
  g_autofree char *program = banger_program_path ("banger-worker");
  char path[] = "PATH=/usr/bin:/bin";
  char *const env[] = { path, NULL };
  /* Another user may not get through the folders that the tree lies in. */
  banger_autofd int executable = open (program, O_PATH | O_CLOEXEC);
  pid_t pid = fork ();

  if (pid == 0) {
    dup2 (channel, STDIN_FILENO);
    if (prepare != NULL)
      prepare ();
    fexecve (executable, (char *const[]){ program, NULL }, env);
    _exit (126);
  }
  return pid;
}

static void
collect (BangerChannel *channel, Outcome *outcome)
{
  for (;;) {
    g_autoptr (GError) error = NULL;
    g_autoptr (BangerMessage) message = banger_channel_receive (channel, &error);
    const char *stage = NULL;

    g_assert_no_error (error);
    if (message == NULL)
      return;
    g_assert_null (outcome->done);
    g_assert_no_error (outcome->failed);
    if (g_str_equal (message->verb, "done")) {
      outcome->done = g_variant_ref (message->args);
    } else if (g_str_equal (message->verb, "failed")) {
      outcome->failed = banger_error_from_variant (message->args);
    } else {
      g_assert_cmpstr (message->verb, ==, "progress");
      g_assert_true (g_variant_lookup (message->args, "stage", "&s", &stage));
      if (!g_str_has_suffix (outcome->stages->str, stage))
        g_string_append_printf (outcome->stages, " %s", stage);
    }
  }
}

static void
run_job (const char *verb, GVariant *args, GUnixFDList *fds, PrepareFunc prepare, Outcome *outcome)
{
  g_autoptr (GError) error = NULL;
  banger_autofd int child_fd = -1;
  g_autoptr (BangerChannel) channel = banger_channel_pair (&child_fd, &error);
  pid_t pid = 0;

  g_assert_no_error (error);
  *outcome = (Outcome){ .stages = g_string_new (NULL) };
  pid = start_worker (child_fd, prepare);
  banger_clear_fd (&child_fd);
  banger_channel_send (channel, 0, verb, args, fds, &error);
  g_assert_no_error (error);
  collect (channel, outcome);
  g_assert_cmpint (waitpid (pid, &outcome->status, 0), ==, pid);
}

static GVariant *
handle (GUnixFDList *fds, int fd)
{
  return g_variant_new_handle (g_unix_fd_list_append (fds, fd, NULL));
}

static void
import (int tar, int rootfs, int seed, PrepareFunc prepare, Outcome *outcome)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GVariantDict args;

  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert_value (&args, "tar", handle (fds, tar));
  g_variant_dict_insert_value (&args, "rootfs", handle (fds, rootfs));
  g_variant_dict_insert_value (&args, "seed", handle (fds, seed));
  g_variant_dict_insert (&args, "label", "s", "test");
  run_job ("import-image", g_variant_dict_end (&args), fds, prepare, outcome);
}

static int
small_tar (void)
{
  TarMaker *maker = tar_maker_new (ARCHIVE_FILTER_GZIP);

  tar_maker_dir (maker, "./");
  tar_maker_dir (maker, "./root");
  tar_maker_file (maker, "./root/.profile", "umask 022\n");
  tar_maker_file (maker, "./etc/hostname", "guest\n");
  return tar_maker_finish (maker);
}

/* @owner: of the images, as programs open them anew. */
static void
check_import (PrepareFunc prepare, uid_t owner)
{
  banger_autofd int tar = small_tar (), rootfs = unnamed_file (), seed = unnamed_file ();
  g_autofree char *digest = digest_of (tar);
  g_autofree char *hostname = NULL, *profile = NULL;
  const char *said = NULL;
  guint64 entries = 0, size = 0;
  g_auto (Outcome) outcome;

  g_assert_cmpint (fchown (rootfs, owner, -1), ==, 0);
  g_assert_cmpint (fchown (seed, owner, -1), ==, 0);
  import (tar, rootfs, seed, prepare, &outcome);
  g_assert_no_error (outcome.failed);
  g_assert_nonnull (outcome.done);
  g_assert_cmpint (outcome.status, ==, 0);
  g_assert_cmpstr (outcome.stages->str, ==, " receiving mkfs writing seed checking");
  g_assert_true (g_variant_lookup (outcome.done, "digest", "&s", &said));
  g_assert_true (g_str_has_prefix (said, "sha256:"));
  g_assert_cmpstr (said + strlen ("sha256:"), ==, digest);
  g_assert_true (g_variant_lookup (outcome.done, "entries", "t", &entries));
  g_assert_cmpuint (entries, ==, 4); /* root .profile etc hostname */
  g_assert_true (g_variant_lookup (outcome.done, "size-bytes", "t", &size));
  g_assert_cmpuint (size, ==, size_of (rootfs));
  assert_clean (rootfs);
  assert_clean (seed);
  hostname = debugfs (rootfs, FALSE, "cat /etc/hostname");
  g_assert_nonnull (strstr (hostname, "guest\n"));
  profile = debugfs (seed, FALSE, "cat /.profile");
  g_assert_nonnull (strstr (profile, "umask 022\n"));
}

static void
test_import (void)
{
  check_import (NULL, getuid ());
}

static void
become_nobody (void)
{
  if (setgid (65534) < 0 || setuid (65534) < 0)
    _exit (125);
}

static void
test_unprivileged (void)
{
  if (getuid () != 0) {
    g_test_skip ("needs root, to become another user");
    return;
  }
  check_import (become_nobody, 65534);
}

static void
give_up_privileges (void)
{
  prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void
test_no_new_privs (void)
{
  check_import (give_up_privileges, getuid ());
}

static void
test_bad_archive (void)
{
  banger_autofd int tar = banger_memfd_new ("text", "not an archive at all\n", 22, NULL);
  banger_autofd int rootfs = unnamed_file (), seed = unnamed_file ();
  g_auto (Outcome) outcome;

  import (tar, rootfs, seed, NULL, &outcome);
  g_assert_error (outcome.failed, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_cmpstr (banger_error_stage (outcome.failed), ==, "receiving");
  g_assert_nonnull (banger_error_hint (outcome.failed));
  g_assert_null (outcome.done);
}

static void
test_unknown_job (void)
{
  g_auto (Outcome) outcome;

  run_job ("format-disk", NULL, NULL, NULL, &outcome);
  g_assert_error (outcome.failed, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
}

static void
test_no_descriptors (void)
{
  g_auto (Outcome) outcome;

  run_job ("import-image", NULL, NULL, NULL, &outcome);
  g_assert_error (outcome.failed, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
}

static void
test_make_disks (void)
{
  banger_autofd int tar = small_tar (), rootfs = unnamed_file (), seed = unnamed_file ();
  banger_autofd int upper = unnamed_file (), work = unnamed_file ();
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autofree char *profile = NULL, *features = NULL;
  g_auto (Outcome) imported, outcome;
  GVariantDict args;
  struct stat st;

  import (tar, rootfs, seed, NULL, &imported);
  g_assert_no_error (imported.failed);
  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert_value (&args, "upper", handle (fds, upper));
  g_variant_dict_insert (&args, "upper-bytes", "t", (guint64)(4096 * MIB));
  g_variant_dict_insert_value (&args, "seed", handle (fds, seed));
  g_variant_dict_insert_value (&args, "work", handle (fds, work));
  g_variant_dict_insert (&args, "work-bytes", "t", (guint64)(2048 * MIB));
  run_job ("make-disks", g_variant_dict_end (&args), fds, NULL, &outcome);
  g_assert_no_error (outcome.failed);
  g_assert_nonnull (outcome.done);
  g_assert_cmpint (size_of (upper), ==, 4096 * MIB);
  g_assert_cmpint (size_of (work), ==, 2048 * MIB);
  assert_clean (upper);
  assert_clean (work);
  profile = debugfs (work, FALSE, "cat /.profile");
  g_assert_nonnull (strstr (profile, "umask 022\n"));
  features = debugfs (work, FALSE, "features");
  g_assert_nonnull (strstr (features, "has_journal"));
  g_assert_cmpint (fstat (upper, &st), ==, 0);
  g_assert_cmpint (st.st_blocks * 512, <, 4 * MIB);
  g_assert_cmpint (fstat (work, &st), ==, 0);
  g_assert_cmpint (st.st_blocks * 512, <, 8 * MIB);
}

/* A kernel in which system call @number does not exist. */
static void
forget_system_call (guint32 number)
{
  struct sock_filter code[] = {
    BPF_STMT (BPF_LD | BPF_W | BPF_ABS, offsetof (struct seccomp_data, nr)),
    BPF_JUMP (BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    BPF_STMT (BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { .len = G_N_ELEMENTS (code), .filter = code };

  prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
    _exit (125);
}

static void
forget_landlock (void)
{
  forget_system_call (SYS_landlock_create_ruleset);
}

static void
forget_landlock_restrict (void)
{
  forget_system_call (SYS_landlock_restrict_self);
}

static void
forget_seccomp (void)
{
  forget_system_call (SYS_seccomp);
}

/* @data: what takes away a part of the sandbox. Nothing may have been read or written then. */
static void
test_fails_closed (gconstpointer data)
{
  banger_autofd int tar = small_tar (), rootfs = unnamed_file (), seed = unnamed_file ();
  g_auto (Outcome) outcome;

  import (tar, rootfs, seed, (PrepareFunc)data, &outcome);
  g_assert_error (outcome.failed, BANGER_ERROR, BANGER_ERROR_HOST_NOT_READY);
  g_assert_nonnull (banger_error_hint (outcome.failed));
  g_assert_cmpstr (outcome.stages->str, ==, "");
  g_assert_cmpint (lseek (tar, 0, SEEK_CUR), ==, 0);
  g_assert_cmpint (size_of (rootfs), ==, 0);
  g_assert_cmpint (size_of (seed), ==, 0);
}

static void
make_clone (int rootfs, int seed, int root, int work, Outcome *outcome)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GVariantDict args;

  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert_value (&args, "rootfs", handle (fds, rootfs));
  g_variant_dict_insert_value (&args, "root", handle (fds, root));
  g_variant_dict_insert (&args, "root-bytes", "t", (guint64)(1024 * MIB));
  g_variant_dict_insert_value (&args, "seed", handle (fds, seed));
  g_variant_dict_insert_value (&args, "work", handle (fds, work));
  g_variant_dict_insert (&args, "work-bytes", "t", (guint64)(64 * MIB));
  g_variant_dict_insert (&args, "authorized-keys", "s", "ssh-ed25519 AAAA one\n");
  run_job ("make-disks", g_variant_dict_end (&args), fds, NULL, outcome);
}

static void
test_make_clone (void)
{
  banger_autofd int tar = small_tar (), rootfs = unnamed_file (), seed = unnamed_file ();
  banger_autofd int root = unnamed_file (), work = unnamed_file ();
  g_autofree char *features = NULL, *keys = NULL, *folder = NULL, *file = NULL;
  g_auto (Outcome) imported, outcome;
  gboolean shared = FALSE;
  struct stat st;

  import (tar, rootfs, seed, NULL, &imported);
  g_assert_no_error (imported.failed);
  make_clone (rootfs, seed, root, work, &outcome);
  g_assert_no_error (outcome.failed);
  g_assert_true (g_variant_lookup (outcome.done, "shared", "b", &shared));
  g_assert_cmpint (size_of (root), ==, 1024 * MIB);
  assert_clean (root);
  assert_clean (work);
  features = debugfs (root, FALSE, "features");
  g_assert_nonnull (strstr (features, "has_journal"));
  g_assert_cmpint (fstat (root, &st), ==, 0);
  g_assert_cmpint (st.st_blocks * 512, <, 8 * MIB);
  keys = debugfs (work, FALSE, "cat /.ssh/authorized_keys");
  g_assert_nonnull (strstr (keys, "ssh-ed25519 AAAA one\n"));
  folder = debugfs (work, FALSE, "stat /.ssh");
  g_assert_nonnull (strstr (folder, "Mode:  0700"));
  file = debugfs (work, FALSE, "stat /.ssh/authorized_keys");
  g_assert_nonnull (strstr (file, "Mode:  0600"));
  g_assert_nonnull (strstr (file, "User:     0"));
}

static void
work_on (const char *verb, int disk, int work, const char *keys, Outcome *outcome)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  GVariantDict args;

  g_variant_dict_init (&args, NULL);
  g_variant_dict_insert_value (&args, "disk", handle (fds, disk));
  g_variant_dict_insert_value (&args, "work", handle (fds, work));
  g_variant_dict_insert (&args, "bytes", "t", (guint64)(2048 * MIB));
  g_variant_dict_insert (&args, "work-bytes", "t", (guint64)0);
  if (keys != NULL)
    g_variant_dict_insert (&args, "authorized-keys", "s", keys);
  run_job (verb, g_variant_dict_end (&args), fds, NULL, outcome);
}

static void
test_change_and_trim_disks (void)
{
  banger_autofd int tar = small_tar (), rootfs = unnamed_file (), seed = unnamed_file ();
  banger_autofd int root = unnamed_file (), work = unnamed_file ();
  g_autofree char *keys = NULL;
  g_auto (Outcome) imported, made, changed, trimmed;
  guint64 freed = G_MAXUINT64;

  import (tar, rootfs, seed, NULL, &imported);
  make_clone (rootfs, seed, root, work, &made);
  g_assert_no_error (made.failed);
  work_on ("change-disks", root, work, "ssh-rsa BBBB two\n", &changed);
  g_assert_no_error (changed.failed);
  g_assert_nonnull (changed.done);
  g_assert_cmpint (size_of (root), ==, 2048 * MIB);
  g_assert_cmpint (size_of (work), ==, 64 * MIB);
  assert_clean (root);
  assert_clean (work);
  keys = debugfs (work, FALSE, "cat /.ssh/authorized_keys");
  g_assert_nonnull (strstr (keys, "ssh-rsa BBBB two\n"));
  g_assert_null (strstr (keys, "AAAA"));
  work_on ("trim-disks", root, work, NULL, &trimmed);
  g_assert_no_error (trimmed.failed);
  g_assert_true (g_variant_lookup (trimmed.done, "freed-bytes", "t", &freed));
  g_assert_cmpuint (freed, <, 64 * MIB);
  assert_clean (root);
  assert_clean (work);
}

/* Somebody has the disk open, or it holds no file system: said so, and nothing is changed. */
static void
test_change_refused (void)
{
  banger_autofd int tar = small_tar (), rootfs = unnamed_file (), seed = unnamed_file ();
  banger_autofd int root = unnamed_file (), work = unnamed_file (), garbage = unnamed_file ();
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", root);
  g_auto (Outcome) imported, made, busy, bad;
  banger_autofd int other = -1;

  import (tar, rootfs, seed, NULL, &imported);
  make_clone (rootfs, seed, root, work, &made);
  g_assert_no_error (made.failed);
  other = open (path, O_RDWR | O_CLOEXEC);
  g_assert_cmpint (other, >=, 0);
  work_on ("change-disks", root, work, NULL, &busy);
  g_assert_error (busy.failed, BANGER_ERROR, BANGER_ERROR_BUSY);
  g_assert_cmpstr (banger_error_stage (busy.failed), ==, "growing");
  g_assert_cmpint (size_of (root), ==, 1024 * MIB);
  banger_clear_fd (&other);
  g_assert_cmpint (ftruncate (garbage, 64 * MIB), ==, 0);
  work_on ("change-disks", garbage, work, NULL, &bad);
  g_assert_error (bad.failed, BANGER_ERROR, BANGER_ERROR_BAD_IMAGE);
  g_assert_cmpint (size_of (garbage), ==, 64 * MIB);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/worker/import", test_import);
  g_test_add_func ("/worker/unprivileged", test_unprivileged);
  g_test_add_func ("/worker/no-new-privs", test_no_new_privs);
  g_test_add_func ("/worker/bad-archive", test_bad_archive);
  g_test_add_func ("/worker/unknown-job", test_unknown_job);
  g_test_add_func ("/worker/no-descriptors", test_no_descriptors);
  g_test_add_func ("/worker/make-disks", test_make_disks);
  g_test_add_func ("/worker/make-clone", test_make_clone);
  g_test_add_func ("/worker/change-and-trim-disks", test_change_and_trim_disks);
  g_test_add_func ("/worker/change-refused", test_change_refused);
  g_test_add_data_func ("/worker/fails-closed/landlock", forget_landlock, test_fails_closed);
  g_test_add_data_func ("/worker/fails-closed/restrict", forget_landlock_restrict,
                        test_fails_closed);
  g_test_add_data_func ("/worker/fails-closed/seccomp", forget_seccomp, test_fails_closed);
  return g_test_run ();
}
