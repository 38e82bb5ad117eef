# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists and documents of the command line: forms, columns, filters, one property."""

import csv
import io
import json
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/bus")]

from cli_case import CliTest
from harness import BUS_NAME

try:
    import yaml
except ImportError:
    yaml = None


class Lists(CliTest):
    def setUp(self):
        super().setUp()
        for name in ("alpine", "debian", "debian-old"):
            self.session.import_image(name, self.tar)
        self.session.banger("image", "promote", "debian")

    def list(self, *argv):
        return self.session.banger("image", "list", *argv).stdout

    def test_filter_and_sort(self):
        self.assertEqual(self.list("-q"), "alpine\ndebian\ndebian-old\n")
        self.assertEqual(self.list("-q", "--filter", "name=deb*"), "debian\ndebian-old\n")
        self.assertEqual(self.list("-q", "--filter", "name!=deb*"), "alpine\n")
        self.assertEqual(self.list("-q", "--filter", "default=true"), "debian\n")
        self.assertEqual(self.list("-q", "--sort=-name", "--filter", "default=false"),
                         "debian-old\nalpine\n")

    def test_columns(self):
        table = self.list("-c", "default,name", "--sort", "name")
        self.assertEqual(table, "DEFAULT  NAME\n         alpine\nyes      debian\n"
                                "         debian-old\n")

    def test_forms(self):
        """The same objects in every form."""
        images = json.loads(self.list("--json"))["images"]
        self.assertEqual(json.loads(self.list("--format", "json"))["images"], images)
        rows = list(csv.DictReader(io.StringIO(self.list("--format", "csv"))))
        self.assertEqual([row["name"] for row in rows], [i["name"] for i in images])
        self.assertEqual([int(row["size"]) for row in rows], [i["size_bytes"] for i in images])

    @unittest.skipUnless(yaml, "python3-yaml is not installed")
    def test_yaml(self):
        self.assertEqual(yaml.safe_load(self.list("--format", "yaml")),
                         json.loads(self.list("--json")))
        shown = self.session.banger("image", "show", "debian", "--format", "yaml").stdout
        self.assertEqual(yaml.safe_load(shown), self.session.json("image", "show", "debian"))

    def test_property(self):
        value = lambda *argv: self.session.banger("image", "show", "debian", *argv).stdout
        document = self.session.json("image", "show", "debian")
        self.assertEqual(value("-p", "digest"), document["digest"] + "\n")
        self.assertEqual(value("--property=size_bytes"), "%d\n" % document["size_bytes"])
        self.assertEqual(value("-p", "default"), "true\n")
        self.assertEqual(value("-p", "defaults.user"), "\n")
        result = self.session.banger("image", "show", "debian", "-p", "sise_bytes", status=2)
        self.assertIn("hint: did you mean 'size_bytes'?", result.stderr)

    def test_defaults(self):
        """What commands in an image's guests run with, as it was given at the import."""
        self.session.banger("image", "import", "set", self.tar, "--user", "web", "--cwd", "/srv",
                            "--env", "A=b", "--env", "C=d e")
        self.assertEqual(self.session.json("image", "show", "set")["defaults"],
                         {"user": "web", "cwd": "/srv", "env": ["A=b", "C=d e"]})
        self.assertEqual(self.session.banger("image", "show", "set", "-p", "defaults.cwd").stdout,
                         "/srv\n")

    def test_refused(self):
        """What is wrong is said before anything is asked of the service, as JSON too."""
        for argv in (["--columns", "naem"], ["--sort", "naem"], ["--filter", "naem=x"],
                     ["--format", "xml"], ["--filter", "x"]):
            with self.subTest(argv=argv):
                self.session.banger("image", "list", *argv, status=2)
        result = self.session.banger("image", "list", "--json", "--nonsense", status=2)
        error = json.loads(result.stdout)
        self.assertEqual(error["schema"], 1)
        self.assertEqual(error["error"]["name"], BUS_NAME + ".Error.InvalidArgument")
        result = self.session.banger("image", "show", "nobody", "--format", "yaml", status=3)
        self.assertIn('  name: "%s.Error.NotFound"\n' % BUS_NAME, result.stdout)

    def test_version(self):
        """Of one version on both sides there is nothing to say about it."""
        document = self.session.json("version")
        self.assertEqual(document["protocol"], document["service_protocol"])
        self.assertEqual(len(self.session.banger("version").stdout.splitlines()), 2)


if __name__ == "__main__":
    unittest.main()
