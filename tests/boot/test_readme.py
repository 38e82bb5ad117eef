# SPDX-License-Identifier: LGPL-2.1-or-later
"""The README's tour works as it is written."""

import re
import subprocess
import unittest
from pathlib import Path

import fixtures
from harness import BangerTest

ROOT = Path(__file__).resolve().parent.parent.parent
# What a line of the tour must print, where it is something in particular.
PRINTS = {
    "banger vm exec web -- uname -a": "Linux web",
    "banger vm exec web -- systemctl is-system-running": "running",
    "banger vm health web": "healthy",
    "banger vm exec web -- cat /root/greeting": "hello",
    "busctl --user tree org.banger.Banger1": "/org/banger/Banger1/vm/",
    'busctl --user get-property org.banger.Banger1 "$vm" org.banger.Banger1.VM State': "running",
}


def tour():
    """The commands of the tour, one a line."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


class ReadmeTest(BangerTest):
    def test_tour(self):
        lines = tour()
        self.assertGreater(len(lines), 10)
        self.assertEqual(set(PRINTS) - set(lines), set())
        # The tour takes these from where the demo leaves them.
        self.assertEqual(fixtures.debian_tar().parent, ROOT / ".quickstart/cache")
        fixtures.kernel_deb()
        # One shell for all, as a reader has one; a mark after each line tells them apart.
        shell = subprocess.Popen(
            ["bash", "-o", "pipefail"], cwd=ROOT, env=self.session.env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(shell.communicate)
        for line in lines:
            with self.subTest(line=line):
                output, status = self.type(shell, line)
                self.assertEqual(status, 0, output)
                self.assertIn(PRINTS.get(line, ""), output)
        self.assertEqual(self.session.leftovers(), {})

    @staticmethod
    def type(shell, line):
        shell.stdin.write("{ %s\n} </dev/null\nprintf '\\nended %%d\\n' $?\n" % line)
        shell.stdin.flush()
        output = ""
        for text in shell.stdout:
            ended = re.fullmatch(r"ended (\d+)\n", text)
            if ended:
                return output, int(ended.group(1))
            output += text
        return output, -1


if __name__ == "__main__":
    unittest.main()
