/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An archive that holds a kernel, its modules or both, as the files of this folder share it. */
#pragma once

#include "guest/guest.h"

#include "archive-util.h"

#include "codec/codec.h"

#define BANGER_PACKAGE_STAGE "extracting"

typedef enum {
  BANGER_PACKAGE_DEB,     /* a package of a kernel */
  BANGER_PACKAGE_MODULES, /* modules: a tar archive or a package */
  BANGER_PACKAGE_TREE,    /* a tar archive with boot/ and lib/modules/ */
} BangerPackageForm;

struct _BangerPackage {
  BangerPackageForm form;
  BangerArchive *outer; /* the ar archive of a package, else NULL */
  BangerArchive *tar;
  BangerDecoder *decoder; /* of the tar, NULL: it is plain */
  gboolean began;         /* whether that is known */
  GByteArray *head;       /* its first bytes */
  const guint8 *in;       /* what the decoder has not yet taken */
  gsize in_length;
  guint8 *out;       /* what it has given */
  int fd;            /* borrowed */
  guint8 *chunk;     /* what was read last */
  gsize ahead;       /* bytes of @chunk that nobody has taken */
  guint64 file_size; /* 0: a pipe */
  guint64 taken;     /* bytes read */
  guint64 total;
  guint64 decoded, decoded_max; /* bytes of the tar, with what is skipped */
  guint64 bound;                /* how many there may be for now */
  char *wanted;                 /* of a tree: the release to take, or NULL */
  char *release;                /* of the modules; of a tree: that is taken */
  GHashTable *releases;         /* of a tree: what it has, by release */
  gboolean has_kernel;          /* of a tree */
};

/* BadImage; @hint is what the form says where it is NULL. */
gboolean
banger_package_refuse (BangerPackage *package, const char *cause, const char *hint, GError **error);
/* Says what the file at @path is. FALSE with an error if it cannot be taken. */
gboolean banger_package_classify (BangerPackage *package, const char *path, gboolean is_file,
                                  BangerPackageEntry *entry, GError **error);
/* Says of @entry, a kernel whose name does not tell, by its header whether it is the one to take.
 */
gboolean
banger_package_name_kernel (BangerPackage *package, BangerPackageEntry *entry, GError **error);
/* At the end: whether a tree has the one kernel that was taken of it. */
gboolean banger_package_settle (BangerPackage *package, GError **error);
