/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What imports have in common: a worker fills the files of a new image or kernel from what the
 * caller gave, then its row becomes ready. Each sort has a file of its own (import-*.c).
 */
#pragma once

#include "asset.h"
#include "call.h"

typedef struct _BangerImport BangerImport;

typedef struct {
  BangerObjectKind kind;
  const char *verb;         /* kind of the job and of the worker's */
  const char *const *files; /* pairs: a file's name and the worker's for it; ends with NULL */
  /* Takes into the record what the worker says, which came from bytes that others wrote: only what
   * has the expected shape reaches the bus. FALSE: it has not. */
  gboolean (*take_done) (BangerImport *import, GVariant *done);
} BangerImportSort;

struct _BangerImport {
  const BangerImportSort *sort;
  BangerCall *call; /* until it is answered */
  BangerService *service;
  char *name;
  GUnixFDList *fds;  /* the caller's, then our files */
  GVariantDict args; /* of the worker's job */
  BangerAsset *asset;
  BangerJob *job;
  gboolean make_default;
  GVariant *defaults; /* of an image, or NULL */
};

/* The files of an image, as BangerImportSort has them. */
extern const char *const banger_import_image_files[];

/* For @call, whose first parameter is the name. */
BangerImport *banger_import_new (BangerCall *call, const BangerImportSort *sort);
/* Gives the worker the caller's descriptor @handle as @key. */
gboolean
banger_import_take_fd (BangerImport *import, const char *key, gint32 handle, GError **error);
/* Answers the call with @error and frees @import. */
void banger_import_fail (BangerImport *import, GError *error);
/* Authorises a new default, looks at the host, admits it and runs the worker. Takes @import. */
void banger_import_begin (BangerImport *import);
/* Gives the worker what an image may hold at most: max-bytes and max-entries of @options, and what
 * room the host keeps. */
gboolean banger_import_take_limits (BangerImport *import, GVariant *options, GError **error);
/* Digest and size, which all sorts have; of an image also how many names it holds. */
gboolean banger_import_take_common (BangerImport *import, GVariant *done);
gboolean banger_import_take_image (BangerImport *import, GVariant *done);

extern const BangerOption banger_import_disk_options[];
extern const BangerOption banger_import_image_options[];
extern const BangerOption banger_import_kernel_options[];

void banger_import_disk (BangerCall *call);
void banger_import_image (BangerCall *call);
void banger_import_kernel (BangerCall *call);
