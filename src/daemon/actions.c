/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "actions.h"

#include <glib/gi18n.h>
#include <string.h>

#define CREATE .access = BANGER_ACCESS_ACTION, .action = BANGER_ACTION_VM_CREATE
#define USE .access = BANGER_ACCESS_ACTION, .action = BANGER_ACTION_VM_USE
#define ENTER .access = BANGER_ACCESS_ACTION, .action = BANGER_ACTION_VM_ENTER
/* On somebody else's object this needs manage-others like all else, so that who may share images
 * cannot publish what other people keep to themselves. */
#define SHARE .access = BANGER_ACCESS_ACTION, .action = BANGER_ACTION_IMAGE_SHARE
#define MANAGE_OTHERS .access = BANGER_ACCESS_ALWAYS, .action = BANGER_ACTION_MANAGE_OTHERS
#define OWNER .access = BANGER_ACCESS_OWNER
#define PUBLIC .access = BANGER_ACCESS_PUBLIC, .reads = TRUE

/* $(vm), $(image) and $(kernel) stand for the details of these names. */
#define ASK(text) .message = text

static const BangerAction table[] = {
  { BANGER_IFACE_MANAGER, "CreateVM", .verb = "create", CREATE, .makes = BANGER_OBJECT_VM,
    ASK (N_ ("Authentication is required to create a virtual machine")) },
  { BANGER_IFACE_MANAGER, "ImportImage", .verb = "import-image", CREATE,
    .makes = BANGER_OBJECT_IMAGE,
    ASK (N_ ("Authentication is required to import an image for virtual machines")) },
  { BANGER_IFACE_MANAGER, "PullImage", .verb = "pull-image", CREATE, .makes = BANGER_OBJECT_IMAGE,
    ASK (N_ ("Authentication is required to download an image for virtual machines")) },
  { BANGER_IFACE_MANAGER, "RegisterImage", .verb = "register-image", CREATE,
    .makes = BANGER_OBJECT_IMAGE,
    ASK (N_ ("Authentication is required to import an image for virtual machines")) },
  { BANGER_IFACE_MANAGER, "ImportKernel", .verb = "import-kernel", CREATE,
    .makes = BANGER_OBJECT_KERNEL,
    ASK (N_ ("Authentication is required to import a kernel for virtual machines")) },
  { BANGER_IFACE_MANAGER, "FindVM", .verb = "find", PUBLIC },
  { BANGER_IFACE_MANAGER, "FindImage", .verb = "find", PUBLIC },
  { BANGER_IFACE_MANAGER, "FindKernel", .verb = "find", PUBLIC },
  { BANGER_IFACE_MANAGER, "Check", .verb = "check", PUBLIC },
  { BANGER_IFACE_MANAGER, "GetCapacity", .verb = "capacity", PUBLIC },

  { BANGER_IFACE_VM, "Start", .verb = "start", USE,
    ASK (N_ ("Authentication is required to start the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "Stop", .verb = "stop", OWNER },
  { BANGER_IFACE_VM, "Kill", .verb = "kill", OWNER },
  { BANGER_IFACE_VM, "Restart", .verb = "restart", USE,
    ASK (N_ ("Authentication is required to restart the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "Pause", .verb = "pause", USE,
    ASK (N_ ("Authentication is required to pause the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "Resume", .verb = "resume", USE,
    ASK (N_ ("Authentication is required to resume the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "Delete", .verb = "delete", OWNER },
  { BANGER_IFACE_VM, "Set", .verb = "set", USE,
    ASK (N_ ("Authentication is required to change the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "GetHealth", .verb = "health", OWNER, .reads = TRUE },
  { BANGER_IFACE_VM, "GetStats", .verb = "stats", OWNER, .reads = TRUE },
  { BANGER_IFACE_VM, "GetFailureDetails", .verb = "failure", OWNER, .reads = TRUE },
  { BANGER_IFACE_VM, "OpenAgent", .verb = "open-agent", ENTER,
    ASK (N_ ("Authentication is required to enter the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "OpenConsole", .verb = "open-console", ENTER,
    ASK (N_ ("Authentication is required to open the console of the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "OpenLog", .verb = "open-log", ENTER,
    ASK (N_ ("Authentication is required to read the console of the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "Exec", .verb = "exec", ENTER,
    ASK (N_ ("Authentication is required to run commands in the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "ReadFiles", .verb = "read-files", ENTER,
    ASK (N_ ("Authentication is required to read files of the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "EditFiles", .verb = "edit-files", ENTER,
    ASK (N_ ("Authentication is required to change files of the virtual machine $(vm)")) },
  { BANGER_IFACE_VM, "SetOwner", .verb = "set-owner", MANAGE_OTHERS,
    ASK (N_ ("Authentication is required to give the virtual machine $(vm) to another user")) },

  { BANGER_IFACE_IMAGE, "Delete", .verb = "delete", OWNER },
  { BANGER_IFACE_IMAGE, "Rename", .verb = "rename", CREATE,
    ASK (N_ ("Authentication is required to rename the image $(image)")) },
  { BANGER_IFACE_IMAGE, "Share", .verb = "share", SHARE, .owner_takes_back = TRUE,
    ASK (N_ ("Authentication is required to offer the image $(image) to all users")) },
  { BANGER_IFACE_IMAGE, "Promote", .verb = "promote", SHARE, .or_shared = TRUE,
    ASK (N_ ("Authentication is required to make the image $(image) the default")) },
  { BANGER_IFACE_IMAGE, "Export", .verb = "export", USE, .or_shared = TRUE,
    ASK (N_ ("Authentication is required to export the image $(image)")) },
  { BANGER_IFACE_IMAGE, "ReadFiles", .verb = "read-files", USE, .or_shared = TRUE,
    ASK (N_ ("Authentication is required to read files of the image $(image)")) },
  { BANGER_IFACE_IMAGE, "EditFiles", .verb = "edit-files", CREATE,
    ASK (N_ ("Authentication is required to change files of the image $(image)")) },

  { BANGER_IFACE_KERNEL, "Delete", .verb = "delete", OWNER },
  { BANGER_IFACE_KERNEL, "Rename", .verb = "rename", CREATE,
    ASK (N_ ("Authentication is required to rename the kernel $(kernel)")) },
  { BANGER_IFACE_KERNEL, "Share", .verb = "share", SHARE, .owner_takes_back = TRUE,
    ASK (N_ ("Authentication is required to offer the kernel $(kernel) to all users")) },
  { BANGER_IFACE_KERNEL, "Promote", .verb = "promote", SHARE, .or_shared = TRUE,
    ASK (N_ ("Authentication is required to make the kernel $(kernel) the default")) },
  { BANGER_IFACE_KERNEL, "Export", .verb = "export", USE, .or_shared = TRUE,
    ASK (N_ ("Authentication is required to export the kernel $(kernel)")) },

  { BANGER_IFACE_JOB, "Cancel", .verb = "cancel", OWNER },
  { NULL },
};

const BangerAction *
banger_action_table (void)
{
  return table;
}

const BangerAction *
banger_action_find (const char *interface, const char *method)
{
  for (const BangerAction *row = table; row->interface != NULL; row++) {
    if (g_strcmp0 (row->interface, interface) == 0 && g_strcmp0 (row->method, method) == 0)
      return row;
  }
  return NULL;
}

BangerAccess
banger_action_access (const BangerAction *row, GVariant *parameters)
{
  g_autoptr (GVariant) first = NULL;

  if (!row->owner_takes_back || parameters == NULL || g_variant_n_children (parameters) == 0)
    return row->access;
  first = g_variant_get_child_value (parameters, 0);
  if (g_variant_is_of_type (first, G_VARIANT_TYPE_BOOLEAN) && !g_variant_get_boolean (first))
    return BANGER_ACCESS_OWNER;
  return row->access;
}
