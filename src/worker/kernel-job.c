/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Job import-kernel: a package, a kernel and its modules, or a tree with both, into what a guest
 * boots from. */
#include "job.h"

#include "guest/guest.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECEIVING "receiving"
#define EXTRACTING "extracting"
#define MODULES "modules"
#define CHECKING "checking"

#define CONFIGS_MAX 64

typedef struct {
  BangerReport *report;
  const char *stage;
  int vmlinux;       /* outputs: empty files */
  int modules_image; /* */
  int boot_modules;  /* the modules' spool until the boot modules are chosen */
  BangerKernelInfo info;
  GHashTable *configs; /* build configurations (GBytes), by release */
  BangerKernelFacts facts;
  BangerModules *modules;
  BangerDiskWriter *writer;
  GPtrArray *notes;
} KernelJob;

static void
kernel_job_clear (KernelJob *job)
{
  g_clear_pointer (&job->writer, banger_disk_writer_free);
  g_clear_pointer (&job->modules, banger_modules_free);
  g_clear_pointer (&job->notes, g_ptr_array_unref);
  banger_kernel_info_clear (&job->info);
  banger_kernel_facts_clear (&job->facts);
  g_clear_pointer (&job->configs, g_hash_table_unref);
  banger_clear_fd (&job->vmlinux);
  banger_clear_fd (&job->modules_image);
  banger_clear_fd (&job->boot_modules);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (KernelJob, kernel_job_clear)

static void
report (KernelJob *job, const char *stage, double fraction)
{
  job->stage = stage;
  banger_report_progress (job->report, stage, fraction);
}

static gboolean
refuse (KernelJob *job, GError **error, const char *cause, const char *hint)
{
  banger_set_error (error, BANGER_ERROR_BAD_IMAGE, job->stage, cause, hint,
                    "kernel: cannot be imported");
  return FALSE;
}

static gboolean
take_kernel (KernelJob *job, GBytes *image, GError **error)
{
  if (job->info.release != NULL)
    return refuse (job, error, "it holds more than one kernel",
                   "give the package of one kernel, or take one from a tree");
  return banger_kernel_extract (image, job->vmlinux, &job->info, error);
}

static gboolean
add_to_tree (KernelJob *job, const char *path, GBytes *content, gint64 mtime, GError **error)
{
  BangerDiskMeta meta = { .mode = S_IFREG | 0644, .mtime = mtime };
  gsize length;
  const void *data = g_bytes_get_data (content, &length);

  return banger_disk_writer_add (job->writer, path, &meta, error)
         && banger_disk_writer_data (job->writer, data, length, error);
}

static gboolean
take_module_file (KernelJob *job, const BangerPackageEntry *entry, GError **error)
{
  gboolean keep;

  if (!banger_modules_add (job->modules, entry->path, entry->content, &keep, error))
    return FALSE;
  return !keep || add_to_tree (job, entry->path, entry->content, entry->mtime, error);
}

/* Which one belongs to the kernel shows when that is there. */
static gboolean
take_config (KernelJob *job, const BangerPackageEntry *entry, GError **error)
{
  if (g_hash_table_size (job->configs) >= CONFIGS_MAX)
    return refuse (job, error, "it holds more than 64 build configurations",
                   "leave out those of other kernels (boot/config-RELEASE)");
  g_hash_table_insert (job->configs, g_strdup (entry->path), g_bytes_ref (entry->content));
  return TRUE;
}

static gboolean
take_entry (KernelJob *job, const BangerPackageEntry *entry, double fraction, GError **error)
{
  switch (entry->kind) {
  case BANGER_PACKAGE_KERNEL:
    report (job, EXTRACTING, fraction);
    return take_kernel (job, entry->content, error);
  case BANGER_PACKAGE_CONFIG:
    return take_config (job, entry, error);
  case BANGER_PACKAGE_MODULE_FILE:
    report (job, MODULES, fraction);
    return take_module_file (job, entry, error);
  case BANGER_PACKAGE_END:
  case BANGER_PACKAGE_UNNAMED:
  case BANGER_PACKAGE_OTHER:
    break;
  }
  return TRUE;
}

/* The kernel's own, be it given or inside of it; NULL if there is none. *@source says which. */
static GBytes *
find_config (KernelJob *job, const char **source)
{
  GBytes *given = g_hash_table_lookup (job->configs, job->info.release);
  GBytes *embedded = given == NULL ? banger_kernel_embedded_config (job->vmlinux) : NULL;

  *source = given != NULL ? "file" : embedded != NULL ? "embedded" : "none";
  return given != NULL ? g_bytes_ref (given) : embedded;
}

/* Is it built without modules, all that it has being in it? */
static gboolean
is_whole (KernelJob *job)
{
  const char *source = NULL;
  g_autoptr (GBytes) config = find_config (job, &source);

  return config != NULL && banger_modules_take_config (job->modules, config);
}

static gboolean
check_release (KernelJob *job, const char *release, GError **error)
{
  g_autofree char *cause = NULL;

  if (job->info.release == NULL)
    return refuse (job, error, "it holds no kernel (boot/vmlinuz-RELEASE)",
                   "give the package of the kernel itself, not of its headers or a metapackage");
  if (release == NULL && is_whole (job))
    return TRUE;
  if (release == NULL)
    return refuse (job, error, "it holds no modules (lib/modules/RELEASE)",
                   "where they come in a package or directory of their own, give that with option "
                   "'modules', too");
  if (g_str_equal (release, job->info.release))
    return TRUE;
  /* One level too high was given: those of Linux begin with a number. */
  if (!g_ascii_isdigit (*release))
    return refuse (job, error, "the directory of its modules is not named as a release of Linux",
                   "give the directory lib/modules/RELEASE itself");
  cause = g_strdup_printf ("the kernel is %s, its modules are for %s", job->info.release, release);
  return refuse (job, error, cause, "give a kernel and modules of one build");
}

static gboolean
read_files (KernelJob *job, BangerPackage *package, GError **error)
{
  BangerPackageKind kind;

  do {
    g_auto (BangerPackageEntry) entry = { 0 };

    if (!banger_package_next (package, &entry, error)
        || !take_entry (job, &entry, banger_package_fraction (package), error))
      return FALSE;
    kind = entry.kind;
  } while (kind != BANGER_PACKAGE_END);
  return TRUE;
}

static GBytes *
read_all (KernelJob *job, int fd, GError **error)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  g_autofree guint8 *chunk = g_malloc (65536);
  ssize_t n;

  while ((n = TEMP_FAILURE_RETRY (read (fd, chunk, 65536))) > 0) {
    report (job, job->stage, -1);
    g_byte_array_append (bytes, chunk, n);
    if (bytes->len > BANGER_KERNEL_MAX) {
      refuse (job, error, "it is larger than 512 MiB",
              "strip it of its debug information: strip --strip-debug vmlinux");
      return NULL;
    }
  }
  if (n < 0) {
    banger_set_error_errno (error, errno, job->stage, "kernel: cannot read it");
    return NULL;
  }
  return g_byte_array_free_to_bytes (g_steal_pointer (&bytes));
}

static gboolean
import_vmlinuz (KernelJob *job, BangerMessage *message, GError **error)
{
  banger_autofd int fd = banger_message_get_fd (message, "vmlinuz", error);
  g_autoptr (GBytes) image = fd >= 0 ? read_all (job, fd, error) : NULL;

  if (image == NULL)
    return FALSE;
  report (job, EXTRACTING, -1);
  return take_kernel (job, image, error);
}

static gboolean
import_package (KernelJob *job, BangerMessage *message, GError **error)
{
  banger_autofd int fd = banger_message_get_fd (message, "package", error);
  g_autoptr (BangerPackage) package = fd >= 0 ? banger_package_open_deb (fd, error) : NULL;

  return package != NULL && read_files (job, package, error)
         && (banger_package_release (package) == NULL
             || check_release (job, banger_package_release (package), error));
}

static gboolean
import_modules (KernelJob *job, BangerMessage *message, GError **error)
{
  banger_autofd int fd = banger_message_get_fd (message, "modules", error);
  g_autoptr (BangerPackage) package = fd >= 0 ? banger_package_open_modules (fd, error) : NULL;

  return package != NULL && read_files (job, package, error)
         && check_release (job, banger_package_release (package), error);
}

static gboolean
import_tree (KernelJob *job, BangerMessage *message, GError **error)
{
  const char *release = NULL;
  banger_autofd int fd = banger_message_get_fd (message, "tree", error);
  g_autoptr (BangerPackage) package = NULL;

  g_variant_lookup (message->args, "release", "&s", &release);
  package = fd >= 0 ? banger_package_open_tree (fd, release, error) : NULL;
  return package != NULL && read_files (job, package, error)
         && check_release (job, banger_package_release (package), error);
}

static gboolean
has_input (BangerMessage *message, const char *key)
{
  g_autoptr (GVariant) value = g_variant_lookup_value (message->args, key, NULL);

  return value != NULL;
}

/* A tree; or a package or a vmlinuz, with modules where they come apart. */
static gboolean
import_inputs (KernelJob *job, BangerMessage *message, GError **error)
{
  gboolean is_package = has_input (message, "package");

  if (has_input (message, "tree"))
    return import_tree (job, message, error);
  if (!(is_package ? import_package : import_vmlinuz) (job, message, error))
    return FALSE;
  if (has_input (message, "modules"))
    return import_modules (job, message, error);
  return banger_modules_count (job->modules) > 0 || check_release (job, NULL, error);
}

/* BangerTreeFile. */
static gboolean
add_files (KernelJob *job, GPtrArray *files, GError **error)
{
  for (guint i = 0; i < files->len; i++) {
    BangerTreeFile *file = files->pdata[i];

    if (!add_to_tree (job, file->path, file->content, 0, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
finish_tree (KernelJob *job, GError **error)
{
  BangerDiskLayout layout = { .label = "banger-modules" };
  g_autoptr (GPtrArray) index = banger_modules_index (job->modules, error);
  g_autoptr (GPtrArray) copies = NULL;

  if (index == NULL)
    return FALSE;
  banger_modules_compare_dep (job->modules, job->notes);
  if (!banger_modules_choose_boot (job->modules, job->notes, error)
      || !add_files (job, index, error))
    return FALSE;
  copies = banger_modules_copies (job->modules, error);
  return copies != NULL && add_files (job, copies, error)
         && banger_disk_writer_finish (job->writer, &layout, NULL, error);
}

/* Puts @source in place of what @target holds. */
static gboolean
replace_content (int target, int source, GError **error)
{
  struct stat st;
  void *map;
  gboolean written;

  if (ftruncate (target, 0) < 0 || lseek (target, 0, SEEK_SET) < 0 || fstat (source, &st) < 0) {
    banger_set_error_state (error, errno, NULL, "boot modules: cannot write");
    return FALSE;
  }
  map = mmap (NULL, st.st_size, PROT_READ, MAP_PRIVATE, source, 0);
  if (map == MAP_FAILED) {
    banger_set_error_errno (error, errno, NULL, "boot modules: cannot read back");
    return FALSE;
  }
  written = banger_write_all (target, map, st.st_size, error);
  munmap (map, st.st_size);
  return written;
}

static gboolean
write_boot_modules (KernelJob *job, GError **error)
{
  banger_autofd int archive = banger_memfd_new ("boot-modules", "", 0, error);

  return archive >= 0 && banger_modules_write_boot (job->modules, archive, error)
         && replace_content (job->boot_modules, archive, error);
}

static gboolean
find_facts (KernelJob *job, GError **error)
{
  const char *source = NULL;
  g_autoptr (GBytes) config = find_config (job, &source);
  const BangerKernelParts parts = {
    .info = &job->info,
    .config = config,
    .config_source = source,
    .modules = job->modules,
  };

  return banger_kernel_facts (&parts, job->notes, &job->facts, error);
}

static gboolean
sync_file (int fd, GError **error)
{
  if (fsync (fd) == 0)
    return TRUE;
  banger_set_error_state (error, errno, NULL, "kernel: cannot write to the disk");
  return FALSE;
}

static gboolean
import (KernelJob *job, BangerMessage *message, GError **error)
{
  report (job, RECEIVING, -1);
  if (!import_inputs (job, message, error))
    return FALSE;
  report (job, MODULES, -1);
  if (!finish_tree (job, error))
    return FALSE;
  report (job, CHECKING, -1);
  return write_boot_modules (job, error) && find_facts (job, error)
         && banger_disk_check (job->modules_image, error) && sync_file (job->vmlinux, error)
         && sync_file (job->boot_modules, error);
}

static gboolean
set_up (KernelJob *job, BangerMessage *message, GError **error)
{
  const BangerDiskLimits limits = banger_job_take_limits (message);

  job->vmlinux = banger_message_get_fd (message, "vmlinux", error);
  if (job->vmlinux < 0)
    return FALSE;
  job->modules_image = banger_message_get_fd (message, "modules-image", error);
  if (job->modules_image < 0)
    return FALSE;
  job->boot_modules = banger_message_get_fd (message, "boot-modules", error);
  if (job->boot_modules < 0)
    return FALSE;
  job->modules = banger_modules_new (job->boot_modules);
  job->writer = banger_disk_writer_new (job->modules_image);
  banger_disk_writer_set_limits (job->writer, &limits);
  job->notes = g_ptr_array_new_with_free_func (g_free);
  job->configs
      = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);
  return TRUE;
}

static GVariant *
result (KernelJob *job)
{
  g_auto (GVariantDict) dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "release", "s", job->info.release);
  g_variant_dict_insert (&dict, "digest", "s", job->info.digest);
  g_variant_dict_insert (&dict, "size-bytes", "t", job->info.size);
  g_variant_dict_insert_value (
      &dict, "capabilities", g_variant_new_strv ((const char *const *)job->facts.capabilities, -1));
  g_variant_dict_insert_value (&dict, "facts", job->facts.facts);
  g_variant_dict_insert_value (
      &dict, "notes", g_variant_new_strv ((const char *const *)job->notes->pdata, job->notes->len));
  return g_variant_dict_end (&dict);
}

GVariant *
banger_job_import_kernel (BangerMessage *message, BangerReport *report_to, GError **error)
{
  g_auto (KernelJob) job = {
    .report = report_to, .stage = RECEIVING, .vmlinux = -1, .modules_image = -1, .boot_modules = -1
  };

  if (set_up (&job, message, error) && import (&job, message, error))
    return result (&job);
  banger_error_set_stage (error, job.stage);
  return NULL;
}
