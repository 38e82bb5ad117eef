/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Disk images: ext4 made in process, tars turned into it, copies and empty disks. Everything works
 * on descriptors of ordinary files; a file named "empty" may be of any length but holds no data.
 * Errors: BadImage where the input is at fault, NoSpace where the disk is full, with stage and
 * cause.
 */
#pragma once

#include "image.h"
#include "register.h"
#include "import.h"
#include "export.h"
#include "used.h"
#include "view.h"
#include "write.h"
