/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Images and kernels on the bus: alike in all but how they are made and where they are used. */
#pragma once

#include "forget.h"
#include "job.h"

struct _BangerAsset {
  BangerService *service;
  BangerAssetRecord *record; /* as the store has it */
  char *path;
  GDBusInterfaceSkeleton *iface;
  BangerJob *job;       /* that works on it alone, or NULL */
  GPtrArray *readers;   /* of BangerJob: those that read its files, see readers.h */
  GTask *unread;        /* of what waits for their end, or NULL */
  char *unsettled;      /* why the host could not recover it, which is tried again; or NULL */
  BangerForget *forget; /* its files have gone, its row is to go; or NULL */
};

/* Takes @record, which the store has, and puts it on the bus. */
BangerAsset *banger_asset_publish (BangerService *service, BangerAssetRecord *record);
/* Takes it off the bus and frees it. */
void banger_asset_withdraw (BangerAsset *asset);
void banger_asset_free (BangerAsset *asset);

/* Of its folder, and of the default among its kind. */
BangerIntentKind banger_asset_intent (BangerObjectKind kind);
const char *banger_asset_setting (BangerObjectKind kind);
const char *banger_asset_name (BangerAsset *asset);
void banger_asset_describe (BangerAsset *asset, BangerAuthObject *object);
/* Announces what the record says now, after it was stored. */
void banger_asset_announce (BangerAsset *asset);
/* Whether @uid may make VMs of it: NotAuthorized, WrongState. */
gboolean banger_asset_check_usable (BangerAsset *asset, uid_t uid, GError **error);
/* Whether its files may be read by who is authorised to: WrongState, Busy. Who begins to enters
 * among its readers. */
gboolean banger_asset_check_readable (BangerAsset *asset, GError **error);
/* Whether nothing works on it, no job of @uid's reads it and no VM has its files below its own.
 * The jobs of others that read it are to be ended first. */
gboolean banger_asset_check_editable (BangerAsset *asset, uid_t uid, GError **error);
/* Stores @changed in place of the record and announces it. Takes @changed. */
gboolean banger_asset_change (BangerAsset *asset, BangerAssetRecord *changed, GError **error);
BangerAssetRecord *banger_asset_copy_record (const BangerAsset *asset);
/* The VM that uses it, or NULL. */
BangerVm *banger_asset_user (BangerAsset *asset);

/* Removes the files, then the row and its intent, then withdraws it. Takes the error that @job
 * ends with (NULL: it is done). */
void banger_asset_remove (BangerAsset *asset, BangerJob *job, GError *outcome);
