/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every other folder may use: names, errors, file descriptors, messages, programs. */
#pragma once

#include "errors.h"
#include "io.h"
#include "channel.h"
#include "bounds.h"
#include "file-steps.h"
#include "names.h"
#include "paths.h"
#include "run.h"
#include "start-error.h"
#include "states.h"
#include "version.h"
