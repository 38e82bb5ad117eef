/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "crc.h"

#define POLYNOMIAL 0xedb88320u /* IEEE 802.3, bits reflected */

void
banger_crc_init (BangerCrc *crc)
{
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t value = i;

    for (int bit = 0; bit < 8; bit++)
      value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
    crc->table[0][i] = value;
  }
  for (uint32_t i = 0; i < 256; i++) {
    for (int row = 1; row < 8; row++) {
      uint32_t before = crc->table[row - 1][i];

      crc->table[row][i] = before >> 8 ^ crc->table[0][before & 255];
    }
  }
}

uint32_t
banger_crc_update (const BangerCrc *crc, uint32_t value, const uint8_t *bytes, size_t length)
{
  value = ~value;
  for (; length >= 8; bytes += 8, length -= 8) {
    uint32_t low = value
                   ^ ((uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16
                      | (uint32_t)bytes[3] << 24);

    value = crc->table[7][low & 255] ^ crc->table[6][low >> 8 & 255]
            ^ crc->table[5][low >> 16 & 255] ^ crc->table[4][low >> 24] ^ crc->table[3][bytes[4]]
            ^ crc->table[2][bytes[5]] ^ crc->table[1][bytes[6]] ^ crc->table[0][bytes[7]];
  }
  for (; length > 0; bytes++, length--)
    value = value >> 8 ^ crc->table[0][(value ^ *bytes) & 255];
  return ~value;
}
