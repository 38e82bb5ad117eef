/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the agent reads of its boot and of an image: no guest is needed for it. */
#include "agent/bootconf.h"
#include "agent/button.h"
#include "agent/http.h"
#include "agent/identity.h"
#include "agent/inits.h"
#include "agent/root.h"
#include "agent/users.h"
#include "common/common.h"

#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <linux/input.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define GOOD "version=1\nkey=" KEY "\nhostname=vm-1\ntransport=vsock\nroot=overlay\n"

static const char *
parse (AgentBootConf *conf, char **text, const char *source, guint *line)
{
  g_free (*text);
  *text = g_strdup (source);
  return agent_bootconf_parse (conf, *text, strlen (*text), line);
}

static void
test_bootconf (void)
{
  AgentBootConf conf;
  g_autofree char *text = NULL;
  guint line;

  g_assert_null (parse (&conf, &text,
                        GOOD "doorbell=77\nbind=/var/lib/docker\nbind=/srv\nwork=yes\n"
                             "modules=6.1.0-amd64\naddress=10.0.0.2/24\naddress=fd00::2/64\n"
                             "gateway=10.0.0.1\nnameserver=1.1.1.1\nsearch=vm",
                        &line));
  g_assert_cmpuint (conf.key[31], ==, 31);
  g_assert_cmpstr (conf.hostname, ==, "vm-1");
  g_assert_true (conf.vsock && conf.overlay && conf.work);
  g_assert_cmpuint (conf.doorbell, ==, 77);
  g_assert_cmpuint (conf.binds.n, ==, 2);
  g_assert_cmpstr (conf.binds.items[1], ==, "/srv");
  g_assert_cmpstr (conf.modules, ==, "6.1.0-amd64");
  g_assert_cmpstr (conf.addresses.items[1], ==, "fd00::2/64");
  g_assert_cmpstr (conf.gateway, ==, "10.0.0.1");
  g_assert_cmpstr (conf.nameservers.items[0], ==, "1.1.1.1");
  g_assert_cmpstr (conf.search, ==, "vm");
  /* The key is nowhere else any more. */
  g_assert_null (strstr (text, "0001020304"));
}

static void
test_bootconf_refused (void)
{
  static const struct {
    const char *text;
    guint line;
  } cases[] = {
    { GOOD "unknown=1\n", 6 },
    { GOOD "root=plain\n", 6 },
    { GOOD "doorbell=0\n", 6 },
    { GOOD "doorbell=4294967296\n", 6 },
    { GOOD "doorbell=-1\n", 6 },
    { GOOD "bind=relative\n", 6 },
    { GOOD "bind=/a/../b\n", 6 },
    { GOOD "bind=/\n", 6 },
    { GOOD "work=no\n", 6 },
    { GOOD "modules=../x\n", 6 },
    { GOOD "gateway=\n", 6 },
    { GOOD "gateway\n", 6 },
    { GOOD "\n", 6 },
    { "version=2\n", 1 },
    { "key=12\n", 1 },
    { "hostname=a.b\n", 1 },
    { "transport=tcp\n", 1 },
    { "root=other\n", 1 },
    { "version=1\n", 0 },
    { "", 0 },
  };
  g_autofree char *text = NULL;
  g_autoptr (GString) many = g_string_new (GOOD);
  AgentBootConf conf;
  guint line;

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_assert_nonnull (parse (&conf, &text, cases[i].text, &line));
    g_assert_cmpuint (line, ==, cases[i].line);
  }
  for (guint i = 0; i < AGENT_LIST_MAX; i++)
    g_string_append (many, "bind=/x\n");
  g_assert_null (parse (&conf, &text, many->str, &line));
  g_string_append (many, "bind=/x\n");
  g_assert_nonnull (parse (&conf, &text, many->str, &line));
  g_free (text);
  text = g_memdup2 ("version=1\0x=1\n", 15);
  g_assert_nonnull (agent_bootconf_parse (&conf, text, 14, &line));
}

/* A request cut at every place is the same request. */
static void
test_http_pieces (void)
{
  const char *request = "POST /exec?a=1&wait=2 HTTP/1.1\r\nHost: x\r\nUpgrade: banger-exec\r\n"
                        "Connection: Upgrade\r\nContent-Length: 0\r\n\r\nrest";
  const guint8 *bytes = (const guint8 *)request;
  gsize length = strlen (request), head = length - 4;
  AgentHttp *http = agent_http_new ();

  for (gsize cut = 1; cut < length; cut++) {
    AgentHttpResult result;
    gsize used, more = 0;

    agent_http_reset (http);
    result = agent_http_feed (http, bytes, cut, &used);
    g_assert_cmpint (result, ==, cut < head ? AGENT_HTTP_MORE : AGENT_HTTP_REQUEST);
    if (result == AGENT_HTTP_MORE)
      g_assert_cmpint (agent_http_feed (http, bytes + used, length - used, &more), ==,
                       AGENT_HTTP_REQUEST);
    g_assert_cmpuint (used + more, ==, head);
    g_assert_true (agent_http_request (http)->post);
    g_assert_true (agent_http_request (http)->upgrade_exec);
    g_assert_cmpstr (agent_http_request (http)->path, ==, "/exec");
    g_assert_cmpstr (agent_http_request (http)->query, ==, "a=1&wait=2");
  }
  agent_http_free (http);
}

static void
test_http_query (void)
{
  uint32_t value = 5;

  g_assert_true (agent_http_query_number ("wait=1&after=4294967295", "after", &value));
  g_assert_cmpuint (value, ==, G_MAXUINT32);
  g_assert_false (agent_http_query_number ("wait=1", "after", &value));
  g_assert_false (agent_http_query_number ("xafter=1&after", "after", &value));
  g_assert_false (agent_http_query_number ("after=1x", "after", &value));
  g_assert_false (agent_http_query_number ("after=4294967296", "after", &value));
  g_assert_false (agent_http_query_number ("after=-1", "after", &value));
}

typedef struct {
  char *path;
  int fd;
} Tree;

static void
tree_add (Tree *tree, const char *name, const char *text, int mode)
{
  g_autofree char *path = g_build_filename (tree->path, name, NULL);
  g_autofree char *parent = g_path_get_dirname (path);

  g_assert_cmpint (g_mkdir_with_parents (parent, 0755), ==, 0);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_assert_cmpint (chmod (path, (mode_t)mode), ==, 0);
}

static void
tree_link (Tree *tree, const char *target, const char *name)
{
  g_autofree char *path = g_build_filename (tree->path, name, NULL);
  g_autofree char *parent = g_path_get_dirname (path);

  g_assert_cmpint (g_mkdir_with_parents (parent, 0755), ==, 0);
  g_assert_cmpint (symlink (target, path), ==, 0);
}

static char *
tree_read (Tree *tree, const char *name)
{
  g_autofree char *path = g_build_filename (tree->path, name, NULL);
  char *text = NULL;

  g_file_get_contents (path, &text, NULL, NULL);
  return text;
}

static void
set_up (Tree *tree, gconstpointer data)
{
  tree->path = g_dir_make_tmp ("banger-agent-XXXXXX", NULL);
  g_assert_nonnull (tree->path);
  tree->fd = open (tree->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static void
tear_down (Tree *tree, gconstpointer data)
{
  g_assert_true (banger_remove_tree_at (AT_FDCWD, tree->path, NULL));
  g_free (tree->path);
  close (tree->fd);
}

static void
assert_init (Tree *tree, AgentInit init, const char *path)
{
  const char *found;

  g_assert_cmpstr (agent_init_to_string (agent_find_init (tree->fd, &found)), ==,
                   agent_init_to_string (init));
  g_assert_cmpstr (found, ==, path);
}

static void
test_init_systemd (Tree *tree, gconstpointer data)
{
  assert_init (tree, AGENT_INIT_NONE, NULL);
  tree_add (tree, "usr/lib/systemd/systemd", "", 0755);
  tree_link (tree, "usr/lib", "lib");
  assert_init (tree, AGENT_INIT_SYSTEMD, "/lib/systemd/systemd");
  /* An absolute link is the image's own, not the host's. */
  tree_link (tree, "/lib/systemd/systemd", "sbin/init");
  assert_init (tree, AGENT_INIT_SYSTEMD, "/sbin/init");
}

static void
test_init_openrc (Tree *tree, gconstpointer data)
{
  tree_add (tree, "bin/busybox", "", 0755);
  tree_link (tree, "/bin/busybox", "sbin/init");
  assert_init (tree, AGENT_INIT_NONE, NULL);
  tree_add (tree, "etc/inittab", "", 0644);
  tree_add (tree, "sbin/openrc", "", 0755);
  assert_init (tree, AGENT_INIT_OPENRC, "/sbin/init");
}

static void
test_init_runit (Tree *tree, gconstpointer data)
{
  tree_add (tree, "sbin/runit-init", "", 0755);
  assert_init (tree, AGENT_INIT_NONE, NULL);
  tree_add (tree, "etc/runit/1", "", 0755);
  assert_init (tree, AGENT_INIT_RUNIT, "/sbin/runit-init");
  tree_link (tree, "runit-init", "sbin/init");
  assert_init (tree, AGENT_INIT_RUNIT, "/sbin/init");
}

/* As Debian's runit-init has it. */
static void
test_init_runit_debian (Tree *tree, gconstpointer data)
{
  tree_add (tree, "usr/lib/runit/runit-init", "", 0755);
  tree_link (tree, "usr/lib", "lib");
  tree_add (tree, "usr/sbin/runit", "", 0755);
  tree_link (tree, "usr/sbin", "sbin");
  tree_link (tree, "/lib/runit/runit-init", "usr/sbin/init");
  assert_init (tree, AGENT_INIT_RUNIT, "/sbin/init");
}

static void
test_init_sysv (Tree *tree, gconstpointer data)
{
  tree_add (tree, "sbin/init", "", 0644);
  assert_init (tree, AGENT_INIT_NONE, NULL);
  tree_add (tree, "sbin/init", "", 0755);
  assert_init (tree, AGENT_INIT_SYSV, "/sbin/init");
}

static void
test_users (Tree *tree, gconstpointer data)
{
  AgentUser user;

  g_assert_true (agent_user_find (tree->path, "root", &user));
  g_assert_cmpstr (user.home, ==, "/root");
  g_assert_false (agent_user_find (tree->path, "joe", &user));
  tree_add (tree, "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nbroken line\njoe:x:1000:100:J:/home/joe:\n", 0644);
  tree_add (tree, "etc/group",
            "wheel:x:10:joe,ann\njoe:x:100:joe\nann:x:11:ann,joey\nlast:x:12:joe\n", 0644);
  g_assert_true (agent_user_find (tree->path, "joe", &user));
  g_assert_cmpuint (user.uid, ==, 1000);
  g_assert_cmpuint (user.n_groups, ==, 3);
  g_assert_cmpuint (user.groups[0], ==, 100);
  g_assert_cmpuint (user.groups[1], ==, 10);
  g_assert_cmpuint (user.groups[2], ==, 12);
  g_assert_cmpstr (user.shell, ==, "/bin/sh");
  g_assert_true (agent_user_find (tree->path, "1000", &user));
  g_assert_cmpstr (user.name, ==, "joe");
  g_assert_false (agent_user_find (tree->path, "1001", &user));
  g_assert_false (agent_user_find (tree->path, "", &user));
  g_assert_true (agent_user_find (tree->path, "0", &user));
  g_assert_cmpstr (user.shell, ==, "/bin/bash");
}

/* As image configurations have it: a group that is named is the only one. */
static void
test_users_groups (Tree *tree, gconstpointer data)
{
  static const struct {
    const char *name;
    guint uid, gid;
  } good[] = { { "joe:wheel", 1000, 10 },
               { "1000:12", 1000, 12 },
               { "joe:77", 1000, 77 },
               { "root:ann", 0, 11 } };
  static const char *const bad[] = { "joe:",           "joe:absent", ":wheel",        "ann:wheel",
                                     "joe:wheel:last", "joe:-1",     "joe:4294967295" };
  g_autofree char *longest = g_strnfill (300, 'j');
  AgentUser user;

  tree_add (tree, "etc/passwd", "joe:x:1000:100:J:/home/joe:\n", 0644);
  tree_add (tree, "etc/group", "wheel:x:10:joe\nann:x:11:\nlast:x:12:joe\n", 0644);
  for (guint i = 0; i < G_N_ELEMENTS (good); i++) {
    g_assert_true (agent_user_find (tree->path, good[i].name, &user));
    g_assert_cmpuint (user.uid, ==, good[i].uid);
    g_assert_cmpuint (user.gid, ==, good[i].gid);
    g_assert_cmpuint (user.n_groups, ==, 1);
    g_assert_cmpuint (user.groups[0], ==, good[i].gid);
  }
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (agent_user_find (tree->path, bad[i], &user));
  g_assert_false (agent_user_find (tree->path, longest, &user));
}

static void
test_fstab (Tree *tree, gconstpointer data)
{
  g_autofree char *text = NULL, *again = NULL;

  agent_trim_fstab (tree->fd);
  tree_add (tree, "etc/fstab",
            "# a comment\nUUID=1 / ext4 defaults 0 1\nPARTUUID=2 /boot/efi vfat umask=077 0 1\n"
            "LABEL=data /data ext4 nofail 0 2\ntmpfs /tmp tmpfs defaults 0 0\n"
            "/dev/no-such-disk none swap sw 0 0\n/swapfile none swap sw 0 0",
            0644);
  agent_trim_fstab (tree->fd);
  text = tree_read (tree, "etc/fstab");
  g_assert_cmpstr (text, ==,
                   "# a comment\n# not in this VM: UUID=1 / ext4 defaults 0 1\n"
                   "# not in this VM: PARTUUID=2 /boot/efi vfat umask=077 0 1\n"
                   "LABEL=data /data ext4 nofail 0 2\ntmpfs /tmp tmpfs defaults 0 0\n"
                   "# not in this VM: /dev/no-such-disk none swap sw 0 0\n"
                   "/swapfile none swap sw 0 0\n");
  agent_trim_fstab (tree->fd);
  again = tree_read (tree, "etc/fstab");
  g_assert_cmpstr (text, ==, again);
}

static void
test_machine_id (Tree *tree, gconstpointer data)
{
  g_autofree char *first = NULL, *second = NULL, *third = NULL;

  agent_write_machine_id (tree->fd, TRUE);
  g_assert_null (tree_read (tree, "etc/machine-id"));
  tree_add (tree, "etc/machine-id", "uninitialized\n", 0444);
  agent_write_machine_id (tree->fd, FALSE);
  first = tree_read (tree, "etc/machine-id");
  g_assert_cmpuint (strlen (first), ==, 33);
  g_assert_cmpuint (strspn (first, "0123456789abcdef"), ==, 32);
  agent_write_machine_id (tree->fd, FALSE);
  second = tree_read (tree, "etc/machine-id");
  g_assert_cmpstr (first, ==, second);
  agent_write_machine_id (tree->fd, TRUE);
  third = tree_read (tree, "etc/machine-id");
  g_assert_cmpstr (first, !=, third);
}

/* A link in the image leads to a place in the image, and is replaced rather than followed. */
static void
test_resolver (Tree *tree, gconstpointer data)
{
  AgentBootConf conf = { .search = "vm", .nameservers = { .items = { "1.1.1.1" }, .n = 1 } };
  AgentState state = { 0 };
  g_autofree char *text = NULL, *target = NULL;

  tree_add (tree, "run/stub", "old\n", 0644);
  tree_link (tree, "/run/stub", "etc/resolv.conf");
  agent_write_resolver (&conf, &state, tree->fd);
  text = tree_read (tree, "etc/resolv.conf");
  target = tree_read (tree, "run/stub");
  g_assert_cmpstr (text, ==, "nameserver 1.1.1.1\nsearch vm\n");
  g_assert_cmpstr (target, ==, "old\n");
  g_assert_false (state.problems[AGENT_PROBLEM_RESOLVER]);
}

static void
test_make_dir (Tree *tree, gconstpointer data)
{
  g_autofree char *inside = g_build_filename (tree->path, "data/docker/x", NULL);
  g_autofree char *data_dir = g_build_filename (tree->path, "data", NULL);
  int fd;

  g_assert_cmpint (g_mkdir_with_parents (data_dir, 0755), ==, 0);
  tree_link (tree, "/data", "var/lib");
  fd = agent_make_dir_in (tree->fd, "/var/lib//docker/x", 0700);
  g_assert_cmpint (fd, >=, 0);
  close (fd);
  g_assert_true (g_file_test (inside, G_FILE_TEST_IS_DIR));
  tree_add (tree, "file", "", 0644);
  g_assert_cmpint (agent_make_dir_in (tree->fd, "/file/x", 0700), ==, -1);
}

/* In a UTS namespace of its own: what is named is the guest, not this machine. */
static gboolean
name_guest (Tree *tree, AgentState *state)
{
  AgentBootConf conf = { .hostname = "guest" };

  if (unshare (CLONE_NEWUTS) != 0) {
    g_test_skip ("needs root: another UTS namespace");
    return FALSE;
  }
  agent_write_hostname (&conf, state, tree->fd);
  return TRUE;
}

static void
test_long_hosts (Tree *tree, gconstpointer data)
{
  g_autoptr (GString) hosts = g_string_new (NULL);
  g_autofree char *text = NULL;
  AgentState state = { 0 };

  for (int i = 0; i < 20000; i++)
    g_string_append_printf (hosts, "0.0.0.0 bad%d.example\n", i);
  tree_add (tree, "etc/hosts", hosts->str, 0644);
  if (!name_guest (tree, &state))
    return;
  text = tree_read (tree, "etc/hosts");
  g_string_append (hosts, "127.0.1.1\tguest\n");
  g_assert_cmpstr (text, ==, hosts->str);
  g_assert_false (state.problems[AGENT_PROBLEM_HOSTNAME]);
}

/* What cannot be read whole is neither waited for nor replaced. */
static void
test_odd_hosts (Tree *tree, gconstpointer data)
{
  g_autofree char *path = g_build_filename (tree->path, "etc/hosts", NULL);
  AgentState state = { 0 };
  struct stat info;

  tree_add (tree, "etc/hostname", "guest\n", 0644);
  g_assert_cmpint (mkfifo (path, 0644), ==, 0);
  if (!name_guest (tree, &state))
    return;
  g_assert_true (state.problems[AGENT_PROBLEM_HOSTNAME]);
  g_assert_cmpint (lstat (path, &info), ==, 0);
  g_assert_true (S_ISFIFO (info.st_mode));
}

static void
test_copy_folders (Tree *tree, gconstpointer data)
{
  g_autofree char *inner = g_build_filename (tree->path, "image/storage/layers", NULL);
  g_autofree char *upper = g_build_filename (tree->path, "upper", NULL);
  g_autofree char *copy = g_build_filename (tree->path, "upper/storage/layers", NULL);
  int from, to;
  struct stat info;

  g_assert_cmpint (g_mkdir_with_parents (inner, 0755), ==, 0);
  g_assert_cmpint (chmod (inner, 01770), ==, 0);
  g_assert_cmpint (g_mkdir (upper, 0755), ==, 0);
  from = agent_open_in (tree->fd, "/image", O_PATH | O_DIRECTORY);
  to = agent_open_in (tree->fd, "/upper", O_PATH | O_DIRECTORY);
  g_assert_true (agent_copy_folders (from, -1, 0));
  g_assert_cmpint (stat (copy, &info), ==, -1);
  g_assert_true (agent_copy_folders (from, to, 0));
  g_assert_cmpint (stat (copy, &info), ==, 0);
  g_assert_cmpuint (info.st_mode & 07777, ==, 01770);
  tree_link (tree, "/file", "image/storage/layers/link");
  g_assert_false (agent_copy_folders (from, -1, 0));
  close (from);
  close (to);
}

static void
test_button (void)
{
  struct input_event events[3] = { { .type = EV_KEY, .code = KEY_SLEEP, .value = 1 },
                                   { .type = EV_KEY, .code = KEY_POWER, .value = 0 },
                                   { .type = EV_KEY, .code = KEY_POWER, .value = 1 } };
  guint8 keys[KEY_MAX / 8 + 1] = { 0 };

  g_assert_false (agent_button_has_power (keys));
  keys[14] = 1 << 4; /* 116 */
  g_assert_true (agent_button_has_power (keys));
  g_assert_false (agent_button_is_pressed (events, 2 * sizeof *events));
  g_assert_true (agent_button_is_pressed (events, sizeof events));
  g_assert_false (agent_button_is_pressed (events, sizeof events - 1));
}

#define ADD(name, func) g_test_add ("/agent/" name, Tree, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/agent/bootconf/good", test_bootconf);
  g_test_add_func ("/agent/bootconf/refused", test_bootconf_refused);
  g_test_add_func ("/agent/http/pieces", test_http_pieces);
  g_test_add_func ("/agent/http/query", test_http_query);
  g_test_add_func ("/agent/button", test_button);
  ADD ("init/systemd", test_init_systemd);
  ADD ("init/openrc", test_init_openrc);
  ADD ("init/runit", test_init_runit);
  ADD ("init/runit-debian", test_init_runit_debian);
  ADD ("init/sysv", test_init_sysv);
  ADD ("users", test_users);
  ADD ("users-groups", test_users_groups);
  ADD ("fstab", test_fstab);
  ADD ("machine-id", test_machine_id);
  ADD ("resolver", test_resolver);
  ADD ("make-dir", test_make_dir);
  ADD ("hosts/long", test_long_hosts);
  ADD ("hosts/odd", test_odd_hosts);
  ADD ("copy-folders", test_copy_folders);
  return g_test_run ();
}
