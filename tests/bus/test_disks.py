# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks of VMs whose guest has ended: what is trimmed, what is left alone, and what a trim that fails
leaves. No guest runs: it is said to have run while bangerd was away. Runs in privbus.py."""

import hashlib
import os
import re
import sqlite3
import subprocess
import unittest

from callers import ROOT
from privbus import UIDS
from vm_case import CONFIGURATION, MIB, VmCase

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
BLOCK = 4096
DISK = 512 * MIB
# A little more than what a trim looks for.
LITTER = 272 * MIB


def allocated(file):
    return file.stat().st_blocks * 512


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def litter(file):
    """Writes into blocks that the file's ext4 does not use, as a guest that never discards."""
    text = subprocess.run(["dumpe2fs", str(file)], capture_output=True, text=True, check=True,
                          env=dict(os.environ, PATH=PATH)).stdout
    left = LITTER // BLOCK
    with file.open("r+b") as stream:
        for line in re.findall(r"^  Free blocks: (.*)$", text, re.MULTILINE):
            for first, last in re.findall(r"(\d+)-(\d+)", line):
                n = min(left, int(last) - int(first) + 1)
                stream.seek(int(first) * BLOCK)
                stream.write(b"x" * n * BLOCK)
                left -= n
    assert left == 0, left


def make_foreign(file):
    """What something else than an ext4 may look like: the first MiB is gone, there are data."""
    with file.open("r+b") as stream:
        stream.write(bytes(MIB))
        stream.seek(8 * MIB)
        stream.write(b"data of the guest's own" * 40000)


class DisksTest(VmCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.configure(CONFIGURATION.replace("disk=128M", "disk=%d" % (4 * DISK)))
        cls.restart()

    def folder(self, vm):
        return self.base / "state/vms" / vm.rsplit("/", 1)[1]

    def littered(self):
        vm = self.made(self.alice, "'disk-bytes': <uint64 %d>" % DISK)
        litter(self.folder(vm) / "upper.ext4")
        return vm

    def put_mark(self, vm):
        mark = self.folder(vm) / "changing"
        mark.touch()
        os.chown(mark, UIDS["bangerd"], UIDS["bangerd"])
        return mark

    def have_ended_meanwhile(self):
        """bangerd comes anew and finds that all guests have ended without it."""
        self.restart()
        with sqlite3.connect(self.base / "state/state.db") as db:
            db.execute("UPDATE vms SET state = 'running'")
        db.close()
        for path in (self.base / "state").glob("state.db*"):
            os.chown(path, UIDS["bangerd"], UIDS["bangerd"])
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)

    def test_trims_what_ended_meanwhile(self):
        """And leaves alone the disk that the guest gave another format."""
        vm = self.littered()
        upper, work = (self.folder(vm) / name for name in ("upper.ext4", "work.ext4"))
        make_foreign(work)
        before = digest(work)
        self.have_ended_meanwhile()
        self.wait_until(lambda: allocated(upper) < DISK // 8, "it is not trimmed")
        self.wait_until((lambda mark: lambda: not mark.exists())(self.folder(vm) / "changing"),
                        "the mark stays")
        self.assertEqual(digest(work), before)

    def test_trim_that_fails(self):
        """It leaves no mark, which would have each start recover what nobody touched; and where one
        was left before, nothing is trimmed until somebody has settled that."""
        vm, cut = self.littered(), self.littered()
        mark, left = self.folder(vm) / "changing", self.put_mark(cut)
        with (self.folder(vm) / "upper.ext4").open("rb"):
            self.have_ended_meanwhile()
            self.wait_until(mark.exists, "no trim is begun")
            self.wait_until(lambda: not mark.exists(), "the mark stays")
        self.assertGreater(allocated(self.folder(vm) / "upper.ext4"), LITTER)
        # One that was begun for the other would come right after.
        self.wait_until(lambda: not self.workers(), "a worker goes on")
        self.assertTrue(left.exists())
        self.assertGreater(allocated(self.folder(cut) / "upper.ext4"), LITTER)

    def test_change_of_a_foreign_disk(self):
        """Who asks for it is told; what is there stays, and the VM starts, whatever was cut short."""
        self.put_monitor("slow-vmm")
        vm = self.made(self.alice)
        work = self.folder(vm) / "work.ext4"
        make_foreign(work)
        before = digest(work)
        for change in ("'work-bytes': <uint64 %d>" % (64 * MIB),
                       "'authorized-keys': <'ssh-ed25519 AAAA me'>"):
            with self.subTest(change=change):
                answer = self.alice.call(vm, "VM.Set", "({%s}, @a{sv} {})" % change)
                job = self.begun(answer)
                self.ended(self.alice, job, ["set", vm, "failed"])
                error = self.property(job, "Error", "Job")
                for word in ("BadImage", "disk 'work': the disk does not hold the ext4",
                             "mkfs.ext4 -b 4096"):
                    self.assertIn(word, error)
                self.assertEqual(digest(work), before)
        mark = self.put_mark(vm)
        self.ended(self.alice, self.begun(self.alice.call(vm, "VM.Start")), ["start", vm, "done"])
        self.assertFalse(mark.exists())
        self.assertEqual(digest(work), before)

    def test_host_stops_amid_a_change(self):
        """What was written may be anything then: all of the disks is looked at, whatever they say."""
        vm = self.made(self.alice)
        upper = self.folder(vm) / "upper.ext4"

        def tool(*command):
            return subprocess.run([*command, upper], capture_output=True, text=True, check=False,
                                  env=dict(os.environ, PATH=PATH))

        for method, kind, arguments in (
                ("VM.EditFiles", "edit-files", "([('mkdir', {'path': <'/srv'>})], @a{sv} {})"),
                ("VM.Set", "set", "({'work-bytes': <uint64 %d>}, @a{sv} {})" % (64 * MIB))):
            with self.subTest(method=method):
                tool("debugfs", "-w", "-R", "sif / links_count 9")
                self.assertNotEqual(tool("e2fsck", "-fn").returncode, 0)
                self.put_mark(vm)
                job = self.begun(self.alice.call(vm, method, arguments))
                self.ended(self.alice, job, [kind, vm, "done"])
                self.assertEqual(tool("e2fsck", "-fn").returncode, 0)


if __name__ == "__main__":
    unittest.main()
