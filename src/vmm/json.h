/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON that a guest or a VMM wrote: bounded before the library's parser, which recurses, sees it.
 */
#pragma once

#include <json-glib/json-glib.h>

#define BANGER_JSON_DEPTH_MAX 32

/* An object, or NULL with InvalidArgument. */
JsonObject *banger_json_parse_object (const char *text, gsize length, GError **error);

/* Members of the right type, else NULL, @fallback or FALSE. Strings are the object's. */
const char *banger_json_string (JsonObject *object, const char *name);
gint64 banger_json_int (JsonObject *object, const char *name, gint64 fallback);
double banger_json_double (JsonObject *object, const char *name, double fallback);
gboolean banger_json_bool (JsonObject *object, const char *name);
JsonObject *banger_json_object (JsonObject *object, const char *name);
JsonArray *banger_json_array (JsonObject *object, const char *name);
