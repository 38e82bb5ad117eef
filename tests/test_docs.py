# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pages that are made from the interfaces' XML say all that there is."""

import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
API = ROOT / "docs/api.py"
INTERFACES = sorted((ROOT / "data/dbus").glob("*.xml"))

UNDOCUMENTED = """<node><!--
  a.B:
  @short_description: A thing
  @since: 1
--><interface name="a.B">%s</interface></node>"""


def make_page(*paths):
    return subprocess.run([sys.executable, str(API), *map(str, paths)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)


class DocsTest(unittest.TestCase):
    def test_every_member_is_on_the_page(self):
        result = make_page(*INTERFACES)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(INTERFACES), 5)
        for path in INTERFACES:
            for interface in ET.parse(path).getroot():
                self.assertIn("## `%s`" % interface.get("name"), result.stdout)
                for member in interface:
                    start = "### `%s (" if member.tag in ("method", "signal") else "| `%s` ("
                    self.assertIn(start % member.get("name"), result.stdout)

    def refused(self, member):
        with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
            file.write(UNDOCUMENTED % member)
            file.flush()
            result = make_page(file.name)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        return result.stderr

    def test_what_is_not_documented_is_refused(self):
        self.assertIn("Do has no comment", self.refused('<method name="Do"/>'))
        self.assertIn("Do does not say since when", self.refused('<!--\n Do:\n\n Does.\n--><method name="Do"/>'))
        self.assertIn("Do does not say what x is", self.refused(
            '<!--\n Do:\n @since: 1\n\n Does.\n--><method name="Do"><arg name="x" type="s" direction="in"/></method>'))
        self.assertIn("begins with", self.refused('<!--\n Did:\n @since: 1\n\n Does.\n--><method name="Do"/>'))

    def test_manual_page(self):
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "page.md"
            page.write_text("# what it is\n\nWords with `code`.\n\n`{\"a\":1,\"b\":2}`\n\n- first\n- second\n\n## More\n\n```\nx `y`\n```\n\n"
                            "| a | b |\n|---|---|\n| c | d |\n", encoding="utf-8")
            text = subprocess.run([sys.executable, str(ROOT / "docs/man.py"), "a-b", "7", "1.0", str(page)],
                                  stdout=subprocess.PIPE, text=True, check=True).stdout
        for line in ('.TH A-B 7 "" "banger 1.0"', "a\\-b \\- what it is", "Words with \\fBcode\\fR.",
                     '\\fB{"a":1,\\:"b":2}\\fR', ".ad l\n",
                     ".IP \\(bu 2\nfirst", ".SH More", "x \\(gay\\(ga", ".PP\n.TP\nc\nd"):
            self.assertIn(line, text)

    def test_bangerd_is_named_with_its_path(self):
        """It is in nobody's PATH."""
        build = Path(os.environ["BANGER_BUILD"]).parent
        activation = (build / "data/session-activation.service").read_text(encoding="utf-8")
        path = re.search(r"^Exec=(/\S+/bangerd) ", activation, re.MULTILINE).group(1)
        for page in ("bangerd.8", "banger.conf.5"):
            with self.subTest(page=page):
                text = re.sub(r"\\f[BR]", "", (build / "docs" / page).read_text(encoding="utf-8"))
                text = text.replace("\\-", "-")
                self.assertNotIn("@", text)
                self.assertEqual(set(re.findall(r"(\S*bangerd) --(?:check|system|session)", text)), {path})


if __name__ == "__main__":
    unittest.main()
