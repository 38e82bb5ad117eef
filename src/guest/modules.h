/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The modules of one kernel, as the files of this folder share them. */
#pragma once

#include "guest/guest.h"

/* No kernel comes near: Debian's has 4,000 modules, the deepest needs 8 others in a row. */
#define BANGER_MODULES_MAX 16384
#define BANGER_MODULES_DEPTH_MAX 64

typedef struct {
  char *path;           /* from the release's folder on */
  char *name;           /* as the kernel says it: "virtio_blk" */
  guint order;          /* line in modules.order; G_MAXUINT: not in it */
  GPtrArray *depends;   /* char *: names */
  GPtrArray *aliases;   /* char * */
  GPtrArray *softdeps;  /* char *: as .modinfo has them, "pre: a b" */
  guint64 offset, size; /* of the uncompressed module in the spool */
  guint walk;           /* the walk that came by last */
} BangerModule;

typedef struct {
  char *alias;
  char *module;
} BangerBuiltinAlias;

struct _BangerModules {
  int spool;
  guint64 spooled;
  guint64 text; /* bytes of names, aliases and dependencies */
  gboolean sorted;
  GPtrArray *all;          /* BangerModule * */
  GHashTable *by_name;     /* to BangerModule *; of the same name, the first in order */
  GHashTable *by_alias;    /* to GPtrArray of BangerModule *, in order */
  GHashTable *files;       /* paths of all files */
  GHashTable *builtin;     /* names */
  GArray *builtin_aliases; /* BangerBuiltinAlias */
  GBytes *given_dep;       /* the modules.dep that was there, or NULL */
  GPtrArray *boot;         /* BangerModule *, borrowed: what a boot loads, once it is chosen */
  guint late;              /* the first of those that are loaded from the tree */
  GHashTable *orders;      /* path of the uncompressed module, to its line and one */
  guint walk;
};

void banger_tree_file_free (gpointer data);

/* The module's name for the file at @path, NULL if it is not a module's. */
char *banger_module_name (const char *path);
/* Sets the modules' order; none may be added afterwards. */
void banger_modules_sort (BangerModules *modules);

/* One walk through dependencies. @order receives modules (borrowed) so that each comes after those
 * it needs, none twice; @missing (may be NULL) the names that are neither there nor built in. */
typedef struct {
  BangerModules *modules;
  gboolean soft; /* softdeps "pre" too */
  GPtrArray *order;
  GPtrArray *missing;
} BangerModuleWalk;

/* Begins a walk that knows of no module yet. */
void banger_module_walk_start (BangerModuleWalk *walk);
/* BadImage if dependencies nest deeper than BANGER_MODULES_DEPTH_MAX. */
gboolean banger_module_walk_to (BangerModuleWalk *walk, BangerModule *module, GError **error);

/* Whether the module @name is built in, or there with all that it needs. */
gboolean banger_modules_have (BangerModules *modules, const char *name);
