/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives for tests, written by libarchive into a memory file. */
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <glib.h>

typedef struct {
  struct archive *archive;
  int fd;
} TarMaker;

/* @filter: ARCHIVE_FILTER_NONE and so on. */
TarMaker *tar_maker_new (int filter);
/* The next entry, as root's, of mtime 1700000000; set more on it before tar_maker_put. */
struct archive_entry *tar_maker_entry (const char *path, mode_t mode);
/* Writes @entry (taken) with @data for a regular file, which may be NULL. */
void tar_maker_put (TarMaker *maker, struct archive_entry *entry, const void *data, gsize length);
void tar_maker_file (TarMaker *maker, const char *path, const char *text);
void tar_maker_dir (TarMaker *maker, const char *path);
void tar_maker_symlink (TarMaker *maker, const char *path, const char *target);
void tar_maker_hardlink (TarMaker *maker, const char *path, const char *target);
/* Ends the archive: a descriptor at its start, for the caller to close. Frees @maker. */
int tar_maker_finish (TarMaker *maker);
