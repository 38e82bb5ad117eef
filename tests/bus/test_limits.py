# SPDX-License-Identifier: LGPL-2.1-or-later
"""What each user of a system's service may have, and what CreateVM takes there. Runs in privbus.py.
"""

import os
import re
import shutil
import subprocess
import tarfile
import unittest

import small_kernel
from callers import NAME, ROOT, pid_of
from privbus import UIDS
from vm_case import CONFIGURATION, MIB, VmCase


class LimitsTest(VmCase):
    def test_number_of_vms(self):
        """Each user's own: the limit of one is none for the other."""
        self.made(self.alice)
        self.made(self.alice)
        self.refused(self.create(self.alice), "the limit of VMs for user %d" % UIDS["alice"],
                     "cause: it needs 1, 0 of 2 are free", "hint: ")
        self.made(self.erin)
        self.assertEqual(len(self.vms()), 3)
        found = self.capacity(self.alice)
        self.assertEqual((found["limit-vms"], found["used-vms"]), (2, 2))
        self.assertEqual(self.capacity(self.erin)["used-vms"], 1)

    def test_two_at_once(self):
        """Asked for at the same time, only as many are made as may be."""
        self.made(self.alice)
        calls = [self.alice.begin(NAME, ROOT, NAME + ".Manager", "CreateVM", self.arguments(""))
                 for _ in range(4)]
        answers = sorted(map(self.alice.wait, calls), key=lambda answer: answer.word)
        self.assertEqual([answer.word for answer in answers], ["NoSpace"] * 3 + ["ok"])
        vm, job = re.findall(r"/org/banger/Banger1/\w+/\w+", answers[-1].value)
        self.ended(self.alice, job, ["create", vm, "done"])
        self.assertEqual(len(self.vms()), 2)

    def test_disk(self):
        self.made(self.alice, "'disk-bytes': <uint64 %d>" % (80 * MIB))
        self.assertEqual(self.capacity(self.alice)["used-disk-bytes"], 96 * MIB)
        self.refused(self.create(self.alice, "'work-bytes': <uint64 %d>" % (32 * MIB)),
                     "the limit of disk", "it needs 48 MiB, 32 of 128 MiB are free")
        self.made(self.alice)
        self.assertEqual(self.capacity(self.alice)["used-disk-bytes"],
                         self.capacity(self.alice)["limit-disk-bytes"])

    def test_refusal_names_vm_and_option(self):
        vm = self.made(self.alice)
        name = self.property(vm, "Name").strip("'")
        for method, arguments, said in (
                ("Set", "{'disk-bytes': <uint64 1>}, @a{sv} {}", "option 'disk-bytes' must be at"),
                ("Set", "{'colour': <1>}, @a{sv} {}", "option 'colour' is not known"),
                ("Set", "{'vcpus': <uint32 0>}, @a{sv} {}", "option 'vcpus' must be from 1"),
                ("Stop", "{'timeout': <'soon'>},", "option 'timeout' must be of type u"),
                ("OpenConsole", "{'tail': <uint32 1000000>},", "option 'tail' must be at most")):
            with self.subTest(arguments=arguments):
                answer = self.alice.call(vm, "VM." + method, "(%s)" % arguments)
                self.assertIsNotNone(answer.error)
                self.assertIn("vm '%s': %s" % (name, said), answer.message)

    def test_set(self):
        """What a change would pass is refused; what is over a limit already may be changed else."""
        vm = self.made(self.alice)

        def change(changes):
            return self.alice.call(vm, "VM.Set", "({%s}, @a{sv} {})" % changes)

        self.refused(change("'disk-bytes': <uint64 %d>" % (128 * MIB)), "the limit of disk")
        self.assertEqual(self.property(vm, "DiskBytes"), "uint64 %d" % (16 * MIB))
        self.changed(vm, change("'memory-bytes': <uint64 %d>" % (256 * MIB)))
        self.refused(self.alice.call(vm, "VM.Start"), "the limit of running memory")
        self.changed(vm, change("'disk-bytes': <uint64 %d>, 'labels': <{'a': 'b'}>" % (64 * MIB)))
        folder = self.base / "state/vms" / vm.rsplit("/", 1)[1]
        self.assertEqual((folder / "upper.ext4").stat().st_size, 64 * MIB)
        self.assertEqual(sorted(p.name for p in folder.iterdir()), ["upper.ext4", "work.ext4"])

    def changed(self, vm, answer):
        self.assertIsNone(answer.error, answer)
        self.ended(self.alice, re.search(r"/org/banger/Banger1/job/\w+", answer.value).group(),
                   ["set", vm, "done"])

    def test_vcpus_and_memory_of_what_runs(self):
        """A VM that does not run takes none of them; to start it takes them all."""
        vm = self.made(self.alice, "'memory-bytes': <uint64 %d>" % (192 * MIB), name="big")
        found = self.capacity(self.alice)
        self.assertEqual((found["used-memory-bytes"], found["used-vcpus"]), (0, 0))
        self.refused(self.alice.call(vm, "VM.Start"), "vm 'big': the limit of running memory",
                     "it needs 192 MiB, 128 of 128 MiB are free")
        self.assertEqual(self.property(vm, "State"), "'stopped'")
        self.refused(self.create(self.alice, "'memory-bytes': <uint64 %d>" % (192 * MIB), True),
                     "the limit of running memory")
        self.assertEqual(self.vms(), {vm})

    def test_monitor_that_lies(self):
        """A monitor reads what a guest says: what it says itself must not end the service."""
        vms = {name: self.made(self.alice, name=name) for name in ("liar", "mute")}
        self.put_monitor("lying-vmm")
        service = pid_of(NAME, self.root)
        for name, vm in vms.items():
            job = self.begun(self.alice.call(vm, "VM.Start"))
            self.ended(self.alice, job, ["start", vm, "failed"])
            self.assertIn("vm '%s': the guest has ended" % name, self.property(job, "Error", "Job"))
            self.assertEqual(self.property(vm, "State"), "'failed'")
        self.assertEqual(pid_of(NAME, self.root), service)
        self.assertEqual(self.capacity(self.alice)["used-memory-bytes"], 0)

    @unittest.skipUnless(os.cpu_count() > 1, "needs two CPUs")
    def test_vcpus(self):
        vm = self.made(self.alice, "'vcpus': <uint32 2>")
        self.refused(self.alice.call(vm, "VM.Start"), "the limit of running vcpus",
                     "it needs 2, 1 of 1 are free")
        self.refused(self.create(self.alice, "'vcpus': <uint32 2>", True), "running vcpus")

    def test_reserves(self):
        """What is kept for the host is no VM's and no import's; what is stopped stays."""
        vm = self.made(self.alice, name="kept")
        disk = shutil.disk_usage(self.base / "state")
        self.configure(CONFIGURATION.replace("reserve-disk=0", "reserve-disk=%dM"
                                             % (disk.free // MIB + 102400)))
        self.restart()
        self.addCleanup(self.restart)
        self.addCleanup(self.configure, CONFIGURATION)
        self.refused(self.create(self.alice), "the disk is too full", "are kept for the host")
        self.refused(self.alice.call(vm, "VM.Start"), "the disk is too full")
        answer = self.alice.call(ROOT, "Manager.ImportImage", "('', handle 0, @a{sv} {})",
                                 files=["/dev/null"])
        self.refused(answer, "the disk is too full")
        self.configure(CONFIGURATION.replace("reserve-memory=0", "reserve-memory=1024T")
                       .replace("memory=128M", "memory=0"))
        self.restart()
        self.refused(self.alice.call(vm, "VM.Start"),
                     "vm 'kept': the host has not enough memory",
                     "it needs 64 MiB, 0 MiB are available")
        self.assertEqual(self.vms(), {vm})

    def put_state_on_small_disk(self, size):
        """So that nobody else takes room there while it is looked at."""
        state, copy = self.base / "state", self.base / "state.copy"
        self.restart()
        subprocess.run(["cp", "-a", state, copy], check=True)
        self.addCleanup(shutil.rmtree, copy)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d,mode=700,uid=%d,gid=%d" % (
            size, UIDS["bangerd"], UIDS["bangerd"]), "none", state], check=True)
        self.addCleanup(subprocess.run, ["umount", state], check=True)
        self.addCleanup(self.restart)
        subprocess.run(["cp", "-a", "%s/." % copy, state], check=True)
        return state

    def reserve(self, megabytes):
        """The service is not to run. Its next one has callers of its own."""
        self.configure(CONFIGURATION.replace("reserve-disk=0", "reserve-disk=%dM" % megabytes))
        self.alice = self.caller("alice")
        self.assertIsNone(self.alice.wait(self.alice.send("watch")).error)

    def begin(self, method, arguments, file):
        answer = self.alice.call(ROOT, "Manager." + method, arguments, files=[file])
        self.assertIsNone(answer.error, answer)
        return re.findall(r"/org/banger/Banger1/\w+/\w+", answer.value)

    def assert_kept(self, job):
        self.assertIn("NoSpace", self.property(job, "Error", "Job"))
        self.assertIn("are kept free", self.property(job, "Error", "Job"))

    def test_reserve_amid_work(self):
        """It is left to the host by what turns out to be large once it has begun."""
        self.addCleanup(self.configure, CONFIGURATION)
        state = self.put_state_on_small_disk(600 * MIB)
        folder = self.base / "large"
        folder.mkdir(mode=0o755)
        self.addCleanup(shutil.rmtree, folder)
        with tarfile.open(folder / "tree.tar", "w") as tar:
            tar.add(small_kernel.write_tree(folder / "tree", "6.1.0-1"), ".")
        (folder / "large").write_bytes(b"x" * (400 * MIB))
        for name in ("tree.tar", "large"):
            (folder / name).chmod(0o644)
        self.reserve(shutil.disk_usage(state).free // MIB - 32)
        kernel, job = self.begin("ImportKernel", "('k', {'tree': handle 0}, @a{sv} {})",
                                 folder / "tree.tar")
        self.ended(self.alice, job, ["import-kernel", kernel, "failed"])
        self.assert_kept(job)
        self.restart()
        self.reserve(300)
        image, job = self.begin("ImportImage", "('edited', handle 0, @a{sv} {})",
                                self.base / "small.tar")
        self.ended(self.alice, job, ["import-image", image, "done"])
        job = self.begun(self.alice.call(
            image, "Image.EditFiles", "([('write', {'path': <'/large'>, 'file': <handle 0>})],"
            " @a{sv} {})", files=[folder / "large"]))
        self.ended(self.alice, job, ["edit-files", image, "failed"])
        self.assert_kept(job)
        self.assertGreater(shutil.disk_usage(state).free, (300 - 64) * MIB)

    def test_what_was_cut_short_is_recovered(self):
        """A service that ended while a worker changed disks: they are mended before they are used.
        The start itself comes to nothing, for want of a kernel."""
        vm = self.made(self.alice)
        folder = self.base / "state/vms" / vm.rsplit("/", 1)[1]
        subprocess.run(["/usr/sbin/debugfs", "-wR", "set_super_value state 0",
                        str(folder / "work.ext4")], check=True, capture_output=True)
        (folder / "changing").touch()
        os.chown(folder / "changing", UIDS["bangerd"], UIDS["bangerd"])
        answer = self.alice.call(vm, "VM.Start")
        self.assertIsNone(answer.error, answer)
        self.ended(self.alice, re.search(r"/org/banger/Banger1/job/\w+", answer.value).group(),
                   ["start", vm, "failed"])
        self.assertFalse((folder / "changing").exists())
        told = subprocess.run(["/usr/sbin/dumpe2fs", "-h", str(folder / "work.ext4")], check=True,
                              capture_output=True, text=True).stdout
        self.assertRegex(told, r"Filesystem state: +clean\n")

    def test_stalled_import(self):
        """It keeps its place as long as nobody else wants it."""
        self.configure(CONFIGURATION.replace("vms=2", "vms=2\nimport-stall=1"))
        self.restart()
        self.addCleanup(self.restart)
        self.addCleanup(self.configure, CONFIGURATION)
        fifo = self.base / "fifo"
        os.mkfifo(fifo)
        fifo.chmod(0o666)
        self.addCleanup(fifo.unlink)
        end = os.open(fifo, os.O_RDWR)
        self.addCleanup(os.close, end)
        slow = [self.begin_import("slow%d" % number, fifo) for number in range(2)]
        waiting, job = self.begin_import("waits", self.base / "small.tar")
        # One of the user's two gives way, with what to do about it.
        self.ended(self.erin, job, ["import-image", waiting, "done"])
        errors = [self.property(path, "Error", "Job") for _, path in slow]
        self.assertEqual(["Error.Timeout" in error for error in errors].count(True), 1, errors)
        self.assertIn("nothing was received for 1 seconds", "".join(errors))
        for (image, path), error in zip(slow, errors):
            if "Error.Timeout" not in error:
                self.assertIsNone(self.erin.call(path, "Job.Cancel").error)
                self.ended(self.erin, path, ["import-image", image, "cancelled"])
        self.assertIsNone(self.erin.call(waiting, "Image.Delete").error)

    def begin_import(self, name, file):
        answer = self.erin.call(ROOT, "Manager.ImportImage",
                                "('%s', handle 0, @a{sv} {})" % name, files=[file])
        self.assertIsNone(answer.error, answer)
        return re.findall(r"/org/banger/Banger1/\w+/\w+", answer.value)

    def test_options(self):
        """All that CreateVM takes is in the properties; no network but none is to be had."""
        answer = self.create(self.alice, "'network': <'user'>")
        self.assertEqual(answer.word, "NotSupported", answer)
        self.assertIn("option 'network' cannot be user on the system bus", answer.message)
        answer = self.alice.call(ROOT, "Manager.CreateVM",
                                 "('web', objectpath '/', {'network': <'user'>})")
        self.assertIn("vm 'web': option 'network' cannot be user", answer.message)
        answer = self.create(self.alice, "'publish': <['8080:80']>")
        self.assertEqual(answer.word, "NotSupported", answer)
        self.assertIn("on the system bus a VM's monitor has no network", answer.message)
        vm = self.made(self.alice, "'root': <'clone'>, 'publish': <@as []>,"
                       " 'restart': <'always'>, 'autostart': <true>, 'labels': <{'a': 'b'}>,"
                       " 'authorized-keys': <'ssh-ed25519 AAAA me'>")
        for name, value in (("Root", "'clone'"), ("Restart", "'always'"), ("Autostart", "true"),
                            ("Published", "@as []"),
                            ("Network", "'none'"), ("Labels", "{'a': 'b'}"),
                            ("DiskBytes", "uint64 %d" % (16 * MIB)),
                            ("MemoryBytes", "uint64 %d" % (64 * MIB))):
            self.assertEqual(self.property(vm, name), value, name)
        folder = self.base / "state/vms" / vm.rsplit("/", 1)[1]
        self.assertEqual(sorted(p.name for p in folder.iterdir()), ["root.ext4", "work.ext4"])
        self.assertEqual((folder / "root.ext4").stat().st_size, 16 * MIB)
        answer = self.alice.call(vm, "VM.Set", "({'publish': <['8080:80']>}, @a{sv} {})")
        self.assertEqual(answer.word, "NotSupported", answer)


if __name__ == "__main__":
    unittest.main()
