/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The service, seen from here. Calls are made by hand and not through the generated proxies: those
 * cannot set the flag that lets polkit ask the user, nor a time limit per call, and one
 * GetManagedObjects answers every listing.
 */
#pragma once

#include "common/common.h"

/* The stage of errors that mean: the service cannot be reached. */
#define BANGER_STAGE_CONNECT "connect"

typedef struct _BangerClient BangerClient;

/* @session: the session bus, else the system bus. Connects at the first call. */
BangerClient *banger_client_new (gboolean session, gboolean interactive);
void banger_client_free (BangerClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerClient, banger_client_free)

gboolean banger_client_is_session (BangerClient *client);

/* Connects and has the service started where it is not. */
gboolean banger_client_connect (BangerClient *client, GError **error);
/* Connects to the bus only; calls do not start the service from now on. */
gboolean banger_client_connect_passive (BangerClient *client, GError **error);
GDBusConnection *banger_client_bus (BangerClient *client);
/* The unique name of the service that was found when connecting; NULL if passive. */
const char *banger_client_owner (BangerClient *client);
/* Does @cause, an error of a call, mean that nobody answers? */
gboolean banger_client_is_unreachable (const GError *cause);

/* Calls a method and waits, however long polkit asks, but not past an interruption that was asked
 * for below. @args may be floating; @reply_type as for g_variant_get; @fds and @out_fds may be
 * NULL. Errors are ours (banger_error_from_dbus), those of the bus too. */
GVariant *banger_client_call (BangerClient *client, const char *path, const char *interface,
                              const char *method, GVariant *args, const char *reply_type,
                              GUnixFDList *fds, GUnixFDList **out_fds, GError **error);
/* As above for a method that answers with one descriptor; -1 with an error. */
int banger_client_call_fd (BangerClient *client, const char *path, const char *interface,
                           const char *method, GVariant *args, GError **error);
/* As above for a method that takes options only and answers with the path of a job. */
char *banger_client_call_job (BangerClient *client, const char *path, const char *interface,
                              const char *method, GVariant *options, GError **error);

/* All properties of one interface (a{sv}). */
GVariant *banger_client_properties (BangerClient *client, const char *path, const char *interface,
                                    GError **error);
/* One string property, "" where it cannot be had: for columns that name another object. */
char *banger_client_name_of (BangerClient *client, const char *path, const char *interface);

/* From now on SIGINT and SIGTERM are counted instead of ending the program. */
void banger_client_catch_interrupts (BangerClient *client);
guint banger_client_interrupts (BangerClient *client);
/* Calls are given up once @cancellable is cancelled, and at the first interruption, which cancels
 * it: for a command that begins nothing. */
void banger_client_set_cancellable (BangerClient *client, GCancellable *cancellable);
/* Counts one that came in another way; from the default main context. */
void banger_client_interrupt (BangerClient *client);

/* One object of a listing. */
typedef struct {
  char *path;
  char *name;           /* "" for a job */
  GVariant *properties; /* a{sv} */
} BangerObject;

/* Every object that there is, by one call (a{oa{sa{sv}}}). */
GVariant *banger_client_objects (BangerClient *client, GError **error);
/* Those of @objects with @interface, by name (jobs by path). */
GPtrArray *banger_objects_select (GVariant *objects, const char *interface);
/* The Names of all those with @interface by path: for lists, which ask for many. */
GHashTable *banger_objects_names (GVariant *objects, const char *interface);
/* The Name of @path in @objects, "" if it is not there. */
char *banger_objects_name (GVariant *objects, const char *path, const char *interface);

/* Values of a{sv}; "" or 0 where they are absent or of another type. Strings are held by
 * @properties until its parts are serialised anew (g_variant_get_data, g_variant_lookup). */
const char *banger_props_string (GVariant *properties, const char *key);
guint64 banger_props_number (GVariant *properties, const char *key); /* u or t */
gboolean banger_props_flag (GVariant *properties, const char *key);
/* NULL where it is absent or of another type; g_free. */
const char **banger_props_strings (GVariant *properties, const char *key);
double banger_props_double (GVariant *properties, const char *key);
/* NULL where it is absent; held until something of another object is asked for. */
GVariant *banger_props_value (GVariant *properties, const char *key);

/* The path of the object of @kind with that name or id. NotFound names near misses. */
char *
banger_client_find (BangerClient *client, BangerObjectKind kind, const char *name, GError **error);
/* "org.banger.Banger1.VM" and its like. */
const char *banger_client_interface (BangerObjectKind kind);
