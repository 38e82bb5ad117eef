/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "acl.h"

#include <archive.h>
#include <string.h>

#define ACL_VERSION 2
#define ID_UNDEFINED G_MAXUINT32
/* linux/posix_acl.h */
#define USER_OBJ 0x01
#define USER 0x02
#define GROUP_OBJ 0x04
#define GROUP 0x08
#define MASK 0x10
#define OTHER 0x20

typedef struct {
  guint16 tag, perm;
  guint32 id;
} AclEntry;

static const struct {
  int archive;
  guint16 kernel;
  gboolean has_id;
} tags[] = {
  { ARCHIVE_ENTRY_ACL_USER_OBJ, USER_OBJ, FALSE },   { ARCHIVE_ENTRY_ACL_USER, USER, TRUE },
  { ARCHIVE_ENTRY_ACL_GROUP_OBJ, GROUP_OBJ, FALSE }, { ARCHIVE_ENTRY_ACL_GROUP, GROUP, TRUE },
  { ARCHIVE_ENTRY_ACL_MASK, MASK, FALSE },           { ARCHIVE_ENTRY_ACL_OTHER, OTHER, FALSE },
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

/* The tag that may follow, after posix_acl_valid() of Linux' fs/posix_acl.c; 0: none may. */
static guint
next_state (guint state, const AclEntry *entry, gboolean *needs_mask)
{
  guint16 tag = GUINT16_FROM_LE (entry->tag);

  if ((tag == USER || tag == GROUP) && GUINT32_FROM_LE (entry->id) == ID_UNDEFINED)
    return 0;
  *needs_mask |= tag == USER || tag == GROUP;
  if (tag == USER_OBJ && state == USER_OBJ)
    return USER;
  if (tag == USER && state == USER)
    return USER;
  if (tag == GROUP_OBJ && state == USER)
    return GROUP;
  if (tag == GROUP && state == GROUP)
    return GROUP;
  if (tag == MASK && state == GROUP)
    return OTHER;
  if (tag == OTHER && (state == OTHER || (state == GROUP && !*needs_mask)))
    return MASK; /* which may follow nothing: the end */
  return 0;
}

gboolean
banger_acl_is_valid (const guint8 *value, gsize length)
{
  guint32 version = 0;
  guint state = USER_OBJ;
  gboolean needs_mask = FALSE;

  if (length < sizeof version || (length - sizeof version) % sizeof (AclEntry) != 0)
    return FALSE;
  memcpy (&version, value, sizeof version);
  for (gsize at = sizeof version; at < length && state != 0; at += sizeof (AclEntry)) {
    AclEntry entry;

    memcpy (&entry, value + at, sizeof entry);
    if (GUINT16_FROM_LE (entry.perm) > 7)
      return FALSE;
    state = next_state (state, &entry, &needs_mask);
  }
  return GUINT32_FROM_LE (version) == ACL_VERSION && state == MASK;
}
