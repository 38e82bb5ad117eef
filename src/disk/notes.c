/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "notes.h"

#include "tree.h"

#define LINES_MAX 19 /* and a last one: how many more */

void
banger_disk_notes_init (BangerDiskNotes *notes)
{
  *notes = (BangerDiskNotes){ .lines = g_ptr_array_new_with_free_func (g_free) };
}

void
banger_disk_notes_add (BangerDiskNotes *notes, const char *path, const char *text)
{
  g_autofree char *escaped = path != NULL ? banger_disk_escape (path) : NULL;

  if (notes->lines->len >= LINES_MAX)
    notes->more++;
  else if (escaped != NULL)
    g_ptr_array_add (notes->lines, g_strdup_printf ("'%s': %s", escaped, text));
  else
    g_ptr_array_add (notes->lines, g_strdup (text));
}

char **
banger_disk_notes_take (BangerDiskNotes *notes)
{
  if (notes->more > 0)
    g_ptr_array_add (notes->lines, g_strdup_printf ("and %u more", notes->more));
  g_ptr_array_add (notes->lines, NULL);
  return (char **)g_ptr_array_free (g_steal_pointer (&notes->lines), FALSE);
}
