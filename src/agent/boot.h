/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the kernel's hand-over to the init's: pid 1 in the initramfs. */
#pragma once

/* Boots the guest, leaves the agent running and becomes the image's init, or stays as pid 1 where
 * there is none. Never returns. */
_Noreturn void agent_boot (void);
