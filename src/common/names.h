/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every name on the bus, and the shapes of ids, names and object paths. */
#pragma once

#include <glib.h>

#define BANGER_BUS_NAME "org.banger.Banger1"
#define BANGER_ROOT_PATH "/org/banger/Banger1"
#define BANGER_IFACE_MANAGER "org.banger.Banger1.Manager"
#define BANGER_IFACE_VM "org.banger.Banger1.VM"
#define BANGER_IFACE_IMAGE "org.banger.Banger1.Image"
#define BANGER_IFACE_KERNEL "org.banger.Banger1.Kernel"
#define BANGER_IFACE_JOB "org.banger.Banger1.Job"
#define BANGER_ERROR_PREFIX "org.banger.Banger1.Error."

/* The longest name: it becomes a DNS label (RFC 1035, 2.3.4). */
#define BANGER_NAME_MAX 63
#define BANGER_ID_LENGTH 12

typedef enum {
  BANGER_OBJECT_MANAGER,
  BANGER_OBJECT_VM,
  BANGER_OBJECT_IMAGE,
  BANGER_OBJECT_KERNEL,
  BANGER_OBJECT_JOB,
} BangerObjectKind;

/* The word for a kind in paths, error messages and the store: "vm", "image", "kernel", "job". */
const char *banger_object_kind_to_string (BangerObjectKind kind);
gboolean banger_object_kind_from_string (const char *word, BangerObjectKind *kind);

/* A name people give: [a-z0-9][a-z0-9-]{0,62}. */
gboolean banger_name_is_valid (const char *name);
/* As above, with the error InvalidArgument that says what a name of @kind may hold. */
gboolean banger_name_check (BangerObjectKind kind, const char *name, GError **error);
/* Two words and, where @attempt is not 0, a number: for people who give no name. */
char *banger_name_make (guint attempt);

/* A fresh random id: BANGER_ID_LENGTH characters of [a-z2-7], 60 bits. */
char *banger_id_new (void);
gboolean banger_id_is_valid (const char *id);

/* "/org/banger/Banger1/vm/ID"; the manager's path for BANGER_OBJECT_MANAGER. */
char *banger_object_path_new (BangerObjectKind kind, const char *id);
/* The id at the end of @path, if it is an object of @kind; points into @path. */
const char *banger_object_path_id (const char *path, BangerObjectKind kind);
