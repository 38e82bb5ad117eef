/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "channel.h"

#include "errors.h"
#include "io.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* More than this many unsent messages means that the peer no longer reads. */
#define QUEUE_MAX 1024

typedef struct {
  GBytes *packet;
  GUnixFDList *fds;
} Outgoing;

struct _BangerChannel {
  GObject parent;
  int fd;
  guint32 last_serial;
  GSource *reader;
  GSource *writer;
  GQueue *outgoing;    /* of Outgoing */
  GHashTable *waiting; /* serial to GTask */
  BangerChannelFunc func;
  gpointer data;
};

G_DEFINE_FINAL_TYPE (BangerChannel, banger_channel, G_TYPE_OBJECT)

void
banger_message_free (BangerMessage *message)
{
  g_free (message->verb);
  g_clear_pointer (&message->args, g_variant_unref);
  g_clear_object (&message->fds);
  g_free (message);
}

BangerMessage *
banger_message_parse (GBytes *packet, GUnixFDList *fds, GError **error)
{
  g_autoptr (GUnixFDList) owned_fds = fds;
  g_autoptr (GVariant) value = NULL;
  BangerMessage *message = NULL;

  value
      = g_variant_ref_sink (g_variant_new_from_bytes (G_VARIANT_TYPE ("(usa{sv})"), packet, FALSE));
  if (!g_variant_is_normal_form (value)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "a message of %" G_GSIZE_FORMAT " bytes is malformed",
                      g_bytes_get_size (packet));
    return NULL;
  }
  message = g_new0 (BangerMessage, 1);
  g_variant_get (value, "(us@a{sv})", &message->serial, &message->verb, &message->args);
  message->fds = g_steal_pointer (&owned_fds);
  return message;
}

int
banger_message_get_fd (BangerMessage *message, const char *key, GError **error)
{
  gint32 index = -1;

  if (!g_variant_lookup (message->args, key, "h", &index) || message->fds == NULL || index < 0
      || index >= g_unix_fd_list_get_length (message->fds)) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "message '%s' brings no descriptor '%s'", message->verb, key);
    return -1;
  }
  return g_unix_fd_list_get (message->fds, index, error);
}

gboolean
banger_message_add_fd (GVariantDict *args, GUnixFDList *fds, const char *key, int fd,
                       GError **error)
{
  int index = fd >= 0 ? g_unix_fd_list_append (fds, fd, error) : -1;

  if (index >= 0)
    g_variant_dict_insert (args, key, "h", index);
  return index >= 0;
}

GVariant *
banger_no_args (void)
{
  return g_variant_new_array (G_VARIANT_TYPE ("{sv}"), NULL, 0);
}

static void
outgoing_free (gpointer data)
{
  Outgoing *outgoing = data;

  g_bytes_unref (outgoing->packet);
  g_clear_object (&outgoing->fds);
  g_free (outgoing);
}

static void
clear_source (GSource **source)
{
  if (*source != NULL)
    g_source_destroy (*source);
  g_clear_pointer (source, g_source_unref);
}

static GError *
gone_error (void)
{
  return g_error_new_literal (G_IO_ERROR, G_IO_ERROR_CLOSED, "the peer has gone");
}

static void
fail_waiting (BangerChannel *self)
{
  g_autoptr (GHashTable) waiting = g_steal_pointer (&self->waiting);
  GHashTableIter iter;
  gpointer task = NULL;

  self->waiting = g_hash_table_new_full (NULL, NULL, NULL, g_object_unref);
  g_hash_table_iter_init (&iter, waiting);
  while (g_hash_table_iter_next (&iter, NULL, &task))
    g_task_return_error (task, gone_error ());
}

void
banger_channel_close (BangerChannel *self)
{
  if (self->fd < 0)
    return;
  clear_source (&self->reader);
  clear_source (&self->writer);
  banger_clear_fd (&self->fd);
  g_queue_clear_full (self->outgoing, outgoing_free);
  fail_waiting (self);
}

static void
banger_channel_finalize (GObject *object)
{
  BangerChannel *self = BANGER_CHANNEL (object);

  banger_channel_close (self);
  g_queue_free_full (self->outgoing, outgoing_free);
  g_hash_table_unref (self->waiting);
  G_OBJECT_CLASS (banger_channel_parent_class)->finalize (object);
}

static void
banger_channel_class_init (BangerChannelClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = banger_channel_finalize;
}

static void
banger_channel_init (BangerChannel *self)
{
  self->fd = -1;
  self->outgoing = g_queue_new ();
  self->waiting = g_hash_table_new_full (NULL, NULL, NULL, g_object_unref);
}

BangerChannel *
banger_channel_new (int fd)
{
  BangerChannel *self = g_object_new (BANGER_TYPE_CHANNEL, NULL);

  self->fd = fd;
  return self;
}

static void
set_not_connected (const char *path, int errnum, GError **error)
{
  if (errnum == ENOENT || errnum == ECONNREFUSED)
    banger_set_error (error, BANGER_ERROR_NOT_FOUND, NULL, g_strerror (errnum), NULL,
                      "%s: nobody listens there", path);
  else
    banger_set_error_errno (error, errnum, NULL, "%s: cannot connect", path);
}

BangerChannel *
banger_channel_connect (const char *path, GError **error)
{
  banger_autofd int dir = -1, fd = -1;
  g_autofree char *dirname = g_path_get_dirname (path);
  g_autofree char *basename = g_path_get_basename (path);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  int length = 0, errnum = 0;

  /* sun_path holds 108 bytes (unix(7)); going through the directory's descriptor lifts that. */
  dir = open (dirname, O_PATH | O_DIRECTORY | O_CLOEXEC);
  fd = dir >= 0 ? socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0) : -1;
  errnum = fd < 0 ? errno : 0;
  length = g_snprintf (address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", dir,
                       basename);
  if (errnum == 0 && length >= (int)sizeof address.sun_path)
    errnum = ENAMETOOLONG;
  if (errnum == 0 && connect (fd, (struct sockaddr *)&address, sizeof address) < 0)
    errnum = errno;
  if (errnum != 0) {
    set_not_connected (path, errnum, error);
    return NULL;
  }
  return banger_channel_new (banger_steal_fd (&fd));
}

BangerChannel *
banger_channel_pair (int *child_fd, GError **error)
{
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
    banger_set_error_errno (error, errno, NULL, "cannot make a socket");
    return NULL;
  }
  *child_fd = fds[1];
  return banger_channel_new (fds[0]);
}

/* Descriptors of @header; NULL if there are none. FALSE if the kernel had to drop some. */
static gboolean
collect_fds (struct msghdr *header, GUnixFDList **fds)
{
  for (struct cmsghdr *c = CMSG_FIRSTHDR (header); c != NULL; c = CMSG_NXTHDR (header, c)) {
    int received[BANGER_MESSAGE_FDS_MAX];
    gsize bytes = 0;

    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
      continue;
    bytes = MIN (c->cmsg_len - CMSG_LEN (0), sizeof received);
    memcpy (received, CMSG_DATA (c), bytes);
    if (*fds == NULL && bytes > 0)
      *fds = g_unix_fd_list_new_from_array (received, bytes / sizeof (int));
  }
  return (header->msg_flags & (MSG_CTRUNC | MSG_TRUNC)) == 0;
}

/* One packet. NULL without an error: end of stream. G_IO_ERROR_WOULD_BLOCK: nothing there. */
static BangerMessage *
receive_packet (BangerChannel *self, int flags, GError **error)
{
  g_autofree char *buffer = g_malloc (BANGER_MESSAGE_MAX);
  union {
    char space[CMSG_SPACE (sizeof (int) * BANGER_MESSAGE_FDS_MAX)];
    struct cmsghdr align;
  } control;
  struct iovec iov = { buffer, BANGER_MESSAGE_MAX };
  struct msghdr header = { .msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control.space,
                           .msg_controllen = sizeof control.space };
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GBytes) packet = NULL;
  gboolean whole = TRUE;
  ssize_t n = TEMP_FAILURE_RETRY (recvmsg (self->fd, &header, flags | MSG_CMSG_CLOEXEC));

  if (n < 0 && errno != ECONNRESET) {
    g_set_error_literal (error, G_IO_ERROR, g_io_error_from_errno (errno), g_strerror (errno));
    return NULL;
  }
  if (n <= 0)
    return NULL;
  whole = collect_fds (&header, &fds);
  if (!whole) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      "a message is larger than agreed");
    return NULL;
  }
  packet = g_bytes_new_take (g_steal_pointer (&buffer), n);
  return banger_message_parse (packet, g_steal_pointer (&fds), error);
}

static void
take_answer (BangerChannel *self, BangerMessage *message)
{
  GTask *task = NULL;

  if (!g_hash_table_steal_extended (self->waiting, GUINT_TO_POINTER (message->serial), NULL,
                                    (gpointer *)&task)) {
    banger_message_free (message); /* it came after its caller gave up */
    return;
  }
  if (g_str_equal (message->verb, "error")) {
    GError *raised = banger_error_from_variant (message->args);

    if (raised == NULL)
      banger_set_error (&raised, BANGER_ERROR_FAILED, NULL, NULL, NULL, "the peer gave no reason");
    g_task_return_error (task, raised);
    banger_message_free (message);
  } else {
    g_task_return_pointer (task, message, (GDestroyNotify)banger_message_free);
  }
  g_object_unref (task);
}

static void
announce_end (BangerChannel *self)
{
  BangerChannelFunc func = self->func;

  banger_channel_close (self);
  if (func != NULL)
    func (self, NULL, self->data);
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  g_autoptr (BangerChannel) self = g_object_ref (BANGER_CHANNEL (data));
  g_autoptr (GError) error = NULL;
  BangerMessage *message = receive_packet (self, MSG_DONTWAIT, &error);

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
    return G_SOURCE_CONTINUE;
  if (message == NULL) {
    if (error != NULL)
      g_warning ("closing a channel: %s", error->message);
    announce_end (self);
    return G_SOURCE_REMOVE;
  }
  if (g_str_equal (message->verb, "reply") || g_str_equal (message->verb, "error")) {
    take_answer (self, message);
    return G_SOURCE_CONTINUE;
  }
  if (self->func != NULL)
    self->func (self, message, self->data);
  banger_message_free (message);
  return self->fd >= 0 ? G_SOURCE_CONTINUE : G_SOURCE_REMOVE;
}

void
banger_channel_listen (BangerChannel *self, BangerChannelFunc func, gpointer data)
{
  g_return_if_fail (self->reader == NULL && self->fd >= 0);
  self->func = func;
  self->data = data;
  self->reader = g_unix_fd_source_new (self->fd, G_IO_IN | G_IO_HUP | G_IO_ERR);
  g_source_set_callback (self->reader, G_SOURCE_FUNC (on_readable), self, NULL);
  g_source_attach (self->reader, g_main_context_get_thread_default ());
}

BangerMessage *
banger_channel_receive (BangerChannel *self, GError **error)
{
  return receive_packet (self, 0, error);
}

/* errno of the send, 0 if it was sent. */
static int
send_packet (int fd, GBytes *packet, GUnixFDList *fds, int flags)
{
  gsize size = 0;
  gconstpointer bytes = g_bytes_get_data (packet, &size);
  union {
    char space[CMSG_SPACE (sizeof (int) * BANGER_MESSAGE_FDS_MAX)];
    struct cmsghdr align;
  } control = { 0 };
  struct iovec iov = { (gpointer)bytes, size };
  struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
  int n_fds = 0;
  const int *array = fds != NULL ? g_unix_fd_list_peek_fds (fds, &n_fds) : NULL;

  if (n_fds > 0) {
    header.msg_control = control.space;
    header.msg_controllen = CMSG_SPACE (sizeof (int) * n_fds);
    control.align.cmsg_level = SOL_SOCKET;
    control.align.cmsg_type = SCM_RIGHTS;
    control.align.cmsg_len = CMSG_LEN (sizeof (int) * n_fds);
    memcpy (CMSG_DATA (&control.align), array, sizeof (int) * n_fds);
  }
  return TEMP_FAILURE_RETRY (sendmsg (fd, &header, flags | MSG_NOSIGNAL)) < 0 ? errno : 0;
}

static gboolean
on_writable (int fd, GIOCondition condition, gpointer data)
{
  BangerChannel *self = data;

  while (!g_queue_is_empty (self->outgoing)) {
    Outgoing *next = g_queue_peek_head (self->outgoing);
    int errnum = send_packet (self->fd, next->packet, next->fds, MSG_DONTWAIT);

    if (errnum == EAGAIN)
      return G_SOURCE_CONTINUE;
    /* Any other error shows at the reading end, which closes the channel. */
    outgoing_free (g_queue_pop_head (self->outgoing));
  }
  g_clear_pointer (&self->writer, g_source_unref);
  return G_SOURCE_REMOVE;
}

static void
enqueue (BangerChannel *self, GBytes *packet, GUnixFDList *fds)
{
  Outgoing *outgoing = g_new0 (Outgoing, 1);

  outgoing->packet = g_bytes_ref (packet);
  outgoing->fds = fds != NULL ? g_object_ref (fds) : NULL;
  g_queue_push_tail (self->outgoing, outgoing);
  if (self->writer != NULL)
    return;
  self->writer = g_unix_fd_source_new (self->fd, G_IO_OUT);
  g_source_set_callback (self->writer, G_SOURCE_FUNC (on_writable), self, NULL);
  g_source_attach (self->writer, g_main_context_get_thread_default ());
}

static gboolean
refuse_send (BangerChannel *self, gsize size, int n_fds, const char *verb, GError **error)
{
  if (self->fd < 0) {
    g_propagate_error (error, gone_error ());
    return TRUE;
  }
  if (size > BANGER_MESSAGE_MAX || n_fds > BANGER_MESSAGE_FDS_MAX
      || g_queue_get_length (self->outgoing) >= QUEUE_MAX) {
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, NULL, NULL,
                      "message '%s' of %" G_GSIZE_FORMAT " bytes cannot be sent", verb, size);
    return TRUE;
  }
  return FALSE;
}

gboolean
banger_channel_send (BangerChannel *self, guint32 serial, const char *verb, GVariant *args,
                     GUnixFDList *fds, GError **error)
{
  g_autoptr (GVariant) value = NULL, normal = NULL;
  g_autoptr (GBytes) packet = NULL;
  int errnum = 0;

  value = g_variant_ref_sink (
      g_variant_new ("(us@a{sv})", serial, verb, args != NULL ? args : banger_no_args ()));
  normal = g_variant_get_normal_form (value);
  packet = g_variant_get_data_as_bytes (normal);
  if (refuse_send (self, g_bytes_get_size (packet),
                   fds != NULL ? g_unix_fd_list_get_length (fds) : 0, verb, error))
    return FALSE;
  if (!g_queue_is_empty (self->outgoing)) {
    enqueue (self, packet, fds);
    return TRUE;
  }
  /* Without a main loop nobody would send the queue. */
  errnum = send_packet (self->fd, packet, fds, self->reader != NULL ? MSG_DONTWAIT : 0);
  if (errnum == EAGAIN) {
    enqueue (self, packet, fds);
  } else if (errnum == EPIPE || errnum == ECONNRESET) {
    g_propagate_error (error, gone_error ());
    return FALSE;
  } else if (errnum != 0) {
    banger_set_error_errno (error, errnum, NULL, "message '%s' cannot be sent", verb);
    return FALSE;
  }
  return TRUE;
}

gboolean
banger_channel_reply (BangerChannel *self, guint32 serial, GVariant *args, GUnixFDList *fds,
                      GError **error)
{
  return banger_channel_send (self, serial, "reply", args, fds, error);
}

void
banger_channel_reply_error (BangerChannel *self, guint32 serial, const GError *answer)
{
  g_autoptr (GError) error = NULL;

  if (!banger_channel_send (self, serial, "error", banger_error_to_variant (answer), NULL, &error))
    g_warning ("cannot answer: %s", error->message);
}

typedef struct {
  guint32 serial;
  GSource *timeout;
  GSource *cancelled;
} Call;

static void
call_free (gpointer data)
{
  Call *call = data;

  clear_source (&call->timeout);
  clear_source (&call->cancelled);
  g_free (call);
}

static gboolean
on_call_timeout (gpointer data)
{
  g_autoptr (GTask) task = g_object_ref (G_TASK (data));
  BangerChannel *self = g_task_get_source_object (task);
  Call *call = g_task_get_task_data (task);

  /* The task is ours to end only while it waits: an answer may be on its way to the caller. */
  if (g_hash_table_remove (self->waiting, GUINT_TO_POINTER (call->serial)))
    g_task_return_new_error (task, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "the peer did not answer");
  return G_SOURCE_REMOVE;
}

static gboolean
on_call_cancelled (GCancellable *cancellable, gpointer data)
{
  g_autoptr (GTask) task = g_object_ref (G_TASK (data));
  BangerChannel *self = g_task_get_source_object (task);
  Call *call = g_task_get_task_data (task);

  if (g_hash_table_remove (self->waiting, GUINT_TO_POINTER (call->serial)))
    g_task_return_error_if_cancelled (task);
  return G_SOURCE_REMOVE;
}

guint32
banger_channel_call_async (BangerChannel *self, const char *verb, GVariant *args, GUnixFDList *fds,
                           guint timeout_ms, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, data);
  GError *error = NULL;
  Call *call = g_new0 (Call, 1);

  g_task_set_source_tag (task, banger_channel_call_async);
  g_task_set_task_data (task, call, call_free);
  if (++self->last_serial == 0)
    self->last_serial = 1;
  call->serial = self->last_serial;
  if (!banger_channel_send (self, call->serial, verb, args, fds, &error)) {
    g_task_return_error (task, error);
    return 0;
  }
  g_hash_table_insert (self->waiting, GUINT_TO_POINTER (call->serial), g_object_ref (task));
  if (timeout_ms > 0) {
    call->timeout = g_timeout_source_new (timeout_ms);
    g_source_set_callback (call->timeout, on_call_timeout, task, NULL);
    g_source_attach (call->timeout, g_main_context_get_thread_default ());
  }
  if (cancellable != NULL) {
    call->cancelled = g_cancellable_source_new (cancellable);
    g_source_set_callback (call->cancelled, G_SOURCE_FUNC (on_call_cancelled), task, NULL);
    g_source_attach (call->cancelled, g_main_context_get_thread_default ());
  }
  return call->serial;
}

BangerMessage *
banger_channel_call_finish (BangerChannel *self, GAsyncResult *result, GError **error)
{
  return g_task_propagate_pointer (G_TASK (result), error);
}

gboolean
banger_channel_is_open (BangerChannel *self)
{
  return self->fd >= 0;
}

static struct ucred
peer_of (BangerChannel *self)
{
  struct ucred peer = { 0, (uid_t)-1, (gid_t)-1 };
  socklen_t size = sizeof peer;

  getsockopt (self->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
  return peer;
}

uid_t
banger_channel_peer_uid (BangerChannel *self)
{
  return peer_of (self).uid;
}

pid_t
banger_channel_peer_pid (BangerChannel *self)
{
  return peer_of (self).pid;
}
