/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests: the archive on standard input into the image named, and its /root into a second one.
 * Prints the archive's digest and the most memory that this took, in KiB. */
#include "disk/disk.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Not by getrusage(2), which counts what the program was that made this process, too. proc(5) */
static guint64
peak_kib (void)
{
  g_autofree char *status = NULL;
  const char *line = NULL;

  if (g_file_get_contents ("/proc/self/status", &status, NULL, NULL))
    line = strstr (status, "VmHWM:");
  return line != NULL ? g_ascii_strtoull (line + strlen ("VmHWM:"), NULL, 10) : 0;
}

int
main (int argc, char **argv)
{
  g_auto (BangerDiskImport) import = { 0 };
  g_autoptr (GError) error = NULL;
  banger_autofd int image = -1, seed = -1;

  setlocale (LC_CTYPE, "C.UTF-8");
  if (argc != 3)
    return 2;
  image = open (argv[1], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  seed = open (argv[2], O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (!banger_disk_import_tar (STDIN_FILENO, image, "test", NULL, NULL, NULL, &import, &error)
      || !banger_disk_copy_tree (image, "/root", seed, "seed", &error)
      || !banger_disk_check (image, &error) || !banger_disk_check (seed, &error)) {
    g_printerr ("%s: %s\n", error->message, banger_error_cause (error));
    return 1;
  }
  printf ("%s %" G_GUINT64_FORMAT "\n", import.digest, peak_kib ());
  return 0;
}
