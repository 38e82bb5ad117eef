# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ways down and back that people ask for: stop, kill, restart, pause and resume, and what is
true of them where the service ends meanwhile."""

import os
import signal
import time
import unittest

from harness import SECONDS, PropertyWatch
from life import Signals, VmTest
from leftovers import wait_for_end


class DownTest(VmTest):
    def stages_of(self, job):
        return [stage for stage, _, _ in self.session.property(job, "Job", "Timings")]

    def hang(self):
        """From now on nothing of the guest answers, nor does its VMM."""
        os.kill(next(iter(self.session.processes("qemu"))), signal.SIGSTOP)

    # Down

    def test_stop_says_what_ended_it(self):
        path = self.create("stops")
        job = self.begin(path, "Stop")
        self.assertEqual(self.finish(job), {"ended-by": "guest"})
        self.assertEqual(self.stages_of(job), ["asking", "released"])
        self.assertEqual((self.get(path, "State"), self.get(path, "LastExit")),
                         ("stopped", "shutdown"))
        self.assertEqual(self.session.processes("banger-vmm", "qemu"), {})

    def test_stop_goes_on_without_the_agent(self):
        path = self.create("deaf")
        self.hang()
        job = self.begin(path, "Stop", "timeout", "u", "3")
        self.assertEqual(self.finish(job), {"ended-by": "kill"})
        self.assertEqual(self.stages_of(job),
                         ["asking", "button", "ending", "killing", "released"])
        self.assertEqual((self.get(path, "State"), self.get(path, "LastExit")),
                         ("stopped", "killed"))

    def test_kill(self):
        path = self.create("killed")
        job = self.begin(path, "Kill")
        self.assertIn(self.finish(job)["ended-by"], ("vmm", "kill"))
        self.assertEqual(self.stages_of(job), ["ending", "released"])
        self.assertEqual((self.get(path, "State"), self.get(path, "LastExit")),
                         ("stopped", "killed"))

    def test_kill_of_one_that_stops(self):
        path = self.create("slow")
        self.hang()
        stop = self.begin(path, "Stop", "timeout", "u", "3600")
        kill = self.begin(path, "Kill")
        self.finish(kill)
        self.finish(stop)
        self.assertEqual(self.get(path, "State"), "stopped")

    def test_kill_of_one_that_is_to_be_paused(self):
        path = self.create("slow")
        self.hang()
        pause = self.begin(path, "Pause")
        self.finish(self.begin(path, "Kill"))
        self.finish(pause, "failed")
        self.assertEqual(self.get(path, "State"), "stopped")

    def test_service_ends_while_it_stops(self):
        """The monitor goes on, and whatever ends the guest then is what was asked for."""
        path = self.create("slow", "restart", "s", "always")
        self.hang()
        job = self.begin(path, "Stop", "timeout", "u", "5")
        self.end_service()
        with Signals(self.session) as signals:
            self.assertEqual(self.session.property(job, "Job", "State"), "interrupted")
            if self.get(path, "State") != "stopped":
                signals.until(path, State="stopped")
        self.assertEqual(self.get(path, "NextStartAt"), 0)

    # Down and up

    def test_restart(self):
        path = self.create("again")
        self.session.guest("again", "/bin/sh", "-c", "echo kept > /root/kept; touch /tmp/lost")
        job = self.begin(path, "Restart")
        self.assertEqual(self.finish(job), {"ended-by": "guest"})
        self.assertEqual(self.stages_of(job),
                         ["asking", "kernel", "monitor", "vmm", "booting", "agent", "healthy"])
        self.assertEqual((self.get(path, "State"), self.get(path, "LastExit")),
                         ("running", "shutdown"))
        self.assertEqual(self.session.guest("again", "/bin/cat", "/root/kept").stdout, "kept\n")

    def test_restart_is_cancelled_once_it_is_down(self):
        path = self.create("again")
        with PropertyWatch(self.session) as watch:
            job = self.begin(path, "Restart")
            self.assertFalse(self.session.property(job, "Job", "Cancelable"))
            self.assertEqual(watch.wait_for("Stage", "booting", job), job)
            self.session.call(job, "Job.Cancel", "a{sv}", "0")
            self.assertEqual(watch.wait_for("State", "cancelled", job), job)
        self.assertEqual(self.get(path, "State"), "stopped")
        self.assertEqual(self.session.processes("banger-vmm", "qemu"), {})

    def test_restart_that_is_killed(self):
        path = self.create("again")
        self.hang()
        job = self.begin(path, "Restart", "timeout", "u", "3600")
        self.finish(self.begin(path, "Kill"))
        self.finish(job, "cancelled")
        self.assertEqual(self.get(path, "State"), "stopped")

    def test_service_ends_while_it_restarts(self):
        """Nobody finishes it, and nothing is left half."""
        path = self.create("again")
        # "button" is the monitor's own word: by then the guest has been asked for sure, in vain.
        for stage in ("button", "kernel", "monitor", "vmm", "booting"):
            with self.subTest(stage=stage):
                if self.get(path, "State") != "running":
                    self.finish(self.begin(path, "Start"))
                if stage == "button":
                    self.hang()
                service = self.session.service_pid()
                with PropertyWatch(self.session) as watch:
                    client = self.session.popen(
                        "busctl", "--user", "call", "org.banger.Banger1", path,
                        "org.banger.Banger1.VM", "Restart", "a{sv}", "1", "timeout", "u", "3")
                    job = watch.wait_for("Stage", stage)
                    self.assertIsNotNone(job)
                    self.session.kill(service)
                    client.wait()
                    client.stdout.close()
                self.assertEqual(self.session.property(job, "Job", "State"), "interrupted")
                with Signals(self.session) as signals:
                    # It is down, on its way down, or it runs.
                    state = self.get(path, "State")
                    self.assertIn(state, ("stopping", "stopped") if stage == "button"
                                  else ("running", "stopping", "stopped", "failed"))
                    if state == "stopping":
                        signals.until(path, State="stopped")
                if self.get(path, "State") != "running":
                    self.assertEqual(self.session.processes("banger-vmm", "qemu"), {})

    # Paused

    def clock(self, name):
        return float(self.session.guest(name, "/bin/date", "+%s").stdout)

    def test_pause_and_resume(self):
        path = self.create("rests")
        self.refused("WrongState", path, "VM.Resume", "{}")
        job = self.begin(path, "Pause")
        self.finish(job)
        self.assertEqual(self.stages_of(job), ["pausing"])
        self.assertEqual((self.get(path, "State"), self.get(path, "Health")), ("paused", "healthy"))
        for method in ("Pause", "Start"):
            self.refused("WrongState", path, "VM." + method, "{}")
        text = self.refused("WrongState", path, "VM.Exec", "['true']", "{}")
        self.assertIn("hint: resume it", text)
        time.sleep(3)  # of the guest's time, to be made up for
        self.assertEqual(self.get(path, "Health"), "healthy")
        job = self.begin(path, "Resume")
        self.finish(job)
        self.assertEqual(self.stages_of(job), ["resuming"])
        self.assertEqual(self.get(path, "State"), "running")
        self.assertAlmostEqual(self.clock("rests"), time.time(), delta=2)

    def test_paused_one_outlives_the_service(self):
        path = self.create("rests")
        self.finish(self.begin(path, "Pause"))
        for sign in (signal.SIGKILL, signal.SIGTERM):
            service = self.session.service_pid()
            os.kill(service, sign)
            self.assertTrue(wait_for_end(service, SECONDS["command"]))
            self.assertEqual(self.get(path, "State"), "paused")
        self.finish(self.begin(path, "Resume"))
        self.assertEqual(self.session.guest("rests", "/bin/echo", "here").stdout, "here\n")

    def test_ways_down_from_paused(self):
        path = self.create("rests", start=False)
        for method, reason in (("Stop", "shutdown"), ("Kill", "killed"), ("Restart", "shutdown"),
                               ("Delete", None)):
            with self.subTest(method=method):
                if self.get(path, "State") == "stopped":
                    self.finish(self.begin(path, "Start"))
                self.finish(self.begin(path, "Pause"))
                if method == "Delete":
                    self.refused("WrongState", path, "VM.Delete", "{}")
                    self.finish(self.begin(path, "Delete", "force", "b", "true"))
                    return
                self.finish(self.begin(path, method))
                self.assertEqual(self.get(path, "LastExit"), reason)
                self.assertEqual(self.get(path, "State"),
                                 "running" if method == "Restart" else "stopped")

    def test_paused_one_that_loses_its_vmm(self):
        path = self.create("rests")
        self.finish(self.begin(path, "Pause"))
        with Signals(self.session) as signals:
            started = time.monotonic()
            self.session.kill(next(iter(self.session.processes("qemu"))))
            seen = signals.until(path, State="failed")
            self.assertLess(time.monotonic() - started, 1)
        self.assertEqual(seen["LastExit"], "vmm-failed")


if __name__ == "__main__":
    unittest.main()
