/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images and kernels: what they have in common. */
#include "listing.h"
#include "verbs.h"

#include "text.h"

#include <glib/gi18n.h>
#include <string.h>

static BangerObjectKind
kind_of (BangerArgs *args)
{
  BangerObjectKind kind = BANGER_OBJECT_IMAGE;

  if (!banger_object_kind_from_string (banger_args_command (args)->noun, &kind))
    g_error ("no such kind");
  return kind;
}

/* The path of the default image or kernel, "/" if there is none. */
static char *
default_path (BangerClient *client, BangerObjectKind kind)
{
  g_autoptr (GVariant) manager
      = banger_client_properties (client, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, NULL);

  if (manager == NULL)
    return g_strdup ("/");
  return g_strdup (banger_props_string (manager, kind == BANGER_OBJECT_IMAGE ? "DefaultImage"
                                                                             : "DefaultKernel"));
}

/* What commands in an image's guests run with; null where nothing was said. */
static void
add_defaults (JsonBuilder *json, GVariant *properties)
{
  g_autoptr (GVariant) defaults
      = g_variant_lookup_value (properties, "Defaults", G_VARIANT_TYPE_VARDICT);
  g_autofree const char **env = NULL;
  const char *user = NULL, *cwd = NULL;

  if (defaults != NULL) {
    g_variant_lookup (defaults, "user", "&s", &user);
    g_variant_lookup (defaults, "cwd", "&s", &cwd);
    env = banger_props_strings (defaults, "env");
  }
  json_builder_set_member_name (json, "defaults");
  json_builder_begin_object (json);
  banger_json_string (json, "user", user);
  banger_json_string (json, "cwd", cwd);
  banger_json_strings (json, "env", env);
  json_builder_end_object (json);
}

/* What a kernel can do: words of the service's own. */
static void
add_facts (JsonBuilder *json, GVariant *properties)
{
  g_autofree const char **capabilities = banger_props_strings (properties, "Capabilities");
  g_autoptr (GVariant) facts = g_variant_lookup_value (properties, "Facts", G_VARIANT_TYPE_VARDICT);

  banger_json_strings (json, "capabilities", capabilities);
  json_builder_set_member_name (json, "facts");
  banger_json_dictionary (json, facts);
}

static void
add_asset (JsonBuilder *json, BangerObjectKind kind, GVariant *properties, gboolean is_default)
{
  banger_json_string (json, "id", banger_props_string (properties, "Id"));
  banger_json_string (json, "name", banger_props_string (properties, "Name"));
  banger_json_number (json, "owner_uid", banger_props_number (properties, "OwnerUid"));
  banger_json_flag (json, "shared", banger_props_flag (properties, "Shared"));
  banger_json_flag (json, "default", is_default);
  banger_json_string (json, "state", banger_props_string (properties, "State"));
  if (kind == BANGER_OBJECT_IMAGE) {
    banger_json_string (json, "rootfs_path", banger_props_string (properties, "RootfsPath"));
    add_defaults (json, properties);
  } else {
    banger_json_string (json, "release", banger_props_string (properties, "Release"));
  }
  banger_json_number (json, "size_bytes", banger_props_number (properties, "SizeBytes"));
  banger_json_number (json, "allocated_bytes", banger_props_number (properties, "AllocatedBytes"));
  banger_json_string (json, "digest", banger_props_string (properties, "Digest"));
  if (kind == BANGER_OBJECT_IMAGE) {
    banger_json_number (json, "entries", banger_props_number (properties, "Entries"));
    banger_json_time (json, "edited_at", banger_props_number (properties, "EditedAt"));
  } else {
    add_facts (json, properties);
  }
  banger_json_time (json, "created_at", banger_props_number (properties, "CreatedAt"));
}

const BangerColumn banger_image_columns[] = {
  { "name", NULL, N_ ("NAME"), BANGER_CELL_PLAIN, TRUE },
  { "state", NULL, N_ ("STATE"), BANGER_CELL_PLAIN, TRUE },
  { "size", "size_bytes", N_ ("SIZE"), BANGER_CELL_SIZE, TRUE },
  { "allocated", "allocated_bytes", N_ ("ON DISK"), BANGER_CELL_SIZE, TRUE },
  { "default", NULL, N_ ("DEFAULT"), BANGER_CELL_PLAIN, TRUE },
  { "shared", NULL, N_ ("SHARED"), BANGER_CELL_PLAIN, FALSE },
  { "owner", "owner_uid", N_ ("OWNER"), BANGER_CELL_PLAIN, FALSE },
  { "age", "created_at", N_ ("AGE"), BANGER_CELL_AGE, FALSE },
  { "created", "created_at", N_ ("CREATED"), BANGER_CELL_PLAIN, FALSE },
  { "id", NULL, N_ ("ID"), BANGER_CELL_PLAIN, FALSE },
  { "digest", NULL, N_ ("DIGEST"), BANGER_CELL_PLAIN, FALSE },
  { "rootfs", "rootfs_path", N_ ("FILE"), BANGER_CELL_PLAIN, FALSE },
  { NULL, NULL, NULL, BANGER_CELL_PLAIN, FALSE },
};

const BangerColumn banger_kernel_columns[] = {
  { "name", NULL, N_ ("NAME"), BANGER_CELL_PLAIN, TRUE },
  { "state", NULL, N_ ("STATE"), BANGER_CELL_PLAIN, TRUE },
  { "release", NULL, N_ ("RELEASE"), BANGER_CELL_PLAIN, TRUE },
  { "allocated", "allocated_bytes", N_ ("ON DISK"), BANGER_CELL_SIZE, TRUE },
  { "default", NULL, N_ ("DEFAULT"), BANGER_CELL_PLAIN, TRUE },
  { "shared", NULL, N_ ("SHARED"), BANGER_CELL_PLAIN, FALSE },
  { "owner", "owner_uid", N_ ("OWNER"), BANGER_CELL_PLAIN, FALSE },
  { "age", "created_at", N_ ("AGE"), BANGER_CELL_AGE, FALSE },
  { "created", "created_at", N_ ("CREATED"), BANGER_CELL_PLAIN, FALSE },
  { "id", NULL, N_ ("ID"), BANGER_CELL_PLAIN, FALSE },
  { "digest", NULL, N_ ("DIGEST"), BANGER_CELL_PLAIN, FALSE },
  { NULL, NULL, NULL, BANGER_CELL_PLAIN, FALSE },
};

int
banger_asset_list (BangerClient *client, BangerArgs *args, GError **error)
{
  BangerObjectKind kind = kind_of (args);
  g_autoptr (BangerListing) listing = banger_listing_new (args, error);
  g_autoptr (GVariant) objects = NULL;
  g_autoptr (GPtrArray) assets = NULL;
  g_autofree char *promoted = NULL;

  if (listing == NULL)
    return 0;
  objects = banger_client_objects (client, error);
  if (objects == NULL)
    return 0;
  assets = banger_objects_select (objects, banger_client_interface (kind));
  promoted = default_path (client, kind);
  for (guint i = 0; i < assets->len; i++) {
    BangerObject *asset = g_ptr_array_index (assets, i);
    g_autoptr (JsonBuilder) row = banger_json_row ();

    add_asset (row, kind, asset->properties, strcmp (asset->path, promoted) == 0);
    banger_listing_add (listing, banger_json_end (row));
  }
  banger_listing_print (listing, kind == BANGER_OBJECT_IMAGE ? "images" : "kernels");
  return BANGER_EXIT_OK;
}

/* Where it came from. */
static const char *
config_text (const char *source)
{
  if (strcmp (source, "file") == 0)
    return _ ("from a file");
  if (strcmp (source, "embedded") == 0)
    return _ ("from within the kernel");
  return _ ("unknown");
}

/* Of a kernel that says nothing of itself: an older version imported it. */
static void
print_facts (BangerTable *table, GVariant *p)
{
  g_autofree const char **capabilities = banger_props_strings (p, "Capabilities");
  g_autoptr (GVariant) facts = g_variant_lookup_value (p, "Facts", G_VARIANT_TYPE_VARDICT);

  if (facts == NULL || g_variant_n_children (facts) == 0)
    return;
  banger_table_add (table, g_strdup (_ ("can do:")),
                    capabilities != NULL ? g_strjoinv (", ", (char **)capabilities) : g_strdup (""),
                    NULL);
  banger_table_add (table, g_strdup (_ ("modules:")),
                    g_strdup_printf (_ ("%u, and %u built in"),
                                     (guint)banger_props_number (facts, "modules"),
                                     (guint)banger_props_number (facts, "builtin")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("configuration:")),
                    g_strdup (config_text (banger_props_string (facts, "config"))), NULL);
}

/* Those of what commands in an image's guests run with that were said. */
static void
print_defaults (BangerTable *table, GVariant *p)
{
  g_autoptr (GVariant) defaults = g_variant_lookup_value (p, "Defaults", G_VARIANT_TYPE_VARDICT);
  g_autofree const char **env = NULL;
  const char *user = NULL, *cwd = NULL;

  if (defaults == NULL)
    return;
  if (g_variant_lookup (defaults, "user", "&s", &user))
    banger_table_add (table, g_strdup (_ ("user:")), g_strdup (user), NULL);
  if (g_variant_lookup (defaults, "cwd", "&s", &cwd))
    banger_table_add (table, g_strdup (_ ("directory:")), g_strdup (cwd), NULL);
  env = banger_props_strings (defaults, "env");
  for (guint i = 0; env != NULL && env[i] != NULL; i++)
    banger_table_add (table, g_strdup (i == 0 ? _ ("environment:") : ""), g_strdup (env[i]), NULL);
}

static void
print_fields (BangerObjectKind kind, GVariant *p, gboolean is_default)
{
  g_autoptr (BangerTable) table = banger_table_new (NULL);

  banger_table_add (table, g_strdup (_ ("name:")), g_strdup (banger_props_string (p, "Name")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("id:")), g_strdup (banger_props_string (p, "Id")), NULL);
  banger_table_add (table, g_strdup (_ ("state:")), g_strdup (banger_props_string (p, "State")),
                    NULL);
  if (kind == BANGER_OBJECT_IMAGE)
    banger_table_add (table, g_strdup (_ ("file:")),
                      g_strdup (banger_props_string (p, "RootfsPath")), NULL);
  else
    banger_table_add (table, g_strdup (_ ("release:")),
                      g_strdup (banger_props_string (p, "Release")), NULL);
  banger_table_add (table, g_strdup (_ ("size:")),
                    banger_text_size (banger_props_number (p, "SizeBytes")), NULL);
  banger_table_add (table, g_strdup (_ ("on disk:")),
                    banger_text_size (banger_props_number (p, "AllocatedBytes")), NULL);
  if (kind == BANGER_OBJECT_IMAGE && banger_props_number (p, "Entries") != 0)
    banger_table_add (table, g_strdup (_ ("names:")),
                      g_strdup_printf ("%" G_GUINT64_FORMAT, banger_props_number (p, "Entries")),
                      NULL);
  banger_table_add (table, g_strdup (_ ("digest:")), g_strdup (banger_props_string (p, "Digest")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("default:")), g_strdup (is_default ? _ ("yes") : _ ("no")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("shared:")),
                    g_strdup (banger_props_flag (p, "Shared") ? _ ("yes") : _ ("no")), NULL);
  banger_table_add (table, g_strdup (_ ("owner:")),
                    g_strdup_printf ("%" G_GUINT64_FORMAT, banger_props_number (p, "OwnerUid")),
                    NULL);
  banger_table_add (table, g_strdup (_ ("created:")),
                    banger_text_time (banger_props_number (p, "CreatedAt")), NULL);
  if (kind == BANGER_OBJECT_IMAGE && banger_props_number (p, "EditedAt") != 0)
    banger_table_add (table, g_strdup (_ ("edited:")),
                      banger_text_time (banger_props_number (p, "EditedAt")), NULL);
  if (kind == BANGER_OBJECT_KERNEL)
    print_facts (table, p);
  else
    print_defaults (table, p);
  banger_table_print (table);
}

gboolean
banger_asset_print (BangerClient *client, BangerObjectKind kind, const char *path, BangerArgs *args,
                    GError **error)
{
  g_autoptr (GVariant) properties
      = banger_client_properties (client, path, banger_client_interface (kind), error);
  g_autofree char *promoted = NULL;
  g_autoptr (JsonBuilder) json = NULL;
  g_autoptr (JsonNode) document = NULL;
  gboolean for_people = FALSE;

  if (properties == NULL)
    return FALSE;
  promoted = default_path (client, kind);
  json = banger_json_new ();
  add_asset (json, kind, properties, strcmp (path, promoted) == 0);
  document = banger_json_end (json);
  if (!banger_document_print (args, document, &for_people, error))
    return FALSE;
  if (for_people)
    print_fields (kind, properties, strcmp (path, promoted) == 0);
  return TRUE;
}

int
banger_asset_show (BangerClient *client, BangerArgs *args, GError **error)
{
  BangerObjectKind kind = kind_of (args);
  g_autofree char *path = banger_client_find (client, kind, banger_args_words (args)[0], error);

  if (path != NULL)
    banger_asset_print (client, kind, path, args, error);
  return 0;
}

int
banger_asset_delete (BangerClient *client, BangerArgs *args, GError **error)
{
  BangerAction action = { .kind = kind_of (args),
                          .method = "Delete",
                          .done = _ ("%s is deleted"),
                          .undone = _ ("it is kept"),
                          .destructive = TRUE };

  return banger_action_run (client, args, &action, error);
}

/* Calls a method of the image or kernel that @args name first, then says what is so: @done, with
 * its label as the one %s, or the whole of it to programs. */
static int
change (BangerClient *client, BangerArgs *args, const char *method, GVariant *arguments,
        const char *done, GError **error)
{
  BangerObjectKind kind = kind_of (args);
  const char *name = banger_args_words (args)[0];
  g_autoptr (GVariant) held = g_variant_ref_sink (arguments);
  g_autofree char *path = banger_client_find (client, kind, name, error);
  g_autofree char *label = banger_label (kind, name);
  g_auto (GStrv) parts = g_strsplit (done, "%s", 2);
  g_autoptr (GVariant) reply = NULL;

  if (path == NULL)
    return 0;
  reply = banger_client_call (client, path, banger_client_interface (kind), method, held, NULL,
                              NULL, NULL, error);
  if (reply == NULL)
    return 0;
  if (banger_args_wants_document (args))
    banger_asset_print (client, kind, path, args, error);
  else
    banger_output_line ("%s%s%s", parts[0], label, parts[1]);
  return 0;
}

int
banger_asset_rename (BangerClient *client, BangerArgs *args, GError **error)
{
  const char *name = banger_args_words (args)[1];
  g_autofree char *done = g_strdup_printf (_ ("%s is now called '%s'"), "%s", name);

  if (!banger_name_check (kind_of (args), name, error))
    return 0;
  return change (client, args, "Rename", g_variant_new ("(s@a{sv})", name, banger_no_args ()), done,
                 error);
}

static GVariant *
share_arguments (gboolean shared)
{
  return g_variant_new ("(b@a{sv})", shared, banger_no_args ());
}

int
banger_asset_share (BangerClient *client, BangerArgs *args, GError **error)
{
  return change (client, args, "Share", share_arguments (TRUE), _ ("%s is shared with everybody"),
                 error);
}

int
banger_asset_unshare (BangerClient *client, BangerArgs *args, GError **error)
{
  return change (client, args, "Share", share_arguments (FALSE), _ ("%s is not shared any more"),
                 error);
}

int
banger_asset_promote (BangerClient *client, BangerArgs *args, GError **error)
{
  return change (client, args, "Promote", g_variant_new ("(@a{sv})", banger_no_args ()),
                 _ ("%s is the default for new VMs now"), error);
}
