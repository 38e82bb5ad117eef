/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Debian's libnettle.a is built against glibc with fortified calls; musl has none of them. */
#include <stdarg.h>
#include <stdio.h>

int __fprintf_chk (FILE *file, int flag, const char *format, ...);

int
__fprintf_chk (FILE *file, int flag, const char *format, ...)
{
  va_list args;
  int n;

  va_start (args, format);
  n = vfprintf (file, format, args);
  va_end (args);
  return n;
}
