/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct {
  struct nlmsghdr header;
  union {
    struct ifinfomsg link;
    struct ifaddrmsg address;
    struct rtmsg route;
  };
  uint8_t attributes[128];
} Request;

typedef struct {
  int family;
  size_t size;
  uint8_t bytes[16];
} Address;

static bool
parse_address (const char *text, Address *address)
{
  address->family = AF_INET;
  address->size = 4;
  if (inet_pton (AF_INET, text, address->bytes) == 1)
    return true;
  address->family = AF_INET6;
  address->size = 16;
  return inet_pton (AF_INET6, text, address->bytes) == 1;
}

static void
add_attribute (Request *request, unsigned short type, const void *data, size_t size)
{
  struct rtattr *attribute
      = (struct rtattr *)((char *)request + NLMSG_ALIGN (request->header.nlmsg_len));

  attribute->rta_type = type;
  attribute->rta_len = (unsigned short)RTA_LENGTH (size);
  memcpy (RTA_DATA (attribute), data, size);
  request->header.nlmsg_len
      = (uint32_t)(NLMSG_ALIGN (request->header.nlmsg_len) + RTA_ALIGN (attribute->rta_len));
}

/* Sends @request and waits for the kernel's answer, which comes at once. That it is so already is
 * no error. */
static bool
ask (Request *request)
{
  int fd = socket (AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct {
    struct nlmsghdr header;
    struct nlmsgerr error;
    uint8_t rest[256];
  } answer = { 0 };
  ssize_t n = -1;

  if (fd < 0)
    return false;
  request->header.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  if (send (fd, request, request->header.nlmsg_len, 0) == (ssize_t)request->header.nlmsg_len)
    n = recv (fd, &answer, sizeof answer, 0);
  close (fd);
  if (n < (ssize_t)NLMSG_LENGTH (sizeof answer.error) || answer.header.nlmsg_type != NLMSG_ERROR)
    return false;
  errno = -answer.error.error;
  return errno == 0 || errno == EEXIST;
}

int
agent_net_first_interface (void)
{
  struct if_nameindex *all = if_nameindex (), *first = NULL;
  int index = 0;

  for (struct if_nameindex *at = all; at != NULL && at->if_index != 0; at++) {
    if (strcmp (at->if_name, "lo") != 0 && (first == NULL || at->if_index < first->if_index))
      first = at;
  }
  if (first != NULL)
    index = (int)first->if_index;
  if (all != NULL)
    if_freenameindex (all);
  return index;
}

bool
agent_net_up (int index)
{
  Request request = {
    .header = { .nlmsg_len = NLMSG_LENGTH (sizeof request.link), .nlmsg_type = RTM_NEWLINK },
    .link
    = { .ifi_family = AF_UNSPEC, .ifi_index = index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP }
  };

  return ask (&request);
}

bool
agent_net_add_address (int index, const char *cidr)
{
  Request request = { .header = { .nlmsg_len = NLMSG_LENGTH (sizeof request.address),
                                  .nlmsg_type = RTM_NEWADDR,
                                  .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL } };
  char text[64];
  const char *slash = strchr (cidr, '/');
  Address address;
  unsigned long prefix;
  char *end;

  if (slash == NULL || (size_t)(slash - cidr) >= sizeof text)
    return false;
  memcpy (text, cidr, (size_t)(slash - cidr));
  text[slash - cidr] = '\0';
  prefix = strtoul (slash + 1, &end, 10);
  if (!parse_address (text, &address) || slash[1] < '0' || slash[1] > '9' || *end != '\0'
      || prefix > address.size * 8)
    return false;
  request.address.ifa_family = (uint8_t)address.family;
  request.address.ifa_prefixlen = (uint8_t)prefix;
  request.address.ifa_index = (uint32_t)index;
  /* The host chose it: nobody else can have it. */
  request.address.ifa_flags = address.family == AF_INET6 ? IFA_F_NODAD : 0;
  add_attribute (&request, IFA_LOCAL, address.bytes, address.size);
  add_attribute (&request, IFA_ADDRESS, address.bytes, address.size);
  return ask (&request);
}

bool
agent_net_add_default_route (int index, const char *gateway)
{
  Request request = { .header = { .nlmsg_len = NLMSG_LENGTH (sizeof request.route),
                                  .nlmsg_type = RTM_NEWROUTE,
                                  .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL },
                      .route = { .rtm_table = RT_TABLE_MAIN,
                                 .rtm_protocol = RTPROT_STATIC,
                                 .rtm_scope = RT_SCOPE_UNIVERSE,
                                 .rtm_type = RTN_UNICAST } };
  Address address;

  if (!parse_address (gateway, &address))
    return false;
  request.route.rtm_family = (uint8_t)address.family;
  add_attribute (&request, RTA_GATEWAY, address.bytes, address.size);
  add_attribute (&request, RTA_OIF, &index, sizeof index);
  return ask (&request);
}
