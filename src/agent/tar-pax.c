/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tar-pax.h"

#include <stdlib.h>
#include <string.h>

#define XATTR "SCHILY.xattr."
#define WRONG "a pax record is wrong"

void
agent_tar_pax_clear (AgentTarPax *pax)
{
  free (pax->text);
  *pax = (AgentTarPax){ .n_xattrs = 0 };
}

static bool
parse_number (const char *text, uint64_t *value)
{
  size_t digits = strspn (text, "0123456789");

  *value = strtoull (text, NULL, 10);
  return digits > 0 && digits <= 19 && text[digits] == '\0' && *value <= INT64_MAX;
}

/* "[-]SECONDS[.FRACTION]". */
static bool
parse_time (const char *text, struct timespec *time)
{
  bool negative = *text == '-';
  size_t digits = strspn (text + negative, "0123456789");
  const char *at = text + negative + digits;
  long unit = 100000000, nanoseconds = 0;

  if (digits == 0 || digits > 12)
    return false;
  time->tv_sec = (time_t)strtoll (text + negative, NULL, 10);
  if (*at == '.') {
    for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10)
      nanoseconds += (*at - '0') * unit;
  }
  if (negative) {
    time->tv_sec = -time->tv_sec - (nanoseconds > 0);
    nanoseconds = nanoseconds > 0 ? 1000000000 - nanoseconds : 0;
  }
  time->tv_nsec = nanoseconds;
  return *at == '\0';
}

static const char *
take_number (const char *value, bool *has, uint64_t *number)
{
  *has = true;
  return parse_number (value, number) ? NULL : WRONG;
}

static const char *
take_sparse (AgentTarPax *pax, const char *key, const char *value)
{
  if (strcmp (key, "name") == 0) {
    pax->sparse_name = value;
  } else if (strcmp (key, "realsize") == 0) {
    return take_number (value, &pax->has_real_size, &pax->real_size);
  } else if (strcmp (key, "major") == 0) {
    pax->sparse = true;
    return strcmp (value, "1") == 0 ? NULL : "it has a sparse file in a format that is not known";
  } else if (strcmp (key, "minor") != 0 || strcmp (value, "0") != 0) {
    return "it has a sparse file in a format that is not known";
  }
  return NULL;
}

static const char *
take_xattr (AgentTarPax *pax, const char *name, const char *value, size_t length)
{
  if (*name == '\0' || pax->n_xattrs >= AGENT_TAR_XATTRS_MAX)
    return *name == '\0' ? WRONG : "a file has too many extended attributes";
  pax->xattrs[pax->n_xattrs++]
      = (AgentTarXattr){ .name = name, .value = (const uint8_t *)value, .size = length };
  return NULL;
}

static const char *
take_record (AgentTarPax *pax, const char *key, const char *value, size_t length)
{
  if (strncmp (key, XATTR, strlen (XATTR)) == 0)
    return take_xattr (pax, key + strlen (XATTR), value, length);
  if (memchr (value, '\0', length) != NULL)
    return WRONG;
  if (strcmp (key, "path") == 0)
    pax->path = value;
  else if (strcmp (key, "linkpath") == 0)
    pax->link = value;
  else if (strcmp (key, "size") == 0)
    return take_number (value, &pax->has_size, &pax->size);
  else if (strcmp (key, "uid") == 0)
    return take_number (value, &pax->has_uid, &pax->uid);
  else if (strcmp (key, "gid") == 0)
    return take_number (value, &pax->has_gid, &pax->gid);
  else if (strcmp (key, "mtime") == 0)
    return (pax->has_mtime = parse_time (value, &pax->mtime)) ? NULL : WRONG;
  else if (strncmp (key, "GNU.sparse.", 11) == 0)
    return take_sparse (pax, key + 11, value);
  return NULL;
}

/* "LENGTH KEY=VALUE\n" of the @left bytes at @at; *@length of them are this record. */
static const char *
parse_record (AgentTarPax *pax, char *at, size_t left, size_t *length)
{
  size_t digits = 0, total = 0;
  char *key, *value;

  for (; digits < left && digits < 8 && at[digits] >= '0' && at[digits] <= '9'; digits++)
    total = total * 10 + (size_t)(at[digits] - '0');
  if (digits == 0 || total > left || total < digits + 4 || at[digits] != ' '
      || at[total - 1] != '\n')
    return WRONG;
  at[total - 1] = '\0';
  key = at + digits + 1;
  value = memchr (key, '=', total - digits - 2);
  if (value == NULL || value == key || memchr (key, '\0', (size_t)(value - key)) != NULL)
    return WRONG;
  *value++ = '\0';
  *length = total;
  return take_record (pax, key, value, (size_t)(at + total - 1 - value));
}

const char *
agent_tar_pax_parse (AgentTarPax *pax, char *text, size_t length)
{
  const char *fault = NULL;

  pax->text = text;
  text[length] = '\0';
  for (size_t at = 0, n = 0; at < length && fault == NULL; at += n)
    fault = parse_record (pax, text + at, length - at, &n);
  return fault;
}

void
agent_tar_pax_apply (const AgentTarPax *pax, AgentTarEntry *entry)
{
  if (pax->has_uid)
    entry->uid = pax->uid;
  if (pax->has_gid)
    entry->gid = pax->gid;
  if (pax->has_mtime)
    entry->mtime = pax->mtime;
  memcpy (entry->xattrs, pax->xattrs, sizeof entry->xattrs);
  entry->n_xattrs = pax->n_xattrs;
}
