# SPDX-License-Identifier: LGPL-2.1-or-later
"""kill -9 of each of our programs at every stage of every kind of job; then nothing of what was not
finished is left, counted by the kernel's facts and by the rows of the store, what ran runs on, and
the VM can be used."""

import collections
import os
import signal
import subprocess
import time
import unittest

import fixtures
from faults import PROGRAMS, FaultySession, wait_until_stopped
from harness import BUS_NAME, SECONDS, BangerTest

NAME = "crash"
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
GONE = "gone"
HAS_OWNER = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner",
             "s"]
CREATE = ["vm", "create", NAME, "--image", "tiny", "--memory", "128M"]

# A stage: which programs are there when bangerd has written that the job is in it (a worker may
# begin only then; one with "?" is being ended and may be gone); what the VM is after bangerd, and
# after the monitor or the VMM was killed there. With "-" nobody of the VM's is there to be killed.
Stage = collections.namedtuple("Stage", "name programs service monitor")
# A kind, and a word for how where there are several ways: what the VM is before, the command, and its
# stages.
Kind = collections.namedtuple("Kind", "before command stages")

BOOT = [
    Stage("kernel", "", "failed", "-"),
    Stage("monitor", "", "failed", "-"),
    Stage("vmm", "monitor", "failed", "failed"),
    Stage("booting", "monitor vmm", "running", "failed"),
    Stage("agent", "monitor vmm", "running", "failed"),
    Stage("healthy", "monitor vmm", "running", "failed"),
]
KINDS = {
    "create": Kind(GONE, CREATE, [
        Stage("-", "", GONE, "-"),
        Stage("admitted", "", GONE, "-"),
        Stage("disks", "worker", GONE, "-"),
        Stage("kernel", "", GONE, "-"),
        Stage("monitor", "", GONE, "-"),
        Stage("vmm", "monitor", GONE, GONE),
        # It stays from when the answer is in the store that its guest runs.
        Stage("booting", "monitor vmm", GONE, GONE + " failed"),
        Stage("agent", "monitor vmm", "running", "failed"),
        Stage("healthy", "monitor vmm", "running", "failed")]),
    "start": Kind("stopped", ["vm", "start", NAME], [
        Stage("-", "", "failed", "-"),
        Stage("admitted", "", "failed", "-")] + BOOT),
    "stop": Kind("running", ["vm", "stop", NAME, "--timeout", "1"], [
        Stage("-", "monitor vmm", "running", "stopped"),
        Stage("asking", "monitor vmm", "running", "stopped"),
        Stage("button", "monitor vmm", "stopped", "stopped"),
        Stage("ending", "monitor vmm", "stopped", "stopped"),
        Stage("killing", "monitor? vmm?", "stopped", "stopped"),
        Stage("released", "", "stopped", "-")]),
    "restart": Kind("running", ["vm", "restart", NAME, "--timeout", "1"], [
        Stage("-", "monitor vmm", "running", "running"),
        Stage("asking", "monitor vmm", "running", "running"),
        Stage("button", "monitor vmm", "stopped", "running"),
        Stage("ending", "monitor vmm", "stopped", "running"),
        Stage("killing", "monitor? vmm?", "stopped", "running")] + BOOT),
    "pause": Kind("running", ["vm", "pause", NAME], [
        Stage("-", "monitor vmm", "running", "failed"),
        Stage("pausing", "monitor vmm", "running", "failed")]),
    "resume": Kind("paused", ["vm", "resume", NAME], [
        Stage("-", "monitor vmm", "paused", "failed"),
        Stage("resuming", "monitor vmm", "paused", "failed")]),
    "set": Kind("stopped", ["vm", "set", NAME, "disk=5G", "label.key=value"], [
        Stage("-", "", "stopped", "-"),
        Stage("checking", "", "stopped", "-"),
        Stage("growing", "worker", "stopped", "-"),
        Stage("applied", "", "stopped", "-")]),
    "set, running": Kind("running", ["vm", "set", NAME, "disk=5G", "publish=18980:80"], [
        Stage("-", "monitor vmm", "running", "failed"),
        Stage("checking", "monitor vmm", "running", "failed"),
        Stage("growing", "monitor vmm", "running", "failed"),
        Stage("applied", "monitor vmm", "running", "failed")]),
    "kill": Kind("running", ["vm", "kill", NAME], [
        Stage("-", "monitor vmm", "running", "stopped"),
        Stage("ending", "monitor vmm", "running", "stopped"),
        Stage("released", "", "stopped", "-")]),
    "delete": Kind("running", ["vm", "delete", "--force", NAME], [
        Stage("-", "monitor vmm", GONE, GONE),
        Stage("ending", "monitor vmm", GONE, GONE),
        Stage("released", "", GONE, "-"),
        Stage("removed", "", GONE, "-")]),
    "import-image": Kind(GONE, ["image", "import", NAME, fixtures.busybox_tar], [
        Stage("-", "", GONE, "-"),
        Stage("receiving", "worker", GONE, "-"),
        Stage("mkfs", "worker", GONE, "-"),
        Stage("writing", "worker", GONE, "-"),
        Stage("seed", "worker", GONE, "-"),
        Stage("checking", "worker", GONE, "-"),
        Stage("stored", "", GONE, "-")]),
    "register-image": Kind(GONE, ["image", "import", NAME, fixtures.busybox_disk], [
        Stage("-", "", GONE, "-"),
        Stage("receiving", "worker", GONE, "-"),
        Stage("mkfs", "worker", GONE, "-"),
        Stage("writing", "worker", GONE, "-"),
        Stage("seed", "worker", GONE, "-"),
        Stage("checking", "worker", GONE, "-"),
        Stage("stored", "", GONE, "-")]),
    "export-image": Kind("imported", ["image", "export", "--force", NAME, "/dev/null"], [
        Stage("-", "", "imported", "-"),
        Stage("writing", "worker", "imported", "-")]),
    "import-kernel": Kind(GONE, ["kernel", "import", NAME, fixtures.kernel_deb], [
        Stage("-", "", GONE, "-"),
        Stage("receiving", "worker", GONE, "-"),
        Stage("extracting", "worker", GONE, "-"),
        Stage("modules", "worker", GONE, "-"),
        Stage("checking", "worker", GONE, "-"),
        Stage("stored", "", GONE, "-")]),
    "read-files": Kind("imported", ["image", "stat", NAME + ":/bin"], [
        Stage("-", "", "imported", "-"),
        Stage("reading", "worker", "imported", "-")]),
    "edit-files": Kind("imported", ["image", "mkdir", NAME + ":/root/new"], [
        Stage("-", "", "imported", "-"),
        Stage("editing", "worker", "imported", "-"),
        Stage("seed", "worker", "imported", "-")]),
    "delete-image": Kind("imported", ["image", "delete", NAME], [
        Stage("-", "", GONE, "-"),
        Stage("removed", "", GONE, "-")]),
    "delete-kernel": Kind("imported", ["kernel", "delete", NAME], [
        Stage("-", "", GONE, "-"),
        Stage("removed", "", GONE, "-")]),
}


# What comes only where the VMM and its guest do not do what they are asked.
DEAF = ("button", "ending", "killing")


def job_of(kind):
    return kind.split(",")[0]


class CrashTest(BangerTest):
    session_class = FaultySession

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        # One that all of this must not touch.
        cls.session.banger("vm", "create", "bystander", "--image", "tiny", "--memory", "128M",
                           seconds=SECONDS["busybox"])
        cls.idle = cls.session.leftovers()
        cls.others = set(cls.session.processes(*PROGRAMS.values()))
        cls.cases = 0

    @classmethod
    def tearDownClass(cls):
        print("# %d cases" % cls.cases)

    def programs(self):
        """{word: pid} of the monitor and the VMM that are there for the VM of the case."""
        found = {}
        for word, program in PROGRAMS.items():
            for pid in set(self.session.processes(program)) - self.others:
                self.assertNotIn(word, found)
                found[word] = pid
        return found

    def prepare(self, kind, stage):
        before, command = KINDS[kind].before, KINDS[kind].command
        if before == "imported":
            path = fixtures.busybox_tar() if command[0] == "image" else fixtures.kernel_deb()
            self.session.banger(command[0], "import", NAME, path, seconds=SECONDS["import"])
        elif before != GONE:
            self.session.banger(*CREATE, *(["--no-start"] if before == "stopped" else []),
                                seconds=SECONDS["busybox"])
        if before == "paused":
            self.session.banger("vm", "pause", NAME)
        if kind in ("stop", "restart") and stage in DEAF:
            os.kill(self.programs()["vmm"], signal.SIGSTOP)

    def begin(self, kind, verb, stage):
        """Starts the kind's command with the plan; returns the client and whom the plan befell."""
        self.prepare(kind, stage)
        self.session.plan.set("%s %s %s" % (verb, job_of(kind), stage))
        client = self.session.popen(
            "banger", *[word() if callable(word) else word for word in KINDS[kind].command],
            stderr=subprocess.STDOUT)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        pid = self.session.plan.wait(lambda: client.poll() is None, verb == "hold")
        self.assertIsNotNone(pid, "%s did not come to %s: %s\n%s" % (
            kind, stage, client.poll() is not None and client.communicate(),
            self.session.bus_log()[-1000:]))
        return client, pid

    def vm_state(self):
        vms = [vm for vm in self.session.managed("VM").values() if vm["Name"] == NAME]
        return vms[0]["State"] if vms else GONE

    def check_after(self, states):
        """The VM is what it should be and of use; then it is deleted and nothing is left."""
        states = states.split()
        if states == ["imported"]:
            self.check_image()
            return
        if states == ["stopped"] and self.vm_state() == "stopping":
            self.session.wait_for_state(NAME, "stopped", SECONDS["stop"])
        state = self.vm_state()
        self.assertIn(state, states)
        if state != GONE:
            if state == "paused":
                self.session.banger("vm", "resume", NAME)
            elif state != "running":
                self.session.banger("vm", "start", NAME, seconds=SECONDS["busybox"])
            self.session.wait_for(NAME, "Health", "healthy", SECONDS["busybox"])
            self.assertEqual(self.session.guest(NAME, "/bin/echo", "here").stdout, "here\n")
            self.session.banger("vm", "delete", "--force", NAME)
        found = self.session.leftovers()
        self.assertEqual(found, self.idle)

    def check_image(self):
        """It is there, without fault, and can be edited; a reader never changed it."""
        path, = (path for path, image in self.session.managed("Image").items()
                 if image["Name"] == NAME)
        folder = self.session.state / "images" / path.rsplit("/", 1)[1]
        deadline = time.monotonic() + SECONDS["command"]
        while (folder / "changing").exists():
            self.assertLess(time.monotonic(), deadline, "it is not recovered")
            time.sleep(0.02)
        result = subprocess.run(["e2fsck", "-fn", folder / "rootfs.ext4"], capture_output=True,
                                text=True, env=dict(os.environ, PATH=PATH), check=False)
        self.assertEqual(result.returncode, 0, result.stdout)
        self.session.banger("image", "mkdir", NAME + ":/other")
        self.session.banger("image", "delete", NAME)
        self.assertEqual(self.session.leftovers(), self.idle)

    def kill_service(self, kind, stage):
        client, pid = self.begin(kind, "die", stage.name)
        self.session.plan.set()
        client.communicate(timeout=SECONDS["command"])
        # The next call starts bangerd anew, which answers once it has cleaned up.
        jobs = list(self.session.managed("Job").values())
        self.assertNotEqual(self.session.service_pid(), pid)
        self.assertEqual([(job["Kind"], job["State"]) for job in jobs],
                         [(job_of(kind), "interrupted")])
        self.assertEqual(jobs[0]["Stage"], stage.name.replace("-", ""))
        self.assertEqual(jobs[0]["Error"]["name"]["data"], BUS_NAME + ".Error.Interrupted")
        self.check_after(stage.service)

    def wait_job_end(self, client):
        client.communicate(timeout=SECONDS["busybox"])
        for job in self.session.managed("Job").values():
            self.assertIn(job["State"], ("done", "failed"), job)

    def kill_worker(self, kind, stage):
        client, pid = self.begin(kind, "hold", stage.name)
        service = self.session.service_pid()
        self.session.plan.set()
        self.session.kill(pid)
        self.wait_job_end(client)
        job, = (job for job in self.session.managed("Job").values() if job["Kind"] == job_of(kind))
        self.assertEqual((job["State"], job["Stage"]), ("failed", stage.name))
        self.assertIn("signal 9", job["Error"]["cause"]["data"])
        self.check_after(KINDS[kind].before)
        self.assertEqual(self.session.service_pid(), service)

    def kill_of_vm(self, kind, stage, word):
        client, service = self.begin(kind, "stop", stage.name)
        wait_until_stopped(service)
        try:
            there = self.programs()
            listed = set(stage.programs.split()) - {"worker"}
            self.assertLessEqual({w for w in listed if not w.endswith("?")}, set(there))
            self.assertLessEqual(set(there), {w.rstrip("?") for w in listed})
            if word in there:
                self.session.kill(there[word])
        finally:
            os.kill(service, signal.SIGCONT)
        self.wait_job_end(client)
        self.assertEqual(self.session.service_pid(), service)
        if word in there:
            if stage.monitor == "failed":  # which is heard after the end of a job that was done
                self.session.wait_for_state(NAME, "failed")
            self.check_after(stage.monitor)

    def kill_new_vmm(self, kind, stage):
        client, _ = self.begin(kind, "end-vmm", stage.name)
        self.wait_job_end(client)
        self.check_after(stage.monitor)

    def end_case(self):
        """Whatever came of a case, the next begins with nothing."""
        self.session.plan.set()
        for kind in ("image", "kernel"):
            self.session.banger(kind, "delete", NAME, status=None)
        self.session.banger("vm", "kill", NAME, status=None)
        self.session.banger("vm", "delete", "--force", NAME, status=None)
        self.assertEqual(set(self.session.processes("qemu", "banger-vmm", "banger-worker")),
                         self.others)
        # Its jobs go with it, so that the next case sees its own alone. A child that is not another
        # program yet may hold its connection for a moment: what is called then nobody answers.
        self.session.kill(self.session.service_pid())
        deadline = time.monotonic() + SECONDS["command"]
        while self.session.run("busctl", "--user", "call", *HAS_OWNER, BUS_NAME).stdout != "b false\n":
            self.assertLess(time.monotonic(), deadline, "its name stays")
            time.sleep(0.02)

    def check(self, kind, stage, word, function, *arguments):
        with self.subTest(kind=kind, stage=stage.name, killed=word):
            type(self).cases += 1
            try:
                function(kind, stage, *arguments)
            finally:
                self.end_case()

    def service_killed(self, *kinds):
        for kind in kinds:
            for stage in KINDS[kind].stages:
                self.check(kind, stage, "bangerd", self.kill_service)

    def test_every_stage_has_its_case(self):
        listed = self.session.stages()
        self.assertEqual({job_of(kind) for kind in KINDS}, set(listed))
        for kind, (_, _, stages) in KINDS.items():
            self.assertEqual([s.name for s in stages if s.name != "-"], listed[job_of(kind)], kind)

    def test_service_create(self):
        self.service_killed("create")

    def test_service_start(self):
        self.service_killed("start")

    def test_service_stop(self):
        self.service_killed("stop", "kill")

    def test_service_restart(self):
        self.service_killed("restart")

    def test_service_set(self):
        self.service_killed("pause", "resume", "set", "set, running")

    def test_service_delete(self):
        self.service_killed("delete", "delete-image", "delete-kernel")

    def test_service_import(self):
        self.service_killed("import-image", "import-kernel", "register-image", "export-image")

    def test_service_files(self):
        self.service_killed("read-files", "edit-files")

    def test_worker(self):
        for kind, (_, _, stages) in KINDS.items():
            for stage in stages:
                if "worker" in stage.programs.split():
                    self.check(kind, stage, "worker", self.kill_worker)

    def test_monitor(self):
        """Or that there is none, nor a VMM."""
        for kind, (_, _, stages) in KINDS.items():
            for stage in stages:
                self.check(kind, stage, "monitor", self.kill_of_vm, "monitor")

    def test_vmm(self):
        for kind, (_, _, stages) in KINDS.items():
            for stage in stages:
                if "vmm" in stage.programs.split():
                    self.check(kind, stage, "vmm", self.kill_of_vm, "vmm")
                elif stage.name == "vmm":  # which begins before it is there
                    self.check(kind, stage, "vmm", self.kill_new_vmm)


if __name__ == "__main__":
    unittest.main()
