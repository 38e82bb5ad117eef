/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The manual page banger.conf(5), from the table of keys. */
#include "config.h"
#include "configuration-table.h"

static const char head[]
    = ".\\\" SPDX-License-Identifier: LGPL-2.1-or-later\n"
      ".TH BANGER.CONF 5 \"\" \"banger " BANGER_VERSION "\" \"File formats\"\n"
      ".SH NAME\n"
      "banger.conf \\- what banger does where it is not told\n"
      ".SH SYNOPSIS\n"
      "/usr/lib/banger/banger.conf\n.br\n"
      "/etc/banger/banger.conf\n.br\n"
      "/etc/banger/banger.conf.d/*.conf\n.br\n"
      "$XDG_CONFIG_HOME/banger/banger.conf\n.br\n"
      "$XDG_CONFIG_HOME/banger/banger.conf.d/*.conf\n"
      ".SH DESCRIPTION\n"
      "bangerd(8) reads these files at its start and banger(1) each time, in this order; the files "
      "of a "
      "folder in the order of their names. A later value takes the place of an earlier one. The "
      "user's own files, the last two, are read by the service of a session and by banger(1) "
      "only.\n"
      ".PP\n"
      "Each is a key file: lines of KEY=VALUE below lines of [GROUP]; a line that begins with # is "
      "a "
      "comment. A group or key that is not known, and a value that is out of bounds, is refused "
      "with "
      "file and line, and the service does not start. A size is a number with K, M, G or T "
      "for "
      "powers of 1024, such as 512M or 1.5G, and a whole number of MiB.\n"
      ".PP\n"
      "\\fB";
/* After the path of bangerd, which is in nobody's PATH. */
static const char check[]
    = " \\-\\-check\\-configuration \\-\\-system\\fR (or \\fB\\-\\-session\\fR) says what is "
      "wrong, or prints what holds.\n";

static const char tail[] = ".SH SEE ALSO\nbanger(1), bangerd(8), org.banger.Banger1(5)\n";

static const struct {
  const char *group;
  const char *about;
} groups[] = {
  { "defaults", "What new VMs are like where nobody says otherwise." },
  { "limits", "What users may have, each of them, and what is kept for the host; 0: no limit." },
  { "client", "How banger(1) behaves where its command line does not say." },
};

static void
append_text (GString *out, const char *text)
{
  for (const char *c = text; *c != '\0'; c++) {
    if (*c == '-' || *c == '\\')
      g_string_append_c (out, '\\');
    g_string_append_c (out, *c);
  }
}

static char *
describe_value (const BangerConfigKey *key)
{
  const guint mib = 20;

  if (key->words != NULL)
    return g_strdup_printf ("One of: %s.", key->words);
  if (key->type == BANGER_CONFIG_SIZE)
    return g_strdup_printf ("A size from %" G_GUINT64_FORMAT "M to %" G_GUINT64_FORMAT "M.",
                            key->least >> mib, key->most >> mib);
  return g_strdup_printf ("A number from %" G_GUINT64_FORMAT " to %" G_GUINT64_FORMAT ".",
                          key->least, key->most);
}

static void
append_default (GString *out, const BangerConfigKey *key)
{
  g_autoptr (BangerConfig) session = banger_config_new (BANGER_MODE_SESSION);
  g_autoptr (BangerConfig) system = banger_config_new (BANGER_MODE_SYSTEM);
  g_autofree char *of_session = banger_config_value (session, key);
  g_autofree char *of_system = banger_config_value (system, key);

  if (of_session == NULL)
    return;
  g_string_append (out, " Default: ");
  append_text (out, of_session);
  if (!g_str_equal (of_session, of_system))
    g_string_append_printf (out, ", of the system's service %s", of_system);
  g_string_append_c (out, '.');
}

static void
append_key (GString *out, const BangerConfigKey *key)
{
  g_autofree char *value = describe_value (key);

  g_string_append (out, ".TP\n\\fB");
  append_text (out, key->key);
  g_string_append (out, "\\fR=\n");
  append_text (out, key->about);
  g_string_append_c (out, ' ');
  append_text (out, value);
  append_default (out, key);
  g_string_append_c (out, '\n');
}

char *
banger_config_man (void)
{
  GString *out = g_string_new (head);

  append_text (out, BANGER_LIBEXECDIR "/bangerd");
  g_string_append (out, check);
  for (guint i = 0; i < G_N_ELEMENTS (groups); i++) {
    g_string_append_printf (out, ".SH \"GROUP [%s]\"\n", groups[i].group);
    append_text (out, groups[i].about);
    g_string_append_c (out, '\n');
    for (const BangerConfigKey *key = banger_config_keys; key->group != NULL; key++) {
      if (g_str_equal (key->group, groups[i].group))
        append_key (out, key);
    }
  }
  g_string_append (out, tail);
  return g_string_free (out, FALSE);
}
