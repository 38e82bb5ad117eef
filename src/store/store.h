/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What bangerd must remember: VMs, images, kernels, jobs, intents and settings, in one SQLite
 * database (WAL, synchronous=FULL). Every call is a transaction of its own unless one was begun.
 *
 * Errors: Exists for a name that is taken, Busy for something that is still referred to, NotFound
 * for a row that is not there, NoSpace, Failed.
 */
#pragma once

#include "common/common.h"

typedef struct _BangerStore BangerStore;
void banger_store_close (BangerStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerStore, banger_store_close)

/* Opens or makes the database at @path and brings its schema up to ours. A database of a newer
 * schema is refused and left as it is. */
BangerStore *banger_store_open (const char *path, GError **error);
typedef enum {
  BANGER_STORE_EMPTY, /* there is none, or it holds no table */
  BANGER_STORE_FINE,
  BANGER_STORE_DAMAGED, /* it is none, or its pages do not fit together */
} BangerStoreCondition;

/* Of the database at @path, which is left as it is; @cause is set for a damaged one. */
BangerStoreCondition banger_store_inspect (const char *path, char **cause);
/* Renames a database, so that another can be made in its place. The new path; never over a file. */
char *banger_store_set_aside (const char *path, GError **error);

/* The schema that this program writes. */
int banger_store_schema_version (void);

/* Several calls as one. Freed without a commit, it is rolled back. They do not nest. */
typedef struct _BangerTransaction BangerTransaction;
BangerTransaction *banger_store_begin (BangerStore *store, GError **error);
gboolean banger_transaction_commit (BangerTransaction *transaction, GError **error);
void banger_transaction_free (BangerTransaction *transaction);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerTransaction, banger_transaction_free)

/* VMs */

typedef struct {
  char *id;
  char *name;
  uid_t owner_uid;
  BangerVmState state;
  char *image_id;
  char *kernel_id;
  char *backend;
  guint vcpus;
  guint64 memory_bytes;
  guint64 disk_bytes;
  guint64 work_bytes;
  BangerRoot root;
  BangerNetwork network;
  char **published; /* as the property on the bus; never NULL */
  BangerRestart restart;
  guint restarts;       /* by the restart policy, since somebody started it */
  gint64 next_start_at; /* UTC seconds; 0: the restart policy has nothing to do */
  gboolean autostart;
  char **pending; /* keys of Set that wait for a restart; never NULL */
  BangerExitReason last_exit;
  GHashTable *labels; /* string to string; never NULL */
  gint64 created_at;  /* UTC seconds */
  gint64 started_at;  /* UTC seconds; 0: never */
  GError *failure;    /* the last one, NULL: never */
  gint64 failed_at;   /* UTC seconds */
} BangerVmRecord;

BangerVmRecord *banger_vm_record_new (void);
BangerVmRecord *banger_vm_record_copy (const BangerVmRecord *record);
void banger_vm_record_free (BangerVmRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerVmRecord, banger_vm_record_free)

/* All of them, oldest first; elements are freed with the array. */
GPtrArray *banger_store_list_vms (BangerStore *store, GError **error);
gboolean banger_store_add_vm (BangerStore *store, const BangerVmRecord *record, GError **error);
/* Writes all but id, owner, image, backend, root, creation and labels. */
gboolean banger_store_update_vm (BangerStore *store, const BangerVmRecord *record, GError **error);
gboolean
banger_store_update_vm_labels (BangerStore *store, const BangerVmRecord *record, GError **error);
gboolean banger_store_remove_vm (BangerStore *store, const char *id, GError **error);

/* Images and kernels */

typedef struct {
  BangerObjectKind kind; /* image or kernel */
  char *id;
  char *name;
  uid_t owner_uid;
  gboolean shared;
  BangerAssetState state;
  char *release; /* of a kernel; empty for images */
  char *digest;
  guint64 size_bytes;
  guint64 allocated_bytes;
  GVariant *defaults; /* of an image (a{sv}, as the property on the bus); never NULL */
  gint64 edited_at;   /* of an image, UTC seconds; 0: it is as it was imported */
  guint64 entries;    /* of an image: names that it holds; 0: not known */
  GVariant *facts;    /* of a kernel (a{sv}): the properties Facts and Capabilities on the bus, the
                       * latter as "capabilities"; never NULL */
  gint64 created_at;  /* UTC seconds */
} BangerAssetRecord;

BangerAssetRecord *banger_asset_record_new (BangerObjectKind kind);
void banger_asset_record_free (BangerAssetRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerAssetRecord, banger_asset_record_free)

GPtrArray *banger_store_list_assets (BangerStore *store, BangerObjectKind kind, GError **error);
gboolean
banger_store_add_asset (BangerStore *store, const BangerAssetRecord *record, GError **error);
/* Writes all but id, owner, defaults and creation. */
gboolean
banger_store_update_asset (BangerStore *store, const BangerAssetRecord *record, GError **error);
/* Busy while a VM refers to it. */
gboolean banger_store_remove_asset (BangerStore *store, BangerObjectKind kind, const char *id,
                                    GError **error);

/* Jobs */

typedef struct {
  char *id;
  char *kind;
  BangerObjectKind object_kind;
  char *object_id;
  char *object_name; /* when the job began; empty: not known */
  BangerJobState state;
  char *stage;
  uid_t started_by;
  gint64 started_at; /* UTC seconds */
} BangerJobRecord;

void banger_job_record_free (BangerJobRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerJobRecord, banger_job_record_free)

GPtrArray *banger_store_list_jobs (BangerStore *store, GError **error);
gboolean banger_store_add_job (BangerStore *store, const BangerJobRecord *record, GError **error);
/* Writes state and stage. Not synced when only the stage is new: after a crash it is a detail. */
gboolean
banger_store_update_job (BangerStore *store, const BangerJobRecord *record, GError **error);
gboolean banger_store_remove_job (BangerStore *store, const char *id, GError **error);

/* Intents: what is about to be taken from the host. On the disk when add returns. */

typedef enum {
  BANGER_INTENT_VM_DIR,
  BANGER_INTENT_IMAGE_DIR,
  BANGER_INTENT_KERNEL_DIR,
  BANGER_INTENT_RUN_DIR,
  BANGER_INTENT_MONITOR,
} BangerIntentKind;

typedef struct {
  gint64 id;
  char *job_id;
  BangerIntentKind kind;
  char *object_id;
  char *detail;
} BangerIntent;

void banger_intent_free (BangerIntent *intent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerIntent, banger_intent_free)

GPtrArray *banger_store_list_intents (BangerStore *store, GError **error);
gboolean banger_store_add_intent (BangerStore *store, const char *job_id, BangerIntentKind kind,
                                  const char *object_id, const char *detail, GError **error);
/* That there is none is no error. */
gboolean banger_store_clear_intent (BangerStore *store, BangerIntentKind kind,
                                    const char *object_id, GError **error);
gboolean banger_store_has_intent (BangerStore *store, BangerIntentKind kind, const char *object_id);

/* Settings */

#define BANGER_SETTING_DEFAULT_IMAGE "default-image"
#define BANGER_SETTING_DEFAULT_KERNEL "default-kernel"
/* The boot of the host for which VMs with autostart were started (the kernel's boot id). */
#define BANGER_SETTING_AUTOSTARTED "autostarted"

/* NULL without an error if it is not set. */
char *banger_store_get_setting (BangerStore *store, const char *key, GError **error);
/* @value NULL unsets it. */
gboolean
banger_store_set_setting (BangerStore *store, const char *key, const char *value, GError **error);
