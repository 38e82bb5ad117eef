/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel says of an image that was made here, against what banger reads in it. Only images
 * that our own writer made: the kernel's ext4 is no parser for bytes that others wrote. */
#pragma once

#include <glib.h>

/* Whether it can be asked: by root, with loop devices. */
gboolean kernel_oracle_is_there (void);
/* Mounts @image, looks at all that lies in it, and aborts where the two do not say the same. */
void kernel_oracle_compare (int image);
