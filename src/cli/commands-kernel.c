/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: kernels. */
#include "table.h"

#include <glib/gi18n.h>

static const BangerOption import_options[] = {
  VALUE ("vmlinuz", 0, TEXT, FILE, N_ ("FILE"), N_ ("a bzImage or vmlinux, instead of a package")),
  VALUE ("modules", 0, TEXT, FILE, N_ ("DIR|FILE"),
         N_ ("its modules: a directory such as /lib/modules/6.1.0-1-amd64, an archive of it, or a "
             "Debian package")),
  VALUE ("tree", 0, TEXT, FILE, N_ ("DIR|TAR"),
         N_ ("take it from a root file system with boot/ and lib/modules/: a directory or an "
             "archive")),
  VALUE ("release", 0, TEXT, NOTHING, N_ ("RELEASE"), N_ ("which kernel of the tree")),
  FLAG ("host", 0, N_ ("take the kernel that this host runs")),
  FLAG ("default", 0, N_ ("make it the default for new VMs")),
  NO_WAIT,
  FLAG ("quiet", 'q', N_ ("print the name only")),
  FORMS,
  END,
};

static const BangerOption delete_options[] = { ALL, YES, NO_WAIT, FORMS, END };

const BangerCommand banger_commands_kernel[] = {
  { "kernel",
    "import",
    N_ ("NAME [FILE]"),
    1,
    2,
    { BANGER_COMPLETE_NOTHING, BANGER_COMPLETE_FILE },
    import_options,
    N_ ("take a kernel with its modules"),
    N_ ("FILE is a Debian linux-image package; - reads standard input. Instead of it, --vmlinuz "
        "names a kernel. Where modules come apart, --modules names them: a directory, named as the "
        "kernel's release, a tar archive with paths below lib/modules/RELEASE or RELEASE, or a "
        "Debian package. Or --tree or --host has both: boot/vmlinuz-RELEASE, boot/config-RELEASE "
        "and lib/modules/RELEASE. What the kernel can do shows in 'kernel show'; one that cannot "
        "boot a guest is refused, with what would mend it."),
    .run = banger_kernel_import },
  { "kernel", "list", "", 0, 0, NONE, banger_options_list, N_ ("list kernels"), NULL,
    .columns = banger_kernel_columns, .run = banger_asset_list },
  { "kernel", "show", N_ ("NAME"), 1, 1, ONE (KERNEL), banger_options_show, N_ ("show a kernel"),
    NULL, .run = banger_asset_show },
  { "kernel", "delete", N_ ("NAME...|--all"), 0, ANY, NAMES (KERNEL), delete_options,
    N_ ("delete kernels"), NULL, .run = banger_asset_delete },
  { "kernel", "rename", N_ ("NAME NEW"), 2, 2, ONE (KERNEL), banger_options_forms,
    N_ ("give a kernel another name"), NULL, .run = banger_asset_rename },
  { "kernel", "share", N_ ("NAME"), 1, 1, ONE (KERNEL), banger_options_forms,
    N_ ("offer a kernel to everybody"), N_ ("Every user of this service can then make VMs of it."),
    .run = banger_asset_share },
  { "kernel", "unshare", N_ ("NAME"), 1, 1, ONE (KERNEL), banger_options_forms,
    N_ ("take back a kernel that was shared"),
    N_ ("VMs that others have made of it stay. On the system's service it is no longer the default "
        "either."),
    .run = banger_asset_unshare },
  { "kernel", "promote", N_ ("NAME"), 1, 1, ONE (KERNEL), banger_options_forms,
    N_ ("make a kernel the default for new VMs"),
    N_ ("On the system's service it is everybody's default, so it must be shared."),
    .run = banger_asset_promote },
  { .verb = NULL },
};
