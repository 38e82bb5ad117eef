/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "exec.h"

void
banger_exec_write_header (uint8_t *header, BangerExecType type, uint32_t length)
{
  header[0] = (uint8_t)type;
  header[1] = 0;
  header[2] = 0;
  header[3] = 0;
  header[4] = (uint8_t)(length >> 24);
  header[5] = (uint8_t)(length >> 16);
  header[6] = (uint8_t)(length >> 8);
  header[7] = (uint8_t)length;
}

bool
banger_exec_read_header (const uint8_t *header, BangerExecType *type, uint32_t *length)
{
  uint32_t size = (uint32_t)header[4] << 24 | (uint32_t)header[5] << 16 | (uint32_t)header[6] << 8
                  | header[7];

  if (header[0] > BANGER_EXEC_STARTED || header[1] != 0 || header[2] != 0 || header[3] != 0
      || size > BANGER_EXEC_PAYLOAD_MAX)
    return false;
  *type = (BangerExecType)header[0];
  *length = size;
  return true;
}
