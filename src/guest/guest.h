/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest boots from: kernels out of packages, module trees, the initramfs. Knows nothing of
 * D-Bus. */
#pragma once

#include <gio/gio.h>

/* What `uname -r` may say, safe as a file name: [A-Za-z0-9][A-Za-z0-9._+~-]{0,63}. */
gboolean banger_release_is_valid (const char *release);

/* One boot's configuration; docs/internals.md lists the keys. Strings may be NULL where optional.
 */
typedef struct {
  guint8 key[32];
  const char *hostname;
  const char *transport;    /* "vsock" or "virtio-serial" */
  guint32 doorbell;         /* host port, 0: none */
  gboolean overlay;         /* else the root disk is written */
  const char *const *binds; /* NULL-terminated */
  gboolean work;
  const char *modules_release; /* NULL: no module disk */
  const char *const *addresses;
  const char *gateway;
  const char *const *nameservers;
  const char *search;
} BangerBootConfig;

/* The text of boot.conf, for the caller to wipe: it ends with the key. InvalidArgument if a value
 * holds a newline or a hostname is not a label. */
char *banger_boot_config_format (const BangerBootConfig *config, GError **error);

/* A sealed memory file: boot modules, agent and boot.conf as concatenated newc archives. Reads the
 * descriptors from their start, keeps them open and their positions. -1 with InvalidArgument if one
 * is not an archive or a program. */
int banger_initramfs_new (int boot_modules_fd, int agent_fd, const BangerBootConfig *config,
                          GError **error);

/* ── Kernels ─────────────────────────────────────────────────────────────────────────────────── */

#define BANGER_KERNEL_MAX (512u * 1024 * 1024)

typedef struct {
  char *release;           /* what `uname -r` will say */
  char *digest;            /* "sha256:" and hexadecimal digits, of the vmlinux */
  guint64 size;            /* of the vmlinux, in bytes */
  const char *compression; /* of its payload: "gzip" and its like; "none" for a vmlinux */
} BangerKernelInfo;

void banger_kernel_info_clear (BangerKernelInfo *info);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerKernelInfo, banger_kernel_info_clear)

/* Writes the vmlinux out of @image (a bzImage or a vmlinux) to the empty file @vmlinux_fd.
 * BadImage, with stage "extracting", if it is damaged, larger than BANGER_KERNEL_MAX, or not one
 * that boots by PVH on x86-64. */
gboolean
banger_kernel_extract (GBytes *image, int vmlinux_fd, BangerKernelInfo *info, GError **error);
/* The release that a bzImage's header says, NULL if it says none. */
char *banger_kernel_header_release (GBytes *image);
/* The build configuration inside the vmlinux in @vmlinux_fd (CONFIG_IKCONFIG=y); NULL without one.
 */
GBytes *banger_kernel_embedded_config (int vmlinux_fd);

/* ── Packages ────────────────────────────────────────────────────────────────────────────────── */

typedef enum {
  BANGER_PACKAGE_END,
  BANGER_PACKAGE_KERNEL, /* /boot/vmlinuz-RELEASE; of a tree also /lib/modules/RELEASE/vmlinuz */
  BANGER_PACKAGE_CONFIG, /* /boot/config-RELEASE, /lib/modules/RELEASE/config */
  BANGER_PACKAGE_MODULE_FILE, /* below /lib/modules/RELEASE */
  BANGER_PACKAGE_UNNAMED,     /* these are never given to callers */
  BANGER_PACKAGE_OTHER,
} BangerPackageKind;

typedef struct {
  BangerPackageKind kind;
  char *path; /* of a module file: from the release's folder on, without ".." or a leading slash;
               * of the others: RELEASE as it stands in the name */
  GBytes *content;
  gint64 mtime;
} BangerPackageEntry;

void banger_package_entry_clear (BangerPackageEntry *entry);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerPackageEntry, banger_package_entry_clear)

typedef struct _BangerPackage BangerPackage;
void banger_package_free (BangerPackage *package);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerPackage, banger_package_free)

/* A Debian linux-image package; modules, which are a tar archive with paths below
 * lib/modules/RELEASE or RELEASE, or a Debian package; a tar archive of a tree with boot/ and
 * lib/modules/, of which @release is taken, or the only one there is where that is NULL. @fd is a
 * file or a pipe, read from where it stands, and stays the caller's. BadImage if it is something
 * else. */
BangerPackage *banger_package_open_deb (int fd, GError **error);
BangerPackage *banger_package_open_modules (int fd, GError **error);
BangerPackage *banger_package_open_tree (int fd, const char *release, GError **error);
/* The next file of interest, or the end; links and devices are passed over. BadImage if the archive
 * is damaged or ends early, names a file outside, or holds several releases and none was chosen. */
gboolean banger_package_next (BangerPackage *package, BangerPackageEntry *entry, GError **error);
/* The release by its folder of modules, NULL before the first of them. */
const char *banger_package_release (BangerPackage *package);
/* How much of the input has been read, 0 to 1; negative for a pipe. */
double banger_package_fraction (BangerPackage *package);

/* ── Modules ─────────────────────────────────────────────────────────────────────────────────── */

typedef struct _BangerModules BangerModules;

/* @spool is an empty file, which holds the uncompressed modules until the boot modules have been
 * chosen; it stays the caller's and must outlive the result. */
BangerModules *banger_modules_new (int spool);
void banger_modules_free (BangerModules *modules);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerModules, banger_modules_free)

/* Takes note of the file at @path, from the release's folder on. @keep: whether it belongs in the
 * tree; a package's indexes do not, as banger_modules_index makes them. BadImage if a module is not
 * one for x86-64 or is there twice. None may be added after the calls below. */
gboolean banger_modules_add (BangerModules *modules, const char *path, GBytes *content,
                             gboolean *keep, GError **error);
guint banger_modules_count (BangerModules *modules);

typedef struct {
  char *path;
  GBytes *content;
} BangerTreeFile;

/* The indexes that modprobe needs, as depmod makes them: BangerTreeFile, freed with the array. */
GPtrArray *banger_modules_index (BangerModules *modules, GError **error);
/* Compares a modules.dep that was added with what the modules say: @notes receives (char *) whether
 * they differ. */
void banger_modules_compare_dep (BangerModules *modules, GPtrArray *notes);
/* Chooses what a boot loads, before the two below. @notes receives (char *) what is missing that a
 * guest can do without. BadImage if the kernel lacks what it cannot do without. */
gboolean banger_modules_choose_boot (BangerModules *modules, GPtrArray *notes, GError **error);
/* What of that the tree must have beside what it has, because the agent uncompresses nothing:
 * BangerTreeFile, freed with the array. */
GPtrArray *banger_modules_copies (BangerModules *modules, GError **error);
/* Writes boot-modules.cpio (docs/internals.md) to @fd, at its position: what a guest needs before
 * its disks are mounted, and the list of what it loads then. */
gboolean banger_modules_write_boot (BangerModules *modules, int fd, GError **error);

/* Takes what a boot may need for built in where @config (a build configuration) says so: TRUE if it
 * does, FALSE if the kernel loads modules (CONFIG_MODULES), which then must be there. */
gboolean banger_modules_take_config (BangerModules *modules, GBytes *config);

/* ── What a kernel can do ────────────────────────────────────────────────────────────────────── */

typedef struct {
  const BangerKernelInfo *info;
  GBytes *config;            /* its build configuration (/boot/config-RELEASE), or NULL */
  const char *config_source; /* "file", "embedded" or "none" */
  BangerModules *modules;
} BangerKernelParts;

typedef struct {
  char **capabilities; /* sorted; docs of org.banger.Banger1.Kernel say what each means */
  GVariant *facts;     /* a{sv}, documented there too */
} BangerKernelFacts;

void banger_kernel_facts_clear (BangerKernelFacts *facts);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerKernelFacts, banger_kernel_facts_clear)

/* What is known of it. @notes receives (char *) what is not. BadImage, with what would mend it,
 * where a guest cannot boot. */
gboolean banger_kernel_facts (const BangerKernelParts *parts, GPtrArray *notes,
                              BangerKernelFacts *facts, GError **error);
