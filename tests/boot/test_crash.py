# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 of bangerd at every stage of create and import; then its next start leaves nothing of
what was not finished, counted by the kernel's facts and by the rows of its store."""

import unittest

import fixtures
from harness import SECONDS, BangerTest, PropertyWatch

EXIT_OK, EXIT_NOT_FOUND = 0, 3


class CrashTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stages = cls.session.stages()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.idle = cls.session.leftovers()

    def crash_at(self, stage, *command):
        """Runs the command, kills bangerd at the stage; returns whether it got there."""
        self.session.banger("vm", "list")
        service = self.session.service_pid()
        with PropertyWatch(self.session) as watch:
            client = self.session.popen("banger", *command)
            try:
                seen = watch.wait_for("Stage", stage)
                if seen:
                    self.session.kill(service)
                # With the service gone from the bus its client gives up by itself.
                client.communicate(timeout=SECONDS["command"])
            finally:
                client.kill()
                client.wait()
                client.stdout.close()
        return seen is not None

    def check_kind(self, kind, undone, racing, kept, command, delete):
        """Stages as words. At those of @undone the next start leaves nothing to delete, at those of
        @kept the object stays; in @racing the object is brought to stay while we kill."""
        expected = undone.split() + racing.split() + kept.split()
        self.assertEqual(self.stages[kind], expected)
        for stage in expected:
            ends = {EXIT_OK, EXIT_NOT_FOUND}
            if stage in undone.split():
                ends = {EXIT_NOT_FOUND}
            elif stage in kept.split():
                ends = {EXIT_OK}
            with self.subTest(kind=kind, stage=stage):
                self.assertTrue(self.crash_at(stage, *command))
                # The next call starts bangerd anew, which answers once it has cleaned up.
                self.assertIn(self.session.banger(*delete, status=None).returncode, ends)
                self.assertEqual(self.session.leftovers(), self.idle)

    def test_create(self):
        self.check_kind(
            "create",
            "admitted disks kernel monitor", "vmm booting", "agent healthy",
            ["vm", "create", "crash", "--image", "tiny", "--memory", "128M"],
            ["vm", "delete", "--force", "crash"])

    def test_import_image(self):
        self.check_kind(
            "import-image", "receiving mkfs writing seed checking", "stored", "",
            ["image", "import", "crash", fixtures.debian_tar()],
            ["image", "delete", "crash"])

    def test_import_kernel(self):
        self.check_kind(
            "import-kernel", "receiving extracting modules checking", "stored", "",
            ["kernel", "import", "crash", fixtures.kernel_deb()],
            ["kernel", "delete", "crash"])


if __name__ == "__main__":
    unittest.main()
