/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "vm ports" and "vm top": what the agent tells of its guest. All of it is the guest's word. */
#include "agent-http.h"
#include "verbs.h"

#include "text.h"

#include <glib/gi18n.h>
#include <string.h>

#define PROCESSES_MAX 4096

static JsonObject *
ask (BangerClient *client, const char *vm, const char *name, const char *path, GError **error)
{
  g_autofree char *label = banger_label (BANGER_OBJECT_VM, name);
  JsonObject *answer = banger_agent_get (client, vm, path, BANGER_HTTP_SECONDS, error);

  banger_error_name_object (error, label);
  return answer;
}

/* One line of "vm ports". */
typedef struct {
  guint port;
  const char *address, *command; /* NULL: nothing listens */
  gint64 pid;
  GPtrArray *published; /* of char: ADDRESS:PORT of the host */
} PortLine;

static void
port_line_free (gpointer data)
{
  PortLine *line = data;

  g_ptr_array_unref (line->published);
  g_free (line);
}

static PortLine *
add_line (GPtrArray *lines, guint port)
{
  PortLine *line = g_new0 (PortLine, 1);

  line->port = port;
  line->published = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (lines, line);
  return line;
}

static int
compare_lines (gconstpointer a, gconstpointer b)
{
  const PortLine *first = *(const PortLine *const *)a, *second = *(const PortLine *const *)b;

  return first->port < second->port ? -1 : first->port > second->port;
}

/* "ADDRESS:PORT:GUEST-PORT" leads to each line with that port of the guest, or to one of its own:
 * nothing listens there. */
static void
add_published (GPtrArray *lines, const char *published)
{
  const char *colon = strrchr (published, ':');
  guint64 port = 0;
  gboolean found = FALSE;

  if (colon == NULL || !g_ascii_string_to_unsigned (colon + 1, 10, 1, 65535, &port, NULL))
    return;
  for (guint i = 0; i < lines->len; i++) {
    PortLine *line = g_ptr_array_index (lines, i);

    if (line->port != port)
      continue;
    g_ptr_array_add (line->published, g_strndup (published, colon - published));
    found = TRUE;
  }
  if (!found)
    g_ptr_array_add (add_line (lines, (guint)port)->published,
                     g_strndup (published, colon - published));
}

static GPtrArray *
port_lines (GPtrArray *listening, GVariant *properties)
{
  GPtrArray *lines = g_ptr_array_new_with_free_func (port_line_free);
  g_autofree const char **published = banger_props_strings (properties, "Published");

  for (guint i = 0; i < listening->len; i++) {
    JsonObject *object = g_ptr_array_index (listening, i);
    PortLine *line = add_line (lines, (guint)banger_member_number (object, "port"));

    line->address = banger_member_string (object, "address");
    line->command = banger_member_string (object, "command");
    line->pid = banger_member_number (object, "pid");
  }
  for (guint i = 0; published != NULL && published[i] != NULL; i++)
    add_published (lines, published[i]);
  for (guint i = 0; i < lines->len; i++)
    g_ptr_array_add (((PortLine *)g_ptr_array_index (lines, i))->published, NULL);
  g_ptr_array_sort (lines, compare_lines);
  return lines;
}

static JsonNode *
ports_document (GPtrArray *lines)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();

  json_builder_set_member_name (json, "ports");
  json_builder_begin_array (json);
  for (guint i = 0; i < lines->len; i++) {
    PortLine *line = g_ptr_array_index (lines, i);

    json_builder_begin_object (json);
    banger_json_number (json, "port", line->port);
    banger_json_flag (json, "listening", line->address != NULL);
    banger_json_string (json, "address", line->address);
    banger_json_number (json, "pid", (guint64)line->pid);
    banger_json_string (json, "command", line->command);
    banger_json_strings (json, "published", (const char *const *)line->published->pdata);
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
  return banger_json_end (json);
}

static void
print_ports (GPtrArray *lines)
{
  const char *headers[]
      = { _ ("PORT"), _ ("ADDRESS"), _ ("PUBLISHED"), _ ("PID"), _ ("COMMAND"), NULL };
  g_autoptr (BangerTable) table = banger_table_new (headers);

  for (guint i = 0; i < lines->len; i++) {
    PortLine *line = g_ptr_array_index (lines, i);

    banger_table_add (
        table, g_strdup_printf ("%u", line->port),
        g_strdup (line->address != NULL ? line->address : "-"),
        line->published->len > 1 ? g_strjoinv (" ", (char **)line->published->pdata)
                                 : g_strdup ("-"),
        line->pid > 0 ? g_strdup_printf ("%" G_GINT64_FORMAT, line->pid) : g_strdup ("-"),
        g_strdup (line->command != NULL ? line->command : _ ("nothing listens")), NULL);
  }
  banger_table_print (table);
}

int
banger_vm_ports (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *name = banger_args_words (args)[0];
  g_autofree char *vm = banger_client_find (client, BANGER_OBJECT_VM, name, error);
  g_autoptr (JsonObject) answer = NULL;
  g_autoptr (GVariant) properties = NULL;
  g_autoptr (GPtrArray) listening = NULL, lines = NULL;
  g_autoptr (JsonNode) document = NULL;
  gboolean for_people = FALSE;

  if (vm == NULL)
    return 0;
  properties = banger_client_properties (client, vm, BANGER_IFACE_VM, error);
  answer = properties != NULL ? ask (client, vm, name, "/ports", error) : NULL;
  if (answer == NULL)
    return 0;
  listening = banger_member_objects (answer, "ports", BANGER_GUEST_PORTS_MAX);
  lines = port_lines (listening, properties);
  document = ports_document (lines);
  if (banger_document_print (args, document, &for_people, error) && for_people)
    print_ports (lines);
  return 0;
}

static int
compare_processes (gconstpointer a, gconstpointer b)
{
  JsonObject *first = *(JsonObject *const *)a, *second = *(JsonObject *const *)b;
  double used = banger_member_double (first, "cpu"), other = banger_member_double (second, "cpu");
  gint64 rss = banger_member_number (first, "rss"),
         other_rss = banger_member_number (second, "rss");

  if (used != other)
    return used > other ? -1 : 1;
  if (rss != other_rss)
    return rss > other_rss ? -1 : 1;
  return banger_member_number (first, "pid") < banger_member_number (second, "pid") ? -1 : 1;
}

static JsonNode *
processes_document (GPtrArray *processes)
{
  g_autoptr (JsonBuilder) json = banger_json_new ();

  json_builder_set_member_name (json, "processes");
  json_builder_begin_array (json);
  for (guint i = 0; i < processes->len; i++) {
    JsonObject *process = g_ptr_array_index (processes, i);

    json_builder_begin_object (json);
    banger_json_number (json, "pid", (guint64)banger_member_number (process, "pid"));
    banger_json_number (json, "ppid", (guint64)banger_member_number (process, "ppid"));
    banger_json_string (json, "user", banger_member_string (process, "user"));
    banger_json_number (json, "uid", (guint64)banger_member_number (process, "uid"));
    banger_json_string (json, "state", banger_member_string (process, "state"));
    banger_json_number (json, "cpu_us", (guint64)(banger_member_double (process, "cpu") * 1e6));
    banger_json_number (json, "rss_bytes", (guint64)banger_member_number (process, "rss"));
    banger_json_number (json, "started_us",
                        (guint64)(banger_member_double (process, "started") * 1e6));
    banger_json_string (json, "command", banger_member_string (process, "command"));
    json_builder_end_object (json);
  }
  json_builder_end_array (json);
  return banger_json_end (json);
}

static void
print_processes (GPtrArray *processes)
{
  const char *headers[]
      = { _ ("PID"), _ ("USER"), _ ("STATE"), _ ("CPU"), _ ("MEMORY"), _ ("COMMAND"), NULL };
  g_autoptr (BangerTable) table = banger_table_new (headers);

  for (guint i = 0; i < processes->len; i++) {
    JsonObject *process = g_ptr_array_index (processes, i);

    banger_table_add (table,
                      g_strdup_printf ("%" G_GINT64_FORMAT, banger_member_number (process, "pid")),
                      g_strdup (banger_member_string (process, "user")),
                      g_strdup (banger_member_string (process, "state")),
                      banger_text_duration ((guint64)(banger_member_double (process, "cpu") * 1e6)),
                      banger_text_size ((guint64)banger_member_number (process, "rss")),
                      g_strdup (banger_member_string (process, "command")), NULL);
  }
  banger_table_print (table);
}

int
banger_vm_top (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *name = banger_args_words (args)[0];
  g_autofree char *vm = banger_client_find (client, BANGER_OBJECT_VM, name, error);
  g_autoptr (JsonObject) answer = vm != NULL ? ask (client, vm, name, "/processes", error) : NULL;
  g_autoptr (GPtrArray) processes = NULL;
  g_autoptr (JsonNode) document = NULL;
  gboolean for_people = FALSE;

  if (answer == NULL)
    return 0;
  processes = banger_member_objects (answer, "processes", PROCESSES_MAX);
  g_ptr_array_sort (processes, compare_processes);
  document = processes_document (processes);
  if (banger_document_print (args, document, &for_people, error) && for_people)
    print_processes (processes);
  return 0;
}
