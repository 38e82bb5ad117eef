/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "xattr.h"

#include "common/common.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <string.h>
#include <unistd.h>

#define NAME_MAX_BYTES 255u
#define VALUE_MAX_BYTES 65536u /* XATTR_SIZE_MAX */
#define SET_MAX_BYTES (4u << 20)
#define ATTRIBUTES_MAX 256u /* more than a block has entries for */
#define UNFIT "its extended attributes do not fit into ext4"
#define REFERENCES_MAX 1024u /* EXT4_XATTR_REFCOUNT_MAX */
#define BODY_AT 160u         /* in an inode: behind i_extra_isize of 32 */
#define BODY_SIZE 96u
#define BODY_FIRST 4u /* behind the magic number */
#define BLOCK_FIRST ((guint32)sizeof (struct ext2_ext_attr_header))
#define END_SIZE 4u /* of zeros, behind the last entry */
#define DIGEST_SIZE 32

/* EXT4_XATTR_INDEX_USER and so on: fs/ext4/xattr.h. */
enum {
  INDEX_USER = 1,
  INDEX_ACL = 2,
  INDEX_DEFAULT_ACL = 3,
  INDEX_TRUSTED = 4,
  INDEX_SECURITY = 6
};

static const struct {
  const char *prefix;
  guint8 index;
  gboolean whole; /* nothing follows */
} names[] = {
  { "user.", INDEX_USER, FALSE },
  { "system.posix_acl_access", INDEX_ACL, TRUE },
  { "system.posix_acl_default", INDEX_DEFAULT_ACL, TRUE },
  { "trusted.", INDEX_TRUSTED, FALSE },
  { "security.", INDEX_SECURITY, FALSE },
};

typedef struct {
  guint8 index;
  char *name;
  GBytes *value;
  gboolean large; /* its value lies in an inode of its own: the one noted as @place */
  guint32 place;
} Attribute;

/* One that lies in inodes has its BODY_SIZE bytes there behind it. */
typedef struct {
  guint8 digest[DIGEST_SIZE];
  guint32 number;
  guint32 users; /* inodes */
  guint32 given; /* of them have been told where it lies */
  guint32 block; /* 0: in the inode */
  guint32 taken; /* blocks that count as each inode's, those of large values too */
  guint32 more;  /* blocks for all but the first 1024, which follow each other */
  guint8 body[];
} Set;

struct _BangerXattrs {
  BangerSpace *space;
  GPtrArray *attributes; /* of the entry at hand, in the order of a block */
  gsize bytes;           /* of these */
  BangerPool pool;
  GPtrArray *sets; /* by number, from 1 */
  GHashTable *by_digest;
  GArray *values; /* of BangerXattrValue */
};

static void
attribute_free (gpointer data)
{
  Attribute *attribute = data;

  g_free (attribute->name);
  g_bytes_unref (attribute->value);
  g_free (attribute);
}

static guint
set_hash (gconstpointer key)
{
  guint32 hash = 0;

  memcpy (&hash, key, sizeof hash);
  return hash;
}

static gboolean
set_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, DIGEST_SIZE) == 0;
}

BangerXattrs *
banger_xattrs_new (BangerSpace *space)
{
  BangerXattrs *xattrs = g_new0 (BangerXattrs, 1);

  xattrs->space = space;
  xattrs->attributes = g_ptr_array_new_with_free_func (attribute_free);
  banger_pool_init (&xattrs->pool);
  xattrs->sets = g_ptr_array_new ();
  g_ptr_array_add (xattrs->sets, NULL);
  xattrs->by_digest = g_hash_table_new (set_hash, set_equal);
  xattrs->values = g_array_new (FALSE, FALSE, sizeof (BangerXattrValue));
  return xattrs;
}

void
banger_xattrs_free (BangerXattrs *xattrs)
{
  g_ptr_array_unref (xattrs->attributes);
  g_ptr_array_unref (xattrs->sets);
  g_hash_table_unref (xattrs->by_digest);
  g_array_unref (xattrs->values);
  banger_pool_clear (&xattrs->pool);
  g_free (xattrs);
}

/* ── Names and lists ─────────────────────────────────────────────────────────────────────────── */

/* The number that ext4 has for the beginning of @name, and in *@rest what follows it; 0: none. */
static guint8
split_name (const char *name, const char **rest)
{
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++) {
    if (!g_str_has_prefix (name, names[i].prefix))
      continue;
    *rest = name + strlen (names[i].prefix);
    if ((**rest == '\0') == names[i].whole && strlen (*rest) <= NAME_MAX_BYTES)
      return names[i].index;
  }
  return 0;
}

gboolean
banger_disk_keeps_xattr (const char *name)
{
  const char *rest = NULL;

  return split_name (name, &rest) != 0;
}

/* A list of the kernel's (linux/posix_acl_xattr.h) as ext4 has it (fs/ext4/acl.h): another version,
 * and no number where the entry is of no named user or group. NULL if it is none. */
static GBytes *
convert_acl (const guint8 *value, gsize length)
{
  g_autoptr (GByteArray) list = g_byte_array_new ();
  const guint32 version = GUINT32_TO_LE (1);
  guint32 given = 0;

  if (length < 12 || (length - 4) % 8 != 0)
    return NULL;
  memcpy (&given, value, sizeof given);
  if (GUINT32_FROM_LE (given) != 2)
    return NULL;
  g_byte_array_append (list, (const guint8 *)&version, sizeof version);
  for (gsize at = 4; at < length; at += 8) {
    guint16 facts[2];
    guint16 tag = 0;

    memcpy (facts, value + at, sizeof facts);
    tag = GUINT16_FROM_LE (facts[0]);
    if (tag == 0 || tag > 0x20 || (tag & (tag - 1)) != 0 || GUINT16_FROM_LE (facts[1]) > 7)
      return NULL;
    g_byte_array_append (list, value + at, tag == 0x02 || tag == 0x08 ? 8 : 4);
  }
  return g_byte_array_free_to_bytes (g_steal_pointer (&list));
}

/* The kernel looks names up in this order: ext4_xattr_find_entry in fs/ext4/xattr.c. */
static int
compare_names (const Attribute *a, const Attribute *b)
{
  gsize x = strlen (a->name), y = strlen (b->name);

  if (a->index != b->index)
    return a->index - b->index;
  if (x != y)
    return x < y ? -1 : 1;
  return memcmp (a->name, b->name, x);
}

/* Puts @attribute (taken) into its place, or into that of one with the same name. */
static void
insert (BangerXattrs *xattrs, Attribute *attribute)
{
  guint at = 0;
  int order = 1;

  while (at < xattrs->attributes->len
         && (order = compare_names (attribute, xattrs->attributes->pdata[at])) > 0)
    at++;
  if (at < xattrs->attributes->len && order == 0)
    g_ptr_array_remove_index (xattrs->attributes, at);
  g_ptr_array_insert (xattrs->attributes, at, attribute);
}

gboolean
banger_xattrs_add (BangerXattrs *xattrs, const BangerEntry *entry, const char *name,
                   const void *value, gsize length, GError **error)
{
  const char *rest = NULL;
  guint8 index = split_name (name, &rest);
  g_autoptr (GBytes) bytes = NULL;
  Attribute *attribute = NULL;

  if (index == 0)
    return banger_tree_refuse (entry, "ext4 has no place for one of its extended attributes",
                               error);
  if (length > VALUE_MAX_BYTES)
    return banger_tree_refuse (entry, "one of its extended attributes is larger than 64 KiB",
                               error);
  if (index == INDEX_ACL || index == INDEX_DEFAULT_ACL)
    bytes = convert_acl (value, length);
  else
    bytes = g_bytes_new (value, length);
  if (bytes == NULL)
    return banger_tree_refuse (entry, "one of its access control lists is none of Linux", error);
  xattrs->bytes += length + strlen (name);
  if (xattrs->bytes > SET_MAX_BYTES || xattrs->attributes->len >= ATTRIBUTES_MAX)
    return banger_tree_refuse (entry, UNFIT, error);
  attribute = g_new0 (Attribute, 1);
  *attribute
      = (Attribute){ .index = index, .name = g_strdup (rest), .value = g_steal_pointer (&bytes) };
  insert (xattrs, attribute);
  return TRUE;
}

/* ── Sets ────────────────────────────────────────────────────────────────────────────────────── */

static guint32
padded (gsize length)
{
  return (length + 3) / 4 * 4;
}

/* What the entries and values take that do not lie elsewhere. */
static gsize
size_of (GPtrArray *attributes)
{
  gsize size = END_SIZE;

  for (guint i = 0; i < attributes->len; i++) {
    const Attribute *attribute = attributes->pdata[i];

    size += EXT2_EXT_ATTR_LEN (strlen (attribute->name));
    if (!attribute->large)
      size += padded (g_bytes_get_size (attribute->value));
  }
  return size;
}

/* The kernel's ext4_xattr_hash_entry, with names as unsigned bytes, as the superblock says. */
static guint32
hash_entry (const char *name, gsize name_length, const guint8 *value, gsize length)
{
  guint32 hash = 0;

  for (gsize i = 0; i < name_length; i++)
    hash = (hash << 5) ^ (hash >> 27) ^ (guint8)name[i];
  for (gsize at = 0; at < length; at += 4) {
    guint32 word = 0;

    memcpy (&word, value + at, MIN (4, length - at));
    hash = (hash << 16) ^ (hash >> 16) ^ word;
  }
  return hash;
}

/* Entries from @first on in @region of @size bytes, their values from its end down. Places are
 * counted from @base. */
static void
encode (GPtrArray *attributes, guint8 *region, guint32 first, guint32 size, guint32 base,
        gboolean hashed)
{
  guint32 at = first, end = size;

  for (guint i = 0; i < attributes->len; i++) {
    const Attribute *attribute = attributes->pdata[i];
    gsize length = 0, name_length = strlen (attribute->name);
    const guint8 *value = g_bytes_get_data (attribute->value, &length);
    struct ext2_ext_attr_entry entry
        = { .e_name_len = name_length, .e_name_index = attribute->index, .e_value_size = length };

    if (attribute->large) {
      entry.e_value_inum = attribute->place;
    } else if (length > 0) {
      end -= padded (length);
      entry.e_value_offs = end - base;
      memcpy (region + end, value, length);
    }
    if (hashed && !attribute->large)
      entry.e_hash = hash_entry (attribute->name, name_length, value, length);
    memcpy (region + at, &entry, sizeof entry);
    memcpy (region + at + sizeof entry, attribute->name, name_length);
    at += EXT2_EXT_ATTR_LEN (name_length);
  }
}

static gboolean
digest_of (GPtrArray *attributes, guint8 *digest, GError **error)
{
  g_autoptr (GByteArray) all = g_byte_array_new ();
  int code = 0;

  for (guint i = 0; i < attributes->len; i++) {
    const Attribute *attribute = attributes->pdata[i];
    gsize length = 0;
    const guint8 *value = g_bytes_get_data (attribute->value, &length);
    guint32 facts[3] = { attribute->index, strlen (attribute->name), length };

    g_byte_array_append (all, (const guint8 *)facts, sizeof facts);
    g_byte_array_append (all, (const guint8 *)attribute->name, facts[1]);
    g_byte_array_append (all, value, length);
  }
  code = gnutls_hash_fast (GNUTLS_DIG_SHA256, all->data, all->len, digest);
  if (code == 0)
    return TRUE;
  banger_set_error (error, BANGER_ERROR_FAILED, NULL, gnutls_strerror (code), NULL,
                    "extended attributes cannot be summed");
  return FALSE;
}

/* The largest values leave for inodes of their own, until the rest fits into a block. */
static gboolean
make_fit (GPtrArray *attributes)
{
  while (size_of (attributes) > BANGER_BLOCK_SIZE - BLOCK_FIRST) {
    Attribute *largest = NULL;

    for (guint i = 0; i < attributes->len; i++) {
      Attribute *attribute = attributes->pdata[i];

      if (!attribute->large
          && (largest == NULL
              || g_bytes_get_size (attribute->value) > g_bytes_get_size (largest->value)))
        largest = attribute;
    }
    if (largest == NULL || g_bytes_get_size (largest->value) == 0)
      return FALSE;
    largest->large = TRUE;
  }
  return TRUE;
}

static gboolean
write_values (BangerXattrs *xattrs, Set *set, GError **error)
{
  for (guint i = 0; i < xattrs->attributes->len; i++) {
    Attribute *attribute = xattrs->attributes->pdata[i];
    gsize length = 0;
    const guint8 *data = g_bytes_get_data (attribute->value, &length);
    BangerXattrValue value = { .length = length, .set = set->number };
    guint32 blocks = (length + BANGER_BLOCK_SIZE - 1) / BANGER_BLOCK_SIZE;

    if (!attribute->large)
      continue;
    value.physical = banger_space_take (xattrs->space, blocks);
    if (value.physical == 0) {
      banger_space_set_full (error);
      return FALSE;
    }
    if (!banger_space_write (xattrs->space, value.physical, data, length, error))
      return FALSE;
    g_array_append_val (xattrs->values, value);
    set->taken += blocks;
    attribute->place = xattrs->values->len; /* until it has an inode: its place here, from 1 on */
  }
  return TRUE;
}

/* Writes what is known of the block by now. */
static gboolean
write_block (BangerXattrs *xattrs, Set *set, GError **error)
{
  guint8 block[BANGER_BLOCK_SIZE] __attribute__ ((aligned (8))) = { 0 };

  set->block = banger_space_take (xattrs->space, 1);
  if (set->block == 0) {
    banger_space_set_full (error);
    return FALSE;
  }
  set->taken++;
  encode (xattrs->attributes, block, BLOCK_FIRST, sizeof block, 0, TRUE);
  return banger_space_write (xattrs->space, set->block, block, sizeof block, error);
}

static Set *
set_new (BangerXattrs *xattrs, const guint8 *digest, gboolean has_body)
{
  gsize size = sizeof (Set) + (has_body ? BODY_SIZE : 0);
  Set *set = banger_pool_take (&xattrs->pool, size);

  memset (set, 0, size);
  memcpy (set->digest, digest, sizeof set->digest);
  set->number = xattrs->sets->len;
  g_ptr_array_add (xattrs->sets, set);
  g_hash_table_add (xattrs->by_digest, set);
  return set;
}

gboolean
banger_xattrs_end (BangerXattrs *xattrs, BangerEntry *entry, GError **error)
{
  const guint32 magic = EXT2_EXT_ATTR_MAGIC;
  gboolean in_inode = FALSE;
  guint8 digest[DIGEST_SIZE];
  Set *set = NULL;

  if (xattrs->attributes->len == 0)
    return TRUE;
  if (!digest_of (xattrs->attributes, digest, error))
    return FALSE;
  set = g_hash_table_lookup (xattrs->by_digest, digest);
  if (set == NULL) {
    in_inode = size_of (xattrs->attributes) <= BODY_SIZE - BODY_FIRST;
    if (!in_inode && !make_fit (xattrs->attributes))
      return banger_tree_refuse (entry, UNFIT, error);
    set = set_new (xattrs, digest, in_inode);
    if (in_inode) {
      memcpy (set->body, &magic, sizeof magic);
      encode (xattrs->attributes, set->body, BODY_FIRST, BODY_SIZE, BODY_FIRST, FALSE);
    } else if (!write_values (xattrs, set, error) || !write_block (xattrs, set, error)) {
      return FALSE;
    }
  }
  entry->inode->xattrs = set->number;
  g_ptr_array_set_size (xattrs->attributes, 0);
  xattrs->bytes = 0;
  return TRUE;
}

/* ── What becomes of them ────────────────────────────────────────────────────────────────────── */

void
banger_xattrs_count (BangerXattrs *xattrs, guint32 number)
{
  if (number != 0)
    ((Set *)xattrs->sets->pdata[number])->users++;
}

/* How many blocks hold @set. */
static guint32
copies_of (const Set *set)
{
  return set->block == 0 ? 0 : (set->users + REFERENCES_MAX - 1) / REFERENCES_MAX;
}

void
banger_xattrs_number (BangerXattrs *xattrs, guint32 *last, guint64 *extra_blocks)
{
  for (guint i = 1; i < xattrs->sets->len; i++) {
    guint32 copies = copies_of (xattrs->sets->pdata[i]);

    *extra_blocks += copies > 1 ? copies - 1 : 0;
  }
  for (guint i = 0; i < xattrs->values->len; i++) {
    BangerXattrValue *value = &g_array_index (xattrs->values, BangerXattrValue, i);

    value->references = copies_of (xattrs->sets->pdata[value->set]);
    if (value->references > 0)
      value->ino = ++*last;
  }
}

gboolean
banger_xattrs_has_values (BangerXattrs *xattrs)
{
  for (guint i = 0; i < xattrs->values->len; i++) {
    if (g_array_index (xattrs->values, BangerXattrValue, i).references > 0)
      return TRUE;
  }
  return FALSE;
}

const guint8 *
banger_xattrs_digest (BangerXattrs *xattrs, guint32 number)
{
  return ((Set *)xattrs->sets->pdata[number])->digest;
}

static gboolean
read_back (BangerXattrs *xattrs, guint32 block, guint8 *data, gsize length, GError **error)
{
  ssize_t n = TEMP_FAILURE_RETRY (
      pread (xattrs->space->fd, data, length, (off_t)block * BANGER_BLOCK_SIZE));

  if (n == (ssize_t)length)
    return TRUE;
  banger_set_error_errno (error, n < 0 ? errno : EIO, NULL, "the image cannot be read");
  return FALSE;
}

/* Sums the values, which the seed that the file system has by now goes into. */
static gboolean
finish_values (BangerXattrs *xattrs, ext2_filsys fs, GError **error)
{
  g_autofree guint8 *data = g_malloc (VALUE_MAX_BYTES);

  for (guint i = 0; i < xattrs->values->len; i++) {
    BangerXattrValue *value = &g_array_index (xattrs->values, BangerXattrValue, i);

    if (value->ino == 0)
      continue;
    if (!read_back (xattrs, value->physical, data, value->length, error))
      return FALSE;
    value->hash = ext2fs_crc32c_le (fs->csum_seed, data, value->length);
    ext2fs_mark_block_bitmap_range2 (fs->block_map, value->physical,
                                     (value->length + BANGER_BLOCK_SIZE - 1) / BANGER_BLOCK_SIZE);
  }
  return TRUE;
}

/* Says of large values where they lie, and sums the block up. */
static void
finish_entries (BangerXattrs *xattrs, guint8 *block)
{
  struct ext2_ext_attr_header *header = (struct ext2_ext_attr_header *)block;
  struct ext2_ext_attr_entry *entry = (struct ext2_ext_attr_entry *)(header + 1);

  *header = (struct ext2_ext_attr_header){ .h_magic = EXT2_EXT_ATTR_MAGIC, .h_blocks = 1 };
  for (; !EXT2_EXT_IS_LAST_ENTRY (entry); entry = EXT2_EXT_ATTR_NEXT (entry)) {
    if (entry->e_value_inum != 0) {
      const BangerXattrValue *value
          = &g_array_index (xattrs->values, BangerXattrValue, entry->e_value_inum - 1);

      entry->e_value_inum = value->ino;
      entry->e_hash = hash_entry (EXT2_EXT_ATTR_NAME (entry), entry->e_name_len,
                                  (const guint8 *)&value->hash, sizeof value->hash);
    }
    header->h_hash = (header->h_hash << 16) ^ (header->h_hash >> 16) ^ entry->e_hash;
  }
  /* A sum of 0 says of an entry that it is not to be shared, and so of the block. */
  entry = (struct ext2_ext_attr_entry *)(header + 1);
  for (; !EXT2_EXT_IS_LAST_ENTRY (entry); entry = EXT2_EXT_ATTR_NEXT (entry)) {
    if (entry->e_hash == 0)
      header->h_hash = 0;
  }
}

static gboolean
finish_set (BangerXattrs *xattrs, Set *set, ext2_filsys fs, GError **error)
{
  guint8 block[BANGER_BLOCK_SIZE] __attribute__ ((aligned (8)));
  struct ext2_ext_attr_header *header = (struct ext2_ext_attr_header *)block;
  guint32 copies = copies_of (set);

  if (copies == 0)
    return TRUE;
  if (!read_back (xattrs, set->block, block, sizeof block, error))
    return FALSE;
  finish_entries (xattrs, block);
  if (copies > 1)
    set->more = banger_space_take (xattrs->space, copies - 1);
  if (copies > 1 && set->more == 0) {
    banger_space_set_full (error);
    return FALSE;
  }
  for (guint32 i = 0; i < copies; i++) {
    guint64 place = i == 0 ? set->block : set->more + i - 1;

    header->h_refcount = MIN (set->users - i * REFERENCES_MAX, REFERENCES_MAX);
    ext2fs_ext_attr_block_csum_set (fs, 0, place, header);
    ext2fs_mark_block_bitmap2 (fs->block_map, place);
    if (!banger_space_write (xattrs->space, place, block, sizeof block, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
banger_xattrs_write (BangerXattrs *xattrs, ext2_filsys fs, GError **error)
{
  if (!banger_space_flush (xattrs->space, error) || !finish_values (xattrs, fs, error))
    return FALSE;
  for (guint i = 1; i < xattrs->sets->len; i++) {
    if (!finish_set (xattrs, xattrs->sets->pdata[i], fs, error))
      return FALSE;
  }
  return TRUE;
}

guint32
banger_xattrs_put (BangerXattrs *xattrs, guint32 number, guint8 *inode)
{
  struct ext2_inode *raw = (struct ext2_inode *)inode;
  Set *set = NULL;

  if (number == 0)
    return 0;
  set = xattrs->sets->pdata[number];
  if (set->block == 0) {
    memcpy (inode + BODY_AT, set->body, BODY_SIZE);
    return 0;
  }
  raw->i_file_acl
      = set->given < REFERENCES_MAX ? set->block : set->more + set->given / REFERENCES_MAX - 1;
  set->given++;
  return set->taken;
}

const BangerXattrValue *
banger_xattrs_values (BangerXattrs *xattrs, guint *count)
{
  *count = xattrs->values->len;
  return (const BangerXattrValue *)(gpointer)xattrs->values->data;
}
