# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs whose monitor takes its time (slow-vmm.c): who waits for it, and what is so in the end. Runs in
privbus.py."""

import os
import sqlite3
import time
import unittest

from callers import ROOT, SECONDS
from vm_case import CONFIGURATION, MIB, VmCase


class MonitorTest(VmCase):
    def setUp(self):
        super().setUp()
        self.put_monitor("slow-vmm")

    def started(self, options=""):
        vm = self.made(self.alice, options)
        self.ended(self.alice, self.begun(self.alice.call(vm, "VM.Start")), ["start", vm, "done"])
        return vm

    def killed(self, vm):
        self.ended(self.alice, self.begun(self.alice.call(vm, "VM.Kill")), ["kill", vm, "done"])

    def answer_late(self, vm):
        """What waits is answered before this is."""
        answer = self.alice.call(vm, "VM.GetHealth")
        self.assertIsNone(answer.error, answer)

    def change(self, vm, changes):
        return self.begun(self.alice.call(vm, "VM.Set", "({%s}, @a{sv} {})" % changes))

    def database(self, statement, *values):
        with sqlite3.connect(self.base / "state/state.db") as db:
            db.execute(statement, values)

    def test_pause_that_takes_long(self):
        """Its job ends, and what it asked for is so whenever it is."""
        vm = self.started()
        self.ended(self.alice, self.begun(self.alice.call(vm, "VM.Pause")), ["pause", vm, "failed"])
        self.assertEqual(self.property(vm, "State"), "'running'")
        self.answer_late(vm)
        self.assertEqual(self.property(vm, "State"), "'paused'")
        job = self.begun(self.alice.call(vm, "VM.Resume"))
        self.answer_late(vm)
        self.ended(self.alice, job, ["resume", vm, "done"])
        self.assertEqual(self.property(vm, "State"), "'running'")

    def test_pause_of_one_that_boots(self):
        """Whoever waits for its health is told; the VM stays, and comes up once it is resumed."""
        vm = self.made(self.alice, name="late")
        start = self.begun(self.alice.call(vm, "VM.Start"))
        while self.property(start, "Stage", "Job") != "'booting'":
            time.sleep(0.01)
        pause = self.begun(self.alice.call(vm, "VM.Pause"))
        self.answer_late(vm)
        self.ended(self.alice, start, ["start", vm, "failed"])
        self.assertIn("'banger vm resume late'", self.property(start, "Error", "Job"))
        self.ended(self.alice, pause, ["pause", vm, "done"])
        self.assertEqual(self.property(vm, "State"), "'paused'")
        resume = self.begun(self.alice.call(vm, "VM.Resume"))
        self.answer_late(vm)
        self.ended(self.alice, resume, ["resume", vm, "done"])
        self.assertEqual(self.property(vm, "State"), "'running'")

    def test_publish_that_takes_long(self):
        """Its job fails, and the monitor has the ports that the VM says, though it took the others."""
        vm = self.made(self.alice)
        # On this bus none can be asked for; what is there can be taken away.
        self.restart()
        self.database("UPDATE vms SET published = '127.0.0.1:8080:80'")
        self.ended(self.alice, self.begun(self.alice.call(vm, "VM.Start")), ["start", vm, "done"])
        job = self.change(vm, "'publish': <@as []>")
        self.ended(self.alice, job, ["set", vm, "failed"])
        ports = "['127.0.0.1:8080:80']"
        self.assertEqual(self.property(vm, "Published"), ports)
        self.assertIn("'problems': <%s>" % ports, self.alice.call(vm, "VM.GetHealth").value)

    def test_port_that_another_vm_publishes(self):
        """The monitor knows only that somebody listens there."""
        self.configure(CONFIGURATION.replace("vcpus=1", "vcpus=2"))
        self.addCleanup(self.restart)
        self.addCleanup(self.configure, CONFIGURATION)
        first, second = (self.made(self.alice, name=name) for name in ("first", "second"))
        self.restart()
        for name, port in (("first", "0.0.0.0:7:80"), ("second", "127.0.0.1:7:80")):
            self.database("UPDATE vms SET published = ? WHERE name = ?", port, name)
        job = self.begun(self.alice.call(second, "VM.Start"))
        self.ended(self.alice, job, ["start", second, "failed"])
        self.assertIn("another program listens there", self.property(job, "Error", "Job"))
        job = self.begun(self.alice.call(first, "VM.Start"))
        self.ended(self.alice, job, ["start", first, "done"])
        job = self.begun(self.alice.call(second, "VM.Start"))
        self.ended(self.alice, job, ["start", second, "failed"])
        self.assertIn("vm 'first' publishes 0.0.0.0:7:80", self.property(job, "Error", "Job"))

    def test_delete_of_one_that_is_worked_on(self):
        for method, kind in (("Pause", "pause"), ("Set", "set"), ("Stop", "stop")):
            with self.subTest(method=method):
                vm = self.started()
                if method == "Set":
                    job = self.change(vm, "'disk-bytes': <uint64 %d>" % (32 * MIB))
                else:
                    job = self.begun(self.alice.call(vm, "VM." + method))
                self.assertEqual(self.alice.call(vm, "VM.Delete", "(@a{sv} {},)").word, "Busy")
                delete = self.begun(self.alice.call(vm, "VM.Delete", "({'force': <true>},)"))
                self.ended(self.alice, job, [kind, vm, "done" if kind == "stop" else "failed"])
                self.ended(self.alice, delete, ["delete", vm, "done"])
                self.assertEqual(self.vms(), set())

    def test_stop_that_is_answered_late(self):
        """A guest that has its time is not ended because its monitor takes some."""
        vm = self.started()
        job = self.begun(self.alice.call(vm, "VM.Stop", "({'timeout': <uint32 40>},)"))
        self.ended(self.alice, job, ["stop", vm, "done"])
        self.assertEqual(self.property(vm, "LastExit"), "'shutdown'")
        self.assertIn("'ended-by': <'guest'>", self.property(job, "Result", "Job"))

    def test_stop_of_one_that_is_down(self):
        """Nobody who wants it down is told to start it."""
        vm = self.made(self.alice)
        for method, hint in (("Stop", False), ("Kill", False), ("Restart", True)):
            answer = self.alice.call(vm, "VM." + method)
            self.assertEqual(answer.word, "WrongState", answer)
            self.assertIn("is stopped, not running", answer.message)
            self.assertEqual("start it" in answer.message, hint, answer)

    def test_disk_that_grew_late(self):
        """Nobody waits for it any more; once its guest has ended the row says what the disk is."""
        vm = self.started()
        os.truncate(self.base / "state/vms" / vm.rsplit("/", 1)[1] / "upper.ext4", 32 * MIB)
        self.assertEqual(self.property(vm, "DiskBytes"), "uint64 %d" % (16 * MIB))
        self.killed(vm)
        self.assertEqual(self.property(vm, "DiskBytes"), "uint64 %d" % (32 * MIB))
        self.assertEqual(self.property(vm, "WorkBytes"), "uint64 %d" % (16 * MIB))

    def test_name_that_is_about_to_be_given(self):
        """Nobody else gets it meanwhile, nor the one that it replaces."""
        vm, other = self.started(), self.made(self.alice)
        old = self.property(vm, "Name").strip("'")
        job = self.change(vm, "'name': <'web'>, 'disk-bytes': <uint64 %d>" % (32 * MIB))
        for name in ("web", old):
            answer = self.alice.call(ROOT, "Manager.CreateVM", "('%s', objectpath '/', @a{sv} {})" % name)
            self.assertEqual(answer.word, "Exists", answer)
            answer = self.alice.call(other, "VM.Set", "({'name': <'%s'>}, @a{sv} {})" % name)
            self.assertEqual(answer.word, "Exists", answer)
        self.answer_late(vm)
        self.ended(self.alice, job, ["set", vm, "done"])
        self.assertEqual(self.property(vm, "Name"), "'web'")

    def test_set_back_to_what_runs(self):
        vm = self.started()
        for size, pending in ((96, "['memory-bytes']"), (64, "@as []")):
            job = self.change(vm, "'memory-bytes': <uint64 %d>" % (size * MIB))
            self.ended(self.alice, job, ["set", vm, "done"])
            self.assertEqual(self.property(vm, "Pending"), pending)

    def test_restart_that_the_host_cannot_hold(self):
        """It is refused before the guest is ended."""
        self.configure(CONFIGURATION.replace("memory=128M", "memory=0"))
        self.restart()
        self.addCleanup(self.restart)
        self.addCleanup(self.configure, CONFIGURATION)
        vm = self.started()
        # All that the host has can be chosen, but is never there.
        total = self.capacity(self.alice)["memory-total-bytes"] // MIB * MIB
        job = self.change(vm, "'memory-bytes': <uint64 %d>" % total)
        self.ended(self.alice, job, ["set", vm, "done"])
        self.refused(self.alice.call(vm, "VM.Restart"), "the host has not enough memory")
        self.assertEqual(self.property(vm, "State"), "'running'")

    def test_set_looks_at_the_host_for_what_it_depends_on(self):
        """A look that takes long, or for ever, keeps nobody from a label."""
        vm, looked = self.made(self.alice), self.base / "runtime/looked"
        program = self.base / "libexec/banger-vmm"
        program.unlink()
        program.write_text("#!/bin/sh\n: >%s\nexit 1\n" % looked, encoding="utf-8")
        program.chmod(0o755)
        for changes, looks in (("'labels': <{'a': 'b'}>", False), ("'network': <'none'>", True)):
            self.ended(self.alice, self.change(vm, changes), ["set", vm, "done"])
            self.assertEqual(looked.exists(), looks, changes)

    def test_monitor_that_cannot_be_reached(self):
        """That is no word of its end: no service begins that would end its VM for it."""
        vm = self.started("'restart': <'always'>")
        control = self.base / "runtime/vms" / vm.rsplit("/", 1)[1] / "control"
        self.restart()
        control.symlink_to(control)
        answer = self.root.call(ROOT, "Manager.Check")
        self.assertIsNotNone(answer.error)
        log = (self.base / "bus.log").read_text(encoding="utf-8", errors="replace")
        self.assertIn(": its monitor cannot be reached: %s: cannot connect" % control, log)
        with sqlite3.connect(self.base / "state/state.db") as db:
            self.assertEqual(db.execute("SELECT state FROM vms").fetchall(), [("running",)])
        control.unlink()
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
        self.assertNotEqual(self.property(vm, "NextStartAt"), "uint64 0")

    def test_undo_that_fails(self):
        """A create says what it failed for, and its VM goes once the store lets it."""
        os.replace(self.base / "tests/lying-vmm", self.base / "libexec/banger-vmm")
        self.database("CREATE TRIGGER keeps BEFORE DELETE ON vms"
                      " BEGIN SELECT RAISE(ABORT, 'it is kept'); END")
        answer = self.create(self.alice, start=True)
        vm, job = answer.value.split("'")[1], self.begun(answer)
        self.ended(self.alice, job, ["create", vm, "failed"])
        self.assertIn("the guest has ended", self.property(job, "Error", "Job"))
        self.assertEqual(self.vms(), {vm})
        self.database("DROP TRIGGER keeps")
        # No job tells of that.
        deadline = time.monotonic() + SECONDS
        while self.vms() and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(self.vms(), set())

    def test_autostart_that_was_cut_short(self):
        """The service that comes next starts it for the host, and not for its policy."""
        vm = self.made(self.alice, "'autostart': <true>")
        self.restart()
        self.database("UPDATE vms SET next_start_at = ?, last_exit = 'shutdown'", int(time.time()))
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
        while self.alice.event()[2:] != ["start", vm, "done"]:
            pass
        self.assertEqual(self.property(vm, "Restarts"), "uint32 0")


if __name__ == "__main__":
    unittest.main()
