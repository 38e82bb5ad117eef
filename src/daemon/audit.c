/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "audit.h"

#define OR_EMPTY(text) ((text) != NULL ? (text) : "")

static char *
uid_to_string (uid_t uid)
{
  return uid == (uid_t)-1 ? g_strdup ("") : g_strdup_printf ("%lu", (gulong)uid);
}

void
banger_audit (const BangerDecision *decision)
{
  const BangerAuthObject *object = decision->object;
  const char *word = decision->permitted ? "permitted" : "denied";
  gboolean has_kind = object != NULL && object->kind != BANGER_OBJECT_MANAGER;
  const char *kind = has_kind ? banger_object_kind_to_string (object->kind) : "object";
  g_autofree char *uid = uid_to_string (decision->uid);
  g_autofree char *owner = uid_to_string (object != NULL ? object->owner_uid : BANGER_NO_OWNER);
  g_autofree char *path = NULL;

  if (object != NULL && object->id != NULL)
    path = banger_object_path_new (object->kind, object->id);
  g_log_structured (
      "banger", decision->routine ? G_LOG_LEVEL_INFO : G_LOG_LEVEL_MESSAGE,  /* */
      "MESSAGE_ID", "5d0f2a3c8b7e4f0c9a51b9b1f7d2c6e4",                      /* */
      "BANGER_DECISION", word,                                               /* */
      "BANGER_REASON", decision->reason,                                     /* */
      "BANGER_CALLER", decision->caller,                                     /* */
      "BANGER_CALLER_UID", uid,                                              /* */
      "BANGER_METHOD", decision->method,                                     /* */
      "BANGER_VERB", OR_EMPTY (decision->verb),                              /* */
      "BANGER_ACTION", OR_EMPTY (decision->action),                          /* */
      "BANGER_OBJECT", OR_EMPTY (path),                                      /* */
      "BANGER_OBJECT_NAME", OR_EMPTY (object != NULL ? object->name : NULL), /* */
      "BANGER_OWNER_UID", owner,                                             /* */
      "MESSAGE", "audit: %s %s: caller %s uid %s reason %s action %s %s '%s' owner %s", word,
      decision->method, decision->caller, *uid != '\0' ? uid : "unknown", decision->reason,
      decision->action != NULL ? decision->action : "none", kind,
      OR_EMPTY (object != NULL ? object->name : NULL), *owner != '\0' ? owner : "none");
}
