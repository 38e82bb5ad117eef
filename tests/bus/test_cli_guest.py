# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that speak with a guest, where there is none: VMs that do not run, or not any more."""

import os
import shutil
import subprocess
import unittest
from pathlib import Path
from unittest import mock

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

    def ssh(self, config):
        """What ssh says with this configuration of a VM that does not run."""
        file = self.session.base / "ssh-config"
        file.write_text(config)
        return self.session.run("ssh", "-F", file, "cold.banger", "true",
                                timeout=SECONDS["command"]).stderr

    def test_ssh_config_of_odd_paths(self):
        """ssh calls this program wherever it lies, and finds the key."""
        home = self.session.base / "a 'b' \"c\" \\'d\\ %n $HOME `e` #"
        home.mkdir()
        program = home / "banger"
        shutil.copy2(shutil.which("banger", path=self.session.env["PATH"]), program)
        patch = mock.patch.dict(self.session.env, XDG_DATA_HOME=str(home))
        patch.start()
        self.addCleanup(patch.stop)
        config = self.session.run(program, "vm", "ssh-config", "cold").stdout
        said = self.ssh(config)
        self.assertIn("vm 'cold' is stopped", said)
        # And that program, not the one of PATH.
        self.assertIn(str(program).replace("%", "%%").replace("\\", ""), config.replace("\\", ""))
        shown = self.session.run("ssh", "-G", "-F", self.session.base / "ssh-config", "cold.banger")
        self.assertIn("identityfile %s/banger/id_ed25519\n" % str(home).replace("%", "%%"),
                      shown.stdout)

    def test_ssh_config_after_an_upgrade(self):
        """The file of this program has gone: then it is the one of PATH."""
        file = os.memfd_create("banger")
        self.addCleanup(os.close, file)
        path = shutil.which("banger", path=self.session.env["PATH"])
        os.write(file, Path(path).read_bytes())
        config = subprocess.run(["/proc/self/fd/%d" % file, "vm", "ssh-config", "cold"],
                                env=self.session.env, pass_fds=[file], stdout=subprocess.PIPE,
                                text=True, check=True, timeout=SECONDS["command"]).stdout
        self.assertNotIn("deleted", config)
        self.assertIn("vm 'cold' is stopped", self.ssh(config))

    def test_stats(self):
        self.assertEqual(self.session.json("vm", "stats")["vms"], [])
        one = self.session.json("vm", "stats", "cold")["vms"][0]
        self.assertEqual((one["name"], one["memory_resident_bytes"]), ("cold", 0))
        self.assertNotIn("guest_load", one)


if __name__ == "__main__":
    unittest.main()
