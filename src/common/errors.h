/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one error domain. A code's nick is the last part of its D-Bus name, so that one table is the
 * source of both. Besides its message an error carries where known the stage it happened in, its
 * cause and a hint; they travel in error dictionaries (a{sv}) and in D-Bus error messages.
 */
#pragma once

#include <gio/gio.h>

typedef enum {
  BANGER_ERROR_FAILED,
  BANGER_ERROR_NOT_FOUND,
  BANGER_ERROR_EXISTS,
  BANGER_ERROR_INVALID_ARGUMENT,
  BANGER_ERROR_BUSY,
  BANGER_ERROR_WRONG_STATE,
  BANGER_ERROR_NOT_AUTHORIZED,
  BANGER_ERROR_NOT_AUTHORIZED_CAN_OBTAIN,
  BANGER_ERROR_NOT_AUTHORIZED_DISMISSED,
  BANGER_ERROR_NOT_SUPPORTED,
  BANGER_ERROR_HOST_NOT_READY,
  BANGER_ERROR_NO_SPACE,
  BANGER_ERROR_BAD_IMAGE,
  BANGER_ERROR_TIMEOUT,
  BANGER_ERROR_CANCELLED,
  BANGER_ERROR_INTERRUPTED,
  BANGER_ERROR_GUEST_UNREACHABLE,
} BangerErrorCode;

#define BANGER_N_ERRORS (BANGER_ERROR_GUEST_UNREACHABLE + 1)
#define BANGER_ERROR (banger_error_quark ())
GQuark banger_error_quark (void);

/* "NotFound" and its like. */
const char *banger_error_nick (BangerErrorCode code);

/* Sets @error. @stage, @cause and @hint may be NULL. The message is one line that names the object
 * and what could not be done: "vm 'foo': cannot start: image 'bar' is missing". */
void banger_set_error (GError **error, BangerErrorCode code, const char *stage, const char *cause,
                       const char *hint, const char *format, ...) G_GNUC_PRINTF (6, 7);
/* As above, with the text of errno value @errnum as the cause; ENOSPC and EDQUOT become NoSpace. */
void banger_set_error_errno (GError **error, int errnum, const char *stage, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
/* As above, where what was written is the service's own: whose disk is full is not seen by callers,
 * so the hint says it. */
void banger_set_error_state (GError **error, int errnum, const char *stage, const char *format, ...)
    G_GNUC_PRINTF (4, 5);
#define BANGER_HINT_STATE_ROOM "make room on the file system that holds banger's state"

/* Parts of @error: NULL where unknown or of another domain. Owned by the error. */
const char *banger_error_stage (const GError *error);
const char *banger_error_cause (const GError *error);
const char *banger_error_hint (const GError *error);
/* Any error as one of ours: G_IO_ERROR_CANCELLED and its like keep their meaning. Takes @error. */
GError *banger_error_adopt (GError *error);
/* Has @error's message begin with @label, "vm 'foo'", unless it names that object itself. */
void banger_error_name_object (GError **error, const char *label);
/* Sets the stage of @error, made ours first, if it has none. */
void banger_error_set_stage (GError **error, const char *stage);

/* The error dictionary (a{sv}, floating); empty for NULL. */
GVariant *banger_error_to_variant (const GError *error);
/* NULL for an empty dictionary; unknown names become Failed. Never trusts the shapes; each text
 * becomes one line without control characters. */
GError *banger_error_from_variant (GVariant *dictionary);

/* Name and message for a D-Bus error reply; the message holds cause and hint in lines below. */
const char *banger_error_dbus_name (const GError *error);
char *banger_error_dbus_message (const GError *error);
/* What a client received, as one of ours: undoes the two above; takes @error. Errors that are not
 * ours come back as they are. */
GError *banger_error_from_dbus (GError *error);
