# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 of bangerd at every stage of create and import; then its next start leaves nothing of
what was not finished, counted by the kernel's facts and by the rows of its store."""

import re
import subprocess
import unittest

import fixtures
from harness import SECONDS, BangerTest

STAGE = re.compile(rb"'Stage': <'([a-z]+)'>")


class StageWatch:
    """Sees the stages of jobs as they are announced on the bus."""

    def __init__(self, session):
        self.process = session.popen("gdbus", "monitor", "--session", "--dest",
                                     "org.banger.Banger1", stdin=subprocess.DEVNULL)
        # It says this once it listens, so nothing is missed from here on.
        for line in self.process.stdout:
            if b" is owned by " in line or b"does not have an owner" in line:
                break

    def wait_for(self, stage):
        """The stage that was seen: @stage, or None at the end of the job that did not show it."""
        for line in self.process.stdout:
            seen = STAGE.search(line)
            if seen and seen.group(1).decode() == stage:
                return stage
            if b"JobFinished" in line:
                return None
        return None

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class CrashTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        listing = cls.session.run("bangerd", "--list-stages")
        cls.stages = {}
        for line in listing.stdout.splitlines():
            kind, stage = line.split()
            cls.stages.setdefault(kind, []).append(stage)
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.idle = cls.session.leftovers()

    def crash_at(self, stage, *command):
        """Runs the command, kills bangerd at the stage; returns whether it got there."""
        self.session.banger("vm", "list")
        watch = StageWatch(self.session)
        service = self.session.service_pid()
        client = self.session.popen("banger", *command)
        try:
            seen = watch.wait_for(stage)
            if seen:
                self.session.kill(service)
            # With the service gone from the bus its client gives up by itself.
            client.communicate(timeout=SECONDS["command"])
        finally:
            watch.close()
            client.kill()
            client.wait()
            client.stdout.close()
        return seen

    def check_kind(self, kind, expected, command, delete):
        self.assertEqual(self.stages[kind], expected)
        for stage in expected:
            with self.subTest(kind=kind, stage=stage):
                self.assertEqual(self.crash_at(stage, *command), stage)
                # The next call starts bangerd anew, which answers once it has cleaned up.
                self.session.banger(*delete, status=None)
                self.assertEqual(self.session.leftovers(), self.idle)

    def test_create(self):
        self.check_kind(
            "create",
            "admitted disks kernel monitor vmm booting agent healthy".split(),
            ["vm", "create", "crash", "--image", "tiny", "--memory", "128M"],
            ["vm", "delete", "--force", "crash"])

    def test_import_image(self):
        self.check_kind(
            "import-image", "receiving mkfs writing seed checking stored".split(),
            ["image", "import", "crash", fixtures.debian_tar()],
            ["image", "delete", "crash"])

    def test_import_kernel(self):
        self.check_kind(
            "import-kernel", "receiving extracting modules checking stored".split(),
            ["kernel", "import", "crash", fixtures.kernel_deb()],
            ["kernel", "delete", "crash"])


if __name__ == "__main__":
    unittest.main()
