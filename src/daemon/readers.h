/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The jobs that read the files of an image. Whoever may use it may read it, as slowly as they like;
 * that keeps its owner neither from deleting nor from changing it. */
#pragma once

#include "asset.h"

/* @job reads the files of @asset until it is left. */
void banger_readers_enter (BangerAsset *asset, BangerJob *job);
/* The last that the reader does: what waited for its end goes on. */
void banger_readers_leave (BangerAsset *asset, BangerJob *job);

/* Whether no job of @uid's reads it: Busy, as one's own are for oneself to end. */
gboolean banger_readers_check (BangerAsset *asset, uid_t uid, GError **error);
/* Ends all that read it, for the reason @why ("it is being deleted"), and calls back when the last
 * has ended. What works on the asset alone has let nobody else begin since. */
void banger_readers_end_async (BangerAsset *asset, const char *why, GAsyncReadyCallback callback,
                               gpointer data);
