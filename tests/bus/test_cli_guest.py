# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that speak with a guest, where there is none: VMs that do not run, or not any more."""

import unittest

import fixtures
from cli_case import SECONDS, CliTest


class Guest(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())

    def empty(self):
        for vm in self.session.json("vm", "list")["vms"]:
            self.session.banger("vm", "delete", vm["name"])

    def setUp(self):
        super().setUp()
        self.session.banger("vm", "create", "cold", "--image", "tiny", "--no-start")

    def banger(self, *words, status=0):
        return self.session.banger(*words, status=status)

    def test_not_running_is_said_once(self):
        for words in (["exec", "cold", "true"], ["shell", "cold"], ["console", "cold"],
                      ["ssh", "cold"], ["vm", "proxy", "cold"], ["vm", "ports", "cold"],
                      ["top", "cold"], ["cp", "/etc/passwd", "cold:"], ["cp", "cold:x", "/tmp/x"]):
            with self.subTest(words=words):
                said = self.banger(*words, status=4).stderr
                self.assertEqual(said.count("vm 'cold'"), 1, said)
                self.assertIn("is stopped, not running", said)
        for words in (["exec", "absent", "true"], ["cp", "absent:x", "/tmp/x"], ["wait", "absent"],
                      ["vm", "stats", "absent"], ["run", "--image", "absent", "true"]):
            self.banger(*words, status=3)

    def test_usage(self):
        for words in (["cp", "a", "b"], ["cp", "cold:a", "-", "b"], ["cp", "-", "-"],
                      ["cp", "cold:a", "--owner", "mine", "b"], ["vm", "proxy", "cold", "70000"],
                      ["wait", "cold", "--for", "port:0"], ["logs", "cold", "--boot", "1"],
                      ["console", "cold", "--escape", "xx"], ["exec", "cold", "-e", "X", "true"]):
            with self.subTest(words=words):
                self.banger(*words, status=2)

    def test_wait(self):
        self.banger("wait", "cold", "--for", "stopped", "--timeout", "50")
        said = self.banger("wait", "cold", "--timeout", "1", status=7).stderr
        self.assertIn("not healthy within 1 s", said)
        self.assertIn("it is stopped", said)

    def test_wait_ends_with_what_it_waits_for(self):
        waiting = self.session.popen("banger", "wait", "cold")
        self.addCleanup(waiting.stdout.close)
        self.addCleanup(waiting.kill)
        # Whether it listens already or asks later, it learns that the VM is gone.
        self.banger("vm", "delete", "cold")
        self.assertEqual(waiting.wait(SECONDS["command"]), 3)

    def test_ssh_config(self):
        everybody = self.banger("vm", "ssh-config").stdout
        self.assertIn("Host *.banger\n", everybody)
        self.assertIn("--session vm proxy %n\n", everybody)
        self.assertIn("Host cold.banger\n", self.banger("vm", "ssh-config", "cold").stdout)
        self.banger("vm", "ssh-config", "absent", status=3)

    def test_stats(self):
        self.assertEqual(self.session.json("vm", "stats")["vms"], [])
        one = self.session.json("vm", "stats", "cold")["vms"][0]
        self.assertEqual((one["name"], one["memory_resident_bytes"]), ("cold", 0))
        self.assertNotIn("guest_load", one)


if __name__ == "__main__":
    unittest.main()
