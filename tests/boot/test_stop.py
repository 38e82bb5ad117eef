# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests that are stopped while their agent hangs, by what their image's init does of it."""

import time
import unittest

import fixtures
from harness import ROOT_PATH, SECONDS, PropertyWatch
from life import VmTest

MARK = "the agent is stopped"
# The agent is the parent of what it runs; the console is no way through it.
STOP_AGENT = "kill -STOP $PPID; echo %s > /dev/ttyS0" % MARK
PAUSE_SECONDS = 5


class StopTest(VmTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_image("tiny-init", fixtures.busybox_tar(init=True))
        cls.session.import_image("debian", fixtures.debian_tar())
        cls.idle = cls.session.leftovers()

    def boot(self, name, image):
        """Healthy: its init is up."""
        with PropertyWatch(self.session, SECONDS["debian"]) as watch:
            path, _ = self.session.call(
                ROOT_PATH, "Manager.CreateVM", "soa{sv}", name, self.find("Image", image), "2",
                "memory-bytes", "t", str(256 << 20), "network", "s", "none")
            self.assertEqual(watch.wait_for("Health", "healthy", path), path)
        return path

    def stop(self, path, seconds):
        """What ended it, and the stages of that."""
        job = self.begin(path, "Stop", "timeout", "u", str(seconds))
        result = self.finish(job, seconds=SECONDS["stop"])
        return result["ended-by"], [entry[0] for entry in
                                    self.session.property(job, "Job", "Timings")]

    def stop_agent(self, name):
        with self.session.popen("banger", "vm", "logs", "-f", name) as log:
            command = self.session.popen("banger", "vm", "exec", name, "--", "/bin/sh", "-c",
                                         STOP_AGENT)
            self.addCleanup(command.stdout.close)
            self.addCleanup(command.wait)
            self.addCleanup(command.kill)
            self.assertTrue(any(MARK.encode() in line for line in log.stdout))
            log.kill()

    def test_agent_asks_init(self):
        path = self.boot("polite", "tiny-init")
        by, stages = self.stop(path, 60)
        self.assertEqual((by, stages), ("guest", ["asking", "released"]))
        self.assertEqual(self.get(path, "LastExit"), "shutdown")

    def test_logind_hears_the_button(self):
        path = self.boot("button", "debian")
        # Its clock goes on where it would be, had it not been paused.
        self.finish(self.begin(path, "Pause"))
        time.sleep(PAUSE_SECONDS)
        self.finish(self.begin(path, "Resume"))
        before = time.time()
        there = float(self.session.guest("button", "date", "+%s.%N").stdout)
        print("# the clock is at most %.3f s slow and %.3f s fast after a pause" % (
            time.time() - there, there - before))
        self.assertGreater(there, before - 0.5)
        self.assertLess(there, time.time() + 0.5)
        self.stop_agent("button")
        by, stages = self.stop(path, 90)
        self.assertEqual((by, stages), ("button", ["asking", "button", "released"]))
        self.assertEqual(self.get(path, "LastExit"), "shutdown")

    def test_nobody_hears_the_button(self):
        path = self.boot("deaf", "tiny-init")
        self.stop_agent("deaf")
        started = time.monotonic()
        by, stages = self.stop(path, 3)
        self.assertGreaterEqual(time.monotonic() - started, 3)
        self.assertEqual((by, stages), ("vmm", ["asking", "button", "ending", "released"]))
        self.assertEqual(self.get(path, "LastExit"), "killed")


if __name__ == "__main__":
    unittest.main()
