/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bootconf.h"

#include <stdlib.h>
#include <string.h>

typedef const char *(*Setter) (AgentBootConf *conf, char *value);

static bool
is_label (const char *name)
{
  size_t length = strlen (name);

  return length >= 1 && length <= 63 && name[0] != '-'
         && strspn (name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static const char *
set_version (AgentBootConf *conf, char *value)
{
  return strcmp (value, "1") == 0 ? NULL : "this version is not known";
}

static const char *
set_key (AgentBootConf *conf, char *value)
{
  bool good = strlen (value) == 2 * BANGER_KEY_SIZE
              && banger_hex_decode (value, BANGER_KEY_SIZE, conf->key);

  /* The one copy that is left is the caller's to keep. */
  explicit_bzero (value, strlen (value));
  return good ? NULL : "the key is not 64 hexadecimal digits";
}

static const char *
set_hostname (AgentBootConf *conf, char *value)
{
  conf->hostname = value;
  return is_label (value) ? NULL : "the hostname is not a DNS label";
}

static const char *
set_transport (AgentBootConf *conf, char *value)
{
  conf->vsock = strcmp (value, "vsock") == 0;
  return conf->vsock || strcmp (value, "virtio-serial") == 0 ? NULL : "the transport is not known";
}

static const char *
set_doorbell (AgentBootConf *conf, char *value)
{
  char *end;
  unsigned long number = strtoul (value, &end, 10);

  if (*value < '0' || *value > '9' || *end != '\0' || number == 0 || number > UINT32_MAX)
    return "the doorbell is not a port";
  conf->doorbell = (uint32_t)number;
  return NULL;
}

static const char *
set_root (AgentBootConf *conf, char *value)
{
  conf->overlay = strcmp (value, "overlay") == 0;
  return conf->overlay || strcmp (value, "plain") == 0 ? NULL : "this kind of root is not known";
}

static const char *
add (AgentList *list, const char *value)
{
  if (list->n >= AGENT_LIST_MAX)
    return "there are too many of these";
  list->items[list->n++] = value;
  return NULL;
}

static const char *
add_bind (AgentBootConf *conf, char *value)
{
  if (value[0] != '/' || value[1] == '\0' || strstr (value, "/..") != NULL || strlen (value) > 255)
    return "the path is not absolute, or goes up";
  return add (&conf->binds, value);
}

static const char *
set_work (AgentBootConf *conf, char *value)
{
  conf->work = strcmp (value, "yes") == 0;
  return conf->work ? NULL : "it can only be yes";
}

static const char *
set_modules (AgentBootConf *conf, char *value)
{
  conf->modules = value;
  return strchr (value, '/') == NULL && value[0] != '.' && strlen (value) < 128
             ? NULL
             : "this is no kernel release";
}

static const char *
add_address (AgentBootConf *conf, char *value)
{
  return add (&conf->addresses, value);
}

static const char *
set_gateway (AgentBootConf *conf, char *value)
{
  conf->gateway = value;
  return NULL;
}

static const char *
add_nameserver (AgentBootConf *conf, char *value)
{
  return add (&conf->nameservers, value);
}

static const char *
set_search (AgentBootConf *conf, char *value)
{
  conf->search = value;
  return NULL;
}

static const struct {
  const char *key;
  Setter set;
  bool many;
  bool needed;
} keys[] = {
  { "version", set_version, false, true },    { "key", set_key, false, true },
  { "hostname", set_hostname, false, true },  { "transport", set_transport, false, true },
  { "doorbell", set_doorbell, false, false }, { "root", set_root, false, true },
  { "bind", add_bind, true, false },          { "work", set_work, false, false },
  { "modules", set_modules, false, false },   { "address", add_address, true, false },
  { "gateway", set_gateway, false, false },   { "nameserver", add_nameserver, true, false },
  { "search", set_search, false, false },
};

#define N_KEYS (sizeof keys / sizeof keys[0])

static const char *
take_line (AgentBootConf *conf, char *text, bool *seen)
{
  char *value = strchr (text, '=');

  if (value == NULL)
    return "this is not key=value";
  *value++ = '\0';
  if (*value == '\0')
    return "there is no value";
  for (size_t i = 0; i < N_KEYS; i++) {
    if (strcmp (keys[i].key, text) != 0)
      continue;
    if (seen[i] && !keys[i].many)
      return "this key stood before";
    seen[i] = true;
    return keys[i].set (conf, value);
  }
  return "this key is not known";
}

const char *
agent_bootconf_parse (AgentBootConf *conf, char *text, size_t length, unsigned *line)
{
  bool seen[N_KEYS] = { false };

  memset (conf, 0, sizeof *conf);
  *line = 0;
  if (length > AGENT_BOOTCONF_MAX || memchr (text, '\0', length) != NULL)
    return "it is too long, or no text";
  for (char *at = text, *end; *at != '\0'; at = end) {
    const char *fault;

    ++*line;
    end = at + strcspn (at, "\n");
    if (*end == '\n')
      *end++ = '\0';
    fault = take_line (conf, at, seen);
    if (fault != NULL)
      return fault;
  }
  *line = 0;
  for (size_t i = 0; i < N_KEYS; i++) {
    if (keys[i].needed && !seen[i])
      return keys[i].key;
  }
  return NULL;
}
