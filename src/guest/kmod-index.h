/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The binary indexes that modprobe looks names up in (modules.*.bin): without them it finds
 * nothing. A trie with path compression; integers are big-endian. Source: kmod, the comment on top
 * of libkmod/libkmod-index.c.
 */
#pragma once

#include <glib.h>

typedef struct _BangerKmodIndex BangerKmodIndex;

BangerKmodIndex *banger_kmod_index_new (void);
void banger_kmod_index_free (BangerKmodIndex *index);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerKmodIndex, banger_kmod_index_free)

/* Lower priorities are found first. Keys must be ASCII of at most BANGER_KMOD_KEY_MAX characters:
 * others are left out, as the format cannot hold them. */
#define BANGER_KMOD_KEY_MAX 1024
void banger_kmod_index_add (BangerKmodIndex *index, const char *key, const char *value,
                            guint32 priority);
/* The file. The index is then of no more use. */
GBytes *banger_kmod_index_finish (BangerKmodIndex *index);

/* @alias as its index has it: '-' is '_' but within brackets. NULL if a bracket does not close. */
char *banger_kmod_alias_normalize (const char *alias);
