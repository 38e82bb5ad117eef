/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests: a disk image, made an image.
 *
 *   register-disk DISK IMAGE [format=auto] [partition=N] [keep-fstab] [max-bytes=N] [max-entries=N]
 *
 * Says what came of it: partition, file system, entries, digest, then a line a note.
 */
#include "disk/disk.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
value_of (const char *word, const char *key)
{
  gsize length = strlen (key);

  return strncmp (word, key, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static void
take_word (BangerDiskRegisterSpec *spec, const char *word)
{
  if (value_of (word, "format") != NULL)
    spec->format = value_of (word, "format");
  else if (value_of (word, "partition") != NULL)
    spec->partition = atoi (value_of (word, "partition"));
  else if (value_of (word, "max-bytes") != NULL)
    spec->limits.bytes = strtoull (value_of (word, "max-bytes"), NULL, 10);
  else if (value_of (word, "max-entries") != NULL)
    spec->limits.entries = strtoull (value_of (word, "max-entries"), NULL, 10);
  else
    spec->keep_fstab = strcmp (word, "keep-fstab") == 0;
}

int
main (int argc, char **argv)
{
  BangerDiskRegisterSpec spec = { .format = "auto", .label = "root" };
  g_auto (BangerDiskRegister) result = { 0 };
  g_autoptr (GError) error = NULL;
  g_autofree char *scratch_path = argc > 2 ? g_strconcat (argv[2], ".scratch", NULL) : NULL;
  banger_autofd int disk = -1, image = -1, scratch = -1;

  if (argc < 3)
    return 2;
  spec.limits = (BangerDiskLimits){ .bytes = 1ULL << 35, .entries = 1000000 };
  for (int i = 3; i < argc; i++)
    take_word (&spec, argv[i]);
  disk = open (argv[1], O_RDONLY | O_CLOEXEC);
  image = open (argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  scratch = open (scratch_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (!banger_disk_register (disk, image, scratch, &spec, NULL, NULL, &result, &error)
      || !banger_disk_check (image, &error)) {
    const char *hint = banger_error_hint (error);

    fprintf (stderr, "%s: %s: %s: %s\nhint: %s\n", banger_error_nick (error->code),
             banger_error_stage (error), error->message, banger_error_cause (error),
             hint != NULL ? hint : "");
    return 1;
  }
  printf ("%u %s %" G_GUINT64_FORMAT " %s\n", result.partition, result.filesystem,
          result.import.entries, result.import.digest);
  for (guint i = 0; result.import.notes[i] != NULL; i++)
    printf ("%s\n", result.import.notes[i]);
  return 0;
}
