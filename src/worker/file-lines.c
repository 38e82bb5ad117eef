/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "file-lines.h"

#include <string.h>
#include <sys/stat.h>

/* @text is UTF-8. */
static void
append_string (GString *lines, const char *text)
{
  g_string_append_c (lines, '"');
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '"' || *c == '\\')
      g_string_append_printf (lines, "\\%c", *c);
    else if ((guchar)*c < ' ' || *c == 0x7f)
      g_string_append_printf (lines, "\\u%04x", (guchar)*c);
    else
      g_string_append_c (lines, *c);
  }
  g_string_append_c (lines, '"');
}

static void
append_base64 (GString *lines, const void *bytes, gsize length)
{
  g_autofree char *text = g_base64_encode (bytes, length);

  g_string_append_printf (lines, "\"%s\"", text);
}

/* As "KEY", or as "KEY_base64" where it is no UTF-8. */
static void
append_text (GString *lines, const char *key, const char *text)
{
  gboolean valid = g_utf8_validate (text, -1, NULL);

  g_string_append_printf (lines, ", \"%s%s\": ", key, valid ? "" : "_base64");
  if (valid)
    append_string (lines, text);
  else
    append_base64 (lines, text, strlen (text));
}

static const char *
type_of (guint32 mode)
{
  switch (mode & S_IFMT) {
  case S_IFREG:
    return "file";
  case S_IFDIR:
    return "directory";
  case S_IFLNK:
    return "symlink";
  case S_IFBLK:
    return "block";
  case S_IFCHR:
    return "character";
  case S_IFIFO:
    return "fifo";
  default:
    return "socket";
  }
}

static void
append_xattrs (GString *lines, const GPtrArray *xattrs)
{
  g_string_append (lines, ", \"xattrs\": {");
  for (guint i = 0; xattrs != NULL && i < xattrs->len; i++) {
    const BangerDiskXattr *xattr = xattrs->pdata[i];
    g_autofree char *name = g_utf8_make_valid (xattr->name, -1);

    g_string_append (lines, i > 0 ? ", " : "");
    append_string (lines, name);
    g_string_append (lines, ": ");
    append_base64 (lines, xattr->value, xattr->length);
  }
  g_string_append_c (lines, '}');
}

void
banger_file_lines_add (GString *lines, guint step, const char *name, const BangerDiskStat *stat)
{
  const BangerDiskMeta *meta = &stat->meta;
  guint32 type = meta->mode & S_IFMT;

  g_string_append_printf (lines, "{\"step\": %u", step);
  append_text (lines, "name", name);
  g_string_append_printf (lines, ", \"type\": \"%s\", \"mode\": \"%04o\", \"uid\": %u, \"gid\": %u",
                          type_of (meta->mode), meta->mode & 07777, meta->uid, meta->gid);
  g_string_append_printf (lines,
                          ", \"size\": %" G_GUINT64_FORMAT ", \"mtime\": %" G_GINT64_FORMAT
                          ", \"mtime_nsec\": %u, \"links\": %u",
                          stat->size, meta->mtime, meta->mtime_nsec, stat->links);
  if (type == S_IFLNK && meta->target != NULL)
    append_text (lines, "target", meta->target);
  if (type == S_IFBLK || type == S_IFCHR)
    g_string_append_printf (lines, ", \"rdev\": \"%u:%u\"", meta->major, meta->minor);
  append_xattrs (lines, stat->xattrs);
  g_string_append (lines, "}\n");
}
