/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answers of the agent's HTTP/1.1: a status, a body of Content-Length or none, or an upgrade.
 * Bounded; whatever else HTTP knows is refused (RFC 9112). */
#pragma once

#include <glib.h>

#define BANGER_HTTP_HEAD_MAX 8192
#define BANGER_HTTP_BODY_MAX 65536

typedef struct BangerHttpReader BangerHttpReader;

BangerHttpReader *banger_http_reader_new (void);
/* Takes bytes cut anywhere. FALSE if they are no acceptable answer. */
gboolean
banger_http_reader_feed (BangerHttpReader *reader, const void *bytes, gsize length, GError **error);
/* The whole answer is here. */
gboolean banger_http_reader_is_done (BangerHttpReader *reader);
int banger_http_reader_status (BangerHttpReader *reader);
/* The body; with status 101 the first bytes after the switch. Not NUL-terminated. */
const guint8 *banger_http_reader_body (BangerHttpReader *reader, gsize *length);
void banger_http_reader_free (BangerHttpReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerHttpReader, banger_http_reader_free)
