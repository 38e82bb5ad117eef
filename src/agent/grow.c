/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "grow.h"

#include "loop.h"
#include "uevents.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The kernel's fs/ext4/ext4.h; it is in no header of its own before Linux 6.5. */
#define RESIZE_FS _IOW ('f', 16, uint64_t)
#define SUPERBLOCK_AT 1024
#define CAPACITY_MS 5000
#define LOOK_MS 50

typedef struct {
  uint32_t block; /* bytes */
  uint64_t blocks;
} FileSystem;

static uint32_t
little32 (const uint8_t *bytes)
{
  return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

/* https://docs.kernel.org/filesystems/ext4/globals.html#super-block; a mounted file system's is
 * what the disk's own pages show. */
static bool
read_file_system (int device, FileSystem *fs)
{
  uint8_t super[1024];

  if (pread (device, super, sizeof super, SUPERBLOCK_AT) != sizeof super || super[0x38] != 0x53
      || super[0x39] != 0xef || little32 (super + 0x18) > 6)
    return false;
  fs->block = 1024u << little32 (super + 0x18);
  fs->blocks = little32 (super + 0x4);
  if (little32 (super + 0x60) & 0x80) /* 64bit */
    fs->blocks |= (uint64_t)little32 (super + 0x150) << 32;
  return true;
}

/* Returns how large the disk is once it is as large as is waited for, or the time is over. */
static uint64_t
wait_for_size (int device, const FileSystem *fs, uint64_t wanted)
{
  uint64_t deadline = agent_now_us () / 1000 + CAPACITY_MS, size = 0;

  for (;;) {
    bool there;

    if (ioctl (device, BLKGETSIZE64, &size) != 0)
      size = 0;
    there = wanted > 0 ? size >= wanted : size / fs->block > fs->blocks;
    if (there || agent_now_us () / 1000 >= deadline)
      return size;
    poll (NULL, 0, LOOK_MS);
  }
}

/* A folder of the file system that lies on @device, open. */
static int
open_mounted (int upper, const char *disk, int device)
{
  struct stat folder, node;
  int fd;

  if (strcmp (disk, "upper") == 0)
    fd = fcntl (upper, F_DUPFD_CLOEXEC, 3);
  else
    fd = open (strcmp (disk, "work") == 0 ? "/root" : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd >= 0 && fstat (fd, &folder) == 0 && fstat (device, &node) == 0
      && folder.st_dev == node.st_rdev)
    return fd;
  if (fd >= 0)
    close (fd);
  return -1;
}

static const char *
grow_to (int folder, int device, uint64_t *bytes)
{
  static char why[160];
  FileSystem fs;
  uint64_t size, blocks;

  if (!read_file_system (device, &fs))
    return "it holds no ext4";
  size = wait_for_size (device, &fs, *bytes);
  if (size < *bytes) {
    snprintf (why, sizeof why, "it has %" PRIu64 " bytes, not %" PRIu64 " yet", size, *bytes);
    return why;
  }
  blocks = size / fs.block;
  if (blocks < fs.blocks || (blocks == fs.blocks && *bytes == 0)) {
    snprintf (why, sizeof why, "it has %" PRIu64 " bytes and is not larger than its file system",
              size);
    return why;
  }
  if (blocks > fs.blocks && ioctl (folder, RESIZE_FS, &blocks) != 0) {
    snprintf (why, sizeof why, "growing its file system: %s", strerror (errno));
    return why;
  }
  if (!read_file_system (device, &fs))
    return "its file system cannot be read again";
  *bytes = fs.blocks * fs.block;
  return NULL;
}

const char *
agent_grow (int upper, const char *disk, uint64_t *bytes)
{
  const char *why = "its file system is not mounted where it was";
  char name[32], path[64];
  int device, folder;

  if (!agent_find_disk (disk, name, sizeof name))
    return "this VM has no such disk";
  snprintf (path, sizeof path, "/dev/%s", name);
  device = open (path, O_RDONLY | O_CLOEXEC);
  if (device < 0)
    return "it cannot be opened";
  folder = open_mounted (upper, disk, device);
  if (folder >= 0) {
    why = grow_to (folder, device, bytes);
    close (folder);
  }
  close (device);
  return why;
}
