# SPDX-License-Identifier: LGPL-2.1-or-later
"""The README's tour works as it is written."""

import unittest

import fixtures
from harness import SECONDS, BangerTest
from pages import ROOT, Reader, commands

# What a line of the tour must print, where it is something in particular.
PRINTS = {
    "banger ls": "web",
    "banger vm status web": "healthy",
    "banger exec web -- uname -a": "Linux web",
    "banger exec web -- systemctl is-system-running": "running",
    "banger exec web -- wc -l README.md": "README.md",
    "banger cp web:/root/greeting - | tar -tv": "greeting",
    "banger top web": "systemd",
    "banger vm set web --disk 5G --memory 640M": "restart",
    "banger exec web -- cat /root/greeting": "hello",
    "banger exec web -- df -h /": "4.9G",
    "banger run --memory 384M -- cat /etc/os-release": "Debian",
    "busctl --user tree org.banger.Banger1": "/org/banger/Banger1/vm/",
    'busctl --user get-property org.banger.Banger1 "$vm" org.banger.Banger1.VM State': "running",
}


class ReadmeTest(BangerTest):
    def test_tour(self):
        lines = commands(ROOT / "README.md")
        self.assertGreater(len(lines), 10)
        self.assertEqual(set(PRINTS) - set(lines), set())
        # The tour takes these from where the demo leaves them.
        self.assertEqual(fixtures.debian_tar().parent, ROOT / ".quickstart/cache")
        fixtures.kernel_deb()
        reader = Reader(self.session.env, ROOT, 4 * SECONDS["debian"])
        self.addCleanup(reader.close)
        for line in lines:
            with self.subTest(line=line):
                output, status = reader.type(line)
                self.assertEqual(status, 0, output)
                self.assertIn(PRINTS.get(line, ""), output)
        self.assertEqual(self.session.leftovers(), {})


if __name__ == "__main__":
    unittest.main()
