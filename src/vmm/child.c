/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "child.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>

gboolean
banger_child_socket (int *ours, int *theirs, GError **error)
{
  int ends[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
    banger_set_error_errno (error, errno, "vmm", "cannot make a socket");
    return FALSE;
  }
  *ours = ends[0];
  *theirs = ends[1];
  return TRUE;
}

char *
banger_child_words (char *text)
{
  for (char *c = text; *c != '\0'; c++) {
    if (!g_ascii_isprint (*c))
      *c = '?';
  }
  return text;
}

char *
banger_child_end (int status)
{
  return WIFSIGNALED (status) ? g_strdup_printf ("signal %d ended it", WTERMSIG (status))
                              : g_strdup_printf ("it ended with status %d", WEXITSTATUS (status));
}
