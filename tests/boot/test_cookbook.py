# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every line of docs/cookbook works as it is written."""

import unittest

import fixtures
from harness import SECONDS, BangerTest
from pages import ROOT, Reader, commands

# What a line must print, where it is something in particular.
PRINTS = {
    "busctl.md": {
        "busctl --user get-property $service Version": 's "',
        'busctl --user get-property org.banger.Banger1 "$job" org.banger.Banger1.Job State': 's "done"',
        'busctl --user get-property org.banger.Banger1 "$job" org.banger.Banger1.Job Timings': "healthy",
        'busctl --user get-property org.banger.Banger1 "$vm" org.banger.Banger1.VM Health': 's "healthy"',
        'busctl --user call org.banger.Banger1 "$vm" org.banger.Banger1.VM Exec \'asa{sv}\' 2 echo hello 0':
            "iayay 0 6 104 101 108 108 111 10 0",
        'busctl --user get-property org.banger.Banger1 "$vm" org.banger.Banger1.VM Labels':
            'a{ss} 1 "for" "dinner"',
    },
    "gdbus.md": {
        "gdbus call $on --method org.freedesktop.DBus.Properties.Get org.banger.Banger1.VM State": "<'stopped'>",
        "gdbus call $on --method org.freedesktop.DBus.Properties.Get org.banger.Banger1.VM Published":
            "127.0.0.1:18022:22",
        'finished "$job"': "'done'",
        '! gdbus call $on --method org.banger.Banger1.VM.Pause "{}"': "Error.WrongState",
        "! gdbus call $on --method org.banger.Banger1.VM.Set \"{'disk-bytes': <uint64 16777216>}\" \"{}\"":
            "Error.InvalidArgument",
        '! gdbus call $manager --method org.banger.Banger1.Manager.FindVM nobody "{}"': "Error.NotFound",
    },
}


class CookbookTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())

    def check(self, name):
        lines = commands(ROOT / "docs/cookbook" / name)
        self.assertGreater(len(lines), 10)
        self.assertEqual(set(PRINTS[name]) - set(lines), set())
        reader = Reader(self.session.env, ROOT, 4 * SECONDS["busybox"])
        self.addCleanup(reader.close)
        # Each line builds on those before it: the first that fails ends the page.
        for line in lines:
            output, status = reader.type(line)
            self.assertEqual(status, 0, "%s\n%s" % (line, output))
            self.assertIn(PRINTS[name].get(line, ""), output, line)

    def test_busctl(self):
        self.check("busctl.md")

    def test_gdbus(self):
        self.check("gdbus.md")

    def test_no_page_is_left_out(self):
        self.assertEqual({page.name for page in (ROOT / "docs/cookbook").iterdir()},
                         set(PRINTS) | {"about.md"})
        self.assertEqual(commands(ROOT / "docs/cookbook/about.md"), [])


if __name__ == "__main__":
    unittest.main()
