# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks of a stopped VM while they are changed or trimmed, and bangerd or its worker is killed: the
next start finds file systems without a fault, which hold what they held."""

import os
import time
import unittest

import fixtures
from disks import MIB, Disks, allocated
from faults import FaultySession
from harness import SECONDS, BangerTest, PropertyWatch
from leftovers import wait_for_end

# More changes than a Set makes.
CHANGES_MAX = 200
STEP = 8 * MIB
# What a trim looks for is 256 MiB.
LARGE_FILES = 6
LARGE_MIB = 80


class CutTest(Disks, BangerTest):
    session_class = FaultySession

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())

    def tearDown(self):
        self.session.plan.set()
        super().tearDown()

    def made(self, name, *more):
        """A stopped VM whose guest has written a file to each disk; its path and its files."""
        path = self.create(name, "overlay", *more)
        self.sh(name, "echo one > /etc/file; echo two > /root/file; sync")
        self.stop(name)
        return path, (self.root_file(path, "overlay"), self.folder(path) / "work.ext4")

    def mark(self, path):
        return self.folder(path) / "changing"

    def assert_kept(self, name, files):
        """It starts, has what was written, and leaves clean disks behind."""
        self.start(name)
        self.assertEqual(self.sh(name, "cat /etc/file /root/file"), "one\ntwo\n")
        self.stop(name)
        self.assert_clean(*files)

    def test_killed_before_each_change(self):
        """Whoever makes it: the next Set mends what that left, and every sixth time a start."""
        path, files = self.made("each", "--disk", "64M", "--work", "64M")
        key = self.session.base / "key.pub"
        size, cut = 64 * MIB, 0
        for number in range(1, CHANGES_MAX):
            size += STEP
            key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI number-%d\n" % number)
            change = ["vm", "set", "each", "--disk", str(size), "--work", str(size), "--ssh-key", key]
            with self.subTest(change=number):
                self.session.plan.set("crash %d" % number)
                result = self.session.banger(*change, status=None)
                hit = self.session.plan.numbers()[2]
                self.session.plan.set()
                if not hit:
                    self.assertEqual(result.returncode, 0, result.stderr)
                    break
                cut += 1
                if number % 6 == 0:
                    self.assert_kept("each", files)
                self.session.banger(*change)
                self.assert_clean(*files)
                self.assertFalse(self.mark(path).exists())
                self.assertEqual([f.stat().st_size for f in files], [size, size])
        else:
            self.fail("it made ever more changes")
        print("# %d changes" % cut)
        self.assertGreater(cut, 10)
        self.start("each")
        self.assertIn("number-%d" % number, self.sh("each", "cat /root/.ssh/authorized_keys"))
        self.assertEqual(self.sh("each", "cat /etc/file /root/file"), "one\ntwo\n")

    def test_order_on_the_disk(self):
        """A host that loses its power keeps the mark for as long as a change may be half made."""
        path = self.create("order", "overlay", "--disk", "64M", "--work", "64M", "--no-start")
        for change in (("--disk", "128M"), ("--work", "128M"), ("--disk", "192M", "--work", "192M")):
            with self.subTest(change=change):
                self.session.plan.set("order")
                self.session.banger("vm", "set", "order", *change)
                changes, _, hit = self.session.plan.numbers()
                self.assertEqual((changes, hit), (4, 0))
                self.assertFalse(self.mark(path).exists())

    def test_killed_while_it_grows(self):
        """At moments that are spread over the time that it takes."""
        for root, program in (("overlay", "bangerd"), ("clone", "banger-worker")):
            name = "grows-" + root
            path = self.create(name, root, "--disk", "64M", "--work", "64M")
            files = (self.root_file(path, root), self.folder(path) / "work.ext4")
            self.sh(name, "echo one > /etc/file; echo two > /root/file; sync")
            self.session.banger("vm", "kill", name)
            size, spent = 1024, None
            for part in (None, 0.1, 0.3, 0.5, 0.7, 0.9):
                with self.subTest(killed=program, part=part):
                    if part is None:
                        spent = self.grow(path, name, size)
                    else:
                        self.kill_while_growing(path, name, program, size, part * spent)
                        self.assert_kept(name, files)
                        self.assertFalse(self.mark(path).exists())
                    self.session.banger("vm", "set", name, "--disk", "%dM" % size, "--work",
                                        "%dM" % size)
                    self.assert_clean(*files)
                size += 1024
            self.session.banger("vm", "delete", name)

    def grow(self, path, name, size, kill=lambda: None):
        """Has both disks grow; what passed since that was begun until its end, in seconds."""
        with PropertyWatch(self.session) as watch:
            client = self.session.popen("banger", "vm", "set", name, "--disk", "%dM" % size,
                                        "--work", "%dM" % size)
            self.addCleanup(client.stdout.close)
            self.assertIsNotNone(watch.wait_for("Stage", "growing"))
            began = time.monotonic()
            kill()
            client.communicate(timeout=SECONDS["command"])
            return time.monotonic() - began

    def kill_while_growing(self, path, name, program, size, seconds):
        service = self.session.service_pid()

        def kill():
            time.sleep(seconds)
            for pid in [service] if program == "bangerd" else self.session.processes(program):
                try:
                    self.session.kill(pid)
                except ProcessLookupError:
                    pass  # it was done before

        self.grow(path, name, size, kill)

    def litter(self, name):
        """Leaves in /root what the guest does not give back, in pieces between what it keeps."""
        self.sh(name, "mount -o remount,nodiscard /root && cd /root &&"
                      " for i in %s; do dd if=/dev/zero of=large$i bs=1M count=%d && sync &&"
                      " echo $i >> kept && dd if=/dev/zero of=small$i bs=1M count=1 && sync; done;"
                      " rm large*; sync"
                % (" ".join(map(str, range(LARGE_FILES))), LARGE_MIB), seconds=300)

    def hold_trim(self, name, hole):
        """Stops the VM and waits until the worker that trims is about to make the hole @hole."""
        self.stop(name)
        self.session.plan.set("hole %d" % hole)
        pid = self.session.plan.wait(lambda: True)
        self.assertEqual(list(self.session.processes("banger-worker")), [pid])
        self.session.plan.set()
        return pid

    def test_killed_while_it_trims(self):
        path = self.create("trims", "overlay", "--work", "1G")
        files = (self.root_file(path, "overlay"), self.folder(path) / "work.ext4")
        self.sh("trims", "echo one > /etc/file; echo two > /root/file; sync")
        before = allocated(files[1])
        self.litter("trims")
        self.assertGreater(allocated(files[1]), before + LARGE_FILES * LARGE_MIB * MIB)
        # A start that somebody wants ends it.
        worker = self.hold_trim("trims", 1)
        self.assertTrue(self.mark(path).exists())
        service = self.session.service_pid()
        self.assert_littered(path)
        self.assertFalse(os.path.exists("/proc/%d" % worker))
        self.assertEqual(self.session.service_pid(), service)
        # bangerd, which takes its worker with it.
        worker = self.hold_trim("trims", 1)
        self.session.kill(service)
        self.assertTrue(wait_for_end(worker, SECONDS["command"]), "the worker goes on")
        self.assert_clean(*files)
        self.assert_littered(path)
        # The worker alone, of whom nobody waits for an answer.
        full = allocated(files[1])
        worker = self.hold_trim("trims", 3)
        service = self.session.service_pid()
        self.session.kill(worker)
        self.assertLess(allocated(files[1]), full)
        self.assert_clean(*files)
        self.assert_littered(path)
        self.assertEqual(self.session.service_pid(), service)

    def assert_littered(self, path):
        """The VM starts, with all that it kept."""
        self.start("trims")
        self.assertFalse(self.mark(path).exists())
        self.assertEqual(self.sh("trims", "cat /etc/file /root/file; wc -l < /root/kept;"
                                          " cat /root/small* | wc -c"),
                         "one\ntwo\n%d\n%d\n" % (LARGE_FILES, LARGE_FILES * MIB))


if __name__ == "__main__":
    unittest.main()
