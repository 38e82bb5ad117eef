# SPDX-License-Identifier: LGPL-2.1-or-later
"""What becomes of a VM whose guest ends by itself: the state within a second, then the next start
as its policy says, whatever becomes of the service meanwhile."""

import json
import os
import sqlite3
import time
import unittest

import fixtures
from harness import BUS_NAME, ROOT_PATH, SECONDS, BangerTest, PropertyWatch


class Signals:
    """All that is announced on the bus, in the order in which it comes. A context manager."""

    def __init__(self, session):
        self.watch = PropertyWatch(session, 20 * SECONDS["busybox"])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return self.watch.__exit__(*exc)

    def changes(self, path):
        """Dictionaries of the properties of @path that changed, as they come."""
        for line in self.watch.process.stdout:
            message = json.loads(line)
            if message.get("member") == "PropertiesChanged" and message["path"] == path:
                yield {key: value["data"] for key, value in message["payload"]["data"][1].items()}

    def until(self, path, **wanted):
        """All changes of @path, as one, until the properties of @wanted have these values."""
        seen = {}
        for change in self.changes(path):
            seen.update(change)
            if all(seen.get(key) == value for key, value in wanted.items()):
                return seen
        raise AssertionError("not seen: %s; last: %s" % (wanted, seen))


class RestartTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.image = cls.find("Image", "tiny")
        cls.idle = cls.session.leftovers()

    def tearDown(self):
        for vm in self.session.json("vm", "list")["vms"]:
            self.session.banger("vm", "delete", "--force", vm["name"], status=None)
        self.assertEqual(self.session.leftovers(), self.idle)

    @classmethod
    def find(cls, kind, name):
        return cls.session.call(ROOT_PATH, "Manager.Find" + kind, "sa{sv}", name, "0")[0]

    def get(self, path, name):
        return self.session.property(path, "VM", name)

    def begin(self, path, method, *options):
        """A method that answers with a job: the job's path."""
        return self.session.call(path, "VM." + method, "a{sv}", str(len(options) // 3),
                                 *options)[-1]

    def finish(self, job, state="done", seconds=SECONDS["busybox"]):
        """Waits until the job has ended, as @state; returns its result."""
        with PropertyWatch(self.session, seconds) as watch:
            now = self.session.property(job, "Job", "State")
            if now == "running":
                self.assertEqual(watch.wait_for("State", state, job), job)
        self.assertEqual(self.session.property(job, "Job", "State"), state,
                         self.session.property(job, "Job", "Error"))
        return {key: value["data"]
                for key, value in self.session.property(job, "Job", "Result").items()}

    def create(self, name, *options, start=True):
        """A VM that is healthy, or was not started; options as for busctl."""
        given = ["memory-bytes", "t", str(128 << 20), "start", "b", str(start).lower(), *options]
        path, job = self.session.call(ROOT_PATH, "Manager.CreateVM", "soa{sv}", name, self.image,
                                      str(len(given) // 3), *given)
        self.finish(job)
        return path

    def in_guest(self, path, command):
        """A shell command that may take its guest with it: nobody waits for its answer."""
        name = self.get(path, "Name")
        client = self.session.popen("banger", "vm", "exec", name, "--", "/bin/sh", "-c", command)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)

    def end_service(self):
        """As by a crash; the next call starts it again."""
        self.session.kill(self.session.service_pid())

    def rewrite(self, statement, *values):
        """What the store says, while no service runs."""
        with sqlite3.connect(self.session.state / "state.db") as db:
            db.execute(statement, values)
        db.close()

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
