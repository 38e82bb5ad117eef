# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of a VM whose guest ends by itself: the state within a second, then the next start
as its policy says, whatever becomes of the service meanwhile."""

import os
import time
import unittest

from harness import BUS_NAME, SECONDS
from life import Signals, VmTest


class RestartTest(VmTest):
    def check_started_again(self, signals, path, restarts):
        seen = signals.until(path, State="running")
        self.assertEqual(self.get(path, "Restarts"), restarts)
        signals.until(path, Health="healthy")
        self.assertEqual(self.get(path, "NextStartAt"), 0)
        return seen

    # How a guest ends

    def test_guest_ends_by_itself(self):
        path = self.create("ends", start=False)
        for command, state, reason in (
                ("poweroff -f", "stopped", "shutdown"),
                ("echo c > /proc/sysrq-trigger", "failed", "panic")):
            with self.subTest(reason=reason):
                with Signals(self.session) as signals:
                    self.finish(self.begin(path, "Start"))
                    signals.until(path, Health="healthy", BootStage="healthy")
                    self.in_guest(path, command)
                    seen = signals.until(path, State=state)
                # One announcement says it all.
                self.assertEqual(seen["LastExit"], reason)
                self.assertEqual(seen["Health"], "unknown")
                self.assertEqual(seen["BootStage"], "")
                self.assertEqual(self.get(path, "NextStartAt"), 0)
        details = self.session.call(path, "VM.GetFailureDetails", "a{sv}", "0")[0]
        self.assertIn("panic", details["cause"]["data"])

    def test_killed_processes_within_a_second(self):
        path = self.create("killed", start=False)
        for program, reason in (("qemu", "vmm-failed"), ("banger-vmm", "lost")):
            with self.subTest(program=program):
                self.finish(self.begin(path, "Start"))
                with Signals(self.session) as signals:
                    started = time.monotonic()
                    self.session.kill(next(iter(self.session.processes(program))))
                    seen = signals.until(path, State="failed")
                    self.assertLess(time.monotonic() - started, 1)
                self.assertEqual(seen["LastExit"], reason)

    def test_reboot_is_followed_at_once(self):
        path = self.create("reboots")
        self.session.guest("reboots", "/bin/sh", "-c", "echo kept > /root/kept; sync")
        with Signals(self.session) as signals:
            self.in_guest(path, "reboot -f")
            for change in signals.changes(path):
                self.assertNotIn(change.get("State"), ("stopped", "failed"))
                if change.get("State") == "running":
                    break
            signals.until(path, Health="healthy")
        self.assertEqual(self.get(path, "LastExit"), "reboot")
        self.assertEqual(self.get(path, "Restarts"), 0)
        self.assertEqual(self.session.guest("reboots", "/bin/cat", "/root/kept").stdout, "kept\n")

    def test_reboot_while_the_service_is_away(self):
        path = self.create("away")
        monitor = next(iter(self.session.processes("banger-vmm")))
        self.end_service()
        record = next((self.session.state / "vms").iterdir()) / "exit"
        self.session.kill(monitor)
        record.write_text("[exit]\nreason=reboot\nstatus=0\nat=%d\n" % time.time())
        self.session.wait_for_state("away", "running", SECONDS["busybox"])
        self.assertEqual(self.get(path, "LastExit"), "reboot")

    # Policies

    def test_never_is_the_default(self):
        path = self.create("never")
        self.assertEqual(self.get(path, "Restart"), "never")
        with Signals(self.session) as signals:
            self.session.kill(next(iter(self.session.processes("qemu"))))
            self.assertEqual(signals.until(path, State="failed").get("NextStartAt", 0), 0)

    def test_on_failure(self):
        path = self.create("fails", "restart", "s", "on-failure")
        with Signals(self.session) as signals:
            for attempt in range(2):
                before = time.time()
                self.session.kill(next(iter(self.session.processes("qemu"))))
                seen = signals.until(path, State="failed")
                # It tells when: after one second, then two.
                self.assertAlmostEqual(seen["NextStartAt"] - before, 2 ** attempt + 0.5, delta=1.5)
                self.check_started_again(signals, path, attempt + 1)
                self.assertGreaterEqual(time.time() - before, 2 ** attempt)
            # What powers itself off has not failed.
            self.in_guest(path, "poweroff -f")
            self.assertEqual(signals.until(path, State="stopped").get("NextStartAt", 0), 0)
        # The jobs of these starts are the owner's.
        jobs = [line for line in self.session.run("busctl", "--user", "--list", "tree", BUS_NAME)
                .stdout.split() if "/job/" in line]
        get = lambda job, name: self.session.property(job, "Job", name)
        starts = [job for job in jobs if get(job, "Object") == path and get(job, "Kind") == "start"]
        self.assertEqual([get(job, "StartedByUid") for job in starts], 2 * [os.getuid()])

    def test_always(self):
        path = self.create("always", "restart", "s", "always")
        with Signals(self.session) as signals:
            self.in_guest(path, "poweroff -f")
            self.assertGreater(signals.until(path, State="stopped")["NextStartAt"], 0)
            self.check_started_again(signals, path, 1)
        # But whoever stops it means it.
        self.finish(self.begin(path, "Kill"))
        self.assertEqual((self.get(path, "State"), self.get(path, "NextStartAt")), ("stopped", 0))
        # And a start by somebody counts anew.
        self.finish(self.begin(path, "Start"))
        self.assertEqual(self.get(path, "Restarts"), 0)

    def make_wait(self, path, attempts=5):
        """Has the VM wait for its policy's start, which is some time away."""
        self.session.kill(self.session.service_pid())
        self.rewrite("UPDATE vms SET restarts = ?", attempts)
        self.assertEqual(self.get(path, "State"), "running")
        with Signals(self.session) as signals:
            self.session.kill(next(iter(self.session.processes("qemu"))))
            seen = signals.until(path, State="failed")
        self.assertGreater(seen["NextStartAt"], time.time() + 2)
        return seen["NextStartAt"]

    def test_what_ends_the_wait(self):
        path = self.create("waits", "restart", "s", "on-failure", start=False)
        for method in ("Stop", "Kill", "Start"):
            with self.subTest(method=method):
                self.finish(self.begin(path, "Start"))
                self.make_wait(path)
                self.finish(self.begin(path, method))
                self.assertEqual(self.get(path, "NextStartAt"), 0)
                state = "running" if method == "Start" else "failed"
                self.assertEqual(self.get(path, "State"), state)
        self.make_wait(path)
        self.finish(self.begin(path, "Delete"))

    def test_wait_outlives_the_service(self):
        path = self.create("waits", "restart", "s", "on-failure")
        planned = self.make_wait(path, 3)
        self.end_service()
        with Signals(self.session) as signals:
            self.assertEqual(self.get(path, "NextStartAt"), planned)
            self.assertEqual(self.get(path, "State"), "failed")
            self.check_started_again(signals, path, 4)
        # One that has passed meanwhile is done at once.
        self.make_wait(path, 5)
        self.end_service()
        self.rewrite("UPDATE vms SET next_start_at = 1")
        with Signals(self.session) as signals:
            self.session.banger("vm", "list")
            self.check_started_again(signals, path, 6)

    def test_failure_while_the_service_is_away(self):
        path = self.create("away", "restart", "s", "on-failure")
        monitor = next(iter(self.session.processes("banger-vmm")))
        self.end_service()
        self.session.kill(monitor)
        with Signals(self.session) as signals:
            self.session.banger("vm", "list")
            self.check_started_again(signals, path, 1)
        self.assertEqual(self.get(path, "LastExit"), "lost")

    def test_start_that_cannot_be(self):
        """A policy's start that fails is a failure as any other."""
        path = self.create("broken", "restart", "s", "on-failure")
        disk = next((self.session.state / "vms").iterdir()) / "work.ext4"
        aside = self.session.base / "work.ext4"
        with Signals(self.session) as signals:
            disk.rename(aside)
            self.session.kill(next(iter(self.session.processes("qemu"))))
            signals.until(path, State="starting")
            seen = signals.until(path, State="failed")
            self.assertGreater(seen["NextStartAt"], 0)
            details = self.session.call(path, "VM.GetFailureDetails", "a{sv}", "0")[0]
            self.assertIn("work.ext4", details["message"]["data"])
            aside.rename(disk)
            signals.until(path, State="running")

    # With the host

    def test_autostart_once_a_boot(self):
        path = self.create("with-host", "autostart", "b", "true", start=False)
        other = self.create("without", start=False)
        # In this boot of the host it has been done.
        self.end_service()
        self.assertEqual(self.get(path, "State"), "stopped")
        self.end_service()
        self.rewrite("UPDATE settings SET value = 'another boot' WHERE key = 'autostarted'")
        with Signals(self.session) as signals:
            self.session.banger("vm", "list")
            self.check_started_again(signals, path, 0)
        self.assertEqual(self.get(other, "State"), "stopped")
        self.finish(self.begin(path, "Kill"))
        self.end_service()
        self.assertEqual(self.get(path, "State"), "stopped")


if __name__ == "__main__":
    unittest.main()
