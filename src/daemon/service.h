/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all of bangerd shares: the bus, the store, the folders and the objects by id. */
#pragma once

#include "auth.h"
#include "properties.h"
#include "common/common.h"
#include "common/configuration.h"
#include "store/store.h"

#include <gio/gio.h>

typedef struct _BangerVm BangerVm;
typedef struct _BangerAsset BangerAsset;
typedef struct _BangerJob BangerJob;

typedef struct {
  BangerMode mode;
  BangerConfig *config;
  GDBusConnection *connection;
  BangerAuth *auth;
  BangerStore *store;
  char *state_path;
  char *runtime_path;
  int state_fd;
  int runtime_fd;
  int lock_fd;
  GDBusObjectManagerServer *objects;
  GDBusInterfaceSkeleton *manager;
  BangerProperties *properties; /* once it is on the bus */
  GHashTable *vms;              /* id to BangerVm */
  GHashTable *images;           /* id to BangerAsset */
  GHashTable *kernels;          /* id to BangerAsset */
  GHashTable *jobs;             /* id to BangerJob */
  GArray *workers_running;      /* of BangerPlace */
  GQueue *workers_waiting;      /* of GTask, see worker-client.c */
  GPtrArray *workers;           /* of GTask: those that run */
  guint stall_timer;
} BangerService;

/* Takes the lock, opens the store and makes the folders; objects come with banger_reconcile_async.
 * Busy if another bangerd holds this state, Failed if it lost its database. */
BangerService *banger_service_new (BangerMode mode, GDBusConnection *connection, GError **error);
/* Puts the Manager and all objects on the bus, where they can be called by our unique name: not
 * before they are reconciled. */
gboolean banger_service_export (BangerService *service, GError **error);
void banger_service_free (BangerService *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerService, banger_service_free)

/* NULL if there is none. */
BangerVm *banger_service_vm (BangerService *service, const char *id);
BangerAsset *banger_service_asset (BangerService *service, BangerObjectKind kind, const char *id);
BangerJob *banger_service_job (BangerService *service, const char *id);
/* By name, else by id. NotFound. */
BangerVm *banger_service_find_vm (BangerService *service, const char *name, GError **error);
BangerAsset *banger_service_find_asset (BangerService *service, BangerObjectKind kind,
                                        const char *name, GError **error);

/* @name checked, or where it is empty a fresh one made, that no object of @kind has. Exists. */
char *banger_service_choose_name (BangerService *service, BangerObjectKind kind, const char *name,
                                  GError **error);
/* The default image or kernel, NULL if there is none. */
BangerAsset *banger_service_default (BangerService *service, BangerObjectKind kind);
/* Reads the defaults from the store into the Manager's properties. */
void banger_service_announce_defaults (BangerService *service);
