# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk that is full, or a program that is killed, at each change of the state: what was begun is
undone, at once or by the next start, and the service goes on."""

import unittest

import fixtures
from faults import FaultySession
from harness import SECONDS, BangerTest

NAME = "crash"
CREATE = ["vm", "create", NAME, "--image", "tiny", "--no-start", "--memory", "128M"]
IMPORT = ["image", "import", NAME, fixtures.busybox_tar]
START = ["vm", "start", NAME]
DELETE = ["vm", "delete", NAME]
# More changes than any of the commands makes; one that makes more is looked at anew.
CHANGES_MAX = 4000


class SpaceTest(BangerTest):
    session_class = FaultySession

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.idle = cls.session.leftovers()

    def run_at(self, verb, number, command):
        """Runs the command while the change @number goes wrong; returns its end and whom it
        befell, None if it made no so many changes."""
        self.session.plan.set("%s %d" % (verb, number))
        result = self.session.banger(*[w() if callable(w) else w for w in command], status=None,
                                     seconds=SECONDS["import"])
        changes, _, hit = self.session.plan.numbers()
        self.session.plan.set()
        self.assertLess(changes, CHANGES_MAX)
        return result, hit or None

    def delete(self, command):
        """Deletes what the command made, if it is there."""
        arguments = ["--force"] if command[0] == "vm" else []
        self.session.banger(command[0], "delete", *arguments, NAME, status=None)

    def each_change(self, verb, command, after, before=None):
        """Before each, if it is given, the command @before is run. Has the change 1, 2, 3… go wrong until there is none so late; returns how many were."""
        self.session.banger("vm", "list")
        self.service = self.session.service_pid()
        for number in range(1, CHANGES_MAX):
            with self.subTest(verb=verb, command=command[:2], change=number):
                if before:
                    self.session.banger(*before)
                result, hit = self.run_at(verb, number, command)
                if not hit:
                    self.assertEqual(result.returncode, 0, result.stderr)
                    self.delete(command)
                    self.assertEqual(self.session.leftovers(), self.idle)
                    print("# %s: %d changes, %s" % (" ".join(command[:2]), number - 1, verb))
                    return
                after(result, hit, command)
        self.fail("it made ever more changes")

    def check_refused(self, result, _hit, command):
        """No space: it says so, and the service goes on. With space again nothing is left, or
        what could not be removed is deleted as anything else."""
        self.delete(command)
        self.assertEqual(self.session.leftovers(), self.idle)
        self.assertEqual(self.session.service_pid(), self.service)
        # Why a log could not be brought to the disk SQLite does not say.
        if result.returncode and "disk I/O error" not in result.stderr:
            self.assertIn("No space left on device", result.stderr)
            self.assertIn("hint: make room", result.stderr)

    def check_killed(self, _result, _hit, command):
        """After a crash the next start has cleaned up when it answers."""
        self.delete(command)
        self.assertEqual(self.session.leftovers(), self.idle)

    def test_full_create(self):
        self.each_change("full", CREATE, self.check_refused)

    def test_full_once_create(self):
        self.each_change("full-once", CREATE, self.check_refused)

    def test_full_import(self):
        self.each_change("full", IMPORT, self.check_refused)

    def test_full_once_import(self):
        self.each_change("full-once", IMPORT, self.check_refused)

    def test_crash_create(self):
        self.each_change("crash", CREATE, self.check_killed)

    def test_crash_import(self):
        self.each_change("crash", IMPORT, self.check_killed)

    def test_full_delete(self):
        self.each_change("full", DELETE, self.check_refused, CREATE)

    def test_crash_delete(self):
        self.each_change("crash", DELETE, self.check_killed, CREATE)

    def test_full_once_start(self):
        self.each_change("full-once", START, self.check_refused, CREATE)

    def test_crash_start(self):
        self.each_change("crash", START, self.check_killed, CREATE)


if __name__ == "__main__":
    unittest.main()
