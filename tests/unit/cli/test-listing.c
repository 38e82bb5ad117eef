/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/listing.h"

#include <string.h>

/* A listing for a command line, split at spaces. */
static BangerListing *
listing (const char *line, GError **error)
{
  g_auto (GStrv) words = g_strsplit (line, " ", -1);
  guint used = 0;
  const BangerCommand *command = banger_command_find ((const char *const *)words, &used, error);
  g_autoptr (BangerArgs) args = NULL;

  g_assert_nonnull (command);
  args = banger_args_parse (command, (const char *const *)words + used, error);
  g_assert_nonnull (args);
  return banger_listing_new (args, error);
}

static void
add (BangerListing *list, const char *json)
{
  g_autoptr (GError) error = NULL;
  JsonNode *row = json_from_string (json, &error);

  g_assert_no_error (error);
  banger_listing_add (list, row);
}

/* What a command line makes of three VMs. */
static char *
format (const char *line)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerListing) list = listing (line, &error);

  g_assert_no_error (error);
  add (list, "{\"name\":\"db\",\"state\":\"running\",\"memory_bytes\":1073741824,\"vcpus\":10,"
             "\"autostart\":true,\"labels\":{\"env\":\"prod\",\"tier\":\"1\"},\"published\":[]}");
  add (list, "{\"name\":\"web-1\",\"state\":\"stopped\",\"memory_bytes\":536870912,\"vcpus\":2,"
             "\"autostart\":false,\"labels\":{\"env\":\"test\"},"
             "\"published\":[\"127.0.0.1:80:80\",\"[::1]:81:80\"]}");
  add (list, "{\"name\":\"web-2\",\"state\":\"running\",\"memory_bytes\":536870912,\"vcpus\":9,"
             "\"autostart\":false,\"labels\":{},\"published\":[],\"image\":null}");
  return banger_listing_format (list, "vms");
}

static void
assert_names (const char *options, const char *names)
{
  g_autofree char *line = g_strconcat ("vm list -q ", options, NULL);
  g_autofree char *text = format (line);

  if (g_strcmp0 (text, names) != 0)
    g_error ("%s: '%s', not '%s'", options, text, names);
}

static void
test_filters (void)
{
  assert_names ("--filter state=running", "db\nweb-2\n");
  assert_names ("--filter state!=running", "web-1\n");
  assert_names ("--filter name=web-*", "web-1\nweb-2\n");
  assert_names ("--filter name=web-? --filter state=running", "web-2\n");
  assert_names ("--filter name!=*", "");
  /* Sizes by what is written too, lists by any of their values. */
  assert_names ("--filter memory=512M", "web-1\nweb-2\n");
  assert_names ("--filter memory_bytes=1073741824", "db\n");
  assert_names ("--filter ports=*:80:80", "web-1\n");
  assert_names ("--filter label.env=prod", "db\n");
  assert_names ("--filter labels.env!=prod", "web-1\nweb-2\n");
  assert_names ("--filter label=env=*", "db\nweb-1\n");
  assert_names ("--filter label.none=*", "");
  assert_names ("--filter autostart=true", "db\n");
  /* What has no value is as if it were empty. */
  assert_names ("--filter image=", "db\nweb-1\nweb-2\n");
}

static void
test_sort (void)
{
  assert_names ("--sort vcpus", "web-1\nweb-2\ndb\n");
  assert_names ("--sort -vcpus", "db\nweb-2\nweb-1\n");
  assert_names ("--sort -name", "web-2\nweb-1\ndb\n");
  /* Equal ones keep their order. */
  assert_names ("--sort memory", "web-1\nweb-2\ndb\n");
}

static void
test_table (void)
{
  g_autofree char *usual = format ("vm list -c name,memory,autostart,labels");
  g_autofree char *bare = format ("vm list --no-header --columns=vcpus,name");

  g_assert_cmpstr (usual, ==,
                   "NAME   MEMORY   AUTOSTART  LABELS\n"
                   "db     1 GiB    yes        env=prod tier=1\n"
                   "web-1  512 MiB             env=test\n"
                   "web-2  512 MiB             \n");
  g_assert_cmpstr (bare, ==, "10  db\n2   web-1\n9   web-2\n");
}

/* Several in a cell are told apart, whatever they hold. */
static void
test_table_labels (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerListing) list = listing ("vm list --no-header -c labels", &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  add (list, "{\"labels\":{\"bad key\":\"1\",\"x\":\"\"}}");
  text = banger_listing_format (list, "vms");
  g_assert_cmpstr (text, ==, "'bad key=1' x=\n");
}

static void
test_quiet_document (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerListing) list = listing ("vm list -q --json", &error);

  g_assert_null (list);
  g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
}

static void
test_csv (void)
{
  g_autofree char *text = format ("vm list --format csv -c name,memory,ports,labels");

  g_assert_cmpstr (text, ==,
                   "name,memory,ports,labels\r\n"
                   "db,1073741824,\"\",env=prod tier=1\r\n"
                   "web-1,536870912,127.0.0.1:80:80 [::1]:81:80,env=test\r\n"
                   "web-2,536870912,\"\",\"\"\r\n");
}

static void
test_csv_quotes (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerListing) list
      = listing ("vm list --format=csv --no-header -c name,state", &error);
  g_autofree char *text = NULL;

  add (list, "{\"name\":\"a,b\",\"state\":\"say \\\"hi\\\"\"}");
  add (list, "{\"name\":\"two\\nlines\\r\",\"state\":\" led\"}");
  text = banger_listing_format (list, "vms");
  g_assert_cmpstr (text, ==, "\"a,b\",\"say \"\"hi\"\"\"\r\n\"two\nlines\r\",\" led\"\r\n");
}

static void
test_json (void)
{
  g_autofree char *text = format ("vm list --json --filter name=db");
  g_autoptr (JsonNode) node = json_from_string (text, NULL);
  JsonObject *root = json_node_get_object (node);
  JsonArray *rows = json_object_get_array_member (root, "vms");

  g_assert_cmpint (json_object_get_int_member (root, "schema"), ==, 1);
  g_assert_cmpuint (json_array_get_length (rows), ==, 1);
  /* Documents are whole, whatever the columns are. */
  g_assert_true (json_object_has_member (json_array_get_object_element (rows, 0), "published"));
}

static void
test_yaml (void)
{
  g_autoptr (JsonNode) node
      = json_from_string ("{\"schema\":1,\"none\":[],\"empty\":{},\"a_null\":null,\"yes\":true,"
                          "\"half\":0.5,\"text\":\"no: \\\"x\\\" \\\\ # \\u0007\\u0085\\u2028 ü\","
                          "\"list\":[{\"name\":\"a\",\"inner\":[1,[2]]},\"- b\"],"
                          "\"labels\":{\"null\":\"~\",\"a:b\":\"\\ttab\\nline\"}}",
                          NULL);
  g_autofree char *text = banger_document_format (node, BANGER_FORMAT_YAML);

  g_assert_cmpstr (text, ==,
                   "schema: 1\n"
                   "none: []\n"
                   "empty: {}\n"
                   "a_null: null\n"
                   "\"yes\": true\n"
                   "half: 0.5\n"
                   "text: \"no: \\\"x\\\" \\\\ # \\x07\\x85\\u2028 ü\"\n"
                   "list:\n"
                   "  - name: \"a\"\n"
                   "    inner:\n"
                   "      - 1\n"
                   "      -\n"
                   "        - 2\n"
                   "  - \"- b\"\n"
                   "labels:\n"
                   "  \"null\": \"~\"\n"
                   "  \"a:b\": \"\\ttab\\nline\"\n");
}

/* A row with bytes that are no text, as a service or a guest could send them. */
static char *
format_bytes (const char *line)
{
  static const char *const addresses[] = { "10.0.0.2", "\x80\xfe", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (BangerListing) list = listing (line, &error);
  g_autoptr (JsonBuilder) row = banger_json_row ();
  char *text = NULL;

  g_assert_no_error (error);
  banger_json_string (row, "name",
                      "a\xff"
                      "b");
  banger_json_string (row, "state", "\xc3");
  banger_json_strings (row, "addresses", addresses);
  banger_listing_add (list, banger_json_end (row));
  text = banger_listing_format (list, "vms");
  g_assert_true (g_utf8_validate (text, -1, NULL));
  return text;
}

/* Every form of a list is UTF-8, whatever is in it. */
static void
test_bytes (void)
{
  g_autofree char *table = format_bytes ("vm list --no-header -c name,state,addresses");
  g_autofree char *csv = format_bytes ("vm list --format csv --no-header -c name,addresses");
  g_autofree char *yaml = format_bytes ("vm list --format yaml");
  g_autofree char *json = format_bytes ("vm list --json");
  g_autofree char *names = format_bytes ("vm list -q");
  g_autofree char *chosen = format_bytes ("vm list -q --filter name=a*b --sort state");
  g_autoptr (JsonNode) node = json_from_string (json, NULL);
  JsonObject *row = NULL;

  g_assert_cmpstr (table, ==, "a\ufffdb  \ufffd  10.0.0.2 \ufffd\ufffd\n");
  g_assert_cmpstr (csv, ==, "a\ufffdb,10.0.0.2 \ufffd\ufffd\r\n");
  g_assert_nonnull (strstr (yaml, "name: \"a\ufffdb\"\n"));
  g_assert_cmpstr (names, ==, "a\ufffdb\n");
  g_assert_cmpstr (chosen, ==, names);
  row = json_array_get_object_element (
      json_object_get_array_member (json_node_get_object (node), "vms"), 0);
  g_assert_cmpstr (json_object_get_string_member (row, "name"), ==, "a\ufffdb");
  g_assert_cmpstr (
      json_array_get_string_element (json_object_get_array_member (row, "addresses"), 1), ==,
      "\ufffd\ufffd");
}

static void
test_refused (void)
{
  static const char *const lines[][2] = {
    { "vm list --columns name,vcpu", "did you mean 'vcpus'?" },
    { "vm list --sort imgae", "did you mean 'image'?" },
    { "vm list --filter heatlh=running", "did you mean 'health'?" },
    { "vm list --filter running", "--filter COLUMN=VALUE" },
    { "vm list --filter =x", "--filter COLUMN=VALUE" },
    { "vm list --filter !=x", "--filter COLUMN=VALUE" },
    { "vm list --format xml", "--format table, json, yaml, csv" },
    { "vm list --json --format csv", "--format table, json, yaml, csv" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (lines); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (BangerListing) list = listing (lines[i][0], &error);

    g_assert_null (list);
    g_assert_error (error, BANGER_ERROR, BANGER_ERROR_INVALID_ARGUMENT);
    g_assert_cmpstr (banger_error_hint (error), ==, lines[i][1]);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/listing/filters", test_filters);
  g_test_add_func ("/listing/sort", test_sort);
  g_test_add_func ("/listing/table", test_table);
  g_test_add_func ("/listing/table-labels", test_table_labels);
  g_test_add_func ("/listing/quiet-document", test_quiet_document);
  g_test_add_func ("/listing/csv", test_csv);
  g_test_add_func ("/listing/csv-quotes", test_csv_quotes);
  g_test_add_func ("/listing/json", test_json);
  g_test_add_func ("/listing/yaml", test_yaml);
  g_test_add_func ("/listing/bytes", test_bytes);
  g_test_add_func ("/listing/refused", test_refused);
  return g_test_run ();
}
