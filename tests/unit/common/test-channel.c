/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/common.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  BangerChannel *a;
  BangerChannel *b;
  GMainLoop *loop;
  GPtrArray *verbs; /* what b received */
  guint ends;       /* how often b was told the end */
  GAsyncResult *result;
} Pair;

static void
on_message (BangerChannel *channel, BangerMessage *message, gpointer data)
{
  Pair *pair = data;

  if (message == NULL) {
    pair->ends++;
    g_main_loop_quit (pair->loop);
    return;
  }
  g_ptr_array_add (pair->verbs, g_strdup (message->verb));
  if (g_str_equal (message->verb, "echo")) {
    g_assert_true (
        banger_channel_reply (channel, message->serial, message->args, message->fds, NULL));
  } else if (g_str_equal (message->verb, "refuse")) {
    g_autoptr (GError) error = NULL;

    banger_set_error (&error, BANGER_ERROR_BUSY, "disks", "it is in use", "wait", "vm 'x': busy");
    banger_channel_reply_error (channel, message->serial, error);
  } else if (g_str_equal (message->verb, "stop")) {
    g_main_loop_quit (pair->loop);
  }
}

static void
set_up (Pair *pair, gconstpointer unused)
{
  int fd = -1;

  pair->a = banger_channel_pair (&fd, NULL);
  g_assert_nonnull (pair->a);
  pair->b = banger_channel_new (fd);
  pair->loop = g_main_loop_new (NULL, FALSE);
  pair->verbs = g_ptr_array_new_with_free_func (g_free);
  banger_channel_listen (pair->a, NULL, NULL);
  banger_channel_listen (pair->b, on_message, pair);
}

static void
tear_down (Pair *pair, gconstpointer unused)
{
  g_clear_object (&pair->a);
  g_clear_object (&pair->b);
  g_main_loop_unref (pair->loop);
  g_ptr_array_unref (pair->verbs);
  g_clear_object (&pair->result);
}

static void
on_called (GObject *source, GAsyncResult *result, gpointer data)
{
  Pair *pair = data;

  pair->result = g_object_ref (result);
  g_main_loop_quit (pair->loop);
}

static GVariant *
number (guint32 value)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "number", "u", value);
  return g_variant_dict_end (&dict);
}

static void
test_call (Pair *pair, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerMessage) answer = NULL;
  guint32 value = 0;

  banger_channel_call_async (pair->a, "echo", number (42), NULL, 5000, NULL, on_called, pair);
  g_main_loop_run (pair->loop);
  answer = banger_channel_call_finish (pair->a, pair->result, &error);
  g_assert_no_error (error);
  g_assert_true (g_variant_lookup (answer->args, "number", "u", &value));
  g_assert_cmpuint (value, ==, 42);
}

static void
test_error_answer (Pair *pair, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;

  banger_channel_call_async (pair->a, "refuse", NULL, NULL, 5000, NULL, on_called, pair);
  g_main_loop_run (pair->loop);
  g_assert_null (banger_channel_call_finish (pair->a, pair->result, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_BUSY);
  g_assert_cmpstr (banger_error_stage (error), ==, "disks");
  g_assert_cmpstr (banger_error_cause (error), ==, "it is in use");
  g_assert_cmpstr (banger_error_hint (error), ==, "wait");
}

static void
test_timeout (Pair *pair, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;

  banger_channel_call_async (pair->a, "ignored", NULL, NULL, 30, NULL, on_called, pair);
  g_main_loop_run (pair->loop);
  g_assert_null (banger_channel_call_finish (pair->a, pair->result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT);
}

static void
test_cancel (Pair *pair, gconstpointer unused)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;

  banger_channel_call_async (pair->a, "ignored", NULL, NULL, 0, cancellable, on_called, pair);
  g_cancellable_cancel (cancellable);
  g_main_loop_run (pair->loop);
  g_assert_null (banger_channel_call_finish (pair->a, pair->result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
}

/* The peer goes while a call waits: the call fails, and the end is told once. */
static void
test_peer_gone (Pair *pair, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;

  banger_channel_call_async (pair->a, "ignored", NULL, NULL, 0, NULL, on_called, pair);
  banger_channel_close (pair->b);
  g_main_loop_run (pair->loop);
  g_assert_null (banger_channel_call_finish (pair->a, pair->result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_assert_false (banger_channel_is_open (pair->a));
  g_assert_false (banger_channel_send (pair->a, 0, "late", NULL, NULL, NULL));
}

/* The end was not heard of yet. */
static void
test_send_to_gone (Pair *pair, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;

  banger_channel_close (pair->b);
  g_assert_false (banger_channel_send (pair->a, 0, "late", NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
}

static void
test_end_is_told_once (Pair *pair, gconstpointer unused)
{
  banger_channel_close (pair->a);
  g_main_loop_run (pair->loop);
  g_assert_cmpuint (pair->ends, ==, 1);
}

/* More than the socket takes at once arrives whole and in order. */
static void
test_queue (Pair *pair, gconstpointer unused)
{
  g_autofree char *big = g_strnfill (40000, 'x');
  GVariantDict dict;

  for (guint i = 0; i < 200; i++) {
    g_autofree char *verb = g_strdup_printf ("n%u", i);

    g_variant_dict_init (&dict, NULL);
    g_variant_dict_insert (&dict, "text", "s", big);
    g_assert_true (banger_channel_send (pair->a, 0, verb, g_variant_dict_end (&dict), NULL, NULL));
  }
  g_assert_true (banger_channel_send (pair->a, 0, "stop", NULL, NULL, NULL));
  g_main_loop_run (pair->loop);
  g_assert_cmpuint (pair->verbs->len, ==, 201);
  g_assert_cmpstr (pair->verbs->pdata[199], ==, "n199");
}

static void
test_too_large (Pair *pair, gconstpointer unused)
{
  g_autofree char *big = g_strnfill (BANGER_MESSAGE_MAX, 'x');
  g_autoptr (GError) error = NULL;
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "text", "s", big);
  g_assert_false (
      banger_channel_send (pair->a, 0, "big", g_variant_dict_end (&dict), NULL, &error));
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_FAILED);
  g_assert_true (banger_channel_is_open (pair->a));
}

static void
test_descriptors (Pair *pair, gconstpointer unused)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (BangerMessage) answer = NULL;
  g_autoptr (GError) error = NULL;
  banger_autofd int memory = banger_memfd_new ("test", "hello", 5, NULL);
  banger_autofd int received = -1;
  char text[8] = "";
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert (&dict, "file", "h", g_unix_fd_list_append (fds, memory, NULL));
  g_variant_dict_insert (&dict, "outside", "h", 7);
  banger_channel_call_async (pair->a, "echo", g_variant_dict_end (&dict), fds, 5000, NULL,
                             on_called, pair);
  g_main_loop_run (pair->loop);
  answer = banger_channel_call_finish (pair->a, pair->result, &error);
  g_assert_no_error (error);
  received = banger_message_get_fd (answer, "file", &error);
  g_assert_no_error (error);
  g_assert_cmpint (pread (received, text, sizeof text, 0), ==, 5);
  g_assert_cmpstr (text, ==, "hello");
  g_assert_cmpint (fcntl (received, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  g_assert_cmpint (banger_message_get_fd (answer, "outside", NULL), ==, -1);
  g_assert_cmpint (banger_message_get_fd (answer, "missing", &error), ==, -1);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
}

/* A peer that sends anything but a message is cut off, and its descriptors are closed. */
static void
test_garbage_closes (void)
{
  static const char *const packets[] = { "", "x", "\x01\x00\x00\x00verb", "\xff\xff\xff\xff\xff" };
  static const gsize sizes[] = { 1, 1, 8, 5 };

  for (guint i = 0; i < G_N_ELEMENTS (packets); i++) {
    g_autoptr (BangerChannel) channel = NULL;
    g_autoptr (GError) error = NULL;
    banger_autofd int fd = -1;

    channel = banger_channel_pair (&fd, NULL);
    g_assert_cmpint (send (fd, packets[i], sizes[i], 0), ==, (gssize)sizes[i]);
    g_assert_null (banger_channel_receive (channel, &error));
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
  }
}

static void
test_receive_end (void)
{
  g_autoptr (BangerChannel) channel = NULL;
  g_autoptr (GError) error = NULL;
  int fd = -1;

  channel = banger_channel_pair (&fd, NULL);
  close (fd);
  g_assert_null (banger_channel_receive (channel, &error));
  g_assert_no_error (error);
}

/* Paths longer than sockaddr_un holds. */
static void
test_long_path (void)
{
  g_autofree char *top = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  g_autofree char *long_name = g_strnfill (120, 'd');
  g_autofree char *dir = g_build_filename (top, long_name, NULL);
  g_autofree char *path = g_build_filename (dir, "control", NULL);
  g_autofree char *through = NULL;
  g_autoptr (BangerChannel) channel = NULL;
  g_autoptr (GError) error = NULL;
  struct sockaddr_un {
    sa_family_t family;
    char path[108];
  } address = { AF_UNIX, "" };
  banger_autofd int dirfd = banger_make_dirs (dir, 0700, NULL);
  banger_autofd int listener = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

  through = g_strdup_printf ("/proc/self/fd/%d/control", dirfd);
  g_strlcpy (address.path, through, sizeof address.path);
  g_assert_cmpint (bind (listener, (struct sockaddr *)&address, sizeof address), ==, 0);
  g_assert_cmpint (listen (listener, 1), ==, 0);
  channel = banger_channel_connect (path, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (banger_channel_peer_uid (channel), ==, getuid ());
  g_assert_cmpint (banger_channel_peer_pid (channel), ==, getpid ());
  g_assert_true (banger_remove_tree_at (AT_FDCWD, top, &error));
  banger_channel_close (channel);
  g_assert_cmpuint (banger_channel_peer_uid (channel), ==, (uid_t)-1);
  g_assert_cmpint (banger_channel_peer_pid (channel), ==, 0);
  g_clear_object (&channel);
  channel = banger_channel_connect (path, &error);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_NOT_FOUND);
}

static void
assert_not_connected (const char *folder, const char *name, int code, const char *cause)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (banger_channel_connect (path, &error));
  g_assert_error (error, BANGER_ERROR, code);
  g_assert_cmpstr (banger_error_cause (error), ==, cause);
}

/* That nobody listens is told from what keeps us from those who do. */
static void
test_not_connected (void)
{
  g_autofree char *top = g_dir_make_tmp ("banger-test-XXXXXX", NULL);
  g_autofree char *loop = g_build_filename (top, "loop", NULL);
  g_autofree char *file = g_build_filename (top, "file", NULL);
  g_autofree char *long_name = g_strnfill (120, 'x');

  g_assert_cmpint (symlink ("loop", loop), ==, 0);
  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  assert_not_connected (top, "none", BANGER_ERROR_NOT_FOUND, g_strerror (ENOENT));
  assert_not_connected (top, "none/control", BANGER_ERROR_NOT_FOUND, g_strerror (ENOENT));
  assert_not_connected (top, "file", BANGER_ERROR_NOT_FOUND, g_strerror (ECONNREFUSED));
  assert_not_connected (top, "loop", BANGER_ERROR_FAILED, g_strerror (ELOOP));
  assert_not_connected (top, "file/control", BANGER_ERROR_FAILED, g_strerror (ENOTDIR));
  assert_not_connected (top, long_name, BANGER_ERROR_FAILED, g_strerror (ENAMETOOLONG));
  g_assert_true (banger_remove_tree_at (AT_FDCWD, top, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, func) g_test_add ("/channel/" name, Pair, NULL, set_up, func, tear_down)
  ADD ("call", test_call);
  ADD ("error-answer", test_error_answer);
  ADD ("timeout", test_timeout);
  ADD ("cancel", test_cancel);
  ADD ("peer-gone", test_peer_gone);
  ADD ("send-to-gone", test_send_to_gone);
  ADD ("end-is-told-once", test_end_is_told_once);
  ADD ("queue", test_queue);
  ADD ("too-large", test_too_large);
  ADD ("descriptors", test_descriptors);
  g_test_add_func ("/channel/garbage-closes", test_garbage_closes);
  g_test_add_func ("/channel/receive-end", test_receive_end);
  g_test_add_func ("/channel/long-path", test_long_path);
  g_test_add_func ("/channel/not-connected", test_not_connected);
  return g_test_run ();
}
