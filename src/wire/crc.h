/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CRC-32 of IEEE 802.3, eight bytes at a step: the guest may run without KVM. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
  uint32_t table[8][256];
} BangerCrc;

void banger_crc_init (BangerCrc *crc);
/* @value: 0, or the result for the bytes before these. */
uint32_t
banger_crc_update (const BangerCrc *crc, uint32_t value, const uint8_t *bytes, size_t length);
