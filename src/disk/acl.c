/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acl.h"

#include <archive.h>

#define ACL_VERSION 2
#define ID_UNDEFINED G_MAXUINT32

typedef struct {
  guint16 tag, perm;
  guint32 id;
} AclEntry;

static const struct {
  int archive;
  guint16 kernel; /* linux/posix_acl.h */
  gboolean has_id;
} tags[] = {
  { ARCHIVE_ENTRY_ACL_USER_OBJ, 0x01, FALSE },  { ARCHIVE_ENTRY_ACL_USER, 0x02, TRUE },
  { ARCHIVE_ENTRY_ACL_GROUP_OBJ, 0x04, FALSE }, { ARCHIVE_ENTRY_ACL_GROUP, 0x08, TRUE },
  { ARCHIVE_ENTRY_ACL_MASK, 0x10, FALSE },      { ARCHIVE_ENTRY_ACL_OTHER, 0x20, FALSE },
};

/* The kernel wants them by tag, then by id. */
static int
compare (gconstpointer a, gconstpointer b)
{
  const AclEntry *x = a, *y = b;

  if (x->tag != y->tag)
    return x->tag - y->tag;
  return x->id < y->id ? -1 : x->id > y->id;
}

static void
collect (GArray *entries, int tag, int perm, int id)
{
  for (gsize i = 0; i < G_N_ELEMENTS (tags); i++) {
    if (tags[i].archive == tag) {
      AclEntry entry = { tags[i].kernel, perm & 7, tags[i].has_id ? (guint32)id : ID_UNDEFINED };

      g_array_append_val (entries, entry);
    }
  }
}

GByteArray *
banger_acl_from_archive (struct archive_entry *entry, int type)
{
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (AclEntry));
  g_autoptr (GByteArray) value = NULL;
  const guint32 version = GUINT32_TO_LE (ACL_VERSION);
  int found = 0, perm = 0, tag = 0, id = 0;
  const char *name = NULL;

  archive_entry_acl_reset (entry, type);
  while (archive_entry_acl_next (entry, type, &found, &perm, &tag, &id, &name) == ARCHIVE_OK)
    collect (entries, tag, perm, id);
  if (entries->len <= 3 && type == ARCHIVE_ENTRY_ACL_TYPE_ACCESS)
    return NULL;
  g_array_sort (entries, compare);
  value = g_byte_array_new ();
  g_byte_array_append (value, (const guint8 *)&version, sizeof version);
  for (guint i = 0; i < entries->len; i++) {
    const AclEntry *e = &g_array_index (entries, AclEntry, i);
    guint16 words[2] = { GUINT16_TO_LE (e->tag), GUINT16_TO_LE (e->perm) };
    guint32 le_id = GUINT32_TO_LE (e->id);

    g_byte_array_append (value, (const guint8 *)words, sizeof words);
    g_byte_array_append (value, (const guint8 *)&le_id, sizeof le_id);
  }
  return g_steal_pointer (&value);
}
