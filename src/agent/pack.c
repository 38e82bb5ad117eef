/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "builtins.h"

#include "tar.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Each level holds a folder open. */
#define DEPTH_MAX 256
/* Files up to here are read before their header is written, which then says what is true. */
#define SMALL (64u << 10)
/* A file of more extents is stored whole. */
#define EXTENTS_MAX 65536
#define XATTRS_SIZE 4096

/* A file with several names, as it is in the archive. */
typedef struct Name {
  struct Name *next;
  dev_t device;
  ino_t inode;
  char path[];
} Name;

typedef struct {
  AgentTarWriter tar;
  bool failed;
  char path[AGENT_TAR_PATH_MAX + 1]; /* in the archive */
  size_t length;
  const char *named; /* what the user called the first component, of @path, ... */
  int before;        /* ... and the length of what stands before it there */
  Name *names[1024];
  uint8_t small[SMALL];
  char xattr_names[XATTRS_SIZE];
  uint8_t xattr_values[2 * XATTRS_SIZE];
} Pack;

static void
pack_entry (Pack *pack, int dir, const char *name, const struct stat *parent, unsigned depth);

void
agent_builtin_fault (const char *path, const char *why)
{
  char line[1024];
  size_t n = 0;

  for (; *path != '\0' && n < sizeof line / 2; path++)
    line[n++] = (unsigned char)*path < 32 || *path == 127 ? '?' : *path;
  dprintf (STDERR_FILENO, "%.*s: %s\n", (int)n, line, why);
}

/* Says it of the path as the user knows it. */
static void
fault (Pack *pack, const char *why)
{
  char path[PATH_MAX + sizeof pack->path];

  snprintf (path, sizeof path, "%.*s%s", pack->before, pack->named, pack->path);
  agent_builtin_fault (path, why);
  pack->failed = true;
}

static Name **
list_of (Pack *pack, const struct stat *info)
{
  return &pack->names[(info->st_ino ^ info->st_dev) % 1024];
}

/* The name that a file has in the archive already, or NULL. */
static const char *
find_name (Pack *pack, const struct stat *info)
{
  const Name *name = *list_of (pack, info);

  while (name != NULL && (name->inode != info->st_ino || name->device != info->st_dev))
    name = name->next;
  return name != NULL ? name->path : NULL;
}

static void
add_name (Pack *pack, const struct stat *info)
{
  Name **list = list_of (pack, info);
  Name *name = malloc (sizeof *name + pack->length + 1);

  /* Without memory its other names become files of their own. */
  if (name == NULL)
    return;
  *name = (Name){ .next = *list, .device = info->st_dev, .inode = info->st_ino };
  memcpy (name->path, pack->path, pack->length + 1);
  *list = name;
}

/* What is no folder. Its other names become links to this one, and so it has a name only now that
 * it is in the archive: what cannot be read, or is left out, is so under each. */
static void
write_entry (Pack *pack, const AgentTarEntry *entry, const struct stat *info)
{
  agent_tar_write_entry (&pack->tar, entry);
  if (info->st_nlink > 1)
    add_name (pack, info);
}

/* What the user set, and capabilities: no other has a meaning elsewhere. */
static bool
is_kept (const char *name)
{
  return strncmp (name, "user.", 5) == 0 || strcmp (name, "security.capability") == 0;
}

static void
add_xattrs (Pack *pack, int fd, AgentTarEntry *entry)
{
  ssize_t length = flistxattr (fd, pack->xattr_names, sizeof pack->xattr_names - 1);
  size_t used = 0;

  for (ssize_t at = 0; at < length && entry->n_xattrs < AGENT_TAR_XATTRS_MAX;) {
    const char *name = pack->xattr_names + at;
    ssize_t n = -1;

    /* Without room left, none would be asked for but the size. */
    if (is_kept (name) && used < sizeof pack->xattr_values)
      n = fgetxattr (fd, name, pack->xattr_values + used, sizeof pack->xattr_values - used);
    if (n >= 0) {
      entry->xattrs[entry->n_xattrs++]
          = (AgentTarXattr){ .name = name, .value = pack->xattr_values + used, .size = (size_t)n };
      used += (size_t)n;
    }
    at += (ssize_t)strlen (name) + 1;
  }
}

/* Finds what of the file is no hole. False if all is stored. */
static bool
find_extents (int fd, AgentTarEntry *entry, uint64_t size)
{
  off_t at = 0;

  entry->extents = NULL;
  for (;;) {
    off_t data = lseek (fd, at, SEEK_DATA), hole;
    AgentTarExtent *more;

    if (data < 0 && errno != ENXIO)
      return false;
    if (data < 0 || (uint64_t)data >= size)
      break;
    hole = lseek (fd, data, SEEK_HOLE);
    if (hole <= data || entry->n_extents >= EXTENTS_MAX)
      return false;
    if ((uint64_t)hole > size)
      hole = (off_t)size;
    more = realloc (entry->extents, (entry->n_extents + 1) * sizeof *more);
    if (more == NULL)
      return false;
    entry->extents = more;
    more[entry->n_extents++] = (AgentTarExtent){ (uint64_t)data, (uint64_t)(hole - data) };
    entry->size += (uint64_t)(hole - data);
    at = hole;
  }
  /* GNU tar wants the end of a file to be in its map. */
  if (entry->size < size && (entry->n_extents == 0 || at < (off_t)size)) {
    AgentTarExtent *more = realloc (entry->extents, (entry->n_extents + 1) * sizeof *more);

    if (more == NULL)
      return false;
    entry->extents = more;
    more[entry->n_extents++] = (AgentTarExtent){ size, 0 };
  }
  return entry->size < size;
}

/* Files of the kernel say that they are empty, or longer than they are. */
static void
pack_small (Pack *pack, int fd, AgentTarEntry *entry, const struct stat *info)
{
  size_t most = info->st_size > 0 ? (size_t)info->st_size : SMALL;
  ssize_t n = 1;

  while (n > 0 && entry->size < most) {
    n = read (fd, pack->small + entry->size, most - (size_t)entry->size);
    entry->size += n > 0 ? (uint64_t)n : 0;
  }
  if (n > 0 && info->st_size == 0)
    fault (pack, "it is longer than it says: what comes after 64 KiB is left out");
  if (n < 0) {
    fault (pack, strerror (errno));
    return;
  }
  write_entry (pack, entry, info);
  agent_tar_write (&pack->tar, pack->small, (size_t)entry->size);
  agent_tar_pad (&pack->tar, entry->size);
}

static void
pack_large (Pack *pack, int fd, AgentTarEntry *entry, const struct stat *info)
{
  AgentTarExtent whole = { 0, (uint64_t)info->st_size };
  uint64_t missing = 0;

  entry->sparse = (uint64_t)info->st_blocks * 512 < (uint64_t)info->st_size
                  && find_extents (fd, entry, (uint64_t)info->st_size);
  entry->real_size = (uint64_t)info->st_size;
  if (!entry->sparse)
    entry->size = entry->real_size;
  write_entry (pack, entry, info);
  for (size_t i = 0; i < (entry->sparse ? entry->n_extents : 1); i++) {
    const AgentTarExtent *extent = entry->sparse ? &entry->extents[i] : &whole;

    if (extent->size > 0)
      missing += extent->size - agent_tar_write_file (&pack->tar, fd, extent->offset, extent->size);
  }
  agent_tar_pad (&pack->tar, entry->size);
  free (entry->extents);
  if (missing > 0 && pack->tar.error == 0)
    fault (pack, "it became shorter, or cannot be read: the end is filled with zeros");
}

static void
pack_file (Pack *pack, int dir, const char *name, AgentTarEntry *entry)
{
  int fd = openat (dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  struct stat info;

  if (fd < 0 || fstat (fd, &info) != 0) {
    fault (pack, strerror (errno));
  } else if (!S_ISREG (info.st_mode)) {
    fault (pack, "it is no file any more");
  } else {
    add_xattrs (pack, fd, entry);
    if (info.st_size <= SMALL)
      pack_small (pack, fd, entry, &info);
    else
      pack_large (pack, fd, entry, &info);
  }
  if (fd >= 0)
    close (fd);
}

/* The kernel's own: what they hold is the machine's, and may have no end. */
static bool
is_kernels (int fd)
{
  static const unsigned long types[]
      = { PROC_SUPER_MAGIC, SYSFS_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
          DEBUGFS_MAGIC,    TRACEFS_MAGIC,  SECURITYFS_MAGIC,   DEVPTS_SUPER_MAGIC,
          BPF_FS_MAGIC,     BINFMTFS_MAGIC, PSTOREFS_MAGIC,     EFIVARFS_MAGIC,
          SELINUX_MAGIC };
  struct statfs info;

  if (fstatfs (fd, &info) != 0)
    return true;
  for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
    if ((unsigned long)info.f_type == types[i])
      return true;
  }
  return false;
}

static void
pack_children (Pack *pack, DIR *folder, const struct stat *info, unsigned depth)
{
  size_t length = pack->length;
  struct dirent *child;

  while (pack->tar.error == 0 && (child = readdir (folder)) != NULL) {
    size_t more = strlen (child->d_name);

    if (strcmp (child->d_name, ".") == 0 || strcmp (child->d_name, "..") == 0)
      continue;
    if (length + more + 1 > AGENT_TAR_PATH_MAX) {
      fault (pack, "a name in it is too long");
      continue;
    }
    memcpy (pack->path + length, child->d_name, more + 1);
    pack->length = length + more;
    pack_entry (pack, dirfd (folder), child->d_name, info, depth + 1);
    pack->path[length] = '\0';
    pack->length = length;
  }
}

static void
pack_folder (Pack *pack, int dir, const char *name, AgentTarEntry *entry, const struct stat *info,
             const struct stat *parent, unsigned depth)
{
  int fd = openat (dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  bool inside = parent == NULL || parent->st_dev == info->st_dev;
  DIR *folder;

  if (fd < 0) {
    fault (pack, strerror (errno));
    return;
  }
  add_xattrs (pack, fd, entry);
  if (pack->length < AGENT_TAR_PATH_MAX) {
    pack->path[pack->length++] = '/';
    pack->path[pack->length] = '\0';
  }
  agent_tar_write_entry (&pack->tar, entry);
  if (depth >= DEPTH_MAX)
    fault (pack, "it lies too deep");
  if (depth >= DEPTH_MAX || (!inside && is_kernels (fd))) {
    close (fd);
    return;
  }
  folder = fdopendir (fd);
  if (folder == NULL) {
    close (fd);
    return;
  }
  pack_children (pack, folder, info, depth);
  closedir (folder);
}

static void
pack_symlink (Pack *pack, int dir, const char *name, AgentTarEntry *entry, const struct stat *info)
{
  char target[4097];
  ssize_t n = readlinkat (dir, name, target, sizeof target - 1);

  if (n < 0) {
    fault (pack, strerror (errno));
    return;
  }
  target[n] = '\0';
  entry->link = target;
  write_entry (pack, entry, info);
}

/* Whatever is there; @parent is NULL for what was named. */
static void
pack_entry (Pack *pack, int dir, const char *name, const struct stat *parent, unsigned depth)
{
  AgentTarEntry entry = { .path = pack->path };
  struct stat info;

  if (fstatat (dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
    fault (pack, strerror (errno));
    return;
  }
  entry.mode = info.st_mode & 07777;
  entry.uid = info.st_uid;
  entry.gid = info.st_gid;
  entry.mtime = info.st_mtim;
  if (!S_ISDIR (info.st_mode) && info.st_nlink > 1)
    entry.link = find_name (pack, &info);
  if (entry.link != NULL) {
    entry.type = AGENT_TAR_HARDLINK;
    agent_tar_write_entry (&pack->tar, &entry);
    return;
  }
  entry.type = S_ISDIR (info.st_mode)    ? AGENT_TAR_FOLDER
               : S_ISLNK (info.st_mode)  ? AGENT_TAR_SYMLINK
               : S_ISCHR (info.st_mode)  ? AGENT_TAR_CHARACTER
               : S_ISBLK (info.st_mode)  ? AGENT_TAR_BLOCK_DEVICE
               : S_ISFIFO (info.st_mode) ? AGENT_TAR_FIFO
                                         : AGENT_TAR_FILE;
  if (entry.type == AGENT_TAR_CHARACTER || entry.type == AGENT_TAR_BLOCK_DEVICE) {
    entry.major = major (info.st_rdev);
    entry.minor = minor (info.st_rdev);
  }
  if (S_ISREG (info.st_mode))
    pack_file (pack, dir, name, &entry);
  else if (S_ISDIR (info.st_mode))
    pack_folder (pack, dir, name, &entry, &info, parent, depth);
  else if (S_ISLNK (info.st_mode))
    pack_symlink (pack, dir, name, &entry, &info);
  else if (!S_ISSOCK (info.st_mode)) /* no archive has these: who listens makes them */
    write_entry (pack, &entry, &info);
}

/* The last component of @path; "." of a path that ends in one that has no name of its own. */
static void
set_first_name (Pack *pack, const char *path)
{
  size_t end = strlen (path), begin;

  while (end > 0 && path[end - 1] == '/')
    end--;
  begin = end;
  while (begin > 0 && path[begin - 1] != '/')
    begin--;
  pack->named = path;
  pack->before = begin < PATH_MAX ? (int)begin : 0;
  if (end == begin || end - begin > NAME_MAX || strncmp (path + begin, "..", end - begin) == 0) {
    strcpy (pack->path, ".");
    pack->length = 1;
    return;
  }
  memcpy (pack->path, path + begin, end - begin);
  pack->path[end - begin] = '\0';
  pack->length = end - begin;
}

static int
pack_all (Pack *pack, char *const *paths)
{
  for (; *paths != NULL && pack->tar.error == 0; paths++) {
    set_first_name (pack, *paths);
    pack_entry (pack, AT_FDCWD, *paths, NULL, 0);
  }
  agent_tar_finish (&pack->tar);
  if (pack->tar.error != 0)
    dprintf (STDERR_FILENO, "the archive cannot be written: %s\n", strerror (pack->tar.error));
  return pack->failed || pack->tar.error != 0 ? 1 : 0;
}

static void
pack_free (Pack *pack)
{
  for (unsigned i = 0; i < sizeof pack->names / sizeof pack->names[0]; i++) {
    while (pack->names[i] != NULL) {
      Name *name = pack->names[i];

      pack->names[i] = name->next;
      free (name);
    }
  }
  agent_tar_writer_clear (&pack->tar);
  free (pack);
}

int
agent_pack (char *const *paths)
{
  Pack *pack = calloc (1, sizeof *pack);
  int status = 1;

  if (pack != NULL && agent_tar_writer_init (&pack->tar, STDOUT_FILENO))
    status = pack_all (pack, paths);
  else
    dprintf (STDERR_FILENO, "there is no memory\n");
  if (pack != NULL)
    pack_free (pack);
  return status;
}
