# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that writes without end, to its console or to its disks, costs nobody else anything, and
itself no more than it was given."""

import time
import unittest

import fixtures
from harness import SECONDS, BangerTest
from leftovers import status_kib

MIB = 1 << 20
LOG_MAX = MIB + (64 << 10)
MONITOR_KIB = 16 * 1024
FLOOD_SECONDS = 5


class FloodTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.idle = cls.session.leftovers()

    def create(self, name, *more):
        self.session.banger("vm", "create", name, "--image", "tiny", "--memory", "128M", *more,
                            seconds=SECONDS["busybox"])
        return self.session.path_of_vm(name)

    def delete(self, *names):
        for name in names:
            self.session.banger("vm", "delete", "--force", name)
        self.assertEqual(self.session.leftovers(), self.idle)

    def test_console(self):
        self.create("quiet")
        monitors = set(self.session.processes("banger-vmm"))
        path = self.create("loud")
        monitor, = set(self.session.processes("banger-vmm")) - monitors
        service = self.session.service_pid()
        before = status_kib(service, "VmRSS")
        self.session.guest("loud", "/bin/sh", "-c",
                           "yes flood of the console > /dev/console 2>&1 &")
        until = time.monotonic() + FLOOD_SECONDS
        answers = 0
        while time.monotonic() < until:
            self.assertEqual(self.session.guest("quiet", "/bin/echo", "here").stdout, "here\n")
            self.assertEqual(len(self.session.json("vm", "list")["vms"]), 2)
            log = self.session.state / "vms" / path.rsplit("/", 1)[1] / "console.log"
            self.assertLessEqual(log.stat().st_size, LOG_MAX)
            answers += 1
        print("# %d answers of the other in %d s, monitor %d kB at most, log %d bytes" % (
            answers, FLOOD_SECONDS, status_kib(monitor, "VmHWM"), log.stat().st_size))
        self.assertGreater(log.stat().st_size, MIB // 4)
        self.assertLess(status_kib(monitor, "VmHWM"), MONITOR_KIB)
        self.assertLess(status_kib(service, "VmRSS") - before, 4096)
        self.assertEqual(self.session.property(path, "VM", "State"), "running")
        # Its agent is heard among it, and it ends as any other.
        self.assertEqual(self.session.guest("loud", "/bin/echo", "here").stdout, "here\n")
        self.session.banger("vm", "stop", "loud", "--timeout", "10", seconds=SECONDS["stop"])
        self.delete("loud", "quiet")

    def test_disks(self):
        path = self.create("fills", "--disk", "64M", "--work", "64M")
        for folder in ("/", "/root"):
            result = self.session.guest("fills", "/bin/dd", "if=/dev/zero", "bs=65536",
                                        "of=%s/fill" % folder.rstrip("/"), status=None)
            self.assertIn("No space left on device", result.stderr)
        self.assertEqual(self.session.property(path, "VM", "State"), "running")
        self.assertIn(self.session.property(path, "VM", "Health"), ("healthy", "degraded"))
        self.assertEqual(self.session.guest("fills", "/bin/echo", "here").stdout, "here\n")
        # Full disks are no reason not to come up again.
        self.session.banger("vm", "stop", "fills", seconds=SECONDS["stop"])
        self.session.banger("vm", "start", "fills", seconds=SECONDS["busybox"])
        self.assertEqual(self.session.guest("fills", "/bin/ls", "/root/fill").stdout, "/root/fill\n")
        self.delete("fills")


if __name__ == "__main__":
    unittest.main()
