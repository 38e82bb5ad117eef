/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a command prints. Text from elsewhere is escaped here; results go to standard output,
 * errors and progress to standard error. */
#pragma once

#include "command.h"

#include <json-glib/json-glib.h>

/* Version of every JSON document that is printed; fields are only ever added to a version. */
#define BANGER_JSON_SCHEMA 1

/* The form of what is printed. */
typedef enum {
  BANGER_FORMAT_TABLE, /* for people */
  BANGER_FORMAT_JSON,
  BANGER_FORMAT_YAML,
  BANGER_FORMAT_CSV, /* of lists */
} BangerFormat;

/* The exit status that belongs to an error. */
BangerExit banger_output_status (const GError *error);
/* The error in people's form: "banger: MESSAGE", then indented cause and hint. */
char *banger_output_error_text (const GError *error);
/* The same as a document. */
char *banger_output_error_document (const GError *error, BangerFormat format);
void banger_output_error (const GError *error);
/* Are errors told in people's form? Where they are in a @document only if it goes elsewhere than to
 * the terminal that is there: to a person whose program reads it nothing would be said. */
gboolean banger_output_tells_people (gboolean document);

/* Whether text for people may have colours: @fd is a terminal, and NO_COLOR is not set. */
gboolean banger_output_has_colour (int fd);

/* Rows of columns, each as wide as its widest cell. Cells are escaped. */
typedef struct _BangerTable BangerTable;
BangerTable *banger_table_new (const char *const *headers); /* NULL: no line of headers */
void banger_table_free (BangerTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerTable, banger_table_free)
/* Takes the cells, as many as there are headers (or as in the first row). */
void banger_table_add (BangerTable *table, char *first, ...) G_GNUC_NULL_TERMINATED;
/* Takes a whole row. */
void banger_table_add_row (BangerTable *table, GStrv cells);
char *banger_table_format (BangerTable *table);
void banger_table_print (BangerTable *table);

/* What --format and --json ask for. */
gboolean banger_args_format (BangerArgs *args, BangerFormat *format, GError **error);
/* Do they ask for something that is not for people? */
gboolean banger_args_wants_document (BangerArgs *args);

/* @document, an object, as JSON or YAML. */
char *banger_document_format (JsonNode *document, BangerFormat format);
/* Prints @document as --format, --json or --property ask, or sets @for_people: then it is for the
 * caller to print. */
gboolean
banger_document_print (BangerArgs *args, JsonNode *document, gboolean *for_people, GError **error);

/* A document: an object with "schema" first. banger_json_end ends it; banger_json_print prints it,
 * too. */
JsonBuilder *banger_json_new (void);
JsonBuilder *banger_json_row (void); /* the same without "schema": a part of another document */
JsonNode *banger_json_end (JsonBuilder *json);
void banger_json_print (JsonBuilder *json);
char *banger_json_format (JsonBuilder *json);
void banger_json_string (JsonBuilder *json, const char *key, const char *value); /* NULL: null */
/* An array; NULL: null. */
void banger_json_strings (JsonBuilder *json, const char *key, const char *const *values);
void banger_json_number (JsonBuilder *json, const char *key, guint64 value);
void banger_json_flag (JsonBuilder *json, const char *key, gboolean value);
/* RFC 3339; null for 0. */
void banger_json_time (JsonBuilder *json, const char *key, guint64 utc_seconds);
/* The value of a member: a{sv} (NULL: an empty one), its keys in snake_case. */
void banger_json_dictionary (JsonBuilder *json, GVariant *dictionary);
/* An error dictionary as an object, null if it is empty. */
void banger_json_error (JsonBuilder *json, const char *key, GVariant *dictionary);

/* Prints one line of text made by us, in the locale's encoding. */
void banger_output_line (const char *format, ...) G_GNUC_PRINTF (1, 2);
