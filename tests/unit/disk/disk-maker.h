/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks that tests make, change and read by our own code; all of it must succeed. */
#pragma once

#include "disk/disk.h"

/* An empty file system in a file of no name. */
int new_disk (const char *label, guint64 size);

void add_entry (BangerDiskWriter *writer, const char *path, const BangerDiskMeta *meta);
void finish_image (BangerDiskWriter *writer, const char *label);

BangerDiskView *open_spec (const BangerDiskViewSpec *spec);
/* @lower and @work may be -1. */
BangerDiskView *open_view (int root, int lower, int work, gboolean write);
void finish_view (BangerDiskView *view);
/* A file that holds @text, and a folder; their rights are as they come. */
void write_text (BangerDiskView *view, const char *path, const char *text);
void make_folder (BangerDiskView *view, const char *path);
/* A BangerDiskDataFunc whose data is a GString. */
gboolean append_text (const void *bytes, gsize length, gpointer data, GError **error);
void assert_reads (BangerDiskView *view, const char *path, const char *text);
void
assert_stat_fails (BangerDiskView *view, const char *path, gboolean follow, BangerErrorCode code);
