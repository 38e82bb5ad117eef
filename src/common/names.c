/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "names.h"

#include "errors.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static const char *const kind_words[] = {
  [BANGER_OBJECT_MANAGER] = "manager", [BANGER_OBJECT_VM] = "vm",   [BANGER_OBJECT_IMAGE] = "image",
  [BANGER_OBJECT_KERNEL] = "kernel",   [BANGER_OBJECT_JOB] = "job",
};

static const char *const made_first[]
    = { "amber", "brisk", "calm",  "deft",  "early", "fleet", "gold",  "hazel",
        "ivory", "jolly", "keen",  "lucid", "mild",  "noble", "open",  "plain",
        "quick", "rapid", "still", "tidy",  "vivid", "warm",  "young", "zesty" };
static const char *const made_second[]
    = { "badger", "crane", "dove", "egret",  "finch", "grouse", "heron",  "ibis",
        "jay",    "kite",  "lark", "marten", "newt",  "otter",  "plover", "quail",
        "robin",  "stoat", "tern", "vole",   "wren",  "yak",    "zander" };

const char *
banger_object_kind_to_string (BangerObjectKind kind)
{
  return kind_words[kind];
}

gboolean
banger_object_kind_from_string (const char *word, BangerObjectKind *kind)
{
  for (guint i = 0; i < G_N_ELEMENTS (kind_words); i++) {
    if (g_strcmp0 (word, kind_words[i]) == 0) {
      *kind = i;
      return TRUE;
    }
  }
  return FALSE;
}

static gboolean
is_label_char (char c)
{
  return g_ascii_islower (c) || g_ascii_isdigit (c) || c == '-';
}

gboolean
banger_name_is_valid (const char *name)
{
  if (name == NULL || *name == '\0' || *name == '-' || strlen (name) > BANGER_NAME_MAX)
    return FALSE;
  for (const char *c = name; *c != '\0'; c++) {
    if (!is_label_char (*c))
      return FALSE;
  }
  return TRUE;
}

gboolean
banger_name_check (BangerObjectKind kind, const char *name, GError **error)
{
  g_autofree char *shown = NULL;

  if (banger_name_is_valid (name))
    return TRUE;
  shown = g_strescape (name, NULL);
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, "admitted",
                    "a name begins with a letter or digit and holds up to 63 of a-z, 0-9 and -",
                    NULL, "%s: '%.80s' is not a name", kind_words[kind], shown);
  return FALSE;
}

char *
banger_name_make (guint attempt)
{
  const char *first = made_first[g_random_int_range (0, G_N_ELEMENTS (made_first))];
  const char *second = made_second[g_random_int_range (0, G_N_ELEMENTS (made_second))];

  if (attempt == 0)
    return g_strdup_printf ("%s-%s", first, second);
  return g_strdup_printf ("%s-%s-%u", first, second, g_random_int_range (2, 10000));
}

char *
banger_id_new (void)
{
  static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
  guint8 bytes[BANGER_ID_LENGTH];
  char *id = g_malloc (BANGER_ID_LENGTH + 1);

  /* getrandom of at most 256 bytes is whole and cannot be interrupted: getrandom(2). */
  if (getrandom (bytes, sizeof bytes, 0) != sizeof bytes)
    g_error ("no random numbers: %s", g_strerror (errno));
  for (int i = 0; i < BANGER_ID_LENGTH; i++)
    id[i] = alphabet[bytes[i] % 32];
  id[BANGER_ID_LENGTH] = '\0';
  return id;
}

gboolean
banger_id_is_valid (const char *id)
{
  if (id == NULL || *id == '\0' || strlen (id) > 32)
    return FALSE;
  for (const char *c = id; *c != '\0'; c++) {
    if (!g_ascii_islower (*c) && !g_ascii_isdigit (*c))
      return FALSE;
  }
  return TRUE;
}

char *
banger_object_path_new (BangerObjectKind kind, const char *id)
{
  if (kind == BANGER_OBJECT_MANAGER)
    return g_strdup (BANGER_ROOT_PATH);
  return g_strdup_printf (BANGER_ROOT_PATH "/%s/%s", kind_words[kind], id);
}

const char *
banger_object_path_id (const char *path, BangerObjectKind kind)
{
  const char *rest = path;

  if (!g_str_has_prefix (rest, BANGER_ROOT_PATH "/"))
    return NULL;
  rest += strlen (BANGER_ROOT_PATH "/");
  if (!g_str_has_prefix (rest, kind_words[kind]))
    return NULL;
  rest += strlen (kind_words[kind]);
  if (*rest != '/' || !banger_id_is_valid (rest + 1))
    return NULL;
  return rest + 1;
}
