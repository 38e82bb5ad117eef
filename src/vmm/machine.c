/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "machine.h"

static gboolean
refuse (GError **error, const char *what)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "monitor", NULL, NULL,
                    "message 'start': %s", what);
  return FALSE;
}

static gboolean
take_fds (BangerMachine *self, BangerMessage *message, GError **error)
{
  const struct {
    const char *key;
    int *fd;
    gboolean needed;
  } fds[] = {
    { "kernel", &self->kernel, TRUE },
    { "boot-modules", &self->boot_modules, TRUE },
    { "modules-image", &self->modules_image, self->modules_release != NULL },
    { self->overlay ? "rootfs" : "root-disk", &self->root, TRUE },
    { "upper", &self->upper, self->overlay },
    { "work", &self->work, FALSE },
    { "run-dir", &self->run_dir, TRUE },
    { "console", &self->console, TRUE },
    { "exit-record", &self->exit_record, TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++) {
    g_autoptr (GVariant) value
        = g_variant_lookup_value (message->args, fds[i].key, G_VARIANT_TYPE_HANDLE);

    if (value == NULL && !fds[i].needed)
      continue;
    *fds[i].fd = banger_message_get_fd (message, fds[i].key, error);
    if (*fds[i].fd < 0)
      return FALSE;
  }
  return TRUE;
}

/* A program of another protocol would mean other things by the same words. */
static gboolean
check_protocol (GVariant *args, GError **error)
{
  guint protocol = BANGER_PROTOCOL;

  g_variant_lookup (args, "protocol", "u", &protocol);
  if (protocol == BANGER_PROTOCOL)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_HOST_NOT_READY, "monitor", NULL,
                    "banger was upgraded while it ran: restart bangerd",
                    "bangerd speaks protocol %u, banger-vmm %u", protocol, BANGER_PROTOCOL);
  return FALSE;
}

static gboolean
take_choices (BangerMachine *self, GVariant *args, GError **error)
{
  const char *root = NULL, *network = "none";
  BangerRoot kind;

  if (!g_variant_lookup (args, "root", "&s", &root) || !banger_root_from_string (root, &kind))
    return refuse (error, "unknown kind of root");
  self->overlay = kind == BANGER_ROOT_OVERLAY;
  g_variant_lookup (args, "network", "&s", &network);
  if (!banger_network_from_string (network, &self->network))
    return refuse (error, "unknown network");
  if (!g_variant_lookup (args, "publish", "^as", &self->publish))
    self->publish = g_new0 (char *, 1);
  return TRUE;
}

static gboolean
take_facts (BangerMachine *self, BangerMessage *message, GError **error)
{
  const char *backend = NULL;
  GVariant *args = message->args;

  if (!g_variant_lookup (args, "id", "s", &self->id) || !banger_id_is_valid (self->id))
    return refuse (error, "no id");
  if (!g_variant_lookup (args, "name", "s", &self->name) || !banger_name_is_valid (self->name))
    return refuse (error, "no name");
  if (!g_variant_lookup (args, "vcpus", "u", &self->vcpus) || self->vcpus < 1
      || self->vcpus > BANGER_VCPUS_MAX)
    return refuse (error, "vcpus out of bounds");
  if (!g_variant_lookup (args, "memory-bytes", "t", &self->memory_bytes)
      || self->memory_bytes < BANGER_MEMORY_MIN || self->memory_bytes > BANGER_MEMORY_MAX)
    return refuse (error, "memory out of bounds");
  if (!g_variant_lookup (args, "backend", "&s", &backend) || !g_str_equal (backend, "qemu"))
    return refuse (error, "unknown backend");
  if (!take_choices (self, args, error))
    return FALSE;
  g_variant_lookup (args, "modules-release", "s", &self->modules_release);
  g_variant_lookup (args, "tsc-khz", "u", &self->tsc_khz);
  if (g_variant_lookup (args, "accelerator", "s", &self->accelerator)
      && !g_str_equal (self->accelerator, "kvm") && !g_str_equal (self->accelerator, "tcg"))
    return refuse (error, "unknown accelerator");
  return TRUE;
}

BangerMachine *
banger_machine_parse (BangerMessage *message, GError **error)
{
  g_autoptr (BangerMachine) self = g_new0 (BangerMachine, 1);

  self->kernel = self->boot_modules = self->modules_image = self->root = -1;
  self->upper = self->work = self->run_dir = self->console = self->exit_record = self->network_fd
      = -1;
  if (!check_protocol (message->args, error) || !take_facts (self, message, error)
      || !take_fds (self, message, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
banger_machine_free (BangerMachine *self)
{
  int *fds[] = { &self->kernel,      &self->boot_modules, &self->modules_image, &self->root,
                 &self->upper,       &self->work,         &self->run_dir,       &self->console,
                 &self->exit_record, &self->network_fd };

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    banger_clear_fd (fds[i]);
  g_free (self->id);
  g_free (self->name);
  g_free (self->modules_release);
  g_free (self->accelerator);
  g_strfreev (self->publish);
  g_free (self);
}
