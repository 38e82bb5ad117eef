/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "identity.h"

#include "inits.h"
#include "root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

/* Lists of hosts to block are of some megabytes. */
#define FILE_MAX (16 << 20)
#define FSTAB_MAX 32768

/* A whole file below @root with a NUL; NULL if it is not there. False if there is something that
 * cannot be read whole, which then is not to be replaced. */
static bool
read_in (int root, const char *path, char **text)
{
  int fd = agent_open_in (root, path, O_RDONLY | O_NONBLOCK);
  bool good = fd >= 0 || errno == ENOENT;
  struct stat info;
  size_t length = 0;
  ssize_t n = 1;

  *text = NULL;
  if (fd < 0)
    return good;
  if (fstat (fd, &info) == 0 && S_ISREG (info.st_mode) && info.st_size <= FILE_MAX)
    *text = malloc ((size_t)info.st_size + 1);
  while (*text != NULL && n > 0 && length < (size_t)info.st_size) {
    n = read (fd, *text + length, (size_t)info.st_size - length);
    length += n > 0 ? (size_t)n : 0;
  }
  close (fd);
  if (*text != NULL)
    (*text)[length] = '\0';
  if (*text == NULL || n >= 0)
    return *text != NULL;
  free (*text);
  *text = NULL;
  return false;
}

/* Replaces the file @name of the root's /etc as one step; a link there is replaced, not followed.
 */
static bool
write_etc (int root, const char *name, const char *text, mode_t mode)
{
  int etc = agent_make_dir_in (root, "/etc", 0755);
  size_t length = strlen (text);
  bool good = false;
  char temporary[64];
  int fd;

  if (etc < 0)
    return false;
  snprintf (temporary, sizeof temporary, ".%s.banger", name);
  unlinkat (etc, temporary, 0);
  fd = openat (etc, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  if (fd >= 0) {
    good = write (fd, text, length) == (ssize_t)length && fchmod (fd, mode) == 0;
    close (fd);
    good = good && renameat (etc, temporary, etc, name) == 0;
  }
  close (etc);
  return good;
}

static bool
has_word (const char *text, const char *word)
{
  size_t length = strlen (word);

  for (const char *at = strstr (text, word); at != NULL; at = strstr (at + 1, word)) {
    bool begins = at == text || strchr (" \t\n", at[-1]) != NULL;

    if (begins && (at[length] == '\0' || strchr (" \t\n", at[length]) != NULL))
      return true;
  }
  return false;
}

static bool
add_to_hosts (int root, const char *hostname)
{
  char *text, *longer = NULL;
  bool good = read_in (root, "/etc/hosts", &text);

  if (good && (text == NULL || !has_word (text, hostname))) {
    const char *before = text != NULL ? text : "127.0.0.1\tlocalhost\n::1\tlocalhost\n";
    size_t length = strlen (before);
    const char *newline = length > 0 && before[length - 1] != '\n' ? "\n" : "";

    good = asprintf (&longer, "%s%s127.0.1.1\t%s\n", before, newline, hostname) > 0
           && write_etc (root, "hosts", longer, 0644);
  }
  free (longer);
  free (text);
  return good;
}

void
agent_write_hostname (const AgentBootConf *conf, AgentState *state, int root)
{
  bool good = sethostname (conf->hostname, strlen (conf->hostname)) == 0;
  char *before, line[80];

  read_in (root, "/etc/hostname", &before);
  snprintf (line, sizeof line, "%s\n", conf->hostname);
  if (before == NULL || strcmp (before, line) != 0)
    good = write_etc (root, "hostname", line, 0644) && good;
  free (before);
  if (!add_to_hosts (root, conf->hostname) || !good)
    agent_state_set_problem (state, AGENT_PROBLEM_HOSTNAME);
}

void
agent_write_resolver (const AgentBootConf *conf, AgentState *state, int root)
{
  static char lines[4096];
  AgentText text = { .text = lines, .size = sizeof lines };

  if (conf->nameservers.n == 0 && conf->search == NULL)
    return;
  for (unsigned i = 0; i < conf->nameservers.n; i++)
    agent_text_add (&text, "nameserver %s\n", conf->nameservers.items[i]);
  if (conf->search != NULL)
    agent_text_add (&text, "search %s\n", conf->search);
  if (text.overflow || !write_etc (root, "resolv.conf", lines, 0644))
    agent_state_set_problem (state, AGENT_PROBLEM_RESOLVER);
}

void
agent_write_machine_id (int root, bool fresh)
{
  uint8_t id[16];
  char *before, line[34];

  read_in (root, "/etc/machine-id", &before);
  if (before != NULL && (fresh || before[0] == '\0' || strncmp (before, "uninit", 6) == 0)
      && getrandom (id, sizeof id, 0) == sizeof id) {
    /* As systemd makes them: a UUID of version 4 (RFC 4122, 4.4). */
    id[6] = (id[6] & 0x0f) | 0x40;
    id[8] = (id[8] & 0x3f) | 0x80;
    banger_hex_encode (id, sizeof id, line);
    line[32] = '\n';
    line[33] = '\0';
    write_etc (root, "machine-id", line, 0444);
  }
  free (before);
}

/* Whether a line of fstab (its first two fields) is for a disk that this VM does not have. */
static bool
is_foreign (const char *line)
{
  static const char *const names[] = { "UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID=" };
  char source[256], target[256], type[64], options[256] = "";

  if (sscanf (line, " %255s %255s %63s %255[^ \t\n]", source, target, type, options) < 2
      || source[0] == '#')
    return false;
  if (strcmp (target, "/") == 0)
    return true;
  if (strstr (options, "nofail") != NULL || strstr (options, "noauto") != NULL)
    return false;
  for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strncmp (source, names[i], strlen (names[i])) == 0)
      return true;
  }
  return strncmp (source, "/dev/", 5) == 0 && access (source, F_OK) != 0;
}

void
agent_trim_fstab (int root)
{
  AgentText after = { 0 };
  bool changed = false;
  char *before;

  read_in (root, "/etc/fstab", &before);
  if (before != NULL && strlen (before) < FSTAB_MAX) {
    after.size = FSTAB_MAX * 8;
    after.text = malloc (after.size);
  }
  for (char *at = before, *end; after.text != NULL && *at != '\0'; at = end) {
    bool foreign;

    end = at + strcspn (at, "\n");
    if (*end == '\n')
      *end++ = '\0';
    foreign = is_foreign (at);
    changed = changed || foreign;
    agent_text_add (&after, "%s%s\n", foreign ? "# not in this VM: " : "", at);
  }
  if (changed && !after.overflow)
    write_etc (root, "fstab", after.text, 0644);
  free (after.text);
  free (before);
}
