/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One table describes every command: parsing, help, the manual page and completion are made from
 * it, so that they cannot diverge.
 */
#pragma once

#include "client.h"

/* Exit statuses: public, documented in banger(1), never renumbered. */
typedef enum {
  BANGER_EXIT_OK = 0,
  BANGER_EXIT_FAILED = 1,
  BANGER_EXIT_USAGE = 2,
  BANGER_EXIT_NOT_FOUND = 3,
  BANGER_EXIT_CONFLICT = 4,
  BANGER_EXIT_NOT_AUTHORIZED = 5,
  BANGER_EXIT_UNREACHABLE = 6,
  BANGER_EXIT_TIMEOUT = 7,
  BANGER_EXIT_HOST_NOT_READY = 8,
  BANGER_EXIT_INTERRUPTED = 9,
  BANGER_EXIT_NOT_RUN = 127,
  BANGER_EXIT_TRANSPORT = 255,
} BangerExit;

/* Sets of the states of VMs. */
#define BANGER_IN(state) (1u << BANGER_VM_##state)
#define BANGER_STARTABLE (BANGER_IN (STOPPED) | BANGER_IN (FAILED))

/* What completes a word. */
typedef enum {
  BANGER_COMPLETE_NOTHING,
  BANGER_COMPLETE_VM,
  BANGER_COMPLETE_IMAGE,
  BANGER_COMPLETE_KERNEL,
  BANGER_COMPLETE_JOB,
  BANGER_COMPLETE_FILE,
  BANGER_COMPLETE_CP,       /* a file, or VM: of "vm cp" */
  BANGER_COMPLETE_FILES,    /* IMAGE: of "image ls" and its like */
  BANGER_COMPLETE_IMAGE_CP, /* a file, or IMAGE: of "image cp" */
  BANGER_COMPLETE_COMMAND,
  BANGER_COMPLETE_PROGRESS,
  BANGER_COMPLETE_COMPRESSION,
  BANGER_COMPLETE_DISK_FORMAT,
  BANGER_COMPLETE_FORMAT,      /* of a list */
  BANGER_COMPLETE_SHOW_FORMAT, /* of anything else */
  BANGER_COMPLETE_COLUMNS,     /* several, with commas between */
  BANGER_COMPLETE_FILTER,      /* COLUMN=VALUE */
  BANGER_COMPLETE_SORT,        /* [-]COLUMN */
  BANGER_COMPLETE_PROPERTY,
  BANGER_COMPLETE_LABEL,
  BANGER_COMPLETE_LABEL_KEY,
  BANGER_COMPLETE_RESTART,
  BANGER_COMPLETE_NETWORK,
  BANGER_COMPLETE_ROOT,
  BANGER_COMPLETE_BACKEND,
  BANGER_COMPLETE_CONDITION, /* of "vm wait" */
  BANGER_COMPLETE_CHANGE,    /* KEY=VALUE of "vm set", or the name of a VM */
} BangerComplete;

typedef enum {
  BANGER_OPTION_FLAG,
  BANGER_OPTION_TEXT,
  BANGER_OPTION_LIST, /* may be given several times */
  BANGER_OPTION_SIZE,
  BANGER_OPTION_COUNT,  /* 1 to 2^32 - 1 */
  BANGER_OPTION_NUMBER, /* likewise, or 0 */
} BangerOptionType;

typedef struct {
  const char *name;
  char letter; /* 0: none */
  BangerOptionType type;
  BangerComplete complete;
  const char *value; /* the word for the value in help, NULL for a flag */
  const char *summary;
} BangerOption;

typedef struct _BangerArgs BangerArgs;
typedef struct _BangerCommand BangerCommand;
typedef struct _BangerColumn BangerColumn; /* listing.h */

/* Does the command. The status, or with an error set 0 for the one that belongs to the error. */
typedef int (*BangerRunFunc) (BangerClient *client, BangerArgs *args, GError **error);

struct _BangerCommand {
  const char *noun; /* NULL: the verb stands alone */
  const char *verb;
  const char *usage; /* its words after the options, as in "NAME..."; to be translated */
  guint min_words, max_words;
  BangerComplete complete[2];  /* of the first word and of those after it */
  const BangerOption *options; /* ends with a NULL name; may be NULL */
  const char *summary;         /* one line, no full stop */
  const char *details;         /* paragraphs, a blank line between; may be NULL */
  const BangerColumn *columns; /* of a list: what can be shown of each object */
  guint states;                /* of VMs: those that it is for, BANGER_IN; 0: all */
  gboolean raw_tail;           /* after the first word, options end where the next word begins */
  gboolean raw_words;          /* options end where the first word begins */
  gboolean hidden;
  BangerRunFunc run;
};

/* A word that stands for a command. */
typedef struct {
  const char *word, *noun, *verb;
} BangerShorthand;

/* The whole table, NULL-terminated. */
const BangerCommand *const *banger_commands (void);
const BangerShorthand *banger_shorthands (void); /* ends with a NULL word */
const BangerOption *banger_global_options (void);

/* The command that @words begins with; @used is the number of words its name takes. NULL with
 * InvalidArgument and the nearest names as its hint. */
const BangerCommand *banger_command_find (const char *const *words, guint *used, GError **error);
/* A command whose verb is also a shell's word for another one of its noun is that one, unless one
 * of
 * @words, which follow it, names a file by a colon, or a VM: "image rm NAME", but "image rm
 * NAME:PATH" and "image ls --vm NAME". */
const BangerCommand *banger_command_meant (const BangerCommand *command, const char *const *words);
/* "vm create". */
char *banger_command_name (const BangerCommand *command);
/* Its words after the options, for people. */
const char *banger_command_usage (const BangerCommand *command);
/* The words that may stand first, or, for a noun, after it. */
GStrv banger_command_words (const char *noun);
gboolean banger_command_is_noun (const char *word);
/* The words of a shell that may stand for verbs of @noun. */
GStrv banger_command_short_verbs (const char *noun);

/* The key on the bus of what an option says, "disk-bytes" of "disk", and the other way round; the
 * same word where they do not differ. */
const char *banger_option_key (const char *option);
const char *banger_option_of_key (const char *key);

/* Parses what follows the command's name. InvalidArgument with a hint. */
BangerArgs *
banger_args_parse (const BangerCommand *command, const char *const *words, GError **error);
void banger_args_free (BangerArgs *args);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BangerArgs, banger_args_free)

const BangerCommand *banger_args_command (BangerArgs *args);
/* The words that are no options. */
const char *const *banger_args_words (BangerArgs *args);
/* Sets the text of an option that was not given; NULL does nothing. */
void banger_args_default (BangerArgs *args, const char *name, const char *text);
/* Values by name; it is a programming error to ask for an option that the command does not have. */
gboolean banger_args_flag (BangerArgs *args, const char *name);
const char *banger_args_text (BangerArgs *args, const char *name);
const char *const *banger_args_list (BangerArgs *args, const char *name); /* never NULL */
gboolean banger_args_size (BangerArgs *args, const char *name, guint64 *bytes);
gboolean banger_args_count (BangerArgs *args, const char *name, guint32 *count);
/* As above, FALSE, NULL or an empty list for a command without this option. */
gboolean banger_args_has_flag (BangerArgs *args, const char *name);
const char *banger_args_has_text (BangerArgs *args, const char *name);
const char *const *banger_args_has_list (BangerArgs *args, const char *name); /* never NULL */
/* An error of the service's, which is taken, in words of the command line: "option 'disk-bytes'" as
 * "--disk", if the command has that. */
GError *banger_args_explain (BangerArgs *args, GError *error);
/* The command line as it was given, quoted for a shell, with @more behind it: for hints. */
char *banger_args_line (BangerArgs *args, const char *more);
