# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's clock is set while VMs and jobs go on: what takes its time takes no other."""

import os
import signal
import time
import unittest

import fixtures
from faults import FaultySession
from harness import SECONDS, BangerTest

HOUR = 3600
NAME = "clock"
CREATE = ["vm", "create", "--image", "tiny", "--memory", "128M"]


class ClockTest(BangerTest):
    session_class = FaultySession

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.idle = cls.session.leftovers()

    def setUp(self):
        self.addCleanup(self.clean)

    def clean(self):
        self.session.plan.set_clock(0)
        for vm in self.session.managed("VM").values():
            self.session.banger("vm", "delete", "--force", vm["Name"])
        self.assertEqual(self.session.leftovers(), self.idle)

    def timings(self, kind):
        """[(when each stage began, how long it took)] of the last job of the kind, in seconds."""
        jobs = [job for job in self.session.managed("Job").values() if job["Kind"] == kind]
        last = max(jobs, key=lambda job: job["Timings"][0][2] and job["Timings"][0][1])
        return [(began / 1e6, took / 1e6) for _, began, took in last["Timings"]]

    def test_times(self):
        """When is the clock's, how long is not."""
        for ahead in (HOUR, -HOUR):
            with self.subTest(ahead=ahead):
                self.session.kill(self.session.service_pid())
                self.session.plan.set_clock(ahead)
                now = time.time()
                self.session.banger(*CREATE, "--no-start", "at%d" % (ahead + HOUR))
                timings = self.timings("create")
                self.assertAlmostEqual(timings[0][0] - now, ahead, delta=SECONDS["command"])
                for _, took in timings:
                    self.assertGreater(took, 0)
                    self.assertLess(took, SECONDS["command"])
        created = {vm["Name"]: vm["CreatedAt"] for vm in self.session.managed("VM").values()}
        self.assertAlmostEqual(created["at7200"] - created["at0"], 2 * HOUR, delta=SECONDS["import"])
        # One that was made in the future is no age old.
        self.session.plan.set_clock(0)
        self.assertNotRegex(self.session.banger("vm", "list").stdout, "-[0-9]")

    def test_set_back_while_it_stops(self):
        """The ladder goes down in its own time."""
        self.session.banger(*CREATE, NAME, seconds=SECONDS["busybox"])
        vmm, = self.session.processes("qemu")
        os.kill(vmm, signal.SIGSTOP)
        client = self.session.popen("banger", "vm", "stop", "--timeout", "3", NAME)
        self.addCleanup(client.stdout.close)
        self.session.plan.set_clock(-HOUR)
        started = time.monotonic()
        self.assertEqual(client.wait(SECONDS["stop"]), 0)
        self.assertLess(time.monotonic() - started, SECONDS["command"])
        vm, = self.session.managed("VM").values()
        self.assertEqual((vm["State"], vm["LastExit"]), ("stopped", "killed"))

    def test_planned_start(self):
        """A start that was planned by a clock which was then set back comes soon all the same, and
        it is said when."""
        self.session.banger(*CREATE, "--restart", "always", NAME, seconds=SECONDS["busybox"])
        path = self.session.path_of_vm(NAME)
        # By its clock of then, an hour after now.
        self.session.kill(self.session.service_pid())
        self.session.plan.set_clock(HOUR)
        self.assertEqual(self.session.property(path, "VM", "State"), "running")
        vmm, = self.session.processes("qemu")
        os.kill(vmm, signal.SIGKILL)
        self.session.wait_for_state(NAME, "failed")
        self.session.kill(self.session.service_pid())
        self.session.plan.set_clock(0)
        planned = self.session.property(path, "VM", "NextStartAt")
        self.assertLess(planned - time.time(), 62)
        self.session.wait_for_state(NAME, "running", SECONDS["busybox"] + 62)


if __name__ == "__main__":
    unittest.main()
