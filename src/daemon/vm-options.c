/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-options.h"

#include "doctor.h"
#include "publish.h"

#include <string.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define LABELS_MAX 64
#define LABEL_MAX 256

const BangerOption banger_vm_create_options[] = {
  { "kernel", "o" },     { "vcpus", "u" },           { "memory-bytes", "t" },
  { "disk-bytes", "t" }, { "work-bytes", "t" },      { "root", "s" },
  { "labels", "a{ss}" }, { "backend", "s" },         { "network", "s" },
  { "publish", "as" },   { "restart", "s" },         { "autostart", "b" },
  { "start", "b" },      { "authorized-keys", "s" }, { NULL, NULL },
};

const BangerOption banger_vm_set_changes[] = {
  { "name", "s" },     { "labels", "a{ss}" }, { "restart", "s" },      { "autostart", "b" },
  { "publish", "as" }, { "vcpus", "u" },      { "memory-bytes", "t" }, { "network", "s" },
  { "kernel", "o" },   { "disk-bytes", "t" }, { "work-bytes", "t" },   { "authorized-keys", "s" },
  { NULL, NULL },
};

typedef struct {
  BangerVmRecord *record;
  const BangerVmBounds *bounds;
  const char *option;
  GVariant *value; /* of the type that the tables above give */
} Take;

static gboolean
refuse (const Take *take, BangerErrorCode code, const char *hint, GError **error, const char *rule)
{
  banger_set_error (error, code, NULL, NULL, hint, "option '%s' %s", take->option, rule);
  return FALSE;
}

static gboolean
take_vcpus (const Take *take, GError **error)
{
  guint most = MIN (BANGER_VCPUS_MAX, take->bounds->cpus);
  guint value = g_variant_get_uint32 (take->value);
  g_autofree char *rule = NULL;

  if (value >= 1 && value <= most) {
    take->record->vcpus = value;
    return TRUE;
  }
  rule = g_strdup_printf ("must be from 1 to the %u CPUs of this host", most);
  return refuse (take, BANGER_ERROR_INVALID_ARGUMENT, NULL, error, rule);
}

static gboolean
take_size (const Take *take, guint64 *size, guint64 least, guint64 most, GError **error)
{
  guint64 value = g_variant_get_uint64 (take->value);
  g_autofree char *rule = NULL;

  if (value >= least && value <= most && value % MIB == 0) {
    *size = value;
    return TRUE;
  }
  rule = g_strdup_printf ("must be a whole number of MiB, from %" G_GUINT64_FORMAT
                          " to %" G_GUINT64_FORMAT " MiB",
                          (least + MIB - 1) / MIB, most / MIB);
  return refuse (take, BANGER_ERROR_INVALID_ARGUMENT, NULL, error, rule);
}

static gboolean
take_memory (const Take *take, GError **error)
{
  return take_size (take, &take->record->memory_bytes, BANGER_MEMORY_MIN, BANGER_MEMORY_MAX, error);
}

/* Of a VM that is there a disk cannot shrink. */
static gboolean
take_disk_size (const Take *take, guint64 *size, GError **error)
{
  guint64 value = g_variant_get_uint64 (take->value);
  g_autofree char *rule = NULL;

  if (take->record->id == NULL || value >= *size)
    return take_size (take, size, BANGER_DISK_MIN, BANGER_DISK_MAX, error);
  rule = g_strdup_printf ("must be at least the %" G_GUINT64_FORMAT
                          " MiB that the disk has: disks only grow",
                          *size / MIB);
  return refuse (take, BANGER_ERROR_INVALID_ARGUMENT, NULL, error, rule);
}

static gboolean
take_disk (const Take *take, GError **error)
{
  return take_disk_size (take, &take->record->disk_bytes, error);
}

static gboolean
take_work (const Take *take, GError **error)
{
  return take_disk_size (take, &take->record->work_bytes, error);
}

static gboolean
take_root (const Take *take, GError **error)
{
  if (banger_root_from_string (g_variant_get_string (take->value, NULL), &take->record->root))
    return TRUE;
  return refuse (take, BANGER_ERROR_INVALID_ARGUMENT, NULL, error, "must be overlay or clone");
}

static gboolean
take_restart (const Take *take, GError **error)
{
  if (banger_restart_from_string (g_variant_get_string (take->value, NULL), &take->record->restart))
    return TRUE;
  return refuse (take, BANGER_ERROR_INVALID_ARGUMENT, NULL, error,
                 "must be never, on-failure or always");
}

static gboolean
take_autostart (const Take *take, GError **error)
{
  take->record->autostart = g_variant_get_boolean (take->value);
  return TRUE;
}

static gboolean
take_backend (const Take *take, GError **error)
{
  const char *word = g_variant_get_string (take->value, NULL);

  if (!g_str_equal (word, "qemu"))
    return refuse (take, BANGER_ERROR_NOT_SUPPORTED, NULL, error,
                   "must be qemu: this version knows no other backend");
  g_free (take->record->backend);
  take->record->backend = g_strdup (word);
  return TRUE;
}

static gboolean
take_network (const Take *take, GError **error)
{
  BangerNetwork network = BANGER_NETWORK_NONE;

  if (!banger_network_from_string (g_variant_get_string (take->value, NULL), &network))
    return refuse (take, BANGER_ERROR_INVALID_ARGUMENT, NULL, error, "must be user or none");
  if (network == BANGER_NETWORK_USER && take->bounds->mode == BANGER_MODE_SYSTEM)
    return refuse (take, BANGER_ERROR_NOT_SUPPORTED,
                   "use network none; commands and files go to and fro without one", error,
                   "cannot be user on the system bus: its VMs would go out as the service's user");
  if (network == BANGER_NETWORK_USER && !banger_doctor_has (take->bounds->findings, "passt")) {
    g_autofree char *found = banger_doctor_found (take->bounds->findings, "passt");

    banger_set_error (error, BANGER_ERROR_HOST_NOT_READY, NULL, found,
                      "--network none; banger doctor says how to mend it",
                      "option 'network' cannot be user: this host has no passt that works");
    return FALSE;
  }
  take->record->network = network;
  return TRUE;
}

static gboolean
take_publish (const Take *take, GError **error)
{
  g_autofree const char **given = g_variant_get_strv (take->value, NULL);
  g_auto (GStrv) published = NULL;

  /* None are none anywhere: what a VM published before can be taken from it. */
  if (*given != NULL && take->bounds->mode == BANGER_MODE_SYSTEM)
    return refuse (take, BANGER_ERROR_NOT_SUPPORTED, "use banger on the session bus", error,
                   "cannot be had: on the system bus a VM's monitor has no network");
  published = banger_publish_normalise (given, take->bounds->config->publish_any, error);
  if (published == NULL)
    return FALSE;
  g_strfreev (take->record->published);
  take->record->published = g_steal_pointer (&published);
  return TRUE;
}

/* Labels are shown to everybody: nothing in them may move a cursor or begin a line. */
static gboolean
is_label_text (const char *text)
{
  for (const char *c = text; *c != '\0'; c = g_utf8_next_char (c)) {
    if (!g_unichar_isprint (g_utf8_get_char (c)))
      return FALSE;
  }
  return strlen (text) <= LABEL_MAX;
}

static gboolean
check_label (const Take *take, const char *key, const char *value, GError **error)
{
  g_autofree char *shown = g_strescape (key, NULL), *rule = NULL;

  if (*key == '\0' || !g_str_is_ascii (key) || !is_label_text (key))
    rule = g_strdup_printf ("must have keys of 1 to %d bytes of printable ASCII, not '%.80s'",
                            LABEL_MAX, shown);
  else if (!is_label_text (value))
    rule = g_strdup_printf ("must have values of printable text up to %d bytes: that of '%.80s' "
                            "is not",
                            LABEL_MAX, shown);
  else
    return TRUE;
  return refuse (take, BANGER_ERROR_INVALID_ARGUMENT, NULL, error, rule);
}

static gboolean
take_labels (const Take *take, GError **error)
{
  g_autoptr (GHashTable) labels = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GVariantIter iter;
  const char *key = NULL, *value = NULL;

  g_variant_iter_init (&iter, take->value);
  while (g_variant_iter_next (&iter, "{&s&s}", &key, &value)) {
    if (!check_label (take, key, value, error))
      return FALSE;
    g_hash_table_insert (labels, g_strdup (key), g_strdup (value));
    if (g_hash_table_size (labels) > LABELS_MAX)
      return refuse (take, BANGER_ERROR_INVALID_ARGUMENT, NULL, error,
                     "holds at most " G_STRINGIFY (LABELS_MAX) " labels");
  }
  g_hash_table_unref (take->record->labels);
  take->record->labels = g_steal_pointer (&labels);
  return TRUE;
}

static const struct {
  const char *option;
  gboolean (*take) (const Take *take, GError **error);
  gboolean for_start;
} takers[] = {
  { "vcpus", take_vcpus, TRUE },          { "memory-bytes", take_memory, TRUE },
  { "disk-bytes", take_disk, FALSE },     { "work-bytes", take_work, FALSE },
  { "root", take_root, FALSE },           { "labels", take_labels, FALSE },
  { "backend", take_backend, FALSE },     { "network", take_network, TRUE },
  { "publish", take_publish, FALSE },     { "restart", take_restart, FALSE },
  { "autostart", take_autostart, FALSE }, { "kernel", NULL, TRUE },
};

static gboolean
take_all (BangerVmRecord *record, GVariant *options, const BangerVmBounds *bounds, GError **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (takers); i++) {
    g_autoptr (GVariant) value = g_variant_lookup_value (options, takers[i].option, NULL);
    const Take take = { record, bounds, takers[i].option, value };

    if (value != NULL && takers[i].take != NULL && !takers[i].take (&take, error))
      return FALSE;
  }
  return TRUE;
}

/* A system's configuration is read by the services of its users too, so `user` there is no fault of
 * the system's own service, which has no such network. */
static gboolean
take_default_network (BangerVmRecord *record, const BangerVmBounds *bounds, GError **error)
{
  const char *word = bounds->config->network;
  g_autoptr (GVariant) value = NULL;
  const Take take = { record, bounds, "network", NULL };
  Take configured = take;

  if (bounds->mode == BANGER_MODE_SYSTEM)
    return TRUE;
  if (word == NULL)
    word = banger_doctor_has (bounds->findings, "passt") ? "user" : "none";
  value = g_variant_ref_sink (g_variant_new_string (word));
  configured.value = value;
  return take_network (&configured, error);
}

BangerVmRecord *
banger_vm_options_create (GVariant *options, const BangerVmBounds *bounds, GError **error)
{
  g_autoptr (BangerVmRecord) record = banger_vm_record_new ();
  const BangerConfig *config = bounds->config;
  g_autoptr (GVariant) network = g_variant_lookup_value (options, "network", NULL);

  record->vcpus = MIN (config->vcpus, bounds->cpus);
  record->memory_bytes = config->memory_bytes;
  record->disk_bytes = config->disk_bytes;
  record->work_bytes = config->work_bytes;
  record->root = config->root;
  record->restart = config->restart;
  record->backend = g_strdup ("qemu");
  if ((network == NULL && !take_default_network (record, bounds, error))
      || !take_all (record, options, bounds, error))
    return NULL;
  return g_steal_pointer (&record);
}

gboolean
banger_vm_options_change (BangerVmRecord *record, GVariant *changes, const BangerVmBounds *bounds,
                          GError **error)
{
  return banger_options_check (banger_vm_set_changes, changes, error)
         && take_all (record, changes, bounds, error);
}

gboolean
banger_vm_option_is_for_start (const char *key)
{
  for (guint i = 0; i < G_N_ELEMENTS (takers); i++) {
    if (g_str_equal (takers[i].option, key))
      return takers[i].for_start;
  }
  return FALSE;
}

gboolean
banger_vm_options_get_keys (GVariant *options, char **keys, GError **error)
{
  const Take take = { .option = "authorized-keys" };
  const char *text = NULL;
  gsize length = 0;

  *keys = NULL;
  if (!g_variant_lookup (options, take.option, "&s", &text))
    return TRUE;
  length = strlen (text);
  if (length > BANGER_KEYS_MAX)
    return refuse (&take, BANGER_ERROR_INVALID_ARGUMENT, NULL, error, "holds at most 32 KiB");
  for (gsize i = 0; i < length; i++) {
    if (g_ascii_iscntrl (text[i]) && text[i] != '\n' && text[i] != '\t')
      return refuse (&take, BANGER_ERROR_INVALID_ARGUMENT, NULL, error,
                     "holds lines of text, without control characters");
  }
  *keys = g_strconcat (text, length > 0 && text[length - 1] != '\n' ? "\n" : "", NULL);
  return TRUE;
}

void
banger_vm_bounds_init (BangerVmBounds *bounds, BangerService *service, GVariant *findings)
{
  *bounds = (BangerVmBounds){ .mode = service->mode,
                              .config = service->config,
                              .cpus = g_get_num_processors (),
                              .findings = findings };
}
