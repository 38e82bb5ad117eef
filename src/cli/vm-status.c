/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "vm status": what a VM does now, for people. */
#include "vm.h"

#include "text.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#define TAIL_LINES 8
#define TAIL_BYTES 4096

static guint64
seconds_since (guint64 utc_seconds)
{
  guint64 now = g_get_real_time () / G_USEC_PER_SEC;

  return now > utc_seconds ? now - utc_seconds : 0;
}

/* "running (healthy) for 3 h". */
static void
print_head (GVariant *p)
{
  const char *state = banger_props_string (p, "State"), *health = banger_props_string (p, "Health");
  const char *stage = banger_props_string (p, "BootStage");
  gboolean runs = g_str_equal (state, "running") || g_str_equal (state, "paused");
  guint64 started = banger_props_number (p, "StartedAt");
  g_autofree char *age = runs && started != 0 ? banger_text_age (seconds_since (started)) : NULL;
  g_autoptr (GString) text = g_string_new (state);

  if (runs)
    g_string_append_printf (text, " (%s)", health);
  if (age != NULL)
    g_string_append_printf (text, _ (" for %s"), age);
  banger_output_line ("%s: %s", banger_props_string (p, "Name"), text->str);
  if (g_str_equal (health, "booting") && *stage != '\0')
    banger_output_line (_ ("  its guest boots: it has come to '%s'"), stage);
  if (g_str_equal (health, "unreachable"))
    banger_output_line (_ ("  its guest runs, but its agent does not answer"));
}

/* The job that works on @path now; NULL if there is none. */
static GVariant *
job_of (GVariant *objects, const char *path)
{
  g_autoptr (GPtrArray) jobs = banger_objects_select (objects, BANGER_IFACE_JOB);

  for (guint i = 0; i < jobs->len; i++) {
    GVariant *properties = ((BangerObject *)g_ptr_array_index (jobs, i))->properties;
    const char *state = banger_props_string (properties, "State");

    if (g_str_equal (banger_props_string (properties, "Object"), path)
        && (g_str_equal (state, "running") || g_str_equal (state, "cancelling")))
      return g_variant_ref (properties);
  }
  return NULL;
}

static void
print_job (BangerClient *client, const char *path)
{
  g_autoptr (GVariant) objects = banger_client_objects (client, NULL);
  g_autoptr (GVariant) job = objects != NULL ? job_of (objects, path) : NULL;

  if (job != NULL)
    banger_output_line (_ ("  job %s: %s, at '%s'"), banger_props_string (job, "Id"),
                        banger_props_string (job, "Kind"), banger_props_string (job, "Stage"));
}

static void
print_machine (const BangerVmView *view)
{
  g_autofree char *memory
      = banger_text_size (banger_props_number (view->properties, "MemoryBytes"));

  banger_output_line (
      ngettext ("  image %s, kernel %s, %u CPU, %s", "  image %s, kernel %s, %u CPUs, %s",
                banger_props_number (view->properties, "Vcpus")),
      view->image, view->kernel, (guint)banger_props_number (view->properties, "Vcpus"), memory);
}

static void
print_words (GVariant *p, const char *property, const char *format)
{
  g_autofree const char **words = banger_props_strings (p, property);
  g_autofree char *all = NULL, *shown = NULL;
  g_auto (GStrv) parts = NULL;

  if (words == NULL || words[0] == NULL)
    return;
  all = g_strjoinv (", ", (char **)words);
  shown = banger_text_escape (all, -1);
  parts = g_strsplit (format, "%s", 2);
  banger_output_line ("  %s%s%s", parts[0], shown, parts[1]);
}

static void
print_restarts (GVariant *p)
{
  guint64 next = banger_props_number (p, "NextStartAt"),
          restarts = banger_props_number (p, "Restarts");
  guint64 now = g_get_real_time () / G_USEC_PER_SEC;
  g_autofree char *wait = NULL;

  if (restarts > 0)
    banger_output_line (ngettext ("  its restart policy (%s) started it again %u time",
                                  "  its restart policy (%s) started it again %u times", restarts),
                        banger_props_string (p, "Restart"), (guint)restarts);
  if (next == 0)
    return;
  wait = banger_text_age (next > now ? next - now : 0);
  banger_output_line (_ ("  its restart policy starts it in %s; 'banger vm stop' ends that"), wait);
}

/* Reads on to the end, but waits for no more than is there; the last bytes are kept. */
static void
read_tail (int fd, GString *tail)
{
  struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
  char bytes[TAIL_BYTES];

  while (TEMP_FAILURE_RETRY (poll (&poll_fd, 1, 1000)) > 0) {
    ssize_t n = TEMP_FAILURE_RETRY (read (fd, bytes, sizeof bytes));

    if (n <= 0)
      return;
    g_string_append_len (tail, bytes, n);
    if (tail->len > 2 * TAIL_BYTES)
      g_string_erase (tail, 0, (gssize)(tail->len - TAIL_BYTES));
  }
}

static void
print_console (BangerClient *client, const char *path)
{
  g_autoptr (GString) tail = g_string_new (NULL), text = g_string_new (NULL);
  g_auto (GStrv) lines = NULL;
  BangerTextFilter filter;
  banger_autofd int fd
      = banger_client_call_fd (client, path, BANGER_IFACE_VM, "OpenLog",
                               g_variant_new ("(@a{sv})", banger_no_args ()), NULL);
  guint n = 0;

  if (fd < 0)
    return;
  read_tail (fd, tail);
  banger_text_filter_init (&filter);
  banger_text_filter_push (&filter, tail->str, tail->len, TRUE, text);
  banger_text_filter_clear (&filter);
  g_strchomp (text->str);
  if (text->str[0] == '\0')
    return;
  lines = g_strsplit (text->str, "\n", -1);
  n = g_strv_length (lines);
  banger_output_line (_ ("  the console's last lines:"));
  for (guint i = n > TAIL_LINES ? n - TAIL_LINES : 0; i < n; i++)
    banger_output_line ("  | %s", lines[i]);
}

/* What one may want to do next. */
static void
print_next (GVariant *p)
{
  static const struct {
    const char *state, *first, *second;
  } steps[] = {
    { "stopped", "start", "delete" },
    { "failed", "logs", "start" },
    { "running", "shell", "stop" },
    { "paused", "resume", "stop" },
  };
  const char *name = banger_props_string (p, "Name"), *state = banger_props_string (p, "State");
  g_autofree const char **pending = banger_props_strings (p, "Pending");

  if (pending != NULL && pending[0] != NULL) {
    banger_output_line ("  %s banger vm restart %s", _ ("next:"), name);
    return;
  }
  for (guint i = 0; i < G_N_ELEMENTS (steps); i++) {
    if (g_str_equal (state, steps[i].state))
      banger_output_line (_ ("  next: banger vm %s %s, or banger vm %s %s"), steps[i].first, name,
                          steps[i].second, name);
  }
}

static gboolean
print_status (BangerClient *client, const char *path, GError **error)
{
  g_autoptr (BangerVmView) view = banger_vm_view_new (client, path, error);
  const char *last = NULL;

  if (view == NULL)
    return FALSE;
  last = banger_props_string (view->properties, "LastExit");
  print_head (view->properties);
  print_job (client, path);
  print_machine (view);
  print_words (view->properties, "Addresses", _ ("addresses: %s"));
  print_words (view->properties, "Published", _ ("published ports: %s"));
  print_words (view->properties, "Pending", _ ("changed since its start, for the next one: %s"));
  print_restarts (view->properties);
  if (*last != '\0' && g_str_equal (banger_props_string (view->properties, "State"), "stopped"))
    banger_output_line (_ ("  its guest ended last by: %s"), last);
  if (view->failure != NULL)
    banger_vm_print_failure (view->failure);
  else
    print_console (client, path);
  print_next (view->properties);
  return TRUE;
}

int
banger_vm_status (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *const *names = banger_args_words (args);
  int status = BANGER_EXIT_OK;

  for (guint i = 0; names[i] != NULL; i++) {
    g_autoptr (GError) cause = NULL;
    g_autofree char *path = banger_client_find (client, BANGER_OBJECT_VM, names[i], &cause);

    if (i > 0)
      banger_output_line ("%s", "");
    if (path != NULL && print_status (client, path, &cause))
      continue;
    if (status == BANGER_EXIT_OK)
      status = banger_output_status (cause);
    banger_output_error (cause);
  }
  return status;
}
