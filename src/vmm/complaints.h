/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a child says on its standard error. It is read as it comes, so that the child never waits
 * for us to take it; the last of it is kept. */
#pragma once

#include <glib.h>

/* Bytes of the last lines that are kept. */
#define BANGER_COMPLAINTS_MAX 2048

typedef struct BangerComplaints BangerComplaints;

/* TRUE for a line that tells nobody anything. */
typedef gboolean (*BangerComplaintsNoise) (const char *line);

/* @theirs receives the end that is the child's, to be closed once it has it. @noise may be NULL. */
BangerComplaints *banger_complaints_new (int *theirs, BangerComplaintsNoise noise, GError **error);
/* The last lines that came, behind each other, once the child has ended: what lies in the pipe is
 * read first. Printable ASCII, as it may quote a guest; "" if the child said nothing. */
char *banger_complaints_words (BangerComplaints *complaints);
void banger_complaints_free (BangerComplaints *complaints);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerComplaints, banger_complaints_free)
