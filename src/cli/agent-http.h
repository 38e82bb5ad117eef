/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * HTTP/1.1 with the guest's agent over a stream from OpenAgent(1024): one request, one answer. The
 * answer is the guest's word: it is parsed strictly and bounded, and what it says is escaped before
 * people see it.
 */
#pragma once

#include "client.h"

#include <json-glib/json-glib.h>

#define BANGER_HTTP_HEAD_MAX 8192
#define BANGER_HTTP_BODY_MAX (8 << 20)
/* An agent under load takes its time; one that says nothing for so long says nothing. */
#define BANGER_HTTP_SECONDS 60

/* What is read of an answer's head. */
typedef struct {
  guint status;
  gsize length; /* of the body */
} BangerHttpHead;

typedef enum {
  BANGER_HTTP_MORE, /* it is not whole yet */
  BANGER_HTTP_DONE,
  BANGER_HTTP_BAD, /* it is none, or larger than allowed */
} BangerHttpResult;

/* Parses an answer's head at @bytes; @used: how long it is. */
BangerHttpResult
banger_http_parse_head (const char *bytes, gsize length, BangerHttpHead *head, gsize *used);

typedef struct {
  guint status;
  GByteArray *body; /* of status 101: what came after the head, which is another protocol's */
} BangerHttpAnswer;

/* A request that is under way. @done is called once from the default main context, with an answer,
 * which is the callee's to clear, or an error (GuestUnreachable), which is not. Freeing the request
 * before it is done calls nobody. */
typedef struct _BangerHttp BangerHttp;
typedef void (*BangerHttpFunc) (BangerHttpAnswer *answer, const GError *error, gpointer data);

/* @fd: the stream, which stays the caller's; @method: "GET /stats". */
BangerHttp *banger_http_new (int fd, const char *method, const char *headers, BangerHttpFunc done,
                             gpointer data);
void banger_http_free (BangerHttp *http);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerHttp, banger_http_free)
/* Whether @done is still to be called. */
gboolean banger_http_is_pending (BangerHttp *http);
void banger_http_answer_clear (BangerHttpAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (BangerHttpAnswer, banger_http_answer_clear)

/* The same, waiting for the answer so many @seconds. */
gboolean banger_http_ask (int fd, const char *method, const char *headers, guint seconds,
                          BangerHttpAnswer *answer, GError **error);

/* The JSON object in an answer with status 200; else GuestUnreachable with the agent's reason. */
JsonObject *banger_http_json (BangerHttpAnswer *answer, GError **error);

/* A stream to the agent of the VM at @vm, or to another @port of its guest. */
int banger_agent_open (BangerClient *client, const char *vm, guint port, GError **error);
/* Opens a stream, asks "GET @path" and gives what the agent says within so many @seconds. */
JsonObject *banger_agent_get (BangerClient *client, const char *vm, const char *path, guint seconds,
                              GError **error);

/* How many ports an agent is believed to know of. */
#define BANGER_GUEST_PORTS_MAX 4096
/* Whether something listens on the guest's @port; FALSE with an error where the agent does not
 * tell. */
gboolean banger_agent_listens (BangerClient *client, const char *vm, guint port, gboolean *listens,
                               GError **error);

/* Members of the guest's JSON: "" or 0 where they are absent, of another type or out of range. */
const char *banger_member_string (JsonObject *object, const char *key);
gint64 banger_member_number (JsonObject *object, const char *key);
double banger_member_double (JsonObject *object, const char *key);
/* The objects of an array, at most @max; none where it is no array. */
GPtrArray *banger_member_objects (JsonObject *object, const char *key, guint max);
