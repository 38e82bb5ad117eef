/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each path answers: docs/agent-protocol.md. */
#include "conn.h"

#include "proc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define JSON "application/json"
#define PORTS_MS 100
#define DISK_NAME_MAX 16
/* The largest number of seconds that is taken for a time: that of the year 9999. */
#define SECONDS_MAX 253402300799

typedef void (*Handler) (AgentConn *conn, const AgentHttpRequest *request);

static void
get_health (AgentConn *conn, const AgentHttpRequest *request)
{
  const AgentServerConfig *config = &agent_conn_server (conn)->config;
  char json[AGENT_STATE_JSON_MAX];
  AgentText text = { .text = json, .size = sizeof json };
  uint32_t wait = 0, after = 0;

  if (agent_http_query_number (request->query, "wait", &wait) && wait == 1
      && agent_http_query_number (request->query, "after", &after)
      && after == config->state->serial) {
    agent_conn_wait (conn, AGENT_WAIT_STATE, after);
    return;
  }
  agent_state_to_json (config->state, config->version, &text);
  agent_conn_respond (conn, 200, JSON, json, request->keep_alive);
}

void
agent_requests_state_changed (AgentServer *server)
{
  const AgentServerConfig *config = &server->config;
  AgentConn *next;

  for (AgentConn *conn = agent_conn_waiting (server, NULL, AGENT_WAIT_STATE); conn != NULL;
       conn = next) {
    char json[AGENT_STATE_JSON_MAX];
    AgentText text = { .text = json, .size = sizeof json };

    next = agent_conn_waiting (server, conn, AGENT_WAIT_STATE);
    if (agent_conn_waits_for (conn) == config->state->serial)
      continue;
    agent_state_to_json (config->state, config->version, &text);
    agent_conn_answer (conn, 200, JSON, json);
  }
}

/* Sends what was gathered, and frees it. */
static void
respond_text (AgentConn *conn, AgentText *text, bool keep_alive)
{
  if (text->overflow)
    agent_conn_say (conn, 503, "there is no memory for the answer", false);
  else
    agent_conn_respond (conn, 200, JSON, text->text, keep_alive);
  free (text->text);
}

static void
get_stats (AgentConn *conn, const AgentHttpRequest *request)
{
  AgentServer *server = agent_conn_server (conn);
  AgentText text = { .grows = true };

  agent_text_add (&text, "{");
  agent_proc_stats (server->config.root, server->config.work, &text);
  agent_text_add (&text, ",\"commands\":%u,\"streams\":%u}\n", agent_server_count_clients (server),
                  server->n_forwards);
  respond_text (conn, &text, request->keep_alive);
}

static void
get_processes (AgentConn *conn, const AgentHttpRequest *request)
{
  AgentText text = { .grows = true };

  agent_proc_processes (agent_conn_server (conn)->config.root, &text);
  respond_text (conn, &text, request->keep_alive);
}

static void
on_ports_timer (void *data)
{
  AgentServer *server = data;
  AgentText text = { .grows = true };
  AgentConn *next;

  for (AgentConn *conn = agent_conn_waiting (server, NULL, AGENT_WAIT_PORT); conn != NULL;
       conn = next) {
    next = agent_conn_waiting (server, conn, AGENT_WAIT_PORT);
    if (!agent_proc_listens ((uint16_t)agent_conn_waits_for (conn)))
      continue;
    if (text.length == 0)
      agent_proc_ports (&text);
    if (text.overflow)
      agent_conn_answer (conn, 503, "text/plain", "there is no memory for the answer\n");
    else
      agent_conn_answer (conn, 200, JSON, text.text);
  }
  free (text.text);
  if (agent_conn_waiting (server, NULL, AGENT_WAIT_PORT) != NULL)
    agent_timer_set (server->config.loop, &server->ports_timer, PORTS_MS, on_ports_timer, server);
}

static void
get_ports (AgentConn *conn, const AgentHttpRequest *request)
{
  AgentServer *server = agent_conn_server (conn);
  AgentText text = { .grows = true };
  uint32_t port = 0;
  char wait[12];

  if (agent_http_query_text (request->query, "wait", wait, sizeof wait)
      && (!agent_http_query_number (request->query, "wait", &port) || port == 0
          || port > UINT16_MAX)) {
    agent_conn_say (conn, 400, "'wait' is not a port", request->keep_alive);
  } else if (port != 0 && !agent_proc_listens ((uint16_t)port)) {
    agent_conn_wait (conn, AGENT_WAIT_PORT, port);
    if (!server->ports_timer.armed)
      agent_timer_set (server->config.loop, &server->ports_timer, PORTS_MS, on_ports_timer, server);
  } else {
    agent_proc_ports (&text);
    respond_text (conn, &text, request->keep_alive);
  }
}

void
agent_requests_free (AgentServer *server)
{
  agent_timer_clear (server->config.loop, &server->ports_timer);
}

static void
post_exec (AgentConn *conn, const AgentHttpRequest *request)
{
  if (!request->upgrade_exec)
    agent_conn_say (conn, 426, "exec needs 'Upgrade: banger-exec'", request->keep_alive);
  else if (!agent_conn_begin_exec (conn))
    agent_conn_say (conn, 503, "too many commands run", false);
}

static void
post_grow (AgentConn *conn, const AgentHttpRequest *request)
{
  char disk[DISK_NAME_MAX], size[24];
  uint64_t bytes = 0;

  if (!agent_http_query_text (request->query, "disk", disk, sizeof disk)
      || (strcmp (disk, "root") != 0 && strcmp (disk, "upper") != 0 && strcmp (disk, "work") != 0))
    agent_conn_say (conn, 400, "'disk' is none of root, upper, work", request->keep_alive);
  else if (agent_http_query_text (request->query, "bytes", size, sizeof size)
           && !agent_http_query_size (request->query, "bytes", &bytes))
    agent_conn_say (conn, 400, "'bytes' is not a size", request->keep_alive);
  else if (!agent_chore_grow (conn, disk, bytes))
    agent_conn_say (conn, 503, "too many disks are being grown", request->keep_alive);
}

/* "SECONDS" or "SECONDS.FRACTION". */
static bool
parse_time (const char *text, struct timespec *time)
{
  size_t digits = strspn (text, "0123456789");
  const char *fraction = text + digits;
  long unit = 100000000;

  *time = (struct timespec){ 0 };
  if (digits == 0 || digits > 12)
    return false;
  time->tv_sec = (time_t)strtoll (text, NULL, 10);
  if (*fraction == '.') {
    for (fraction++; *fraction >= '0' && *fraction <= '9'; fraction++, unit /= 10)
      time->tv_nsec += (*fraction - '0') * unit;
  }
  return time->tv_sec <= SECONDS_MAX && (*fraction == '\0' || strcmp (fraction, "\n") == 0);
}

static void
post_clock (AgentConn *conn, const AgentHttpRequest *request)
{
  const AgentServerConfig *config = &agent_conn_server (conn)->config;
  struct timespec time;

  if (!parse_time (request->body, &time))
    agent_conn_say (conn, 400, "the body is not a time in seconds", request->keep_alive);
  else if (!config->set_clock (config->data, &time))
    agent_conn_say (conn, 500, strerror (errno), request->keep_alive);
  else
    agent_conn_respond (conn, 204, NULL, "", request->keep_alive);
}

static void
post_poweroff (AgentConn *conn, const AgentHttpRequest *request)
{
  const AgentServerConfig *config = &agent_conn_server (conn)->config;

  if (config->poweroff (config->data))
    agent_conn_say (conn, 202, "powering off", request->keep_alive);
  else
    agent_conn_say (conn, 503, "no way to power off is known", request->keep_alive);
}

static const struct {
  const char *path;
  bool post;
  Handler handle;
} routes[] = {
  { "/healthz", false, get_health },      { "/stats", false, get_stats },
  { "/processes", false, get_processes }, { "/ports", false, get_ports },
  { "/exec", true, post_exec },           { "/grow", true, post_grow },
  { "/clock", true, post_clock },         { "/poweroff", true, post_poweroff },
};

void
agent_request_handle (AgentConn *conn, const AgentHttpRequest *request)
{
  for (unsigned i = 0; i < sizeof routes / sizeof routes[0]; i++) {
    if (strcmp (request->path, routes[i].path) != 0)
      continue;
    if (routes[i].post ? request->post : request->get)
      routes[i].handle (conn, request);
    else
      agent_conn_say (conn, 405, "this path has another method", request->keep_alive);
    return;
  }
  agent_conn_say (conn, 404, "there is no such path", request->keep_alive);
}
