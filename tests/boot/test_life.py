# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of a VM as bangerd keeps it: what ends it, what survives bangerd, what a job undoes."""

import os
import signal
import sqlite3
import subprocess
import time
import unittest

import fixtures
from harness import BUS_NAME, ROOT_PATH, SECONDS, Banger, BangerTest, CommandFailed, PropertyWatch
from leftovers import wait_for_end


class LifeTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.idle = cls.session.leftovers()

    def tearDown(self):
        for vm in self.session.json("vm", "list")["vms"]:
            self.session.banger("vm", "delete", "--force", vm["name"], status=None)
        self.assertEqual(self.session.leftovers(), self.idle)

    def create(self, name, *more):
        self.session.banger("vm", "create", name, "--image", "tiny", "--memory", "128M", *more,
                            seconds=SECONDS["busybox"])
        return self.session.call(ROOT_PATH, "Manager.FindVM", "sa{sv}", name, "0")[0]

    def state(self, path):
        return self.session.property(path, "VM", "State")

    def ask(self, member, path):
        """A method that takes options only and answers with one dictionary."""
        answer = self.session.call(path, member, "a{sv}", "0")[0]
        return {key: value["data"] for key, value in answer.items()}

    def end_service(self, sign):
        service = self.session.service_pid()
        os.kill(service, sign)
        self.assertTrue(wait_for_end(service, SECONDS["command"]))

    def monitor(self):
        return next(iter(self.session.processes("banger-vmm")))

    def test_running_vm_survives_bangerd(self):
        path = self.create("keeps")
        monitor = self.monitor()
        started = self.session.property(path, "VM", "StartedAt")
        for sign in (signal.SIGKILL, signal.SIGTERM):
            self.end_service(sign)
            self.assertEqual(self.state(path), "running")
            self.assertEqual(self.session.property(path, "VM", "Health"), "healthy")
            self.assertIn(self.session.property(path, "VM", "Accelerator"), ("kvm", "tcg"))
            self.assertEqual(self.session.property(path, "VM", "StartedAt"), started)
            self.assertEqual(self.monitor(), monitor)
            self.assertEqual(self.session.guest("keeps", "/bin/echo", "here").stdout, "here\n")
        # One that it did not start itself is ended as well as any other.
        self.session.banger("vm", "stop", "keeps", "--timeout", "60", seconds=SECONDS["stop"])
        self.assertEqual(self.state(path), "stopped")
        self.assertEqual(self.session.processes("banger-vmm", "qemu"), {})

    def test_slow_monitor_is_waited_for(self):
        path = self.create("slow")
        monitor = self.monitor()
        os.kill(monitor, signal.SIGSTOP)
        try:
            self.end_service(signal.SIGKILL)
            self.assertEqual(self.state(path), "running")
            self.assertEqual(self.session.property(path, "VM", "Health"), "unknown")
            with PropertyWatch(self.session) as watch:
                os.kill(monitor, signal.SIGCONT)
                self.assertEqual(watch.wait_for("Health", "healthy", path), path)
        finally:
            os.kill(monitor, signal.SIGCONT)
        self.assertEqual(self.monitor(), monitor)
        self.assertEqual(self.session.guest("slow", "/bin/echo", "here").stdout, "here\n")

    def test_slow_monitor_that_ends(self):
        path = self.create("slow")
        monitor = self.monitor()
        os.kill(monitor, signal.SIGSTOP)
        self.end_service(signal.SIGKILL)
        self.assertEqual(self.state(path), "running")
        with PropertyWatch(self.session) as watch:
            self.session.kill(monitor)
            self.assertEqual(watch.wait_for("State", "failed", path), path)

    def rewrite_state(self, state, started_at):
        """What the store says of the only VM, while no service runs."""
        with sqlite3.connect(self.session.state / "state.db") as db:
            db.execute("UPDATE vms SET state = ?, started_at = ?", (state, started_at))
        db.close()

    def test_started_at_of_an_interrupted_start(self):
        path = self.create("late")
        self.end_service(signal.SIGKILL)
        self.rewrite_state("starting", 0)
        self.assertEqual(self.state(path), "running")
        self.assertAlmostEqual(self.session.property(path, "VM", "StartedAt"), time.time(),
                               delta=SECONDS["command"])

    def test_vm_that_ended_meanwhile(self):
        path = self.create("gone")
        monitor = self.monitor()
        self.session.kill(self.session.service_pid())
        self.session.kill(monitor)
        self.assertEqual(self.state(path), "failed")
        self.assertEqual(self.session.property(path, "VM", "Health"), "unknown")
        self.assertIn("without a word", self.ask("VM.GetFailureDetails", path)["message"])

    def fail_by_killing(self, name, program):
        """Kills one of the VM's processes; returns the VM's path once it is announced failed."""
        self.create(name, "--no-start")
        self.session.banger("vm", "start", name, seconds=SECONDS["busybox"])
        self.session.guest(name, "/bin/sh", "-c", "echo said on the console > /dev/console")
        pid = next(iter(self.session.processes(program)))
        with PropertyWatch(self.session) as watch:
            started = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            path = watch.wait_for("State", "failed")
            self.assertLess(time.monotonic() - started, 1)
        return path

    def test_killed_vmm_fails_within_a_second(self):
        path = self.fail_by_killing("fails", "qemu")
        details = self.ask("VM.GetFailureDetails", path)
        self.assertTrue(details["name"].startswith(BUS_NAME + ".Error."))
        self.assertIn("signal 9", details["cause"])
        self.assertGreater(details["at"], 0)
        self.assertIn("said on the console", bytes(details["console-tail"]).decode())
        # At once: what is left of the one before must not come into its way.
        self.session.banger("vm", "start", "fails", seconds=SECONDS["busybox"])
        self.assertEqual(self.state(path), "running")

    def test_killed_monitor_takes_its_vmm_with_it(self):
        path = self.fail_by_killing("orphan", "banger-vmm")
        details = self.ask("VM.GetFailureDetails", path)
        self.assertEqual(details["message"], "vm 'orphan': its monitor ended without a word")
        self.assertEqual(details["hint"], "banger vm logs orphan")
        self.session.banger("vm", "start", "orphan", seconds=SECONDS["busybox"])
        self.assertEqual(len(self.session.processes("qemu", "banger-vmm")), 2)
        self.session.banger("vm", "delete", "--force", "orphan")
        self.assertEqual(self.session.leftovers(), self.idle)

    def switch_off(self, name):
        """Has the guest end itself; returns once the VM is announced stopped."""
        with PropertyWatch(self.session) as watch:
            # Not waited for: it may hear of the end when the monitor has left.
            client = self.session.popen("banger", "vm", "exec", name, "--", "/bin/poweroff", "-f")
            self.addCleanup(client.stdout.close)
            self.addCleanup(client.wait, SECONDS["command"])
            self.assertIsNotNone(watch.wait_for("State", "stopped"))

    def test_guest_switches_itself_off(self):
        path = self.create("off")
        self.switch_off("off")
        self.assertEqual(self.ask("VM.GetFailureDetails", path), {})
        self.assertEqual(self.session.property(path, "VM", "Health"), "unknown")
        self.assertEqual(self.session.property(path, "VM", "Accelerator"), "")

    def follow(self, name):
        """A reader of the console that has got its first byte."""
        reader = self.session.popen("banger", "vm", "logs", "--follow", name)
        self.addCleanup(reader.stdout.close)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        self.assertTrue(reader.stdout.read(1))
        return reader

    def test_start_while_the_former_monitor_leaves(self):
        """A reader that does not read keeps a monitor for a while after its guest's end."""
        path = self.create("again")
        self.session.guest("again", "/bin/sh", "-c", "echo line > /dev/console")
        reader = self.follow("again")
        reader.send_signal(signal.SIGSTOP)
        # More than what lies between the two takes.
        self.session.guest("again", "/bin/sh", "-c",
                           "yes some line of the console | head -c 600000 > /dev/console")
        monitor = self.monitor()
        self.switch_off("again")
        self.assertEqual(list(self.session.processes("banger-vmm")), [monitor])
        self.session.banger("vm", "start", "again", seconds=SECONDS["busybox"])
        self.assertEqual(self.state(path), "running")
        self.assertNotIn(monitor, self.session.processes("banger-vmm"))

    def test_delete_does_not_wait_for_readers(self):
        self.create("read")
        self.session.guest("read", "/bin/sh", "-c", "echo line > /dev/console")
        reader = self.follow("read")
        self.session.banger("vm", "delete", "--force", "read")
        self.assertEqual(self.session.leftovers(), self.idle)
        reader.stdout.read()
        reader.wait(SECONDS["command"])

    def test_two_at_once(self):
        paths = [self.create(name) for name in ("one", "two")]
        self.assertEqual(len(self.session.processes("qemu")), 2)
        for name in ("one", "two"):
            self.assertEqual(self.session.guest(name, "/bin/hostname").stdout, name + "\n")
        self.session.banger("vm", "kill", "one")
        self.assertEqual([self.state(path) for path in paths], ["stopped", "running"])
        self.assertEqual(len(self.session.processes("qemu", "banger-vmm")), 2)
        self.assertEqual(self.session.guest("two", "/bin/hostname").stdout, "two\n")

    def test_stop_start_kill(self):
        path = self.create("cycle")
        self.session.guest("cycle", "/bin/sh", "-c", "echo kept > /root/kept; sync")
        self.session.banger("vm", "stop", "cycle", seconds=SECONDS["stop"])
        self.assertEqual(self.state(path), "stopped")
        self.assertIn("WrongState", self.gdbus_error(path, "VM.Stop", "{}"))
        self.assertIn("WrongState", self.gdbus_error(path, "VM.Kill", "{}"))
        self.session.banger("vm", "start", "cycle", seconds=SECONDS["busybox"])
        self.assertIn("WrongState", self.gdbus_error(path, "VM.Start", "{}"))
        self.assertEqual(self.session.guest("cycle", "/bin/cat", "/root/kept").stdout, "kept\n")
        self.session.banger("vm", "kill", "cycle")
        self.assertEqual(self.state(path), "stopped")
        self.assertEqual(self.session.processes("banger-vmm", "qemu"), {})

    def test_create_without_start(self):
        path = self.create("cold", "--no-start")
        self.assertEqual(self.state(path), "stopped")
        self.assertEqual(self.session.property(path, "VM", "StartedAt"), 0)
        self.assertEqual(self.session.processes("banger-vmm"), {})
        self.session.banger("vm", "start", "cold", seconds=SECONDS["busybox"])

    def test_what_is_used_is_kept(self):
        self.create("uses", "--no-start")
        for kind, name in (("Image", "tiny"), ("Kernel", "cloud")):
            path = self.session.call(ROOT_PATH, "Manager.Find" + kind, "sa{sv}", name, "0")[0]
            error = self.gdbus_error(path, kind + ".Delete", "{}")
            self.assertIn("Busy", error)
            self.assertIn("uses", error)
        self.assertIn("Exists", self.gdbus_error(ROOT_PATH, "Manager.CreateVM", "uses", "/", "{}"))

    def test_running_is_deleted_by_force_only(self):
        path = self.create("runs")
        self.assertIn("WrongState", self.gdbus_error(path, "VM.Delete", "{}"))
        self.assertEqual(self.state(path), "running")
        self.session.banger("vm", "delete", "--force", "runs")

    def test_exec_for_scripts(self):
        path = self.create("scripts")

        def run(*argv):
            return self.session.call(path, "VM.Exec", "asa{sv}", str(len(argv)), *argv, "0")

        status, out, err = run("/bin/sh", "-c", "echo out; echo err >&2; exit 7")
        self.assertEqual((status, bytes(out), bytes(err)), (7, b"out\n", b"err\n"))
        self.assertEqual(bytes(run("/bin/echo", "-e", r"\0377\0000")[1]), b"\xff\x00\n")
        with self.assertRaises(CommandFailed):
            self.session.call(path, "VM.Exec", "asa{sv}", "0", "0")
        with self.assertRaises(CommandFailed):  # more than a script's bound
            run("/bin/sh", "-c", "/bin/dd if=/dev/zero bs=1024 count=1100")
        self.assertEqual(run("/bin/true")[0], 0)

    def test_stats(self):
        path = self.create("stats")
        stats = self.ask("VM.GetStats", path)
        self.assertGreater(stats["cpu-seconds"], 0)
        self.assertGreater(stats["memory-resident-bytes"], 1 << 20)
        self.assertGreater(stats["monitor-resident-bytes"], 1 << 20)
        self.assertGreater(stats["disk-allocated-bytes"], 1 << 16)
        capacity = self.ask("Manager.GetCapacity", ROOT_PATH)
        self.assertEqual(capacity["vms-running"], 1)
        self.assertEqual(capacity["memory-used-by-vms-bytes"], 128 << 20)

    def test_unreachable_is_said(self):
        path = self.create("cold", "--no-start")
        self.assertIn("GuestUnreachable", self.gdbus_error(path, "VM.GetHealth", "{}"))
        self.assertIn("WrongState", self.gdbus_error(path, "VM.OpenAgent", "1024", "{}"))
        self.assertIn("WrongState", self.gdbus_error(path, "VM.Exec", "['true']", "{}"))
        for method in ("Stop", "Kill", "Restart", "Pause", "Resume", "OpenConsole"):
            self.assertIn("WrongState", self.gdbus_error(path, "VM." + method, "{}"))

    def gdbus_error(self, path, member, *arguments):
        interface, method = member.rsplit(".", 1)
        result = self.session.run("gdbus", "call", "--session", "--dest", BUS_NAME, "--object-path",
                                  path, "--method", "%s.%s.%s" % (BUS_NAME, interface, method),
                                  *arguments)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        return result.stderr

    def cancel_at(self, stage, *command):
        """Runs the command, cancels its job when it shows @stage; returns the job's state when the
        command has ended, and whether the service took the Cancel."""
        self.session.banger("vm", "list")
        with PropertyWatch(self.session) as watch:
            client = self.session.popen("banger", *command)
            try:
                job = watch.wait_for("Stage", stage)
                self.assertIsNotNone(job, "the job ended without stage " + stage)
                refused = self.cancel(job)
                client.communicate(timeout=SECONDS["busybox"])
            finally:
                client.kill()
                client.wait()
                client.stdout.close()
        return self.session.property(job, "Job", "State"), refused

    def test_killed_while_it_boots(self):
        """Nobody cancelled the create: it has failed, says why, and its VM is kept."""
        with PropertyWatch(self.session) as watch:
            client = self.session.popen("banger", "vm", "create", "ends", "--image", "tiny",
                                        "--memory", "128M")
            self.addCleanup(client.stdout.close)
            # Before that the create alone has it.
            path = watch.wait_for("State", "running")
            job, = (job for job, has in self.session.managed("Job").items()
                    if has["Object"] == path and has["Kind"] == "create")
            self.session.banger("vm", "kill", "ends")
            self.assertNotEqual(client.wait(SECONDS["command"]), 0)
        self.assertEqual(self.session.property(job, "Job", "State"), "failed")
        self.assertEqual(self.session.property(job, "Job", "Error")["cause"]["data"],
                         "it was stopped")
        self.assertEqual(self.state(path), "stopped")

    def test_start_without_memory_for_it(self):
        # All that the host has can be chosen, but is never there.
        capacity = self.session.call(ROOT_PATH, "Manager.GetCapacity", "a{sv}", "0")[0]
        most = capacity["memory-total-bytes"]["data"] >> 20
        self.session.banger("vm", "create", "huge", "--image", "tiny", "--no-start",
                            "--memory", "%dM" % most)
        path = self.session.call(ROOT_PATH, "Manager.FindVM", "sa{sv}", "huge", "0")[0]
        self.assertIn("NoSpace", self.gdbus_error(path, "VM.Start", "{}"))
        self.assertEqual(self.state(path), "stopped")

    def cancel(self, job):
        """What the service says against it; "" if it took it."""
        try:
            self.session.call(job, "Job.Cancel", "a{sv}", "0")
        except CommandFailed as error:
            return str(error)
        return ""

    def check_cancelled(self, stage, end, refused):
        """True if the job was cancelled; only one that is about to end may be done before."""
        if refused:
            self.assertIn(stage, ("agent", "healthy"))
            self.assertIn("it is done", refused)
            self.assertEqual(end, "done")
        else:
            self.assertEqual(end, "cancelled")
        return not refused

    def test_cancelled_create_leaves_nothing(self):
        for stage in self.session.stages()["create"]:
            with self.subTest(stage=stage):
                end, refused = self.cancel_at(stage, "vm", "create", "never", "--image", "tiny",
                                              "--memory", "128M")
                if not self.check_cancelled(stage, end, refused):
                    self.session.banger("vm", "delete", "--force", "never")
                self.assertEqual(self.session.json("vm", "list")["vms"], [])
                self.assertEqual(self.session.leftovers(), self.idle)

    def test_cancelled_start_leaves_it_stopped(self):
        path = self.create("cold", "--no-start")
        for stage in self.session.stages()["start"]:
            with self.subTest(stage=stage):
                end, refused = self.cancel_at(stage, "vm", "start", "cold")
                if not self.check_cancelled(stage, end, refused):
                    self.session.banger("vm", "kill", "cold")
                self.assertEqual(self.state(path), "stopped")
                self.assertEqual(self.session.processes("banger-vmm", "qemu"), {})


class BusTest(unittest.TestCase):
    def test_service_ends_with_its_bus(self):
        """It is no fault, so it is quiet, and all that it held is closed."""
        with Banger() as session:
            service = subprocess.Popen(
                [session.build / "bangerd", "--session"], env=session.env, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                session.run("gdbus", "wait", "--session", "--timeout", "30", BUS_NAME)
                self.assertEqual(session.service_pid(), service.pid)
                session.bus.terminate()
                output, complaints = service.communicate(timeout=SECONDS["command"])
            finally:
                service.kill()
            self.assertEqual((service.returncode, output, complaints), (0, "", ""))


if __name__ == "__main__":
    unittest.main()
