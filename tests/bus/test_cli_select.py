# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which of several objects a command is about, and what it asks before it destroys."""

import os
import pty
import re
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/bus")]

from cli_case import CliTest
from harness import SECONDS


class Select(CliTest):
    def setUp(self):
        super().setUp()
        for name in ("alpine", "debian", "debian-old"):
            self.session.import_image(name, self.tar)

    def names(self):
        return self.session.banger("image", "list", "-q").stdout.split()

    def delete(self, *argv, status=0):
        return self.session.banger("image", "delete", *argv, status=status)

    def test_pattern(self):
        done = self.delete("deb*", "--yes").stdout
        self.assertRegex(done, r"image 'debian' is deleted .*\nimage 'debian-old' is deleted ")
        self.assertEqual(self.names(), ["alpine"])

    def test_all(self):
        self.delete("--all", "-y")
        self.assertEqual(self.names(), [])
        # Nothing left is nothing to do, and no failure.
        self.assertEqual(self.delete("--all", "-y").stdout, "")

    def test_each_once(self):
        done = self.delete("alpine", "alp*", "alpine", "-y").stdout
        self.assertEqual(len(done.splitlines()), 1)

    def test_nobody_to_ask(self):
        """Without a terminal nothing is destroyed by a pattern: the command to run is said."""
        for argv in (["deb*"], ["--all"], ["--all", "--no-input"]):
            with self.subTest(argv=argv):
                result = self.delete(*argv, status=9)
                self.assertRegex(result.stderr, r"hint: banger image delete .* --yes\n")
        hint = self.delete("deb*", status=9).stderr.splitlines()[-1].split("hint: ")[1]
        self.assertEqual(hint, "banger image delete 'deb*' --yes")
        self.assertEqual(len(self.names()), 3)
        # The command in the hint does it.
        self.assertEqual(self.session.run("sh", "-c", hint).returncode, 0)
        self.assertEqual(self.names(), ["alpine"])

    def test_names_like_options(self):
        """After -- nothing is an option, in what is said to run instead either."""
        for word in ("--all", "-y", "--yes", "--nonsense"):
            with self.subTest(word=word):
                result = self.delete("--", word, status=None)
                self.assertNotIn(result.returncode, (0, 9), result.stdout)
                self.assertNotIn("option", result.stderr)
        self.assertEqual(len(self.names()), 3)
        # A pattern that begins as an option does means nothing, as none can be called so.
        self.delete("--yes", "--", "-*", status=3)
        hint = self.delete("--", "deb*", status=9).stderr.splitlines()[-1].split("hint: ")[1]
        self.assertEqual(hint, "banger image delete --yes -- 'deb*'")
        self.assertEqual(self.session.run("sh", "-c", hint).returncode, 0)
        self.assertEqual(self.names(), ["alpine"])

    def test_names_are_not_asked_about(self):
        self.delete("debian", "alpine")
        self.assertEqual(self.names(), ["debian-old"])

    def on_terminal(self, *argv):
        master, slave = pty.openpty()
        process = subprocess.Popen(["banger", *argv], env=self.session.env, stdin=slave,
                                   stdout=slave, stderr=slave)
        os.close(slave)
        self.addCleanup(os.close, master)
        return process, master

    def end(self, process, master):
        """Status, and what it said until then: it could not end if nobody read that."""
        said = b""
        try:
            while more := os.read(master, 4096):
                said += more
        except OSError:
            pass
        return process.wait(SECONDS["command"]), said.decode()

    def answer(self, word):
        process, master = self.on_terminal("image", "delete", "deb*")
        said = b""
        while b"[y/N]" not in said:
            said += os.read(master, 4096)
        os.write(master, word + b"\n")
        status, more = self.end(process, master)
        return status, said.decode() + more

    def test_no_input(self):
        """Whatever destroys asks nothing with --no-input, on a terminal too."""
        self.session.import_kernel()
        self.addCleanup(self.session.banger, "kernel", "delete", "cloud")
        self.session.banger("vm", "create", "cold", "--image", "debian", "--no-start")
        self.addCleanup(self.session.banger, "vm", "delete", "cold")
        asking = [c["name"].split() for c in self.session.json("help")["commands"]
                  if "yes" in (o["name"] for o in c["options"])]
        self.assertEqual([" ".join(c) for c in asking],
                         ["vm kill", "vm delete", "image delete", "kernel delete"])
        for command in asking:
            # There is nothing to kill where nothing runs.
            status = 0 if command == ["vm", "kill"] else 9
            for argv in ([*command, "--all", "--no-input"], ["--no-input", *command, "*"]):
                with self.subTest(argv=argv):
                    result, said = self.end(*self.on_terminal(*argv))
                    self.assertEqual(result, status, said)
                    self.assertNotIn("[y/N]", said)
        self.assertEqual(len(self.names()), 3)
        self.assertEqual(self.session.banger("vm", "list", "-q").stdout, "cold\n")

    def test_question(self):
        status, said = self.answer(b"n")
        self.assertEqual(status, 9, said)
        self.assertIn("image delete: 2 images: debian, debian-old? [y/N]", said)
        self.assertEqual(len(self.names()), 3)
        for word in (b"", b"yes please", b"yx"):
            status, said = self.answer(word)
            self.assertEqual(status, 9, said)
        status, said = self.answer(b"Yes")
        self.assertEqual(status, 0, said)
        self.assertEqual(self.names(), ["alpine"])

    def test_question_of_many(self):
        """How many comes first, and no more names than can be read at a glance."""
        for i in range(4):
            self.session.import_image("deb-%d" % i, self.tar)
        self.addCleanup(self.delete, "--all", "-y")
        status, said = self.answer(b"n")
        self.assertEqual(status, 9, said)
        listed = self.session.banger("image", "list", "-q").stdout.split()
        self.assertEqual(len([n for n in listed if n.startswith("deb")]), 6)
        shown, = re.findall(r"image delete: 6 images: (.*) and 1 more\? \[y/N\]", said)
        self.assertEqual(len(set(shown.split(", ")) & set(listed)), 5)
        refused = self.delete("deb*", status=9).stderr
        self.assertIn("6 images: %s and 1 more: nobody can be asked" % shown, refused)

    def test_nothing_is_meant(self):
        self.delete("cent*", "-y", status=3)
        self.session.banger("vm", "stop", "--label", "env=test", status=3)
        self.assertEqual(self.session.banger("vm", "stop", "--all").stdout, "")
        for argv in (["image", "delete"], ["image", "delete", "--all", "alpine"], ["vm", "start"]):
            with self.subTest(argv=argv):
                self.session.banger(*argv, status=2)

    def test_the_rest_is_done(self):
        """The status is that of the first failure; what can be done is done."""
        result = self.delete("alpine", "nobody", "debian", status=3)
        self.assertEqual(len(result.stdout.splitlines()), 2)
        self.assertEqual(self.names(), ["debian-old"])


class Changes(CliTest):
    """What "vm set" refuses before it asks anything of a VM."""

    def test_refused(self):
        for argv, hint in ((["web", "memroy=1G"], "did you mean 'memory'?"),
                           (["web", "vcpus=none"], "a number from 1 to 4294967295"),
                           (["web", "vcpus=99999999999999999999"],
                            "a number from 1 to 4294967295"),
                           (["web", "autostart=perhaps"], "true or false"),
                           (["web"], "banger help vm set"),
                           (["web", "--label", "novalue"], "--label KEY=VALUE"),
                           (["vcpus=2"], "banger help vm set")):
            with self.subTest(argv=argv):
                result = self.session.banger("vm", "set", *argv, status=2)
                self.assertIn("hint: " + hint, result.stderr)
        self.session.banger("vm", "set", "web", "--autostart", "--no-autostart", status=2)
        self.session.banger("vm", "set", "nobody", "vcpus=2", status=3)
        self.session.banger("vm", "set", "nobody", "--ssh-key", "/nowhere", status=3)
        private = self.session.base / "id"
        private.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
        result = self.session.banger("vm", "set", "x", "--ssh-key", private, status=2)
        self.assertIn("hint: %s.pub" % private, result.stderr)


if __name__ == "__main__":
    unittest.main()
