/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In a network of its own, which needs root: a bridge, seen through /proc. */
#include "agent/netlink.h"

#include <glib.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A bridge "d0": IFLA_IFNAME, IFLA_LINKINFO { IFLA_INFO_KIND }. */
static gboolean
add_bridge (void)
{
  struct {
    struct nlmsghdr header;
    struct ifinfomsg link;
    struct rtattr name;
    char name_text[4];
    struct rtattr info;
    struct rtattr kind;
    char kind_text[8];
  } request = { .header = { .nlmsg_len = sizeof request,
                            .nlmsg_type = RTM_NEWLINK,
                            .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE },
                .name = { .rta_len = RTA_LENGTH (3), .rta_type = IFLA_IFNAME },
                .name_text = "d0",
                .info = { .rta_len = RTA_LENGTH (12), .rta_type = IFLA_LINKINFO },
                .kind = { .rta_len = RTA_LENGTH (7), .rta_type = IFLA_INFO_KIND },
                .kind_text = "bridge" };
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    char rest[256];
  } answer;
  int fd = socket (AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  ssize_t n;

  g_assert_cmpint (send (fd, &request, sizeof request, 0), ==, sizeof request);
  n = recv (fd, &answer, sizeof answer, 0);
  close (fd);
  return n > 0 && answer.error.error == 0;
}

static char *
read_proc (const char *name)
{
  g_autofree char *path = g_strconcat ("/proc/net/", name, NULL);
  char *text = NULL;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  return text;
}

static void
test_network (void)
{
  g_autofree char *route = NULL, *six = NULL;
  int index;

  if (unshare (CLONE_NEWNET | CLONE_NEWNS) != 0) {
    g_test_skip ("a network namespace needs root");
    return;
  }
  g_assert_cmpint (agent_net_first_interface (), ==, 0);
  g_assert_true (agent_net_up (1));
  if (!add_bridge ()) {
    g_test_skip ("this kernel has no bridges");
    return;
  }
  index = agent_net_first_interface ();
  g_assert_cmpuint (if_nametoindex ("d0"), ==, index);
  g_assert_true (agent_net_up (index));
  g_assert_true (agent_net_add_address (index, "10.9.8.2/24"));
  g_assert_true (agent_net_add_address (index, "10.9.8.2/24"));
  g_assert_true (agent_net_add_address (index, "fd00:9::2/64"));
  g_assert_true (agent_net_add_default_route (index, "10.9.8.1"));
  route = read_proc ("route");
  /* Destination 0.0.0.0 over 10.9.8.1, as the kernel prints them. */
  g_assert_nonnull (strstr (route, "d0\t00000000\t0108090A\t"));
  g_assert_nonnull (strstr (route, "d0\t0008090A\t00000000\t"));
  six = read_proc ("if_inet6");
  g_assert_nonnull (strstr (six, "fd000009000000000000000000000002 "));
}

static void
test_refused (void)
{
  g_assert_false (agent_net_add_address (1, "10.0.0.1"));
  g_assert_false (agent_net_add_address (1, "10.0.0.1/33"));
  g_assert_false (agent_net_add_address (1, "10.0.0/24"));
  g_assert_false (agent_net_add_address (1, "x/24"));
  g_assert_false (agent_net_add_address (1, "fd00::1/129"));
  g_assert_false (agent_net_add_address (1, "10.0.0.1/-1"));
  g_assert_false (agent_net_add_default_route (1, "no address"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/agent/netlink/refused", test_refused);
  g_test_add_func ("/agent/netlink/network", test_network);
  return g_test_run ();
}
