/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * No name of an archive is ever handed to the kernel whole: each component is looked up in the
 * folder before it and must be a folder itself, or nothing yet. So no link, whoever made it, leads
 * anywhere, and what is written is always new: it takes the place of what was there.
 */
#include "builtins.h"

#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define PIECE (1u << 20)
#define NAME_TRIES 100
/* The archive's own, renamed. */
#define UNPACK_PATH_SIZE (AGENT_TAR_PATH_MAX + NAME_MAX + 2)
#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Folders get their modes and times last: until then they must be written to. */
typedef struct Folder {
  struct Folder *next;
  mode_t mode;
  uid_t uid;
  gid_t gid;
  struct timespec mtime;
  char path[];
} Folder;

typedef struct {
  const AgentUnpack *options;
  AgentTarReader *reader;
  int top;
  bool failed;
  bool stop; /* nothing more can be written */
  char first[NAME_MAX + 1];
  bool has_first;
  Folder *folders;
  /* The last parent that was looked up. */
  int parent;
  char parent_path[UNPACK_PATH_SIZE];
  char path[UNPACK_PATH_SIZE]; /* of the entry, below @top */
  char link[UNPACK_PATH_SIZE];
  uint8_t piece[PIECE];
} Unpack;

static void
fault (Unpack *unpack, const char *path, const char *why)
{
  agent_builtin_fault (path, why);
  unpack->failed = true;
}

static void
fault_errno (Unpack *unpack, const char *path)
{
  unpack->stop
      = unpack->stop || errno == ENOSPC || errno == EDQUOT || errno == EIO || errno == EROFS;
  fault (unpack, path,
         errno == ELOOP || errno == ENOTDIR ? "it leads through what is no folder"
                                            : strerror (errno));
}

bool
agent_unpack_name_is_good (const char *name)
{
  return name[0] != '\0' && strlen (name) <= NAME_MAX && strchr (name, '/') == NULL
         && strcmp (name, ".") != 0 && strcmp (name, "..") != 0;
}

/* Appends a component; false if it is not one. */
static bool
add_component (char *to, const char *name, size_t length)
{
  size_t have = strlen (to);

  if (length > NAME_MAX || (length == 2 && memcmp (name, "..", 2) == 0))
    return false;
  if (length == 0 || (length == 1 && name[0] == '.'))
    return true;
  if (have > 0)
    to[have++] = '/';
  memcpy (to + have, name, length);
  to[have + length] = '\0';
  return true;
}

/* The path below the folder, without empty components, and renamed. False if it would leave. */
static bool
set_path (Unpack *unpack, char *to, const char *path)
{
  const char *rename = unpack->options->rename;
  bool first = true;

  *to = '\0';
  path += strspn (path, "/");
  while (*path != '\0') {
    size_t length = strcspn (path, "/");
    bool good;

    if (first && !unpack->has_first && length <= NAME_MAX) {
      memcpy (unpack->first, path, length);
      unpack->first[length] = '\0';
      unpack->has_first = true;
    }
    if (first && rename != NULL && strncmp (unpack->first, path, length) == 0
        && unpack->first[length] == '\0')
      good = add_component (to, rename, strlen (rename));
    else
      good = add_component (to, path, length);
    if (!good)
      return false;
    first = false;
    path += length;
    path += strspn (path, "/");
  }
  return true;
}

/* Opens the folder @name in @dir, which is made if it is not there. */
static int
open_step (int dir, const char *name, bool make)
{
  int fd = openat (dir, name, OPEN_FOLDER);

  if (fd < 0 && errno == ENOENT && make && (mkdirat (dir, name, 0755) == 0 || errno == EEXIST))
    fd = openat (dir, name, OPEN_FOLDER);
  return fd;
}

/* Opens the folder with this path below the top. -1 with errno. */
static int
open_folder (Unpack *unpack, const char *path, size_t length, bool make)
{
  int dir = fcntl (unpack->top, F_DUPFD_CLOEXEC, 3);

  for (size_t at = 0; dir >= 0 && at < length;) {
    size_t n = strcspn (path + at, "/");
    char name[NAME_MAX + 1];
    int next;

    memcpy (name, path + at, n);
    name[n] = '\0';
    next = open_step (dir, name, make);
    close (dir);
    dir = next;
    at += n + 1;
  }
  return dir;
}

/* The folder that @path lies in, the unpacker's own until the next call; *@name is what it is
 * called there. -1 with errno. */
static int
open_parent (Unpack *unpack, const char *path, const char **name, bool make)
{
  const char *slash = strrchr (path, '/');
  size_t length = slash != NULL ? (size_t)(slash - path) : 0;

  *name = slash != NULL ? slash + 1 : path;
  if (unpack->parent >= 0 && strlen (unpack->parent_path) == length
      && memcmp (unpack->parent_path, path, length) == 0)
    return unpack->parent;
  if (unpack->parent >= 0)
    close (unpack->parent);
  unpack->parent = open_folder (unpack, path, length, make);
  memcpy (unpack->parent_path, path, length);
  unpack->parent_path[length] = '\0';
  return unpack->parent;
}

static void
forget_parent (Unpack *unpack)
{
  if (unpack->parent >= 0)
    close (unpack->parent);
  unpack->parent = -1;
}

/* Set-id bits and capabilities mean something only with the owners that they were given with: who
 * gets another owner than in the archive gets none. */
static mode_t
mode_of (mode_t mode, bool owned)
{
  return owned ? mode & 07777 : mode & 01777;
}

/* Makes a new thing in @dir, beside what has its name already: @make is called with names until one
 * is free. *@used is the name that it has, in @temporary if it is not its own yet. */
typedef int (*Maker) (Unpack *unpack, int dir, const char *name, const AgentTarEntry *entry);

static int
make_beside (Unpack *unpack, int dir, const char *name, const AgentTarEntry *entry, Maker make,
             char *temporary)
{
  int made = make (unpack, dir, name, entry);

  temporary[0] = '\0';
  for (unsigned i = 0; made < 0 && errno == EEXIST && i < NAME_TRIES; i++) {
    snprintf (temporary, 32, ".banger-%u-%u", (unsigned)getpid (), i);
    made = make (unpack, dir, temporary, entry);
  }
  return made;
}

/* Gives what was made its own name, in place of what had it. */
static bool
put_in_place (int dir, const char *name, const char *temporary)
{
  int errnum;

  if (temporary[0] == '\0')
    return true;
  if (renameat (dir, temporary, dir, name) == 0) {
    /* It stays where both are names of one file. */
    unlinkat (dir, temporary, 0);
    return true;
  }
  errnum = errno;
  unlinkat (dir, temporary, 0);
  errno = errnum;
  return false;
}

static int
make_file (Unpack *unpack, int dir, const char *name, const AgentTarEntry *entry)
{
  return openat (dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static bool
write_all (int fd, const uint8_t *bytes, size_t length, off_t offset)
{
  while (length > 0) {
    ssize_t n = pwrite (fd, bytes, length, offset);

    if (n < 0 && errno != EINTR)
      return false;
    if (n <= 0)
      continue;
    bytes += n;
    length -= (size_t)n;
    offset += n;
  }
  return true;
}

/* NULL, or why it cannot be ("" : see errno). */
static const char *
write_extent (Unpack *unpack, int fd, uint64_t offset, uint64_t size)
{
  while (size > 0) {
    ssize_t n = agent_tar_read (unpack->reader, unpack->piece, size < PIECE ? (size_t)size : PIECE);

    if (n <= 0)
      return "the archive is cut off";
    if (!write_all (fd, unpack->piece, (size_t)n, (off_t)offset))
      return "";
    offset += (uint64_t)n;
    size -= (uint64_t)n;
  }
  return NULL;
}

static const char *
write_data (Unpack *unpack, int fd, const AgentTarEntry *entry)
{
  const char *why = NULL;

  if (!entry->sparse)
    return write_extent (unpack, fd, 0, entry->size);
  if (ftruncate (fd, (off_t)entry->real_size) != 0)
    return "";
  for (size_t i = 0; i < entry->n_extents && why == NULL; i++)
    why = write_extent (unpack, fd, entry->extents[i].offset, entry->extents[i].size);
  return why;
}

static void
set_xattrs (Unpack *unpack, int fd, const AgentTarEntry *entry, bool owned)
{
  for (unsigned i = 0; i < entry->n_xattrs; i++) {
    const AgentTarXattr *xattr = &entry->xattrs[i];
    bool capability = strcmp (xattr->name, "security.capability") == 0;

    if (capability ? !owned : strncmp (xattr->name, "user.", 5) != 0)
      continue;
    /* A file system without these is no reason to fail. */
    if (fsetxattr (fd, xattr->name, xattr->value, xattr->size, 0) != 0 && errno != ENOTSUP)
      fault_errno (unpack, unpack->path);
  }
}

/* True once the archive's owner is the file's. */
static bool
give_away (Unpack *unpack, int fd, const char *path, uid_t uid, gid_t gid)
{
  if (!unpack->options->keep_owners)
    return false;
  if (fchown (fd, uid, gid) == 0)
    return true;
  fault_errno (unpack, path);
  return false;
}

/* Owner, mode, time: in this order, as a new owner takes set-id bits away. */
static void
set_attributes (Unpack *unpack, int fd, const AgentTarEntry *entry)
{
  const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, entry->mtime };
  bool owned = give_away (unpack, fd, unpack->path, (uid_t)entry->uid, (gid_t)entry->gid);

  if (fchmod (fd, mode_of (entry->mode, owned)) != 0 || futimens (fd, times) != 0)
    fault_errno (unpack, unpack->path);
  set_xattrs (unpack, fd, entry, owned);
}

static void
unpack_file (Unpack *unpack, int dir, const char *name, const AgentTarEntry *entry)
{
  char temporary[32];
  int fd = make_beside (unpack, dir, name, entry, make_file, temporary);
  const char *why;

  if (fd < 0) {
    fault_errno (unpack, unpack->path);
    return;
  }
  why = write_data (unpack, fd, entry);
  if (why != NULL) {
    if (*why != '\0')
      fault (unpack, unpack->path, why);
    else
      fault_errno (unpack, unpack->path);
    unlinkat (dir, temporary[0] != '\0' ? temporary : name, 0);
  } else {
    set_attributes (unpack, fd, entry);
    if (!put_in_place (dir, name, temporary))
      fault_errno (unpack, unpack->path);
  }
  close (fd);
}

static int
make_symlink (Unpack *unpack, int dir, const char *name, const AgentTarEntry *entry)
{
  return symlinkat (entry->link, dir, name);
}

static int
make_node (Unpack *unpack, int dir, const char *name, const AgentTarEntry *entry)
{
  mode_t type = entry->type == AGENT_TAR_FIFO        ? S_IFIFO
                : entry->type == AGENT_TAR_CHARACTER ? S_IFCHR
                                                     : S_IFBLK;

  return mknodat (dir, name, type | mode_of (entry->mode, false),
                  makedev (entry->major, entry->minor));
}

/* The link's target: a file of this archive, or one that was there, but below the top. */
static int
make_hardlink (Unpack *unpack, int dir, const char *name, const AgentTarEntry *entry)
{
  const char *slash = strrchr (unpack->link, '/');
  size_t length = slash != NULL ? (size_t)(slash - unpack->link) : 0;
  int from = open_folder (unpack, unpack->link, length, false);
  int made = -1, errnum;

  if (from < 0)
    return -1;
  made = linkat (from, slash != NULL ? slash + 1 : unpack->link, dir, name, 0);
  errnum = errno;
  close (from);
  errno = errnum;
  return made;
}

/* What has no data. A hard link has its attributes already. */
static void
unpack_node (Unpack *unpack, int dir, const char *name, const AgentTarEntry *entry)
{
  const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, entry->mtime };
  bool hard = entry->type == AGENT_TAR_HARDLINK;
  Maker make = hard ? make_hardlink : entry->type == AGENT_TAR_SYMLINK ? make_symlink : make_node;
  char temporary[32];
  const char *made;
  bool good;

  if (make_beside (unpack, dir, name, entry, make, temporary) < 0) {
    fault_errno (unpack, unpack->path);
    return;
  }
  made = temporary[0] != '\0' ? temporary : name;
  good = hard || !unpack->options->keep_owners
         || fchownat (dir, made, (uid_t)entry->uid, (gid_t)entry->gid, AT_SYMLINK_NOFOLLOW) == 0;
  if (good && !hard)
    good = utimensat (dir, made, times, AT_SYMLINK_NOFOLLOW) == 0;
  if (!good)
    fault_errno (unpack, unpack->path);
  if (!put_in_place (dir, name, temporary))
    fault_errno (unpack, unpack->path);
}

static void
remember_folder (Unpack *unpack, const AgentTarEntry *entry)
{
  size_t length = strlen (unpack->path);
  Folder *folder = malloc (sizeof *folder + length + 1);

  if (folder == NULL) {
    fault (unpack, unpack->path, "there is no memory");
    return;
  }
  *folder = (Folder){ .next = unpack->folders,
                      .mode = entry->mode,
                      .uid = (uid_t)entry->uid,
                      .gid = (gid_t)entry->gid,
                      .mtime = entry->mtime };
  memcpy (folder->path, unpack->path, length + 1);
  unpack->folders = folder;
}

static void
unpack_folder (Unpack *unpack, int dir, const char *name, const AgentTarEntry *entry)
{
  int made = mkdirat (dir, name, 0700), fd;
  struct stat info;

  if (made != 0 && errno == EEXIST && fstatat (dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0
      && !S_ISDIR (info.st_mode) && unlinkat (dir, name, 0) == 0)
    made = mkdirat (dir, name, 0700);
  if (made != 0 && errno != EEXIST) {
    fault_errno (unpack, unpack->path);
    return;
  }
  fd = openat (dir, name, OPEN_FOLDER);
  if (fd < 0) {
    fault_errno (unpack, unpack->path);
    return;
  }
  set_xattrs (unpack, fd, entry, false);
  close (fd);
  remember_folder (unpack, entry);
}

static void
unpack_entry (Unpack *unpack, const AgentTarEntry *entry)
{
  const char *name;
  int dir;

  if (!set_path (unpack, unpack->path, entry->path)
      || (entry->type == AGENT_TAR_HARDLINK && !set_path (unpack, unpack->link, entry->link))) {
    fault (unpack, entry->path, "it would leave the folder");
    return;
  }
  /* The folder itself keeps what it has. */
  if (unpack->path[0] == '\0')
    return;
  dir = open_parent (unpack, unpack->path, &name, true);
  if (dir < 0) {
    fault_errno (unpack, unpack->path);
    return;
  }
  if (entry->type == AGENT_TAR_FILE)
    unpack_file (unpack, dir, name, entry);
  else if (entry->type == AGENT_TAR_FOLDER)
    unpack_folder (unpack, dir, name, entry);
  else
    unpack_node (unpack, dir, name, entry);
}

/* Later ones first: what lies within comes before it. */
static void
finish_folders (Unpack *unpack)
{
  forget_parent (unpack);
  while (unpack->folders != NULL) {
    Folder *folder = unpack->folders;
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, folder->mtime };
    int fd = open_folder (unpack, folder->path, strlen (folder->path), false);

    /* What came later in the archive may have taken its place. */
    if (fd < 0 && errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
      fault_errno (unpack, folder->path);
    if (fd >= 0) {
      bool owned = give_away (unpack, fd, folder->path, folder->uid, folder->gid);

      if (fchmod (fd, mode_of (folder->mode, owned)) != 0 || futimens (fd, times) != 0)
        fault_errno (unpack, folder->path);
      close (fd);
    }
    unpack->folders = folder->next;
    free (folder);
  }
}

static ssize_t
read_input (void *data, void *bytes, size_t length)
{
  return read (STDIN_FILENO, bytes, length);
}

/* As the user would by hand: links on the way to it are followed. */
static int
open_top (const AgentUnpack *options)
{
  char path[PATH_MAX];
  size_t length = strlen (options->folder);

  if (length >= sizeof path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy (path, options->folder, length + 1);
  for (size_t at = 1; options->make_folder && at <= length; at++) {
    char c = path[at];

    if (c != '/' && c != '\0')
      continue;
    path[at] = '\0';
    mkdir (path, 0755);
    path[at] = c;
  }
  return open (path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
unpack_all (Unpack *unpack)
{
  const AgentTarEntry *entry = NULL;
  const char *why;

  do {
    why = agent_tar_next (unpack->reader, &entry);
    if (why != NULL)
      fault (unpack, "the archive", why);
    else if (entry != NULL)
      unpack_entry (unpack, entry);
  } while (why == NULL && entry != NULL && !unpack->stop);
  finish_folders (unpack);
  /* Whoever writes padding after the end is not to be told of a broken pipe. */
  while (!unpack->failed && read (STDIN_FILENO, unpack->piece, PIECE) > 0)
    ;
}

static int
unpack_into (Unpack *unpack)
{
  unpack->top = open_top (unpack->options);
  if (unpack->top < 0) {
    fault_errno (unpack, unpack->options->folder);
  } else {
    unpack_all (unpack);
    close (unpack->top);
  }
  return unpack->failed ? 1 : 0;
}

int
agent_unpack (const AgentUnpack *options)
{
  Unpack *unpack = calloc (1, sizeof *unpack);
  int status = 1;

  umask (0);
  /* Who is told of a fault may have gone: what is half there is to be removed all the same. */
  signal (SIGPIPE, SIG_IGN);
  if (unpack != NULL)
    unpack->reader = agent_tar_reader_new (read_input, NULL);
  if (unpack == NULL || unpack->reader == NULL) {
    dprintf (STDERR_FILENO, "there is no memory\n");
  } else {
    unpack->options = options;
    unpack->parent = -1;
    status = unpack_into (unpack);
    agent_tar_reader_free (unpack->reader);
  }
  free (unpack);
  return status;
}
