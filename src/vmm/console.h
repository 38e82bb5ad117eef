/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guest's console in its log file: the newest part of at most BANGER_CONSOLE_MAX bytes. */
#pragma once

#include <glib.h>

#define BANGER_CONSOLE_MAX 1048576

typedef struct BangerConsole BangerConsole;

/* Empties the file that @fd is open on, and opens it anew for itself. */
BangerConsole *banger_console_new (int fd, GError **error);
void banger_console_write (BangerConsole *console, const guint8 *bytes, gsize length);
/* A descriptor to read what the file holds and, with @follow, what comes until the end. */
int banger_console_open (BangerConsole *console, gboolean follow, GError **error);
/* Nothing more comes: readers get what is there, then the end. @read is called when all have. */
typedef void (*BangerConsoleFunc) (gpointer data);
void banger_console_finish (BangerConsole *console, BangerConsoleFunc read, gpointer data);
/* Readers that have not got all yet. */
guint banger_console_readers (BangerConsole *console);
/* The last @length bytes, or what there is. */
GBytes *banger_console_tail (BangerConsole *console, gsize length);
void banger_console_free (BangerConsole *console);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerConsole, banger_console_free)
