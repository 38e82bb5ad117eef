/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The link between a guest, played here, and passt; passt is played too where it is to fail. */
#include "vmm/network.h"
#include "vmm/probe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* passt sends in pieces; how they arrive is chance. */
#define ROUNDS 10

typedef struct {
  BangerNetworkLink *link;
  int guest;
  gboolean ready;
} Network;

static void
on_ready (gpointer data)
{
  ((Network *)data)->ready = TRUE;
}

static void
on_lost (gpointer data, const GError *error)
{
  g_error ("%s: %s", error->message, banger_error_cause (error));
}

static void
set_up (Network *self)
{
  static const BangerNetworkEvents events = { on_ready, on_lost };
  GError *error = NULL;

  self->ready = FALSE;
  self->guest = -1;
  self->link = banger_network_new (&self->guest, &events, self, &error);
  g_assert_no_error (error);
  while (!self->ready)
    g_main_context_iteration (NULL, TRUE);
}

static void
tear_down (Network *self)
{
  banger_network_free (self->link);
  banger_clear_fd (&self->guest);
}

/* "Who has 192.0.0.1?" by 192.0.0.2 (RFC 826), behind its length. */
static const guint8 question[] = {
  0,    0,    0,    42,                                                      /* length */
  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, /* Ethernet */
  0,    1,    8,    0,    6,    4,    0,    1,          /* a question, IPv4 on Ethernet */
  0x52, 0x54, 0,    0x12, 0x34, 0x56, 192,  0,    0, 2, /* from */
  0,    0,    0,    0,    0,    0,    192,  0,    0, 1, /* for */
};

/* The guest sees whole frames from the first on, and not the answer to what it never asked. */
static void
test_first_frame (void)
{
  g_autofree char *reason = NULL;

  if (!banger_passt_probe (&reason)) {
    g_autofree char *why = g_strdup_printf ("passt does not work here: %s", reason);

    g_test_skip (why);
    return;
  }
  for (guint round = 0; round < ROUNDS; round++) {
    Network self;
    guint8 got[4096];
    gsize length = 0;
    guint32 size = 0;

    set_up (&self);
    g_assert_cmpint (send (self.guest, question, sizeof question, MSG_NOSIGNAL), ==,
                     sizeof question);
    while (length < sizeof question) {
      ssize_t n = recv (self.guest, got + length, sizeof got - length, MSG_DONTWAIT);

      length += MAX (n, 0);
      if (n < 0)
        g_main_context_iteration (NULL, TRUE);
    }
    memcpy (&size, got, sizeof size);
    g_assert_cmpuint (length, ==, sizeof question);
    g_assert_cmpuint (ntohl (size), ==, 42);
    /* An answer, by the gateway. */
    g_assert_cmpuint (got[4 + 14 + 7], ==, 2);
    g_assert_cmpmem (got + 4 + 14 + 14, 4, "\xc0\0\0\1", 4);
    tear_down (&self);
  }
}

static void
set_for_us (const char *file, const char *text)
{
  banger_autofd int fd = open (file, O_WRONLY | O_CLOEXEC);

  g_assert_cmpint (write (fd, text, strlen (text)), ==, (gssize)strlen (text));
}

/* A namespace of our own. FALSE: none is to be had. */
static gboolean
enter_namespace (int more)
{
  g_autofree char *user = g_strdup_printf ("1000 %u 1", getuid ());
  g_autofree char *group = g_strdup_printf ("1000 %u 1", getgid ());

  if (unshare (CLONE_NEWUSER | more) != 0)
    return FALSE;
  set_for_us ("/proc/self/setgroups", "deny");
  set_for_us ("/proc/self/uid_map", user);
  set_for_us ("/proc/self/gid_map", group);
  return TRUE;
}

/* Where no user namespace can be made passt cannot work, and the probe knows that and why. */
static void
test_no_namespaces (void)
{
  g_autofree char *passt = banger_run_find ("passt"), *reason = NULL;

  if (passt == NULL) {
    g_test_skip ("passt is not installed");
    return;
  }
  if (!g_test_subprocess ()) {
    g_test_trap_subprocess (NULL, 0, 0);
    g_test_trap_assert_passed ();
    return;
  }
  if (enter_namespace (0))
    set_for_us ("/proc/sys/user/max_user_namespaces", "0");
  else
    g_test_message ("so it is here");
  g_assert_false (banger_passt_probe (&reason));
  if (strstr (reason, "user namespace") == NULL)
    g_error ("'%s' is not the reason", reason);
}

static void
on_told (gpointer data, const GError *error)
{
  *(char **)data = g_strdup (banger_error_cause (error));
}

/* A passt that complains more than a pipe holds is not held up by that, and its end is explained by
 * what it said last. */
static void
test_complains (void)
{
  static const BangerNetworkEvents events = { on_ready, on_told };
  static const char script[] = "#!/bin/sh\n"
                               "head -c 200000 /dev/zero | tr '\\0' x >&2\n"
                               "echo >&2\n"
                               "echo 'there is no room' >&2\n"
                               "exit 1\n";
  g_autofree char *passt = banger_run_find ("passt"), *dir = NULL, *played = NULL, *cause = NULL;
  BangerNetworkLink *link = NULL;
  banger_autofd int guest = -1;

  if (passt == NULL) {
    g_test_skip ("passt is not installed");
    return;
  }
  if (!g_test_subprocess ()) {
    g_test_trap_subprocess (NULL, 0, 0);
    g_test_trap_assert_passed ();
    return;
  }
  dir = g_dir_make_tmp ("banger-network-XXXXXX", NULL);
  played = g_build_filename (dir, "passt", NULL);
  g_assert_true (g_file_set_contents (played, script, -1, NULL));
  g_assert_cmpint (chmod (played, 0755), ==, 0);
  if (enter_namespace (CLONE_NEWNS)) {
    g_assert_cmpint (mount (played, passt, NULL, MS_BIND, NULL), ==, 0);
    link = banger_network_new (&guest, &events, &cause, NULL);
    g_assert_nonnull (link);
    while (cause == NULL)
      g_main_context_iteration (NULL, TRUE);
    banger_network_free (link);
    g_assert_cmpstr (cause, ==, "there is no room");
  }
  g_assert_true (banger_remove_tree_at (AT_FDCWD, dir, NULL));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/vmm/network/first-frame", test_first_frame);
  g_test_add_func ("/vmm/network/no-namespaces", test_no_namespaces);
  g_test_add_func ("/vmm/network/complains", test_complains);
  return g_test_run ();
}
