/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "complaints.h"

#include "child.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct BangerComplaints {
  int fd;
  BangerWatch *watch;
  BangerComplaintsNoise noise;
  GString *text;
};

/* Cuts whole lines off the beginning; of a line that is too long by itself the end stays. */
static void
shorten (GString *text)
{
  gsize excess = text->len - BANGER_COMPLAINTS_MAX;
  const char *end = memchr (text->str + excess - 1, '\n', text->len - excess);

  g_string_erase (text, 0, end != NULL && end[1] != '\0' ? end + 1 - text->str : (gssize)excess);
}

/* FALSE when nothing more is there. */
static gboolean
read_some (BangerComplaints *self)
{
  char chunk[4096];
  ssize_t n = TEMP_FAILURE_RETRY (read (self->fd, chunk, sizeof chunk));

  if (n > 0)
    g_string_append_len (self->text, chunk, n);
  else if (n == 0 || errno != EAGAIN)
    banger_watch_want (self->watch, 0);
  if (self->text->len > BANGER_COMPLAINTS_MAX)
    shorten (self->text);
  return n > 0;
}

static void
on_readable (gpointer data, GIOCondition ready)
{
  read_some (data);
}

BangerComplaints *
banger_complaints_new (int *theirs, BangerComplaintsNoise noise, GError **error)
{
  BangerComplaints *self = NULL;
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) < 0) {
    banger_set_error_errno (error, errno, "vmm", "cannot make a pipe");
    return NULL;
  }
  fcntl (ends[0], F_SETFL, O_NONBLOCK);
  self = g_new0 (BangerComplaints, 1);
  self->fd = ends[0];
  self->noise = noise;
  self->text = g_string_new (NULL);
  self->watch = banger_watch_new (self->fd, on_readable, self);
  banger_watch_want (self->watch, G_IO_IN);
  *theirs = ends[1];
  return self;
}

char *
banger_complaints_words (BangerComplaints *self)
{
  g_auto (GStrv) lines = NULL;
  g_autoptr (GString) words = g_string_new (NULL);

  while (read_some (self))
    ;
  lines = g_strsplit (self->text->str, "\n", -1);
  for (guint i = 0; lines[i] != NULL; i++) {
    const char *line = g_strstrip (lines[i]);

    if (*line != '\0' && (self->noise == NULL || !self->noise (line)))
      g_string_append_printf (words, "%s%s", words->len > 0 ? "; " : "", line);
  }
  return banger_child_words (g_string_free (g_steal_pointer (&words), FALSE));
}

void
banger_complaints_free (BangerComplaints *self)
{
  banger_watch_free (self->watch);
  banger_clear_fd (&self->fd);
  g_string_free (self->text, TRUE);
  g_free (self);
}
