/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The disks that a VM writes to: made, grown, edited, trimmed. */
#include "job.h"

#include <string.h>

/* A descriptor that need not be there: -1 then, and FALSE only for one that cannot be taken. */
static gboolean
take_fd (BangerMessage *message, const char *key, int *fd, GError **error)
{
  g_autoptr (GVariant) value = g_variant_lookup_value (message->args, key, G_VARIANT_TYPE_HANDLE);

  if (value == NULL)
    return TRUE;
  *fd = banger_message_get_fd (message, key, error);
  return *fd >= 0;
}

static gboolean
take_size (BangerMessage *message, const char *key, guint64 *bytes, GError **error)
{
  if (g_variant_lookup (message->args, key, "t", bytes))
    return TRUE;
  banger_set_error (error, BANGER_ERROR_INVALID_ARGUMENT, NULL, NULL, NULL,
                    "message '%s' lacks '%s'", message->verb, key);
  return FALSE;
}

/* @work is the guest's /root. sshd(8) takes no keys from a folder that others may write to, and
 * nobody has asked for a way through the links of a guest. */
static gboolean
write_keys (int work, GVariant *args, GError **error)
{
  const guint all = BANGER_DISK_MODE | BANGER_DISK_UID | BANGER_DISK_GID;
  const BangerDiskMeta folder = { .mode = 0700 }, file = { .mode = 0600 };
  const BangerDiskViewSpec spec
      = { .root = work, .lower = -1, .work = -1, .write = TRUE, .no_links = TRUE };
  g_autoptr (BangerDiskView) view = NULL;
  const char *keys = NULL;

  if (!g_variant_lookup (args, "authorized-keys", "&s", &keys))
    return TRUE;
  view = banger_disk_view_open (&spec, error);
  return view != NULL && banger_disk_view_mkdir (view, "/.ssh", TRUE, all, &folder, error)
         && banger_disk_view_set (view, "/.ssh", FALSE, all, &folder, error)
         && banger_disk_view_write_bytes (view, "/.ssh/authorized_keys", keys, strlen (keys), all,
                                          &file, error)
         && banger_disk_view_finish (view, error);
}

/* Either an empty disk that takes the guest's writes, or a copy of the image. */
static gboolean
make_root (BangerMessage *message, gboolean *shared, GError **error)
{
  banger_autofd int rootfs = -1, root = -1, upper = -1;
  guint64 bytes = 0;

  if (!take_fd (message, "rootfs", &rootfs, error))
    return FALSE;
  if (rootfs < 0) {
    upper = banger_message_get_fd (message, "upper", error);
    return upper >= 0 && take_size (message, "upper-bytes", &bytes, error)
           && banger_disk_make_empty (upper, "banger-upper", bytes, error);
  }
  root = banger_message_get_fd (message, "root", error);
  return root >= 0 && take_size (message, "root-bytes", &bytes, error)
         && banger_disk_clone (rootfs, root, shared, error)
         && banger_disk_grow (root, bytes, error);
}

static gboolean
make_work (BangerMessage *message, GError **error)
{
  banger_autofd int seed = banger_message_get_fd (message, "seed", error);
  banger_autofd int work = seed >= 0 ? banger_message_get_fd (message, "work", error) : -1;
  guint64 bytes = 0;

  return work >= 0 && take_size (message, "work-bytes", &bytes, error)
         && banger_disk_clone (seed, work, NULL, error) && banger_disk_grow (work, bytes, error)
         && write_keys (work, message->args, error);
}

GVariant *
banger_job_make_disks (BangerMessage *message, BangerReport *report, GError **error)
{
  gboolean shared = FALSE;
  GVariantDict done;

  banger_report_progress (report, "disks", -1);
  if (!make_root (message, &shared, error) || !make_work (message, error)) {
    banger_error_set_stage (error, "disks");
    return NULL;
  }
  g_variant_dict_init (&done, NULL);
  g_variant_dict_insert (&done, "shared", "b", shared);
  return g_variant_dict_end (&done);
}

/* What a guest has put in the place of its file system is its own affair. */
static gboolean
recover_disk (int disk, GError **error)
{
  gboolean has_ext4 = FALSE;

  return banger_disk_has_ext4 (disk, &has_ext4, error)
         && (!has_ext4 || banger_disk_recover (disk, TRUE, error));
}

static gboolean
change_disk (BangerMessage *message, const char *key, const char *size_key, GError **error)
{
  banger_autofd int disk = banger_message_get_fd (message, key, error);
  gboolean cut = FALSE;
  guint64 bytes = 0;

  if (disk < 0 || !take_size (message, size_key, &bytes, error))
    return FALSE;
  g_variant_lookup (message->args, "cut-short", "b", &cut);
  if ((cut && !recover_disk (disk, error)) || !banger_disk_enlarge (disk, bytes, error)) {
    g_prefix_error (error, "disk '%s': ", key);
    return FALSE;
  }
  return TRUE;
}

static gboolean
change_keys (BangerMessage *message, GError **error)
{
  banger_autofd int work = banger_message_get_fd (message, "work", error);

  if (work < 0)
    return FALSE;
  if (write_keys (work, message->args, error))
    return TRUE;
  g_prefix_error (error, "disk 'work': ");
  return FALSE;
}

GVariant *
banger_job_change_disks (BangerMessage *message, BangerReport *report, GError **error)
{
  banger_report_progress (report, "growing", -1);
  if (change_disk (message, "disk", "bytes", error)
      && change_disk (message, "work", "work-bytes", error) && change_keys (message, error))
    return banger_no_args ();
  banger_error_set_stage (error, "growing");
  return NULL;
}

GVariant *
banger_job_trim_disks (BangerMessage *message, BangerReport *report, GError **error)
{
  banger_autofd int disk = banger_message_get_fd (message, "disk", error);
  banger_autofd int work = disk >= 0 ? banger_message_get_fd (message, "work", error) : -1;
  guint64 of_disk = 0, of_work = 0;
  GVariantDict done;

  if (work < 0 || !banger_disk_trim (disk, &of_disk, error)
      || !banger_disk_trim (work, &of_work, error))
    return NULL;
  g_variant_dict_init (&done, NULL);
  g_variant_dict_insert (&done, "freed-bytes", "t", of_disk + of_work);
  return g_variant_dict_end (&done);
}
