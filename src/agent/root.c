/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "root.h"

#include "inits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define LOWER "/banger/lower"
#define UPPER "/banger/upper"
#define MODULES "/banger/modules"
#define UPPER_DIR UPPER "/upper"
#define WORK_DIR UPPER "/work"
#define OWNER_XATTR "trusted.banger.hostname"
/* Of UPPER_DIR, where files were put into it before any guest began: disk/layers.h. */
#define FRESH_XATTR "trusted.banger.fresh"
#define MOUNTS_MAX 128
#define FOLDERS_DEPTH_MAX 8

bool
agent_mount_kernel (void)
{
  static const char *const dirs[]
      = { "/proc", "/sys", "/dev", "/run", "/banger", LOWER, UPPER, MODULES, AGENT_NEW_ROOT };
  bool good;

  for (unsigned i = 0; i < sizeof dirs / sizeof dirs[0]; i++)
    mkdir (dirs[i], 0755);
  good = mount ("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") == 0 || errno == EBUSY;
  good = mount ("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 && good;
  good = mount ("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0 && good;
  return mount ("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=20%") == 0 && good;
}

static bool
mount_disk (const char *disk, const char *target, bool read_only)
{
  char device[64];

  snprintf (device, sizeof device, "/dev/%s", disk);
  /* What is deleted is given back to the host at once: the programs that would see to it now and
   * then cannot reach a disk below an overlay, and an image need not have any. */
  if (!read_only)
    return mount (device, target, "ext4", 0, "discard") == 0;
  /* A disk that cannot be written cannot have its journal replayed. */
  return mount (device, target, "ext4", MS_RDONLY, "noload") == 0
         || mount (device, target, "ext4", MS_RDONLY, NULL) == 0;
}

static const char *
mount_overlay (bool *fresh)
{
  struct stat info;

  if (stat (LOWER, &info) != 0)
    return "the root disk";
  *fresh = mkdir (UPPER_DIR, 0755) == 0;
  if ((!*fresh && errno != EEXIST) || (mkdir (WORK_DIR, 0755) != 0 && errno != EEXIST))
    return "the upper disk";
  /* The folder is the new root's own: it looks as the image's does. */
  if (*fresh
      && (chown (UPPER_DIR, info.st_uid, info.st_gid) != 0
          || chmod (UPPER_DIR, info.st_mode & 07777) != 0))
    return "the upper disk";
  *fresh = *fresh || removexattr (UPPER_DIR, FRESH_XATTR) == 0;
  if (mount ("overlay", AGENT_NEW_ROOT, "overlay", 0,
             "lowerdir=" LOWER ",upperdir=" UPPER_DIR ",workdir=" WORK_DIR)
      != 0)
    return "the overlay";
  return NULL;
}

/* Whether a root that was copied from an image is this VM's for the first time: its own name is
 * then written where only the kernel and root look. */
static bool
take_root (const char *hostname)
{
  size_t length = strlen (hostname);
  char name[64];
  ssize_t n = getxattr (AGENT_NEW_ROOT, OWNER_XATTR, name, sizeof name);

  if (n == (ssize_t)length && memcmp (name, hostname, length) == 0)
    return false;
  return setxattr (AGENT_NEW_ROOT, OWNER_XATTR, hostname, length, 0) == 0;
}

const char *
agent_mount_root (const AgentBootConf *conf, const char *root, const char *upper, bool *fresh)
{
  *fresh = false;
  if (!conf->overlay) {
    if (!mount_disk (root, AGENT_NEW_ROOT, false))
      return "the root disk";
    *fresh = take_root (conf->hostname);
    return NULL;
  }
  if (!mount_disk (root, LOWER, true))
    return "the root disk";
  if (!mount_disk (upper, UPPER, false))
    return "the upper disk";
  return mount_overlay (fresh);
}

int
agent_open_upper (void)
{
  return open (UPPER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int
agent_make_dir_in (int root, const char *path, mode_t mode)
{
  char part[512];
  int dir = agent_open_in (root, "/", O_PATH | O_DIRECTORY);

  for (size_t at = 1; dir >= 0 && path[at] != '\0';) {
    size_t length = at + strcspn (path + at, "/");
    int next;

    if (length >= sizeof part) {
      close (dir);
      errno = ENAMETOOLONG;
      return -1;
    }
    memcpy (part, path, length);
    part[length] = '\0';
    next = agent_open_in (root, part, O_PATH | O_DIRECTORY);
    if (next < 0 && errno == ENOENT
        && mkdirat (dir, part + at, path[length] == '\0' ? mode : 0755) == 0)
      next = agent_open_in (root, part, O_PATH | O_DIRECTORY);
    close (dir);
    dir = next;
    at = length + strspn (path + length, "/");
  }
  return dir;
}

/* Mounts @source over the folder that @dir is open on. */
static bool
mount_at (const char *source, int dir, unsigned long flags)
{
  char target[64];

  snprintf (target, sizeof target, "/proc/self/fd/%d", dir);
  return mount (source, target, NULL, flags, NULL) == 0;
}

static bool
is_dots (const char *name)
{
  return strcmp (name, ".") == 0 || strcmp (name, "..") == 0;
}

static bool
copy_folder (int from, int to, const char *name, unsigned depth)
{
  int inner = openat (from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  int copy = -1;
  struct stat info;
  bool good = inner >= 0 && fstat (inner, &info) == 0;

  if (good && to >= 0) {
    good = (mkdirat (to, name, 0700) == 0 || errno == EEXIST)
           && fchownat (to, name, info.st_uid, info.st_gid, AT_SYMLINK_NOFOLLOW) == 0
           && fchmodat (to, name, info.st_mode & 07777, 0) == 0
           && (copy = openat (to, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0;
  }
  good = good && agent_copy_folders (inner, copy, depth + 1);
  if (inner >= 0)
    close (inner);
  if (copy >= 0)
    close (copy);
  return good;
}

bool
agent_copy_folders (int from, int to, unsigned depth)
{
  int fd = openat (from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  struct dirent *entry;
  bool good = dir != NULL && depth < FOLDERS_DEPTH_MAX;

  while (good && (entry = readdir (dir)) != NULL)
    good = is_dots (entry->d_name) || copy_folder (fd, to, entry->d_name, depth);
  if (dir != NULL)
    closedir (dir);
  else if (fd >= 0)
    close (fd);
  return good;
}

/* The upper disk's own folder for @path, made as the image has it. */
static int
make_source (int target, int binds, const char *path, const struct stat *info)
{
  int source = agent_make_dir_in (binds, path, 0755);
  char from[64];

  snprintf (from, sizeof from, "/proc/self/fd/%d", source);
  if (source >= 0
      && (chown (from, info->st_uid, info->st_gid) != 0 || chmod (from, info->st_mode & 07777) != 0
          || !agent_copy_folders (target, source, 0)))
    errno = 0; /* the folder serves all the same */
  return source;
}

static bool
bind_from_upper (int root, int binds, const char *path)
{
  int target = agent_make_dir_in (root, path, 0755);
  int source = -1;
  struct stat info;
  char from[64];
  bool good = false;

  if (target >= 0 && fstat (target, &info) == 0) {
    source = agent_open_in (binds, path, O_PATH | O_DIRECTORY);
    if (source < 0 && !agent_copy_folders (target, -1, 0)) {
      dprintf (STDERR_FILENO, "banger-agent: %s stays on the overlay: the image has files there\n",
               path);
      good = true;
    } else {
      if (source < 0)
        source = make_source (target, binds, path, &info);
      snprintf (from, sizeof from, "/proc/self/fd/%d", source);
      good = source >= 0 && mount_at (from, target, MS_BIND);
    }
  }
  if (source >= 0)
    close (source);
  if (target >= 0)
    close (target);
  return good;
}

static bool
mount_binds (const AgentBootConf *conf, int root)
{
  bool good = true;
  int binds;

  mkdir (UPPER "/bind", 0755);
  binds = open (UPPER "/bind", O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (unsigned i = 0; i < conf->binds.n; i++)
    good = binds >= 0 && bind_from_upper (root, binds, conf->binds.items[i]) && good;
  if (binds >= 0)
    close (binds);
  return good;
}

static bool
mount_disk_in (int root, const char *disk, const char *path, mode_t mode, bool read_only)
{
  int dir = agent_make_dir_in (root, path, mode);
  char target[64];
  bool good;

  if (dir < 0)
    return false;
  snprintf (target, sizeof target, "/proc/self/fd/%d", dir);
  good = mount_disk (disk, target, read_only);
  close (dir);
  return good;
}

int
agent_mount_modules (const char *disk)
{
  if (!mount_disk (disk, MODULES, true))
    return -1;
  return open (MODULES, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* Some images have a /lib of their own, others a link to /usr/lib: programs look in either. */
static bool
move_modules (int root, const char *release)
{
  char usr[256], lib[256];
  int in_usr, in_lib;
  struct stat a, b;
  bool good;

  snprintf (usr, sizeof usr, "/usr/lib/modules/%s", release);
  snprintf (lib, sizeof lib, "/lib/modules/%s", release);
  in_usr = agent_make_dir_in (root, usr, 0755);
  good = in_usr >= 0 && mount_at (MODULES, in_usr, MS_MOVE);
  if (in_usr >= 0)
    close (in_usr);
  if (!good)
    return false;
  in_usr = agent_open_in (root, usr, O_PATH | O_DIRECTORY);
  in_lib = agent_make_dir_in (root, lib, 0755);
  good = in_usr >= 0 && in_lib >= 0 && fstat (in_usr, &a) == 0 && fstat (in_lib, &b) == 0;
  if (good && (a.st_dev != b.st_dev || a.st_ino != b.st_ino)) {
    char from[64];

    snprintf (from, sizeof from, "/proc/self/fd/%d", in_usr);
    good = mount_at (from, in_lib, MS_BIND);
  }
  if (in_usr >= 0)
    close (in_usr);
  if (in_lib >= 0)
    close (in_lib);
  return good;
}

void
agent_mount_over (const AgentBootConf *conf, AgentState *state, int root, const char *work,
                  bool modules)
{
  if (conf->overlay && conf->binds.n > 0 && !mount_binds (conf, root))
    agent_state_set_problem (state, AGENT_PROBLEM_BIND);
  if (conf->work && (work == NULL || !mount_disk_in (root, work, "/root", 0700, false)))
    agent_state_set_problem (state, AGENT_PROBLEM_WORK_DISK);
  if (conf->modules != NULL && (!modules || !move_modules (root, conf->modules)))
    agent_state_set_problem (state, AGENT_PROBLEM_MODULE_TREE);
}

/* The image's folder for one of the kernel's file systems, wherever its links lead; where they lead
 * to nothing, a folder takes their place. */
static int
open_place (int root, const char *path)
{
  int dir = agent_make_dir_in (root, path, 0755);

  if (dir >= 0)
    return dir;
  unlinkat (root, path + 1, 0);
  return agent_make_dir_in (root, path, 0755);
}

const char *
agent_switch_root (void)
{
  /* /proc last: the ways to the others are in it. */
  static const char *const moved[] = { "/sys", "/dev", "/run", "/proc" };
  int root = open (AGENT_NEW_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  for (unsigned i = 0; i < sizeof moved / sizeof moved[0]; i++) {
    int dir = open_place (root, moved[i]);
    bool good = dir >= 0 && mount_at (moved[i], dir, MS_MOVE);

    if (dir >= 0)
      close (dir);
    if (!good)
      return moved[i];
  }
  close (root);
  /* The overlay and what is bound hold their own. */
  umount2 (LOWER, MNT_DETACH);
  umount2 (UPPER, MNT_DETACH);
  if (chdir (AGENT_NEW_ROOT) != 0 || mount (".", "/", NULL, MS_MOVE, NULL) != 0 || chroot (".") != 0
      || chdir ("/") != 0)
    return "/";
  return NULL;
}

void
agent_mount_basics (void)
{
  umask (0);
  mkdir ("/dev/pts", 0755);
  mount ("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=0620,ptmxmode=0666");
  mkdir ("/dev/shm", 01777);
  mount ("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
  mkdir ("/tmp", 01777);
  umask (022);
  mount ("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

void
agent_unmount_all (void)
{
  static char *paths[MOUNTS_MAX];
  FILE *mounts = setmntent ("/proc/self/mounts", "re");
  struct mntent *entry;
  int n = 0;

  while (mounts != NULL && n < MOUNTS_MAX && (entry = getmntent (mounts)) != NULL) {
    if (strcmp (entry->mnt_dir, "/") != 0)
      paths[n++] = strdup (entry->mnt_dir);
  }
  if (mounts != NULL)
    endmntent (mounts);
  while (n-- > 0) {
    if (paths[n] != NULL)
      umount2 (paths[n], 0);
  }
  mount (NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
}
