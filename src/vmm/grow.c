/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "monitor.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#define SECTOR 512
/* Growing a large ext4 under load writes its group descriptors. */
#define GROW_SECONDS 300

typedef struct {
  BangerMonitor *monitor;
  const char *disk;
  guint64 bytes;
} Grow;

/* The disk of that serial which the guest writes: its name as ours, and its file. */
static const char *
find_disk (const BangerMachine *machine, const char *serial, int *fd)
{
  const struct {
    const char *name;
    int fd;
  } disks[] = {
    { "root", machine->overlay ? -1 : machine->root },
    { "upper", machine->upper },
    { "work", machine->work },
  };

  for (guint i = 0; i < G_N_ELEMENTS (disks); i++) {
    if (disks[i].fd < 0 || !g_str_equal (disks[i].name, serial))
      continue;
    *fd = disks[i].fd;
    return disks[i].name;
  }
  return NULL;
}

static const char *
check (BangerMonitor *self, const char *serial, guint64 bytes, GError **error)
{
  struct stat st;
  int fd = -1;
  const char *disk = find_disk (self->machine, serial, &fd);

  if (self->state != BANGER_MONITOR_RUNNING || !self->agent_seen) {
    banger_set_error (error, BANGER_ERROR_WRONG_STATE, "growing", NULL, NULL,
                      "vm '%s': its disks cannot grow unless it runs", self->machine->name);
    return NULL;
  }
  if (disk == NULL || bytes > BANGER_DISK_MAX || bytes % SECTOR != 0) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "growing", NULL, NULL,
                      "vm '%s': it has no such disk, or none of that size", self->machine->name);
    return NULL;
  }
  if (fstat (fd, &st) < 0) {
    banger_set_error_state (error, errno, "growing", "vm '%s': disk '%s'", self->machine->name,
                            disk);
    return NULL;
  }
  if (bytes < (guint64)st.st_size) {
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "growing", "a disk only grows", NULL,
                      "vm '%s': disk '%s' is larger already", self->machine->name, disk);
    return NULL;
  }
  return disk;
}

/* What the guest says of it is for a person to read, printable. */
static char *
words_of (BangerAgentAnswer *answer)
{
  gsize length = 0;
  const guint8 *body = banger_http_reader_body (answer->http, &length);
  g_autofree char *text = g_strndup ((const char *)body, MIN (length, 200));
  g_autofree char *valid = g_utf8_make_valid (g_strstrip (text), -1);

  return g_strescape (valid, NULL);
}

static void
on_grown (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Grow *grow = g_task_get_task_data (task);
  GError *error = NULL;
  g_autoptr (BangerAgentAnswer) answer = banger_agent_ask_finish (result, &error);
  int status = answer != NULL ? banger_http_reader_status (answer->http) : 0;
  g_autofree char *words = NULL;

  if (status == 200) {
    g_task_return_boolean (task, TRUE);
    return;
  }
  words = answer == NULL                   ? g_strdup (error->message)
          : status == 404 || status == 405 ? g_strdup ("its agent is older and cannot do that")
                                           : words_of (answer);
  g_clear_error (&error);
  banger_set_error (&error, BANGER_ERROR_FAILED, "growing", words,
                    "what the disk has more is there after: stop and start the VM",
                    "vm '%s': the file system of disk '%s' did not grow in the guest",
                    grow->monitor->machine->name, grow->disk);
  g_task_return_error (task, error);
}

static void
ask_guest (GTask *task)
{
  Grow *grow = g_task_get_task_data (task);
  BangerMonitor *self = grow->monitor;
  g_autofree char *line
      = g_strdup_printf ("POST /grow?disk=%s&bytes=%" G_GUINT64_FORMAT, grow->disk, grow->bytes);
  const BangerAgentQuestion question = { .line = line, .seconds = GROW_SECONDS };

  banger_agent_ask_async (self->driver, self->key, &question, NULL, on_grown, g_object_ref (task));
}

static void
on_resized (GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr (GTask) task = data;
  Grow *grow = g_task_get_task_data (task);
  GError *error = NULL;

  if (!g_task_propagate_boolean (G_TASK (result), &error)) {
    banger_error_set_stage (&error, "growing");
    g_task_return_error (task, error);
  } else if (grow->monitor->driver == NULL || grow->monitor->state == BANGER_MONITOR_ENDED) {
    banger_set_error (&error, BANGER_ERROR_GUEST_UNREACHABLE, "growing", NULL, NULL,
                      "vm '%s': it ended meanwhile", grow->monitor->machine->name);
    g_task_return_error (task, error);
  } else {
    ask_guest (task);
  }
}

void
banger_grow_async (BangerMonitor *self, const char *serial, guint64 bytes,
                   GAsyncReadyCallback callback, gpointer data)
{
  g_autoptr (GTask) task = g_task_new (NULL, NULL, callback, data);
  GError *error = NULL;
  const char *disk = check (self, serial, bytes, &error);
  Grow *grow = NULL;

  if (disk == NULL) {
    g_task_return_error (task, error);
    return;
  }
  grow = g_new0 (Grow, 1);
  grow->monitor = self;
  grow->disk = disk;
  grow->bytes = bytes;
  g_task_set_task_data (task, grow, g_free);
  self->driver->klass->grow_disk_async (self->driver, disk, bytes, on_resized,
                                        g_steal_pointer (&task));
}
