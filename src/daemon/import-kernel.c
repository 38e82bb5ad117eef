/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manager.ImportKernel: a kernel with its modules. */
#include "import.h"

#include <string.h>

const BangerOption banger_import_kernel_options[]
    = { { "default", "b" }, { "release", "s" }, { NULL, NULL } };

static const char *const kernel_files[]
    = { "vmlinux",      "vmlinux", "modules.ext4", "modules-image", "boot-modules.cpio",
        "boot-modules", NULL };

static gboolean
is_release (const char *text)
{
  return text != NULL && *text != '\0' && *text != '.' && strlen (text) <= 64
         && strspn (text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_~-")
                == strlen (text);
}

#define WORD_MAX 32
#define CAPABILITIES_MAX 64

static gboolean
is_word (const char *text)
{
  gsize length = strlen (text);

  return length > 0 && length <= WORD_MAX
         && strspn (text, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

static gboolean
take_capabilities (GVariantDict *facts, GVariant *done)
{
  g_autofree const char **names = NULL;

  if (!g_variant_lookup (done, "capabilities", "^a&s", &names)
      || g_strv_length ((char **)names) > CAPABILITIES_MAX)
    return FALSE;
  for (guint i = 0; names[i] != NULL; i++) {
    if (!is_word (names[i]))
      return FALSE;
  }
  g_variant_dict_insert_value (facts, "capabilities", g_variant_new_strv (names, -1));
  return TRUE;
}

/* Each fact that there is, and no other. */
static gboolean
take_facts (GVariantDict *facts, GVariant *done)
{
  static const struct {
    const char *name, *type;
  } known[] = { { "compression", "s" }, { "config", "s" },        { "modules", "u" },
                { "builtin", "u" },     { "vmlinux-bytes", "t" }, { "modules-bytes", "t" } };
  g_autoptr (GVariant) all = g_variant_lookup_value (done, "facts", G_VARIANT_TYPE_VARDICT);

  for (gsize i = 0; i < G_N_ELEMENTS (known); i++) {
    g_autoptr (GVariant) value
        = all != NULL ? g_variant_lookup_value (all, known[i].name, G_VARIANT_TYPE (known[i].type))
                      : NULL;

    if (value == NULL || (known[i].type[0] == 's' && !is_word (g_variant_get_string (value, NULL))))
      return FALSE;
    g_variant_dict_insert_value (facts, known[i].name, value);
  }
  return TRUE;
}

static gboolean
take_done (BangerImport *import, GVariant *done)
{
  BangerAssetRecord *record = import->asset->record;
  g_auto (GVariantDict) facts = G_VARIANT_DICT_INIT (NULL);
  const char *release = NULL;

  g_variant_lookup (done, "release", "&s", &release);
  if (!is_release (release) || !take_capabilities (&facts, done) || !take_facts (&facts, done)
      || !banger_import_take_common (import, done))
    return FALSE;
  g_free (record->release);
  record->release = g_strdup (release);
  g_variant_unref (record->facts);
  record->facts = g_variant_ref_sink (g_variant_dict_end (&facts));
  return TRUE;
}

static const BangerImportSort kernel_sort = {
  .kind = BANGER_OBJECT_KERNEL,
  .verb = "import-kernel",
  .files = kernel_files,
  .take_done = take_done,
};

static gboolean
refuse (GError **error, const char *message)
{
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted", NULL, NULL, "%s", message);
  return FALSE;
}

/* One of what a kernel is made of, each file of which is there. */
static gboolean
take_kernel_fds (BangerImport *import, GError **error)
{
  static const char *const sets[][3] = {
    { "package" }, { "package", "modules" }, { "vmlinuz" }, { "vmlinuz", "modules" }, { "tree" },
  };
  g_autoptr (GVariant) files = g_variant_get_child_value (import->call->params, 1);

  for (gsize i = 0; i < G_N_ELEMENTS (sets); i++) {
    gint32 handles[2] = { -1, -1 };
    gsize n = 0;

    while (sets[i][n] != NULL && g_variant_lookup (files, sets[i][n], "h", &handles[n]))
      n++;
    if (sets[i][n] != NULL || n != g_variant_n_children (files))
      continue;
    return banger_import_take_fd (import, sets[i][0], handles[0], error)
           && (n == 1 || banger_import_take_fd (import, sets[i][1], handles[1], error));
  }
  return refuse (error,
                 "a kernel is made of 'package' or 'vmlinuz', each with 'modules' where they come "
                 "apart, or of 'tree'");
}

static gboolean
take_release (BangerImport *import, GError **error)
{
  g_autoptr (GVariant) options = banger_call_options (import->call);
  const char *release = NULL;

  if (!g_variant_lookup (options, "release", "&s", &release))
    return TRUE;
  if (!g_variant_dict_contains (&import->args, "tree"))
    return refuse (error, "option 'release' chooses from a 'tree': there is none");
  if (!is_release (release))
    return refuse (error, "option 'release' must be the release of a kernel, such as "
                          "'6.1.0-9-amd64'");
  g_variant_dict_insert (&import->args, "release", "s", release);
  return TRUE;
}

void
banger_import_kernel (BangerCall *call)
{
  BangerImport *import = banger_import_new (call, &kernel_sort);
  GError *error = NULL;

  g_variant_dict_insert (&import->args, "reserve-bytes", "t",
                         import->service->config->reserve_disk_bytes);
  if (!take_kernel_fds (import, &error) || !take_release (import, &error))
    banger_import_fail (import, error);
  else
    banger_import_begin (import);
}
