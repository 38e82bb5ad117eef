/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Carries out steps on a view of disks: edit-steps ROOT [LOWER [WORK]]
 *
 * A line of the input is a verb and its fields, each with %XX for what is no plain character:
 *   write PATH FILE WHAT MODE UID GID MTIME NSEC     mkdir PATH PARENTS WHAT MODE …
 *   symlink PATH TARGET WHAT MODE …                  link PATH TARGET
 *   rename PATH TO        remove PATH RECURSIVE      set PATH RECURSIVE WHAT MODE …
 *   unpack PATH FILE      pack PATH FILE             walk FILE         reopen
 * and so is what it answers: "ok", or an error's nick, message and cause. "walk" writes a line for
 * each thing; "reopen" finishes the view and opens another one.
 */
#include "disk/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static BangerDiskViewSpec spec = { .root = -1, .lower = -1, .work = -1, .write = TRUE };
static BangerDiskView *view;

static int
open_file (const char *path, int flags)
{
  int fd = open (path, flags | O_CLOEXEC, 0600);

  if (fd < 0)
    g_error ("%s: %s", path, g_strerror (errno));
  return fd;
}

static void
print_escaped (FILE *out, const void *bytes, gsize length)
{
  const guint8 *at = bytes;

  fputc ('=', out);
  for (gsize i = 0; i < length; i++)
    fprintf (out, "%02x", at[i]);
}

static gboolean
add_bytes (const void *bytes, gsize length, gpointer sum, GError **error)
{
  g_checksum_update (sum, bytes, (gssize)length);
  return TRUE;
}

static gboolean
print_thing (const char *name, const BangerDiskStat *stat, gpointer data, GError **error)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  const BangerDiskMeta *meta = &stat->meta;
  FILE *out = data;

  if (S_ISREG (meta->mode)
      && !banger_disk_view_read (view, name, 0, G_MAXUINT64, add_bytes, sum, error))
    return FALSE;
  print_escaped (out, name, strlen (name));
  fprintf (out, " %o %u %u %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %u %u %u %u ", meta->mode,
           meta->uid, meta->gid, stat->size, meta->mtime, meta->mtime_nsec, stat->links,
           meta->major, meta->minor);
  print_escaped (out, meta->target, meta->target != NULL ? strlen (meta->target) : 0);
  fprintf (out, " %s", S_ISREG (meta->mode) ? g_checksum_get_string (sum) : "-");
  for (guint i = 0; i < stat->xattrs->len; i++) {
    const BangerDiskXattr *xattr = stat->xattrs->pdata[i];

    fprintf (out, " %s", xattr->name);
    print_escaped (out, xattr->value, xattr->length);
  }
  fputc ('\n', out);
  return TRUE;
}

static gboolean
walk (const char *path, GError **error)
{
  g_auto (BangerDiskStat) top = { 0 };
  FILE *out = fopen (path, "we");
  gboolean ok = out != NULL && banger_disk_view_stat (view, "/", FALSE, &top, error)
                && print_thing ("", &top, out, error)
                && banger_disk_view_list (view, "/", TRUE, print_thing, out, error);

  if (out != NULL)
    fclose (out);
  return ok;
}

static guint64
number (const char *text)
{
  return (guint64)g_ascii_strtoll (text, NULL, 0);
}

static BangerDiskMeta
read_meta (char **fields)
{
  return (BangerDiskMeta){ .mode = (guint32)number (fields[0]),
                           .uid = (guint32)number (fields[1]),
                           .gid = (guint32)number (fields[2]),
                           .mtime = (gint64)number (fields[3]),
                           .mtime_nsec = (guint32)number (fields[4]) };
}

static gboolean
reopen (GError **error)
{
  if (!banger_disk_view_finish (view, error))
    return FALSE;
  banger_disk_view_free (view);
  view = banger_disk_view_open (&spec, error);
  return view != NULL;
}

static gboolean
carry_out_with_meta (char **f, GError **error)
{
  guint what = (guint)number (f[3]);
  BangerDiskMeta meta = read_meta (f + 4);

  if (g_str_equal (f[0], "write")) {
    banger_autofd int content = open_file (f[2], O_RDONLY);

    return banger_disk_view_write (view, f[1], content, what, &meta, error);
  }
  if (g_str_equal (f[0], "mkdir"))
    return banger_disk_view_mkdir (view, f[1], *f[2] == '1', what, &meta, error);
  if (g_str_equal (f[0], "set"))
    return banger_disk_view_set (view, f[1], *f[2] == '1', what, &meta, error);
  meta.target = f[2];
  return banger_disk_view_symlink (view, f[1], what, &meta, error);
}

static gboolean
carry_out (char **f, GError **error)
{
  if (g_str_equal (f[0], "reopen"))
    return reopen (error);
  if (g_str_equal (f[0], "walk"))
    return walk (f[1], error);
  if (g_str_equal (f[0], "link"))
    return banger_disk_view_link (view, f[1], f[2], error);
  if (g_str_equal (f[0], "rename"))
    return banger_disk_view_rename (view, f[1], f[2], error);
  if (g_str_equal (f[0], "remove"))
    return banger_disk_view_remove (view, f[1], *f[2] == '1', error);
  if (g_str_equal (f[0], "unpack")) {
    banger_autofd int tar = open_file (f[2], O_RDONLY);

    return banger_disk_view_unpack (view, f[1], tar, 0, NULL, error);
  }
  if (g_str_equal (f[0], "pack")) {
    banger_autofd int tar = open_file (f[2], O_WRONLY | O_CREAT | O_TRUNC);

    return banger_disk_view_pack (view, f[1], tar, error);
  }
  return carry_out_with_meta (f, error);
}

static void
run_line (char *line)
{
  g_auto (GStrv) fields = g_strsplit (g_strchomp (line), " ", -1);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; fields[i] != NULL; i++) {
    gsize length = 0;
    g_autoptr (GBytes) plain = g_uri_unescape_bytes (fields[i], -1, NULL, NULL);
    const char *bytes = g_bytes_get_data (plain, &length);

    g_free (fields[i]);
    fields[i] = g_strndup (bytes, length);
  }
  if (carry_out (fields, &error))
    puts ("ok");
  else
    printf ("%s %s: %s\n", banger_error_nick (error->code), error->message,
            banger_error_cause (error) != NULL ? banger_error_cause (error) : "");
  fflush (stdout);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  size_t size = 0;
  char *line = NULL;

  spec.root = open_file (argv[1], O_RDWR);
  spec.lower = argc > 2 && *argv[2] != '\0' ? open_file (argv[2], O_RDONLY) : -1;
  spec.work = argc > 3 ? open_file (argv[3], O_RDWR) : -1;
  view = banger_disk_view_open (&spec, &error);
  if (view == NULL)
    g_error ("%s", error->message);
  while (getline (&line, &size, stdin) > 0)
    run_line (line);
  free (line);
  if (!banger_disk_view_finish (view, &error))
    g_error ("%s", error->message);
  banger_disk_view_free (view);
  return 0;
}
