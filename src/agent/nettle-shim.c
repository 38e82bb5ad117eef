/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Distributions build libnettle.a against glibc with fortified calls; musl has none of them.
 * Debian's needs the first of these, Ubuntu's all. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int __fprintf_chk (FILE *file, int flag, const char *format, ...);
void *__memcpy_chk (void *to, const void *from, size_t size, size_t room);
void *__memset_chk (void *to, int byte, size_t size, size_t room);

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

void *
__memcpy_chk (void *to, const void *from, size_t size, size_t room)
{
  if (size > room)
    abort ();
  return memcpy (to, from, size);
}

void *
__memset_chk (void *to, int byte, size_t size, size_t room)
{
  if (size > room)
    abort ();
  return memset (to, byte, size);
}
