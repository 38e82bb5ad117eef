/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pack.h"

#include "text.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gi18n.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIPE_SIZE (1 << 20)
#define NOTES_MAX 20
#define CHUNK 65536

struct _BangerPack {
  char *directory, *prefix;
  BangerTreeTarSpec spec;
  GArray *files;          /* BangerPackFile, or NULL */
  int source_fd, stop_fd; /* of another pipe; stop_fd is an eventfd that ends its thread */
  int write_fd;
  GThread *thread;
  gsize bytes; /* written so far, atomic */
  GPtrArray *notes;
  guint dropped_notes;
  GError *error;
};

static void
on_note (const char *path, const char *what, gpointer data)
{
  BangerPack *pack = data;
  g_autofree char *shown = banger_text_escape (path, -1);

  if (pack->notes->len < NOTES_MAX)
    g_ptr_array_add (pack->notes, g_strdup_printf ("'%s': %s", shown, what));
  else
    pack->dropped_notes++;
}

static gboolean
copy_file (const BangerPackFile *file, BangerTarWriter *tar, guint64 size, GError **error)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK);

  for (guint64 done = 0; done < size;) {
    ssize_t n = TEMP_FAILURE_RETRY (pread (file->fd, chunk, MIN (CHUNK, size - done), done));

    if (n <= 0) {
      banger_set_error (error, BANGER_ERROR_FAILED, "receiving",
                        n < 0 ? g_strerror (errno) : _ ("it became shorter meanwhile"), NULL,
                        _ ("cannot read '%s'"), file->name);
      return FALSE;
    }
    if (!banger_tar_writer_data (tar, chunk, n, error))
      return FALSE;
    done += n;
  }
  return TRUE;
}

static gboolean
add_file (const BangerPackFile *file, BangerTarWriter *tar, GError **error)
{
  BangerTarEntry entry = { .path = file->name, .mode = S_IFREG | 0644 };
  struct stat st;

  if (fstat (file->fd, &st) < 0) {
    banger_set_error_errno (error, errno, "receiving", _ ("cannot read '%s'"), file->name);
    return FALSE;
  }
  entry.size = st.st_size;
  entry.mtime = st.st_mtim.tv_sec;
  return banger_tar_writer_add (tar, &entry, error) && copy_file (file, tar, entry.size, error);
}

static gboolean
add_all (BangerPack *pack, BangerTarWriter *tar)
{
  for (guint i = 0; pack->files != NULL && i < pack->files->len; i++) {
    if (!add_file (&g_array_index (pack->files, BangerPackFile, i), tar, &pack->error))
      return FALSE;
  }
  return banger_tree_tar_write (pack->directory, tar, &pack->spec, &pack->error);
}

/* A reader that goes away is an answer to write(2) in this thread, not the end of the program. */
static void
block_pipe_signal (void)
{
  sigset_t pipe_signal;

  sigemptyset (&pipe_signal);
  sigaddset (&pipe_signal, SIGPIPE);
  pthread_sigmask (SIG_BLOCK, &pipe_signal, NULL);
}

static gpointer
pack_thread (gpointer data)
{
  BangerPack *pack = data;
  g_autoptr (BangerTarWriter) tar = banger_tar_writer_new (pack->write_fd);

  block_pipe_signal ();
  banger_tar_writer_count (tar, &pack->bytes);
  if (!add_all (pack, tar) && banger_tar_writer_is_unread (tar))
    g_clear_error (&pack->error);
  banger_clear_fd (&pack->write_fd);
  return NULL;
}

/* Waits until @fd is ready; FALSE if there is no use for more. */
static gboolean
wait_for (BangerPack *pack, int fd, short events)
{
  struct pollfd fds[] = { { .fd = fd, .events = events },
                          { .fd = pack->stop_fd, .events = POLLIN },
                          { .fd = pack->write_fd } };

  return TEMP_FAILURE_RETRY (poll (fds, G_N_ELEMENTS (fds), -1)) > 0 && fds[1].revents == 0
         && (fds[2].revents & POLLERR) == 0;
}

static gpointer
pipe_thread (gpointer data)
{
  BangerPack *pack = data;
  ssize_t n = 1;

  block_pipe_signal ();
  while (n != 0 && wait_for (pack, pack->source_fd, POLLIN)
         && wait_for (pack, pack->write_fd, POLLOUT)) {
    /* Never waits by itself: it would not hear of the end. */
    n = TEMP_FAILURE_RETRY (splice (pack->source_fd, NULL, pack->write_fd, NULL, PIPE_SIZE,
                                    SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    if (n > 0) {
      g_atomic_pointer_add (&pack->bytes, n);
    } else if (n < 0 && errno != EAGAIN) {
      if (errno != EPIPE)
        banger_set_error_errno (&pack->error, errno, "receiving", _ ("cannot read the pipe"));
      n = 0;
    }
  }
  banger_clear_fd (&pack->source_fd);
  banger_clear_fd (&pack->write_fd);
  return NULL;
}

/* With its pipe, but without a thread yet. */
static BangerPack *
pack_new (int *read_fd, GError **error)
{
  BangerPack *pack = NULL;
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) < 0) {
    banger_set_error_errno (error, errno, "receiving", "cannot make a pipe");
    return NULL;
  }
  /* Fewer changes between us and who reads; past a user's share it stays as it is. */
  fcntl (ends[1], F_SETPIPE_SZ, PIPE_SIZE);
  pack = g_new0 (BangerPack, 1);
  pack->notes = g_ptr_array_new_with_free_func (g_free);
  pack->source_fd = pack->stop_fd = -1;
  pack->write_fd = ends[1];
  *read_fd = ends[0];
  return pack;
}

/* Takes @files, which may be NULL. */
static BangerPack *
start (GArray *files, const char *directory, const BangerTreeTarSpec *spec, int *read_fd,
       GError **error)
{
  g_autoptr (GArray) owned = files;
  BangerPack *pack = NULL;

  if (!g_file_test (directory, G_FILE_TEST_IS_DIR)) {
    g_autofree char *shown = banger_text_escape (directory, -1);

    banger_set_error (error, BANGER_ERROR_NOT_FOUND, "receiving", NULL, NULL,
                      _ ("'%s' is not a directory"), shown);
    return NULL;
  }
  pack = pack_new (read_fd, error);
  if (pack == NULL)
    return NULL;
  pack->files = g_steal_pointer (&owned);
  pack->directory = g_strdup (directory);
  pack->prefix = g_strdup (spec->prefix);
  pack->spec = *spec;
  pack->spec.prefix = pack->prefix;
  pack->spec.note = on_note;
  pack->spec.data = pack;
  pack->thread = g_thread_new ("pack", pack_thread, pack);
  return pack;
}

BangerPack *
banger_pack_start_tree (const char *directory, const BangerTreeTarSpec *spec, int *read_fd,
                        GError **error)
{
  return start (NULL, directory, spec, read_fd, error);
}

BangerPack *
banger_pack_start (const char *directory, const char *prefix, int *read_fd, GError **error)
{
  const BangerTreeTarSpec spec = { .prefix = prefix };

  return start (NULL, directory, &spec, read_fd, error);
}

BangerPack *
banger_pack_start_after (GArray *files, const char *directory, const char *prefix, int *read_fd,
                         GError **error)
{
  const BangerTreeTarSpec spec = { .prefix = prefix };

  return start (files, directory, &spec, read_fd, error);
}

BangerPack *
banger_pack_start_pipe (int fd, int *read_fd, GError **error)
{
  banger_autofd int source = fd, stop = eventfd (0, EFD_CLOEXEC);
  BangerPack *pack = NULL;

  if (stop < 0) {
    banger_set_error_errno (error, errno, "receiving", "cannot make an eventfd");
    return NULL;
  }
  pack = pack_new (read_fd, error);
  if (pack == NULL)
    return NULL;
  pack->source_fd = g_steal_fd (&source);
  pack->stop_fd = g_steal_fd (&stop);
  pack->thread = g_thread_new ("pipe", pipe_thread, pack);
  return pack;
}

guint64
banger_pack_bytes (BangerPack *pack)
{
  return (guint64)g_atomic_pointer_add (&pack->bytes, 0);
}

gboolean
banger_pack_finish (BangerPack *pack, GError **error)
{
  gboolean ok = FALSE;

  if (pack->stop_fd >= 0)
    eventfd_write (pack->stop_fd, 1);
  g_thread_join (pack->thread);
  banger_clear_fd (&pack->stop_fd);
  ok = pack->error == NULL;
  if (!ok)
    g_propagate_error (error, pack->error);
  for (guint i = 0; i < pack->notes->len; i++)
    g_printerr ("%s %s\n", _ ("note:"), (const char *)pack->notes->pdata[i]);
  if (pack->dropped_notes > 0)
    g_printerr ("%s %s\n", _ ("note:"), _ ("there is more of this, which is not shown"));
  g_ptr_array_unref (pack->notes);
  g_clear_pointer (&pack->files, g_array_unref);
  g_free (pack->directory);
  g_free (pack->prefix);
  g_free (pack);
  return ok;
}
