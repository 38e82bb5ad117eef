# SPDX-License-Identifier: LGPL-2.1-or-later
"""VMs on a system's bus where no guest runs: the kernel that they are made with is no more than a
row and a folder. Its tests run in privbus.py."""

import io
import os
import re
import select
import shutil
import signal
import sqlite3
import tarfile
import time
import unittest
from pathlib import Path

from callers import NAME, ROOT, SECONDS, Caller, pid_of
from privbus import UIDS

MIB = 1 << 20
KERNEL = "kkkkkkkkkkkk"
CONFIGURATION = """[defaults]
disk=16M
work=16M
memory=64M
[limits]
vms=2
vcpus=1
memory=128M
disk=128M
reserve-memory=0
reserve-disk=0
"""


def small_tar(path):
    with tarfile.open(path, "w") as tar:
        for name in ("etc", "root"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        entry = tarfile.TarInfo("etc/hostname")
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"box\n"))


class VmCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = Path(os.environ["PRIVBUS"])
        cls.configure(CONFIGURATION)
        with Caller("root") as root:
            assert root.call(ROOT, "Manager.Check").error is None
        cls.restart()
        cls.put_kernel()
        tar = cls.base / "small.tar"
        small_tar(tar)
        with Caller("root") as root:
            root.wait(root.send("watch"))
            answer = root.call(ROOT, "Manager.ImportImage",
                               "('small', handle 0, {'default': <true>})", files=[tar])
            assert answer.error is None, answer
            assert root.event()[-1] == "done"

    @classmethod
    def configure(cls, text):
        (cls.base / "config/banger.conf").write_text(text, encoding="utf-8")

    @classmethod
    def restart(cls):
        """The next call starts it anew."""
        with Caller("root") as root:
            pid = pid_of(NAME, root)
            end = os.pidfd_open(pid)
            os.kill(pid, signal.SIGTERM)
            assert select.select([end], [], [], SECONDS)[0]
            os.close(end)

    @classmethod
    def put_kernel(cls):
        folder = cls.base / "state/kernels" / KERNEL
        folder.mkdir()
        for name in ("vmlinux", "modules.ext4", "boot-modules.cpio"):
            (folder / name).write_bytes(b"none")
        for path in (folder, *folder.iterdir()):
            os.chown(path, UIDS["bangerd"], UIDS["bangerd"])
        with sqlite3.connect(cls.base / "state/state.db") as db:
            db.execute("INSERT INTO kernels (id, name, owner_uid, shared, state, release, digest,"
                       " created_at) VALUES (?, 'none', 0, 1, 'ready', '6.1', 'sha256:0', 1)",
                       (KERNEL,))
        for path in (cls.base / "state").glob("state.db*"):
            os.chown(path, UIDS["bangerd"], UIDS["bangerd"])

    def setUp(self):
        self.alice, self.erin, self.root = map(self.caller, ("alice", "erin", "root"))
        for caller in (self.alice, self.erin, self.root):
            self.assertIsNone(caller.wait(caller.send("watch")).error)
        self.addCleanup(self.remove_all)

    def caller(self, user):
        caller = Caller(user)
        self.addCleanup(caller.__exit__)
        return caller

    def vms(self):
        return self.vms_of(self.root)

    def remove_all(self):
        with Caller("root") as root:
            root.wait(root.send("watch"))
            for path in self.vms_of(root):
                answer = root.call(path, "VM.Delete", "({'force': <true>},)")
                self.assertIsNone(answer.error, answer)
                self.ended(root, answer.value.split("'")[1], ["delete", path, "done"])

    def vms_of(self, caller):
        answer = caller.call_to(NAME, ROOT, "org.freedesktop.DBus.ObjectManager",
                                "GetManagedObjects")
        return set(re.findall(r"'?(/org/banger/Banger1/vm/\w+)'?: \{", answer.value))

    @staticmethod
    def arguments(options, start=False, name=""):
        return "('%s', objectpath '/', {'start': <%s>%s})" % (
            name, "true" if start else "false", ", " + options if options else "")

    def create(self, caller, options="", start=False, name=""):
        return caller.call(ROOT, "Manager.CreateVM", self.arguments(options, start, name))

    def made(self, caller, options="", name=""):
        """A VM that is there, and stopped."""
        answer = self.create(caller, options, name=name)
        self.assertIsNone(answer.error, answer)
        vm, job = re.findall(r"/org/banger/Banger1/\w+/\w+", answer.value)
        self.ended(caller, job, ["create", vm, "done"])
        return vm

    def ended(self, caller, job, words):
        """Everybody hears of all jobs."""
        while True:
            event = caller.event()
            if event[1] == job:
                self.assertEqual(event[2:], words)
                return

    def refused(self, answer, *words):
        self.assertEqual(answer.word, "NoSpace", answer)
        for word in words:
            self.assertIn(word, answer.message)

    def capacity(self, caller):
        value = caller.call(ROOT, "Manager.GetCapacity").value
        return {key: int(number) for key, number
                in re.findall(r"'([a-z-]+)': <(?:uint32 |uint64 )?(\d+)>", value)}

    def property(self, path, name, interface="VM"):
        answer = self.root.call_to(NAME, path, "org.freedesktop.DBus.Properties", "Get",
                                   "('%s.%s', '%s')" % (NAME, interface, name))
        self.assertIsNone(answer.error, answer)
        return answer.value.removeprefix("(<").removesuffix(">,)")

    def put_monitor(self, program):
        """Has this one of the tests' programs be the VMs' monitor, until the test ends."""
        place = self.base / "libexec/banger-vmm"
        place.rename(self.base / "libexec/banger-vmm.real")
        self.addCleanup(os.replace, self.base / "libexec/banger-vmm.real", place)
        shutil.copy2(self.base / "tests" / program, place)

    def begun(self, answer):
        """The job that a call began."""
        self.assertIsNone(answer.error, answer)
        return re.search(ROOT + r"/job/\w+", answer.value).group()

    def wait_until(self, true, what):
        """Of files and processes nobody is told."""
        deadline = time.monotonic() + SECONDS
        while not true():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.02)

    def workers(self):
        found = []
        for entry in os.scandir("/proc"):
            try:
                if entry.name.isdigit() and os.readlink(entry.path + "/exe").endswith("banger-worker"):
                    found.append(int(entry.name))
            except OSError:
                continue  # it has ended, or is the kernel's
        return found
