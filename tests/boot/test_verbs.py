# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of a VM by commands, and what they say to people."""

import unittest

from harness import SECONDS
from life import VmTest


class VerbsTest(VmTest):
    def vm(self, verb, *argv, seconds=SECONDS["busybox"], **more):
        return self.session.banger("vm", verb, *argv, seconds=seconds, **more)

    def status(self, name):
        return self.vm("status", name).stdout

    def test_life(self):
        self.vm("create", "web", "--memory", "128M", "--label", "env=test")
        said = self.status("web")
        self.assertRegex(said, r"^web: running \(healthy\) for \d+ s\n")
        self.assertIn("\n  the console's last lines:\n  | ", said)
        self.assertTrue(said.endswith("  next: banger vm shell web, or banger vm stop web\n"), said)
        self.assertEqual(self.session.json("status")["vms_running"], 1)

        said = self.vm("set", "web", "memory=192M", "restart=on-failure").stdout
        self.assertRegex(said, r"(?m)^web +memory +128 MiB +192 MiB +needs a restart$")
        self.assertRegex(said, r"(?m)^web +restart +never +on-failure +now$")
        self.assertTrue(said.endswith("banger vm restart web\n"), said)
        self.assertTrue(self.status("web").endswith("  next: banger vm restart web\n"))

        self.assertRegex(self.vm("pause", "web").stdout, r"^vm 'web' is paused \(")
        self.assertRegex(self.status("web"), r"^web: paused \(healthy\)")
        self.assertRegex(self.vm("resume", "--all").stdout, r"^vm 'web' runs again \(")

        said = self.vm("restart", "--label", "env=test").stdout
        self.assertRegex(said, r"^vm 'web' is up again \(.*; its guest shut down\)\n$")
        self.assertEqual(self.session.json("vm", "show", "web")["pending"], [])
        memory = self.session.guest("web", "grep", "MemTotal", "/proc/meminfo").stdout
        self.assertGreater(int(memory.split()[1]), 128 << 10)

        said = self.vm("stop", "w*").stdout
        self.assertRegex(said, r"^vm 'web' is stopped \(.*; its guest shut down\)\n$")
        self.assertIn("\n  its guest ended last by: shutdown\n", self.status("web"))
        self.assertEqual(self.vm("stop", "--all").stdout, "")


if __name__ == "__main__":
    unittest.main()
