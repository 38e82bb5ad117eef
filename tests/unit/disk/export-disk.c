/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For tests: the image named to standard output, as "tar" or "raw", "none", "gzip" or "zstd". */
#include "disk/disk.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
main (int argc, char **argv)
{
  g_auto (BangerDiskExport) result = { 0 };
  g_autoptr (GError) error = NULL;
  BangerDiskCompression compression = BANGER_DISK_PLAIN;
  banger_autofd int image = argc == 4 ? open (argv[1], O_RDONLY | O_CLOEXEC) : -1;

  if (image < 0)
    return 2;
  signal (SIGPIPE, SIG_IGN);
  if (strcmp (argv[3], "gzip") == 0)
    compression = BANGER_DISK_GZIP;
  else if (strcmp (argv[3], "zstd") == 0)
    compression = BANGER_DISK_ZSTD;
  if (!banger_disk_export (image, STDOUT_FILENO,
                           strcmp (argv[2], "raw") == 0 ? BANGER_DISK_RAW : BANGER_DISK_TAR,
                           compression, NULL, NULL, &result, &error)) {
    fprintf (stderr, "%s: %s: %s\n", banger_error_nick (error->code), error->message,
             banger_error_cause (error));
    return 1;
  }
  for (guint i = 0; result.notes[i] != NULL; i++)
    fprintf (stderr, "note: %s\n", result.notes[i]);
  fprintf (stderr, "%" G_GUINT64_FORMAT " bytes\n", result.bytes);
  return 0;
}
