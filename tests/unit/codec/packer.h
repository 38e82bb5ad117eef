/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Data packed in each way that banger reads. */
#pragma once

#include "codec/codec.h"

/* One member, with the sums that its format can have. */
GBytes *codec_pack (BangerCodec codec, GBytes *data);
/* By a filter of libarchive, such as "gzip". */
GBytes *codec_pack_by_filter (const char *filter, GBytes *data);
GBytes *codec_join (GBytes *first, GBytes *second);
/* In the older format of lz4, which kernels have. */
void codec_append_lz4_legacy (GByteArray *file, GBytes *data);
/* @length bytes that are packed to less than half, always the same. */
GBytes *codec_sample (gsize length);
