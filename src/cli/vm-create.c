/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "keys.h"
#include "vm.h"

#include "text.h"

#include <glib/gi18n.h>
#include <string.h>

static gboolean
add_labels (GVariantBuilder *options, const char *const *labels, GError **error)
{
  GVariantBuilder builder;

  if (labels[0] == NULL)
    return TRUE;
  g_variant_builder_init (&builder, G_VARIANT_TYPE ("a{ss}"));
  for (guint i = 0; labels[i] != NULL; i++) {
    const char *equals = strchr (labels[i], '=');
    g_autofree char *key = NULL, *shown = banger_text_escape (labels[i], -1);

    if (equals == NULL || equals == labels[i]) {
      g_variant_builder_clear (&builder);
      banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, "--label KEY=VALUE",
                        _ ("--label: '%s' is not a key and a value"), shown);
      return FALSE;
    }
    key = g_strndup (labels[i], equals - labels[i]);
    g_variant_builder_add (&builder, "{ss}", key, equals + 1);
  }
  g_variant_builder_add (options, "{sv}", "labels", g_variant_builder_end (&builder));
  return TRUE;
}

static gboolean
add_keys (BangerArgs *args, GVariantBuilder *options, GError **error)
{
  const char *const *files = banger_args_list (args, "ssh-key");
  g_autofree char *keys = NULL;

  if (banger_args_flag (args, "no-ssh-key")) {
    if (files[0] == NULL)
      return TRUE;
    banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                      _ ("--ssh-key and --no-ssh-key exclude each other"));
    return FALSE;
  }
  keys = banger_keys_collect (files, error);
  if (keys == NULL)
    return FALSE;
  if (*keys != '\0')
    g_variant_builder_add (options, "{sv}", "authorized-keys", g_variant_new_string (keys));
  return TRUE;
}

/* What needs no question to the service. */
static gboolean
add_plain_options (BangerArgs *args, GVariantBuilder *options, GError **error)
{
  static const char *const sizes[] = { "memory", "disk", "work" };
  static const char *const words[] = { "root", "network", "restart", "backend" };
  const char *const *ports = banger_args_list (args, "publish");
  guint64 bytes = 0;
  guint32 count = 0;

  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++) {
    if (banger_args_size (args, sizes[i], &bytes))
      g_variant_builder_add (options, "{sv}", banger_option_key (sizes[i]),
                             g_variant_new_uint64 (bytes));
  }
  if (banger_args_count (args, "vcpus", &count))
    g_variant_builder_add (options, "{sv}", "vcpus", g_variant_new_uint32 (count));
  for (guint i = 0; i < G_N_ELEMENTS (words); i++) {
    const char *word = banger_args_text (args, words[i]);

    if (word != NULL)
      g_variant_builder_add (options, "{sv}", words[i], g_variant_new_string (word));
  }
  if (ports[0] != NULL)
    g_variant_builder_add (options, "{sv}", "publish", g_variant_new_strv (ports, -1));
  if (banger_args_flag (args, "autostart"))
    g_variant_builder_add (options, "{sv}", "autostart", g_variant_new_boolean (TRUE));
  if (banger_args_has_flag (args, "no-start"))
    g_variant_builder_add (options, "{sv}", "start", g_variant_new_boolean (FALSE));
  return add_labels (options, banger_args_list (args, "label"), error)
         && add_keys (args, options, error);
}

/* CreateVM's arguments, floating. */
static GVariant *
create_arguments (BangerClient *client, BangerArgs *args, const char *name, GError **error)
{
  g_auto (GVariantBuilder) options = G_VARIANT_BUILDER_INIT (G_VARIANT_TYPE_VARDICT);
  const char *image_name = banger_args_text (args, "image");
  const char *kernel_name = banger_args_text (args, "kernel");
  g_autofree char *image = NULL, *kernel = NULL;

  if (name != NULL && !banger_name_check (BANGER_OBJECT_VM, name, error))
    return NULL;
  if (!add_plain_options (args, &options, error))
    return NULL;
  if (image_name != NULL) {
    image = banger_client_find (client, BANGER_OBJECT_IMAGE, image_name, error);
    if (image == NULL)
      return NULL;
  }
  if (kernel_name != NULL) {
    kernel = banger_client_find (client, BANGER_OBJECT_KERNEL, kernel_name, error);
    if (kernel == NULL)
      return NULL;
    g_variant_builder_add (&options, "{sv}", "kernel", g_variant_new_object_path (kernel));
  }
  return g_variant_new ("(soa{sv})", name != NULL ? name : "", image != NULL ? image : "/",
                        &options);
}

static gboolean
say_created (BangerClient *client, BangerArgs *args, const char *vm, guint64 usec, GError **error)
{
  g_autoptr (GVariant) properties = NULL;
  g_autofree char *time = banger_text_duration (usec), *label = NULL;
  const char *health = NULL;

  if (banger_args_wants_document (args))
    return banger_vm_print (client, vm, args, error);
  properties = banger_client_properties (client, vm, BANGER_IFACE_VM, error);
  if (properties == NULL)
    return FALSE;
  if (banger_args_flag (args, "quiet")) {
    banger_output_line ("%s", banger_props_string (properties, "Name"));
    return TRUE;
  }
  label = banger_label (BANGER_OBJECT_VM, banger_props_string (properties, "Name"));
  health = banger_props_string (properties, "Health");
  if (banger_args_has_flag (args, "no-start") || banger_args_flag (args, "no-wait"))
    health = banger_props_string (properties, "State");
  banger_output_line (_ ("%s is %s (%s)"), label, health, time);
  return TRUE;
}

char *
banger_vm_create_begin (BangerClient *client, BangerArgs *args, const char *name, char **job,
                        GError **error)
{
  g_autoptr (GVariant) reply = NULL;
  GVariant *arguments = create_arguments (client, args, name, error);
  char *vm = NULL;

  if (arguments == NULL)
    return NULL;
  reply = banger_client_call (client, BANGER_ROOT_PATH, BANGER_IFACE_MANAGER, "CreateVM", arguments,
                              "(oo)", NULL, NULL, error);
  if (reply != NULL)
    g_variant_get (reply, "(oo)", &vm, job);
  return vm;
}

int
banger_vm_create (BangerClient *client, BangerArgs *args, GError **error)
{
  g_autoptr (BangerWatch) watch = banger_watch_new (client, args, error);
  g_autofree char *vm = NULL, *job = NULL, *name = NULL, *label = NULL;
  guint64 usec = 0;

  if (watch == NULL)
    return 0;
  vm = banger_vm_create_begin (client, args, banger_args_words (args)[0], &job, error);
  if (vm == NULL)
    return 0;
  if (!banger_args_flag (args, "no-wait")) {
    name = banger_client_name_of (client, vm, BANGER_IFACE_VM);
    label = banger_label (BANGER_OBJECT_VM, name);
    /* The name that was made up is wanted before the end: another terminal may need it. */
    if (banger_args_words (args)[0] == NULL)
      banger_watch_say (watch, label);
    banger_watch_add (watch, job, label, _ ("nothing of it is left"));
    if (!banger_watch_wait (watch, job, &usec, error))
      return 0;
  }
  say_created (client, args, vm, usec, error);
  return 0;
}
