/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why a kernel is refused: each reason with what would mend it. */
#pragma once

#include <glib.h>

#define BANGER_KERNEL_TAKE "take Debian's linux-image-cloud-amd64"

typedef enum {
  BANGER_REFUSAL_NO_KERNEL,
  BANGER_REFUSAL_OLD,
  BANGER_REFUSAL_CUT,
  BANGER_REFUSAL_SIZE,
  BANGER_REFUSAL_LARGE,
  BANGER_REFUSAL_OTHER_SIZE,
  BANGER_REFUSAL_NO_ELF,
  BANGER_REFUSAL_32_BIT,
  BANGER_REFUSAL_MACHINE,
  BANGER_REFUSAL_SEGMENTS,
  BANGER_REFUSAL_NO_PVH,
  BANGER_REFUSAL_PVH_ENTRY,
  BANGER_REFUSAL_NO_VERSION,
  BANGER_REFUSAL_CONFIG_SIZE,
  BANGER_REFUSAL_NO_ACPI,
} BangerRefusal;

#define BANGER_N_REFUSALS (BANGER_REFUSAL_NO_ACPI + 1)

const char *banger_refusal_cause (BangerRefusal refusal);
const char *banger_refusal_hint (BangerRefusal refusal);
/* Sets BadImage with @stage; FALSE, for the caller to return. */
gboolean banger_kernel_refuse (BangerRefusal refusal, const char *stage, GError **error);

/* What must be built in, as it is needed before any module or cannot be one; ends with a NULL
 * option. @lost: the kernel ... */
typedef struct {
  const char *option;
  const char *lost;
} BangerNeededOption;

extern const BangerNeededOption banger_needed_options[];
