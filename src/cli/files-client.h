/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of an image, or with --vm of a stopped VM, by ReadFiles and EditFiles. */
#pragma once

#include "meter.h"
#include "watch.h"

#include "common/file-steps.h"

#include <gio/gunixfdlist.h>

/* How many bytes have gone either way so far. */
typedef guint64 (*BangerFilesBytes) (gpointer data);

/* What the words "NAME:PATH" of a command are about. */
typedef struct {
  BangerClient *client;
  BangerArgs *args;
  BangerObjectKind kind;
  char *name;
  char *path;         /* on the bus */
  GPtrArray *paths;   /* of char *: those in it, each beginning with "/" */
  BangerMeter *meter; /* NULL, or drawn while a job runs, in the place of its stages */
  BangerFilesBytes bytes;
  gpointer data; /* of bytes */
} BangerFilesTarget;

/* Finds the one object that @words name, all with a path, or, where @bare allows it, without one:
 * then it is "/". NULL with an error. */
BangerFilesTarget *
banger_files_target_new (BangerClient *client, BangerArgs *args, const char *const *words,
                         gboolean bare, GError **error);
void banger_files_target_free (BangerFilesTarget *target);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerFilesTarget, banger_files_target_free)
/* "NAME:PATH" as people may be shown it. */
char *banger_files_label (BangerFilesTarget *target, const char *path);

/* A path that begins with "/", as the service takes it; floating. */
GVariant *banger_files_path (const char *path);

/* "644". */
gboolean banger_files_mode (const char *word, guint32 *mode, GError **error);
gboolean banger_files_id (const char *word, guint32 *id);
/* "USER", "USER:GROUP", "USER:" with the user's own group, or ":GROUP", as `uid` and `gid` into
 * @args: numbers, or names that the object itself knows. */
gboolean banger_files_owner (BangerFilesTarget *target, const char *word, GVariantDict *args,
                             GError **error);
/* "file", "directory" and so on: what is at @path, a link followed. */
char *banger_files_type (BangerFilesTarget *target, const char *path, GError **error);

/* Steps on their way, with the descriptors that they name. */
typedef struct {
  GVariantBuilder list;
  GUnixFDList *fds;
  guint n;
} BangerFilesSteps;

void banger_files_steps_init (BangerFilesSteps *steps);
void banger_files_steps_clear (BangerFilesSteps *steps);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerFilesSteps, banger_files_steps_clear)
/* Adds a step on @path; @more (may be NULL) is what else it takes, and is ended. */
void banger_files_steps_add (BangerFilesSteps *steps, const char *verb, const char *path,
                             GVariantDict *more);

/* Carries them out, which ends @steps. */
gboolean
banger_files_read (BangerFilesTarget *target, BangerFilesSteps *steps, int output, GError **error);
/* The same into memory. */
GBytes *
banger_files_read_bytes (BangerFilesTarget *target, BangerFilesSteps *steps, GError **error);
/* The same of changes; @done (may be NULL): how many steps were carried out, also after an error.
 */
gboolean
banger_files_edit (BangerFilesTarget *target, BangerFilesSteps *steps, guint *done, GError **error);
/* Says what was done: @text to people unless --quiet, a document to programs. */
gboolean banger_files_say (BangerFilesTarget *target, guint done, const char *text, GError **error);
