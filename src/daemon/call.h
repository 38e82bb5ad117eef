/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way of every method call: options are checked, the caller is authorised, then the method's
 * function runs. Objects may have gone in between, so functions look them up by id.
 */
#pragma once

#include "service.h"

typedef struct {
  BangerService *service;
  GDBusMethodInvocation *invocation;
  BangerObjectKind kind;
  char *id; /* of the object that was called; NULL: the manager */
  uid_t uid;
  GVariant *params; /* borrowed */
} BangerCall;

typedef struct {
  const char *name;
  const char *type;
} BangerOption;

/* Takes the call: ends with one of the functions below, at once or later. */
typedef void (*BangerMethodFunc) (BangerCall *call);

typedef struct {
  const char *name;
  BangerMethodFunc func;       /* NULL: not supported in this version */
  const BangerOption *options; /* ends with { NULL }; NULL: there are none */
} BangerMethod;

/* Each ends with { NULL }. */
extern const BangerMethod banger_manager_methods[];
extern const BangerMethod banger_vm_methods[];
extern const BangerMethod banger_image_methods[];
extern const BangerMethod banger_kernel_methods[];
extern const BangerMethod banger_job_methods[];

/* The row of @method, NULL if there is none. */
const BangerMethod *banger_method_find (BangerObjectKind kind, const char *method);
/* InvalidArgument that names what is not among @allowed or has another type. */
gboolean banger_options_check (const BangerOption *allowed, GVariant *options, GError **error);

/* Serves an interface of the object of @kind and @id: its methods come through here. */
GDBusInterfaceSkeleton *
banger_interface_new (BangerService *service, BangerObjectKind kind, const char *id);

/* The options, full reference. */
GVariant *banger_call_options (BangerCall *call);
/* The descriptor that parameter @index (h) names, for the caller to close; -1 with an error. */
int banger_call_get_fd (BangerCall *call, gint32 handle, GError **error);
/* The object that was called; NULL if it has gone: the call has then been answered. */
BangerVm *banger_call_vm (BangerCall *call);
BangerAsset *banger_call_asset (BangerCall *call);
BangerJob *banger_call_job (BangerCall *call);

/* Has @error name the object that the call is about, as people know it; for CreateVM and imports
 * the one that is to be made, where the call gives it a name. */
void banger_call_name_object (BangerCall *call, GError **error);
/* Answer and free @call. A message that begins with "option 'KEY'" is given the object's name.
 * @value may be NULL; floating is taken. */
void banger_call_return (BangerCall *call, GVariant *value);
void banger_call_return_fds (BangerCall *call, GVariant *value, GUnixFDList *fds);
/* Takes @error. */
void banger_call_fail (BangerCall *call, GError *error);
