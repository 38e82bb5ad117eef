/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm-ports.h"

#include <string.h>

/* Of "127.0.0.1:8080:80" the part that is the host's. */
static char *
host_of (const char *published)
{
  return g_strndup (published, (gsize)(strrchr (published, ':') - published));
}

static gboolean
is_any (const char *host)
{
  return g_str_has_prefix (host, "0.0.0.0:") || g_str_has_prefix (host, "[::]:");
}

/* Whether nobody can listen at both: any address takes all those of its kind. */
static gboolean
clash (const char *a, const char *b)
{
  return g_str_equal (a, b)
         || ((is_any (a) || is_any (b)) && (a[0] == '[') == (b[0] == '[')
             && g_str_equal (strrchr (a, ':'), strrchr (b, ':')));
}

/* Which of @wanted the monitor speaks of; NULL if none. The wording is its own (vmm/listener.c). */
static char *
find_refused (char **wanted, const char *message)
{
  for (guint i = 0; wanted[i] != NULL; i++) {
    g_autofree char *host = host_of (wanted[i]);
    g_autofree char *said = g_strdup_printf ("port %s cannot be published", host);

    if (strstr (message, said) != NULL)
      return g_steal_pointer (&host);
  }
  return NULL;
}

/* What clashes with @host of another VM that runs, and into @holder whose that is. No other owner's
 * VM is named: not everybody may know what those have. */
static const char *
find_holder (const BangerVm *vm, const char *host, const BangerVm **holder)
{
  GHashTableIter iter;
  gpointer value = NULL;

  g_hash_table_iter_init (&iter, vm->service->vms);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    const BangerVm *other = value;

    if (other == vm || other->monitor == NULL || other->record->owner_uid != vm->record->owner_uid)
      continue;
    for (guint i = 0; other->record->published[i] != NULL; i++) {
      g_autofree char *taken = host_of (other->record->published[i]);

      if (clash (host, taken)) {
        *holder = other;
        return other->record->published[i];
      }
    }
  }
  return NULL;
}

GError *
banger_vm_explain_ports (BangerVm *vm, char **wanted, GError *error)
{
  g_autoptr (GError) told = error;
  g_autofree char *host = NULL, *cause = NULL, *hint = NULL;
  const char *taken = NULL;
  const BangerVm *holder = NULL;
  GError *ours = NULL;

  if (g_error_matches (error, BANGER_ERROR, BANGER_ERROR_BUSY))
    host = find_refused (wanted, error->message);
  if (host != NULL)
    taken = find_holder (vm, host, &holder);
  if (taken == NULL)
    return g_steal_pointer (&told);
  cause = g_strdup_printf ("vm '%s' publishes %s", holder->record->name, taken);
  hint = g_strdup_printf ("publish another port, or banger vm set %s --unpublish %s",
                          holder->record->name, taken);
  banger_set_error (&ours, error->code, banger_error_stage (error), cause, hint, "%s",
                    error->message);
  return ours;
}
