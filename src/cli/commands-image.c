/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands: images. */
#include "table.h"

#include <glib/gi18n.h>

static const BangerOption import_options[] = {
  VALUE ("from-dir", 0, TEXT, FILE, N_ ("DIR"),
         N_ ("make it of the directory DIR instead, with all that you can read there")),
  VALUE ("owner", 0, TEXT, NOTHING, N_ ("UID:GID"),
         N_ ("of --from-dir: all files belong to these, such as 0:0")),
  VALUE ("exclude", 0, LIST, NOTHING, N_ ("GLOB"),
         N_ ("of --from-dir: leave out names that match, such as '*.o', or paths below DIR, such "
             "as '/var/cache/*'; may be given several times")),
  VALUE ("partition", 0, COUNT, NOTHING, N_ ("N"),
         N_ ("of a disk image: the partition to take (default: the first that looks like a root)")),
  VALUE ("disk-format", 0, TEXT, DISK_FORMAT, N_ ("FORM"),
         N_ ("of a disk image: auto (as it begins; default), raw or qcow2")),
  FLAG ("keep-fstab", 0,
        N_ ("of a disk image: leave the lines of /etc/fstab that name disks as they are")),
  VALUE ("max-bytes", 0, SIZE, NOTHING, N_ ("SIZE"),
         N_ ("refuse more data than this, holes not counted (default: 32G, at most 256G)")),
  VALUE ("max-entries", 0, COUNT, NOTHING, N_ ("N"),
         N_ ("refuse more files than this (default: 1000000, at most 3000000)")),
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

#define BUSY N_ ("All of one image. It must not be shared, and no VM's overlay may lie over it.")
#define OF_VM FLAG ("vm", 0, N_ ("NAME is that of a stopped VM, not of an image"))
#define QUIET FLAG ("quiet", 'q', N_ ("say nothing if all goes well"))
#define RECURSIVE(letter, summary) FLAG ("recursive", letter, summary)

static const BangerOption ls_options[] = {
  FLAG ("long", 'l', N_ ("type, mode, links, owner, group, size and time before each name")),
  FLAG ("all", 'a', N_ ("names that begin with a dot, too")),
  RECURSIVE ('R', N_ ("and what is below")),
  OF_VM,
  FORMS,
  END,
};

static const BangerOption cat_options[] = { OF_VM, END };

static const BangerOption stat_options[] = {
  FLAG ("follow", 'L', N_ ("of a link what it leads to")),
  OF_VM,
  FORMS,
  END,
};

static const BangerOption mkdir_options[] = {
  FLAG ("parents", 'p', N_ ("those above it, too; it may be there")),
  VALUE ("mode", 'm', TEXT, NOTHING, N_ ("MODE"), N_ ("its permissions (default: 755)")),
  VALUE ("owner", 0, TEXT, NOTHING, N_ ("USER[:GROUP]"), N_ ("whose it is (default: root's)")),
  OF_VM,
  QUIET,
  FORMS,
  END,
};

static const BangerOption rm_options[] = {
  RECURSIVE ('r', N_ ("directories with all that is in them")),
  FLAG ("force", 'f', N_ ("what is not there is no error")),
  OF_VM,
  QUIET,
  FORMS,
  END,
};

static const BangerOption change_options[] = {
  RECURSIVE ('R', N_ ("and of all that is below")), OF_VM, QUIET, FORMS, END,
};

static const BangerOption cp_options[] = {
  RECURSIVE ('r', N_ ("directories with all that is in them")),
  VALUE (
      "owner", 0, TEXT, NOTHING, "USER[:GROUP]|keep",
      N_ ("whose the copies are in the image (default: root's), or the numbers of the originals' "
          "owners")),
  VALUE ("mode", 'm', TEXT, NOTHING, N_ ("MODE"),
         N_ ("permissions of files that are copied into it (default: the originals')")),
  OF_VM,
  END,
};

static const BangerOption edit_options[] = { OF_VM, QUIET, FORMS, END };

static const BangerOption delete_options[] = { ALL, YES, NO_WAIT, FORMS, END };

static const BangerOption export_options[] = {
  FLAG ("raw", 0, N_ ("write the file system itself, not a tar of what is in it")),
  VALUE ("compress", 0, TEXT, COMPRESSION, N_ ("HOW"),
         N_ ("of a tar: none (default), gzip or zstd")),
  FLAG ("force", 0, N_ ("replace a file that is there")),
  END,
};

const BangerCommand banger_commands_image[] = {
  { "image",
    "import",
    N_ ("NAME [FILE|-]"),
    1,
    2,
    { BANGER_COMPLETE_NOTHING, BANGER_COMPLETE_FILE },
    import_options,
    N_ ("make an image from an archive, a disk image or a directory"),
    N_ ("FILE is a tar archive of a root file system, plain or compressed; - reads standard "
        "input. Ctrl-C cancels: nothing of the image is left then.\n\n"
        "FILE may also be a disk image, raw or qcow2, such as distributions offer for clouds: a "
        "regular file that is not compressed, and no pipe. Its "
        "first ext2, ext3 or ext4 that looks like a root is taken. What its /etc/fstab says of "
        "disks becomes comments, as a guest has none of them.\n\n"
        "--from-dir packs a directory on the way, as you: with owners, times, holes, hard links, "
        "extended attributes and access control lists. Sockets are left out, and what lies on "
        "other "
        "file systems that are mounted below; a note says so. A file that you may not read ends "
        "it, "
        "unless it is excluded. With --no-wait all is read first, too."),
    .run = banger_image_import },
  { "image", "list", "", 0, 0, NONE, banger_options_list, N_ ("list images"), NULL,
    .columns = banger_image_columns, .run = banger_asset_list },
  { "image", "show", N_ ("NAME"), 1, 1, ONE (IMAGE), banger_options_show, N_ ("show an image"),
    NULL, .run = banger_asset_show },
  { "image",
    "export",
    N_ ("NAME FILE|-"),
    2,
    2,
    { BANGER_COMPLETE_IMAGE, BANGER_COMPLETE_FILE },
    export_options,
    N_ ("write what an image holds to a file"),
    N_ ("As a tar archive, which 'image import' and GNU tar take, or as the file system that it "
        "is; - writes to standard output. The same image gives the same bytes. FILE has another "
        "name, FILE.part, until it is whole, and only you can read it."),
    .run = banger_image_export },
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
  { "image", "ls", N_ ("NAME:[PATH]"), 1, 1, ONE (FILES), ls_options,
    N_ ("list what is in a directory of an image"),
    N_ ("Nothing is mounted and nothing of the image is run. Without a colon it is short for "
        "'image "
        "list'."),
    .run = banger_image_ls },
  { "image", "cat", N_ ("NAME:PATH..."), 1, ANY, NAMES (FILES), cat_options,
    N_ ("print files of an image"), N_ ("All of one image."), .run = banger_image_cat },
  { "image", "stat", N_ ("NAME:PATH..."), 1, ANY, NAMES (FILES), stat_options,
    N_ ("show all that is known of files of an image"), N_ ("All of one image."),
    .run = banger_image_stat },
  { "image", "mkdir", N_ ("NAME:PATH..."), 1, ANY, NAMES (FILES), mkdir_options,
    N_ ("make directories in an image"), BUSY, .run = banger_image_mkdir },
  { "image", "rm", N_ ("NAME:PATH..."), 1, ANY, NAMES (FILES), rm_options,
    N_ ("remove files of an image"),
    N_ ("All of one image. It must not be shared, and no VM's overlay may lie over it. Without a "
        "colon it is short for 'image delete'."),
    .run = banger_image_rm },
  { "image",
    "chown",
    N_ ("USER[:GROUP] NAME:PATH..."),
    2,
    ANY,
    { BANGER_COMPLETE_NOTHING, BANGER_COMPLETE_FILES },
    change_options,
    N_ ("give files of an image to another user"),
    N_ ("USER and GROUP are numbers, or names that the image's own /etc/passwd and /etc/group "
        "have. "
        "Files lose setuid, setgid and capabilities."),
    .run = banger_image_chown },
  { "image",
    "chmod",
    N_ ("MODE NAME:PATH..."),
    2,
    ANY,
    { BANGER_COMPLETE_NOTHING, BANGER_COMPLETE_FILES },
    change_options,
    N_ ("change the permissions of files of an image"),
    N_ ("MODE is octal, such as 644."),
    .run = banger_image_chmod },
  { "image",
    "cp",
    N_ ("SOURCE... TARGET"),
    2,
    ANY,
    { BANGER_COMPLETE_IMAGE_CP, BANGER_COMPLETE_IMAGE_CP },
    cp_options,
    N_ ("copy files into an image, or out of it"),
    N_ ("Either all sources or the target are NAME:PATH, of one image; the others are files here. "
        "- "
        "is a tar archive on standard input or output. Files keep times, modes, links, attributes "
        "and holes where they come as archives: directories, and all that is copied out."),
    .run = banger_image_cp },
  { "image",
    "edit",
    N_ ("NAME [FILE|-]"),
    1,
    2,
    { BANGER_COMPLETE_IMAGE, BANGER_COMPLETE_FILE },
    edit_options,
    N_ ("change an image by many steps at once"),
    N_ ("Each line of FILE, or of standard input, is a step: a verb and what it takes, in the "
        "quotes "
        "of a shell, which end on that line; # begins a comment. It is faster than as many "
        "commands. A step that fails "
        "ends "
        "it, and those before it stay.\n\n"
        "write path=PATH [content=TEXT|file=FILE] [parents] [mode=] [OWNER] [TIME]; unpack "
        "path=PATH file=TAR [OWNER]\n\n"
        "mkdir path=PATH [parents] [mode=] [OWNER] [TIME]; symlink path=PATH target=TARGET [OWNER] "
        "[TIME]; link path=PATH target=PATH; rename path=PATH to=PATH\n\n"
        "remove path=PATH [recursive] [missing-ok]; set path=PATH [recursive] [mode=] [OWNER] "
        "[TIME]\n\n"
        "OWNER is uid= and gid=, numbers; TIME is mtime= in seconds since 1970, with mtime-nsec=. "
        "write and unpack also take room-bytes=, and unpack room-entries=: how much a compressed "
        "archive or a pipe has, where the image is to grow by that."),
    .run = banger_image_edit },
  { .verb = NULL },
};
