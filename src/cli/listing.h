/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lists of objects: which of them, in which order, with which columns, in which form. Rows are the
 * JSON objects that programs get, so that columns, filters and sorting know nothing else.
 */
#pragma once

#include "output.h"

/* How a member is shown to people; csv has it as it is. */
typedef enum {
  BANGER_CELL_PLAIN,
  BANGER_CELL_SIZE, /* bytes */
  BANGER_CELL_AGE,  /* of an RFC 3339 time */
} BangerCell;

struct _BangerColumn {
  const char *key;    /* as --columns takes it */
  const char *member; /* of the JSON object; NULL: the key */
  const char *header;
  BangerCell cell;
  gboolean usual; /* shown unless --columns says otherwise */
};

/* The columns of each list; they end with a NULL key. The first is what --quiet prints. */
extern const BangerColumn banger_vm_columns[];
extern const BangerColumn banger_image_columns[];
extern const BangerColumn banger_kernel_columns[];
extern const BangerColumn banger_job_columns[];

typedef struct _BangerListing BangerListing;

/* What --format, --json, --quiet, --no-header, --columns, --filter and --sort of @args ask for, by
 * the columns of its command. InvalidArgument where there is no such column. */
BangerListing *banger_listing_new (BangerArgs *args, GError **error);
void banger_listing_free (BangerListing *listing);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerListing, banger_listing_free)

/* Takes a row, the root of an object, unless a filter is against it. */
void banger_listing_add (BangerListing *listing, JsonNode *row);
/* All rows in the form that was asked for; @name is that of their array in JSON and YAML. */
char *banger_listing_format (BangerListing *listing, const char *name);
/* Prints that. */
void banger_listing_print (BangerListing *listing, const char *name);
