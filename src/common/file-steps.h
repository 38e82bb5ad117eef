/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The steps of ReadFiles and EditFiles, a(sa{sv}): a verb and what it takes. bangerd checks their
 * shape, a worker carries them out; org.banger.Banger1.Image.xml says what they mean.
 */
#pragma once

#include <gio/gio.h>

#define BANGER_FILE_STEPS_TYPE "a(sa{sv})"
#define BANGER_FILE_STEPS_MAX 1024
/* Of all steps with what they hold. */
#define BANGER_FILE_STEPS_BYTES (1u << 20)
#define BANGER_FILE_STEPS_FDS 8
#define BANGER_FILE_PATH_MAX 4095

/* InvalidArgument that names what is wrong with which step. @edit: those of EditFiles. @n_fds: how
 * many descriptors came with the call, which values of type h index. */
gboolean banger_file_steps_check (GVariant *steps, gboolean edit, guint n_fds, GError **error);

/* Is @name a step of EditFiles, or of ReadFiles? */
gboolean banger_file_steps_know (const char *name, gboolean edit);
/* "write, unpack, …": all that there are. */
char *banger_file_steps_list (gboolean edit);

/* The path at @key of a step's dictionary, bytes of any encoding; NULL if there is none. */
char *banger_file_step_path (GVariant *args, const char *key);
