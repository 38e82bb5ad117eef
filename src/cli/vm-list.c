/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "listing.h"
#include "vm.h"

#include <glib/gi18n.h>

const BangerColumn banger_vm_columns[] = {
  { "name", NULL, N_ ("NAME"), BANGER_CELL_PLAIN, TRUE },
  { "state", NULL, N_ ("STATE"), BANGER_CELL_PLAIN, TRUE },
  { "health", NULL, N_ ("HEALTH"), BANGER_CELL_PLAIN, TRUE },
  { "image", NULL, N_ ("IMAGE"), BANGER_CELL_PLAIN, TRUE },
  { "vcpus", NULL, N_ ("VCPUS"), BANGER_CELL_PLAIN, TRUE },
  { "memory", "memory_bytes", N_ ("MEMORY"), BANGER_CELL_SIZE, TRUE },
  { "age", "created_at", N_ ("AGE"), BANGER_CELL_AGE, TRUE },
  { "id", NULL, N_ ("ID"), BANGER_CELL_PLAIN, FALSE },
  { "owner", "owner_uid", N_ ("OWNER"), BANGER_CELL_PLAIN, FALSE },
  { "kernel", NULL, N_ ("KERNEL"), BANGER_CELL_PLAIN, FALSE },
  { "backend", NULL, N_ ("BACKEND"), BANGER_CELL_PLAIN, FALSE },
  { "accelerator", NULL, N_ ("ACCELERATOR"), BANGER_CELL_PLAIN, FALSE },
  { "root", NULL, N_ ("ROOT"), BANGER_CELL_PLAIN, FALSE },
  { "disk", "disk_bytes", N_ ("DISK"), BANGER_CELL_SIZE, FALSE },
  { "work", "work_bytes", N_ ("WORK DISK"), BANGER_CELL_SIZE, FALSE },
  { "network", NULL, N_ ("NETWORK"), BANGER_CELL_PLAIN, FALSE },
  { "ports", "published", N_ ("PORTS"), BANGER_CELL_PLAIN, FALSE },
  { "addresses", NULL, N_ ("ADDRESSES"), BANGER_CELL_PLAIN, FALSE },
  { "labels", NULL, N_ ("LABELS"), BANGER_CELL_PLAIN, FALSE },
  { "restart", NULL, N_ ("RESTART"), BANGER_CELL_PLAIN, FALSE },
  { "restarts", NULL, N_ ("RESTARTS"), BANGER_CELL_PLAIN, FALSE },
  { "autostart", NULL, N_ ("AUTOSTART"), BANGER_CELL_PLAIN, FALSE },
  { "pending", NULL, N_ ("PENDING"), BANGER_CELL_PLAIN, FALSE },
  { "exit", "last_exit", N_ ("LAST EXIT"), BANGER_CELL_PLAIN, FALSE },
  { "stage", "boot_stage", N_ ("BOOT STAGE"), BANGER_CELL_PLAIN, FALSE },
  { "created", "created_at", N_ ("CREATED"), BANGER_CELL_PLAIN, FALSE },
  { "started", "started_at", N_ ("STARTED"), BANGER_CELL_PLAIN, FALSE },
  { NULL, NULL, NULL, BANGER_CELL_PLAIN, FALSE },
};

static const char *
name_of (GHashTable *names, GVariant *properties, const char *property)
{
  const char *name = g_hash_table_lookup (names, banger_props_string (properties, property));

  return name != NULL ? name : "";
}

int
banger_vm_list (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (BangerListing) listing = banger_listing_new (args, error);
  g_autoptr (GVariant) objects = NULL;
  g_autoptr (GPtrArray) vms = NULL;
  g_autoptr (GHashTable) images = NULL, kernels = NULL;

  if (listing == NULL)
    return 0;
  objects = banger_client_objects (client, error);
  if (objects == NULL)
    return 0;
  vms = banger_objects_select (objects, BANGER_IFACE_VM);
  images = banger_objects_names (objects, BANGER_IFACE_IMAGE);
  kernels = banger_objects_names (objects, BANGER_IFACE_KERNEL);
  for (guint i = 0; i < vms->len; i++) {
    GVariant *properties = ((BangerObject *)g_ptr_array_index (vms, i))->properties;
    g_autoptr (JsonBuilder) row = banger_json_row ();

    banger_vm_add_json (row, properties, name_of (images, properties, "Image"),
                        name_of (kernels, properties, "Kernel"));
    banger_listing_add (listing, banger_json_end (row));
  }
  banger_listing_print (listing, "vms");
  return BANGER_EXIT_OK;
}
