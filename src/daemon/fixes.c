/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "findings.h"

#include <string.h>

/* Programs by the package that has them, in the words of each family of distributions. */
typedef struct {
  const char *program;
  const char *debian, *fedora, *arch, *suse, *alpine;
} Package;

static const Package packages[] = {
  { "mke2fs", "e2fsprogs", "e2fsprogs", "e2fsprogs", "e2fsprogs", "e2fsprogs" },
  { "e2fsck", "e2fsprogs", "e2fsprogs", "e2fsprogs", "e2fsprogs", "e2fsprogs" },
  { "resize2fs", "e2fsprogs", "e2fsprogs", "e2fsprogs", "e2fsprogs", "e2fsprogs-extra" },
  { "passt", "passt", "passt", "passt", "passt", "passt" },
  { "qemu-system-x86_64", "qemu-system-x86", "qemu-system-x86-core", "qemu-system-x86", "qemu-x86",
    "qemu-system-x86_64" },
};

/* What ID or one of ID_LIKE (os-release(5)) says. */
typedef struct {
  const char *id;
  const char *command;
  gsize package; /* offset in Package */
} Family;

static const Family families[] = {
  { "debian", "sudo apt-get install", G_STRUCT_OFFSET (Package, debian) },
  { "ubuntu", "sudo apt-get install", G_STRUCT_OFFSET (Package, debian) },
  { "fedora", "sudo dnf install", G_STRUCT_OFFSET (Package, fedora) },
  { "rhel", "sudo dnf install", G_STRUCT_OFFSET (Package, fedora) },
  { "arch", "sudo pacman -S", G_STRUCT_OFFSET (Package, arch) },
  { "suse", "sudo zypper install", G_STRUCT_OFFSET (Package, suse) },
  { "alpine", "sudo apk add", G_STRUCT_OFFSET (Package, alpine) },
};

static const Family *
find_family (void)
{
  g_autofree char *id = g_get_os_info (G_OS_INFO_KEY_ID);
  g_autofree char *like = g_get_os_info ("ID_LIKE");
  g_autofree char *all = g_strjoin (" ", id != NULL ? id : "", like != NULL ? like : "", NULL);
  g_auto (GStrv) words = g_strsplit (all, " ", -1);

  for (guint i = 0; words[i] != NULL; i++) {
    for (guint f = 0; f < G_N_ELEMENTS (families); f++) {
      if (g_str_equal (words[i], families[f].id))
        return &families[f];
    }
  }
  return NULL;
}

char *
banger_fix_install (const char *program)
{
  const Family *family = find_family ();

  for (guint i = 0; family != NULL && i < G_N_ELEMENTS (packages); i++) {
    if (g_str_equal (packages[i].program, program))
      return g_strdup_printf ("%s %s", family->command,
                              G_STRUCT_MEMBER (const char *, &packages[i], family->package));
  }
  return g_strdup_printf ("install %s", program);
}
