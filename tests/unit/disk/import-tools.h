/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Archives that a test made, imported. */
#pragma once

#include "disk/disk.h"
#include "tar-maker.h"

gboolean import_tar (int tar, int image, GError **error);
gboolean import_bounded (int tar, int image, const BangerDiskLimits *limits, GError **error);
/* Imports what @maker (taken) made, which must succeed and be clean. The image. */
int import_good (TarMaker *maker);
/* Imports @tar, which must be refused as BadImage with a stage, a hint, and @word in message or
 * cause. */
void assert_refused (int tar, const char *word);
void assert_refused_by (int tar, const BangerDiskLimits *limits, const char *word);
void assert_maker_refused (TarMaker *maker, const char *word);
/* A few entries of which one does not compress. */
TarMaker *mixed_tar (int filter);
GByteArray *bytes_of (int fd);

/* Adds @func for every filter that archives come in, which is its data. */
void add_filter_tests (const char *prefix, GTestDataFunc func);
