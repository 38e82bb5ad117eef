/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "vm set" is to change: KEY=VALUE words and options, made into what VM.Set takes. */
#pragma once

#include "command.h"

typedef struct _BangerChanges BangerChanges;

/* Takes the words with a "=" and the options; the other words, names of VMs, go to @names.
 * InvalidArgument for a key or value that is none, or if there is nothing to change. */
BangerChanges *banger_changes_new (BangerArgs *args, GStrv *names, GError **error);
void banger_changes_free (BangerChanges *changes);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerChanges, banger_changes_free)

/* For a VM that has @properties: the dictionary for VM.Set (a{sv}), full reference. */
GVariant *banger_changes_for (BangerChanges *changes, BangerClient *client, GVariant *properties,
                              GError **error);

/* Labels that are to be taken away which a VM that has @properties does not have. */
GStrv banger_changes_absent (BangerChanges *changes, GVariant *properties);

/* For people: the word for a key of VM.Set, "memory" for memory-bytes. */
const char *banger_changes_word (const char *key);
/* The value of @key that @properties of a VM hold, as text; "" where they do not. */
char *banger_changes_old (BangerClient *client, GVariant *properties, const char *key);
/* A value of VM.Set as text. */
char *banger_changes_text (BangerClient *client, const char *key, GVariant *value);
