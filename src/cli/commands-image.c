/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: images. */
#include "table.h"

#include <glib/gi18n.h>

static const BangerOption import_options[] = {
  VALUE ("user", 0, TEXT, NOTHING, N_ ("USER"),
         N_ ("the guest's user that commands run as unless they are told otherwise")),
  VALUE ("cwd", 0, TEXT, NOTHING, N_ ("DIR"), N_ ("the directory that they run in")),
  VALUE ("env", 0, LIST, NOTHING, N_ ("KEY=VALUE"),
         N_ ("a variable of their environment; may be given several times")),
  FLAG ("default", 0, N_ ("make it the default for new VMs")),
  NO_WAIT,
  FLAG ("quiet", 'q', N_ ("print the name only")),
  FORMS,
  END,
};

static const BangerOption delete_options[] = { ALL, YES, NO_WAIT, FORMS, END };

const BangerCommand banger_commands_image[] = {
  { "image",
    "import",
    N_ ("NAME FILE|-"),
    2,
    2,
    { BANGER_COMPLETE_NOTHING, BANGER_COMPLETE_FILE },
    import_options,
    N_ ("make an image from a root file system's archive"),
    N_ ("FILE is a tar archive of a root file system, plain or compressed; - reads standard "
        "input. Ctrl-C cancels: nothing of the image is left then."),
    .run = banger_image_import },
  { "image", "list", "", 0, 0, NONE, banger_options_list, N_ ("list images"), NULL,
    .columns = banger_image_columns, .run = banger_asset_list },
  { "image", "show", N_ ("NAME"), 1, 1, ONE (IMAGE), banger_options_show, N_ ("show an image"),
    NULL, .run = banger_asset_show },
  { "image", "delete", N_ ("NAME...|--all"), 0, ANY, NAMES (IMAGE), delete_options,
    N_ ("delete images"), NULL, .run = banger_asset_delete },
  { "image", "rename", N_ ("NAME NEW"), 2, 2, ONE (IMAGE), banger_options_forms,
    N_ ("give an image another name"), NULL, .run = banger_asset_rename },
  { "image", "share", N_ ("NAME"), 1, 1, ONE (IMAGE), banger_options_forms,
    N_ ("offer an image to everybody"), N_ ("Every user of this service can then make VMs of it."),
    .run = banger_asset_share },
  { "image", "unshare", N_ ("NAME"), 1, 1, ONE (IMAGE), banger_options_forms,
    N_ ("take back an image that was shared"),
    N_ ("VMs that others have made of it stay. On the system's service it is no longer the default "
        "either."),
    .run = banger_asset_unshare },
  { "image", "promote", N_ ("NAME"), 1, 1, ONE (IMAGE), banger_options_forms,
    N_ ("make an image the default for new VMs"),
    N_ ("On the system's service it is everybody's default, so it must be shared."),
    .run = banger_asset_promote },
  { .verb = NULL },
};
