/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ReadFiles and EditFiles of images and VMs: the steps are checked for their shape here and carried
 * out by a worker. What comes after the call is admitted is in steps-image.c and steps-vm.c.
 */
#pragma once

#include "asset.h"
#include "call.h"
#include "vm.h"

#include <gio/gunixfdlist.h>

typedef struct {
  BangerService *service;
  BangerCall *call; /* until it is answered */
  gboolean edit;
  BangerAsset *image; /* whose files they are about, or */
  BangerVm *vm;
  BangerJob *job;    /* once it is admitted */
  GUnixFDList *fds;  /* for the worker */
  GVariantDict args; /* likewise */
  GError *failure;   /* how the job will end, once that is known */
} BangerSteps;

/* The steps of @call; NULL if they are refused: it is then answered. */
BangerSteps *banger_steps_new (BangerCall *call, gboolean edit);
/* Opens a file of an object for the worker, who knows it as @key. */
gboolean banger_steps_open (BangerSteps *steps, BangerObjectKind kind, const char *id,
                            const char *name, int flags, const char *key, GError **error);
/* Answers the call with @error (taken) and frees @steps. */
void banger_steps_refuse (BangerSteps *steps, GError *error);
/* Stores the job, puts it on the bus and answers the call with it. FALSE: refused, as above. */
gboolean banger_steps_admit (BangerSteps *steps);
/* The worker's arguments and its descriptors; may be taken once. */
GVariant *banger_steps_args (BangerSteps *steps);
GUnixFDList *banger_steps_take_fds (BangerSteps *steps);
/* Takes from a worker's "done" what it says of the steps: the job's Result, and how it ends. */
void banger_steps_take_done (BangerSteps *steps, GVariant *done);
/* Finishes the job with @error (taken), or else the failure that is known; frees @steps. */
void banger_steps_end (BangerSteps *steps, GError *error);

void banger_steps_read_image (BangerCall *call);
void banger_steps_edit_image (BangerCall *call);
void banger_steps_read_vm (BangerCall *call);
void banger_steps_edit_vm (BangerCall *call);

/* Recovers an image that was found marked: until that is done nobody can use it. */
void banger_steps_settle_image (BangerAsset *image);
