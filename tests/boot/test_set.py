# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Set changes, as the guest sees it, and when it says that it does."""

import os
import signal
import socket
import time
import unittest

from harness import ROOT_PATH, SECONDS, PropertyWatch
from life import Signals, VmTest

MIB = 1 << 20


class SetTest(VmTest):
    def set(self, path, *changes, dry_run=False):
        """Three words a change, as for busctl: what is said of when, and the job."""
        options = ["1", "dry-run", "b", "true"] if dry_run else ["0"]
        return self.session.call(path, "VM.Set", "a{sv}a{sv}", str(len(changes) // 3), *changes,
                                 *options)

    def apply(self, path, *changes):
        """As above, until it is done."""
        when, job = self.set(path, *changes)
        self.finish(job)
        return when

    def ask(self, name, command):
        return self.session.guest(name, "/bin/sh", "-c", command).stdout.strip()

    def root_kib(self, name):
        return int(self.ask(name, "df -k / | tail -1").split()[1])

    def work_kib(self, name):
        return int(self.ask(name, "df -k /root | tail -1").split()[1])

    def memory_kib(self, name):
        return int(self.ask(name, "grep MemTotal /proc/meminfo").split()[1])

    def test_of_one_that_does_not_run(self):
        path = self.create("cold", "disk-bytes", "t", str(256 * MIB), "work-bytes", "t",
                           str(128 * MIB), start=False)
        network = self.get(path, "Network")
        when = self.apply(path, "vcpus", "u", "2", "memory-bytes", "t", str(256 * MIB),
                          "network", "s", "none", "disk-bytes", "t", str(512 * MIB),
                          "work-bytes", "t", str(256 * MIB), "restart", "s", "always",
                          "autostart", "b", "true", "authorized-keys", "s", "ssh-ed25519 AAAA me")
        self.assertEqual(when, {
            "vcpus": "next-start", "memory-bytes": "next-start",
            "network": "unchanged" if network == "none" else "next-start",
            "disk-bytes": "now", "work-bytes": "now", "restart": "now", "autostart": "now",
            "authorized-keys": "now"})
        self.assertEqual(self.get(path, "Pending"), [])
        for name, value in (("Vcpus", 2), ("MemoryBytes", 256 * MIB), ("DiskBytes", 512 * MIB),
                            ("WorkBytes", 256 * MIB), ("Restart", "always"), ("Autostart", True),
                            ("Network", "none")):
            self.assertEqual(self.get(path, name), value)
        self.finish(self.begin(path, "Start"))
        self.assertEqual(self.ask("cold", "nproc"), "2")
        self.assertGreater(self.memory_kib("cold"), 192 << 10)
        self.assertGreater(self.root_kib("cold"), 400 << 10)
        self.assertGreater(self.work_kib("cold"), 200 << 10)
        self.assertEqual(self.ask("cold", "cat /root/.ssh/authorized_keys"), "ssh-ed25519 AAAA me")

    def test_of_one_that_runs(self):
        path = self.create("warm", "disk-bytes", "t", str(256 * MIB), "work-bytes", "t",
                           str(128 * MIB))
        when = self.apply(path, "vcpus", "u", "2", "memory-bytes", "t", str(256 * MIB), "labels",
                          "a{ss}", "1", "team", "blue")
        self.assertEqual(when, {"vcpus": "needs-restart", "memory-bytes": "needs-restart",
                                "labels": "now"})
        self.assertEqual(sorted(self.get(path, "Pending")), ["memory-bytes", "vcpus"])
        self.assertEqual(self.get(path, "Labels"), {"team": "blue"})
        self.assertEqual(self.ask("warm", "nproc"), "1")
        # What waits is known to a service that comes anew.
        self.end_service()
        self.assertEqual(sorted(self.get(path, "Pending")), ["memory-bytes", "vcpus"])
        self.finish(self.begin(path, "Restart"))
        self.assertEqual(self.get(path, "Pending"), [])
        self.assertEqual(self.ask("warm", "nproc"), "2")
        self.assertGreater(self.memory_kib("warm"), 192 << 10)

    def capacity(self, key):
        return self.session.call(ROOT_PATH, "Manager.GetCapacity", "a{sv}", "0")[0][key]["data"]

    def test_what_a_guest_has_counts_until_it_ends(self):
        """Nobody gets round a limit by choosing less for the next start."""
        path = self.create("greedy", start=False)
        self.apply(path, "memory-bytes", "t", str(256 * MIB), "vcpus", "u", "2")
        self.finish(self.begin(path, "Start"))
        self.apply(path, "memory-bytes", "t", str(128 * MIB), "vcpus", "u", "1")
        for _ in range(2):
            for key in ("used-memory-bytes", "memory-used-by-vms-bytes"):
                self.assertEqual(self.capacity(key), 256 * MIB)
            self.assertEqual(self.capacity("used-vcpus"), 2)
            self.end_service()
        self.finish(self.begin(path, "Restart"))
        self.assertEqual(self.capacity("used-memory-bytes"), 128 * MIB)
        self.assertEqual(self.capacity("used-vcpus"), 1)
        self.finish(self.begin(path, "Kill"))
        self.assertEqual(self.capacity("used-memory-bytes"), 0)

    def test_disks_grow_while_it_runs(self):
        for root in ("overlay", "clone"):
            with self.subTest(root=root):
                path = self.create(root, "root", "s", root, "disk-bytes", "t", str(256 * MIB),
                                   "work-bytes", "t", str(128 * MIB))
                self.ask(root, "echo kept > /kept; echo kept > /root/kept; sync")
                when = self.apply(path, "disk-bytes", "t", str(1024 * MIB), "work-bytes", "t",
                                  str(512 * MIB))
                self.assertEqual(when, {"disk-bytes": "now", "work-bytes": "now"})
                self.assertGreater(self.root_kib(root), 900 << 10)
                self.assertGreater(self.work_kib(root), 450 << 10)
                self.assertEqual(self.get(path, "DiskBytes"), 1024 * MIB)
                self.finish(self.begin(path, "Restart"))
                self.assertEqual(self.ask(root, "cat /kept /root/kept"), "kept\nkept")
                self.assertGreater(self.root_kib(root), 900 << 10)
                self.finish(self.begin(path, "Delete", "force", "b", "true"))

    def test_grows_again_what_grew_by_half(self):
        """A file that has grown while its file system could not: the same change completes it."""
        path = self.create("half", "work-bytes", "t", str(128 * MIB))
        file = next((self.session.state / "vms").iterdir()) / "work.ext4"
        self.ask("half", "cd /; umount /root")
        job = self.set(path, "work-bytes", "t", str(256 * MIB))[1]
        self.finish(job, "failed")
        error = self.session.property(job, "Job", "Error")
        self.assertIn("not mounted", error["cause"]["data"])
        self.assertEqual(file.stat().st_size, 256 * MIB)
        self.assertEqual(self.get(path, "WorkBytes"), 256 * MIB)
        self.ask("half", "mount -t ext4 /dev/$(grep -lx work /sys/block/vd*/serial | cut -d/ -f4) /root")
        for _ in range(2):
            self.apply(path, "work-bytes", "t", str(256 * MIB))
            self.assertGreater(self.work_kib("half"), 200 << 10)

    def test_all_or_none(self):
        path = self.create("same", "disk-bytes", "t", str(256 * MIB), start=False)
        self.create("other", start=False)
        nowhere = ROOT_PATH + "/kernel/aaaaaaaaaaaa"
        for error, change in (("InvalidArgument", "'disk-bytes': <uint64 %d>" % (128 * MIB)),
                              ("InvalidArgument", "'vcpus': <uint32 0>"),
                              ("InvalidArgument", "'restart': <'sometimes'>"),
                              ("InvalidArgument", "'publish': <['80']>"),
                              ("InvalidArgument", "'image': <'tiny'>"),
                              ("InvalidArgument", "'name': <'Not a name'>"),
                              ("Exists", "'name': <'other'>"),
                              ("NotFound", "'kernel': <objectpath '%s'>" % nowhere)):
            with self.subTest(change=change):
                text = self.refused(error, path, "VM.Set",
                                    "{'labels': <{'a': 'b'}>, 'memory-bytes': <uint64 %d>, %s}"
                                    % (192 * MIB, change), "{}")
                self.assertIn(change.split("'")[1], text)
                self.assertEqual(self.get(path, "Labels"), {})
                self.assertEqual(self.get(path, "MemoryBytes"), 128 * MIB)
        when, job = self.set(path, "vcpus", "u", "2", "labels", "a{ss}", "1", "a", "b", dry_run=True)
        self.assertEqual((when, job), ({"vcpus": "next-start", "labels": "now"}, "/"))
        self.assertEqual((self.get(path, "Vcpus"), self.get(path, "Labels")), (1, {}))

    def test_name(self):
        path = self.create("before")
        self.assertEqual(self.apply(path, "name", "s", "after"), {"name": "now"})
        self.assertEqual(self.find("VM", "after"), path)
        self.refused("NotFound", ROOT_PATH, "Manager.FindVM", "before", "{}")
        # The guest keeps its own until it boots again.
        self.assertEqual(self.ask("after", "hostname"), "before")
        self.finish(self.begin(path, "Restart"))
        self.assertEqual(self.ask("after", "hostname"), "after")
        self.assertEqual(self.apply(path, "name", "s", "after"), {"name": "unchanged"})

    def test_kernel(self):
        path = self.create("boots", start=False)
        self.session.import_kernel("second")
        second = self.find("Kernel", "second")
        self.assertEqual(self.apply(path, "kernel", "o", second), {"kernel": "next-start"})
        self.assertEqual(self.get(path, "Kernel"), second)
        self.refused("Busy", second, "Kernel.Delete", "{}")
        self.finish(self.begin(path, "Start"))
        self.finish(self.begin(path, "Delete", "force", "b", "true"))
        self.session.banger("kernel", "delete", "second")

    def serve(self, name, port):
        """Something that listens in the guest; returns once it does."""
        self.in_guest(self.find("VM", name),
                      "while true; do echo hello | nc -l -p %d; done" % port)

    def read_port(self, port):
        """What the host's port says, tried until it says something."""
        deadline = time.monotonic() + SECONDS["exec"]
        while time.monotonic() < deadline:
            with socket.create_connection(("127.0.0.1", port), 10) as stream:
                stream.settimeout(10)
                said = stream.recv(100)
            if said:
                return said
        return b""

    @staticmethod
    def free_ports(n):
        taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(n)]
        ports = [s.getsockname()[1] for s in taken]
        for s in taken:
            s.close()
        return ports

    def test_publish_while_it_runs(self):
        path = self.create("serves")
        self.serve("serves", 7000)
        first, second, third = self.free_ports(3)
        self.assertEqual(self.apply(path, "publish", "as", "1", "%d:7000" % first),
                         {"publish": "now"})
        self.assertEqual(self.get(path, "Published"), ["127.0.0.1:%d:7000" % first])
        self.assertEqual(self.read_port(first), b"hello\n")
        # A port that is taken: nothing has changed, not even what comes with it.
        with socket.create_server(("127.0.0.1", second)):
            _, job = self.set(path, "publish", "as", "1", "%d:7000" % second, "autostart", "b",
                              "true")
            self.finish(job, "failed")
        self.assertEqual(self.get(path, "Published"), ["127.0.0.1:%d:7000" % first])
        self.assertFalse(self.get(path, "Autostart"))
        self.assertEqual(self.read_port(first), b"hello\n")
        self.apply(path, "publish", "as", "1", "%d:7000" % third)
        self.assertEqual(self.read_port(third), b"hello\n")
        with self.assertRaises(ConnectionRefusedError):
            self.read_port(first)

    def test_ports_after_a_change_that_was_cut_short(self):
        """The service ended between telling the monitor and noting it: what is noted holds."""
        path = self.create("serves")
        self.serve("serves", 7000)
        noted, told = self.free_ports(2)
        self.apply(path, "publish", "as", "1", "%d:7000" % told)
        self.assertEqual(self.read_port(told), b"hello\n")
        self.end_service()
        self.rewrite("UPDATE vms SET published = ?", "127.0.0.1:%d:7000" % noted)
        self.assertEqual(self.get(path, "Published"), ["127.0.0.1:%d:7000" % noted])
        self.assertEqual(self.get(path, "State"), "running")
        self.until_served(noted)
        with self.assertRaises(ConnectionRefusedError):
            self.read_port(told)

    def until_served(self, port):
        """The monitor is told once it has been found, which nothing says."""
        deadline = time.monotonic() + SECONDS["exec"]
        while True:
            try:
                self.assertEqual(self.read_port(port), b"hello\n")
                return
            except ConnectionRefusedError:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)

    def test_killed_while_it_is_changed(self):
        """A guest that does not grow its disks keeps nobody from ending it."""
        path = self.create("stuck", "disk-bytes", "t", str(256 * MIB))
        self.session.import_kernel("chosen")
        chosen = self.find("Kernel", "chosen")
        qemu = next(iter(self.session.processes("qemu")))
        os.kill(qemu, signal.SIGSTOP)
        _, change = self.set(path, "disk-bytes", "t", str(512 * MIB), "kernel", "o", chosen)
        # What it is to boot is used already.
        self.refused("Busy", chosen, "Kernel.Delete", "{}")
        kill = self.begin(path, "Kill")
        self.finish(change, "failed")
        self.finish(kill)
        self.assertEqual(self.get(path, "State"), "stopped")
        self.assertNotEqual(self.get(path, "Kernel"), chosen)
        self.finish(self.begin(path, "Start"))
        self.session.banger("kernel", "delete", "chosen")

    def test_states_that_can_be_changed(self):
        path = self.create("paused")
        self.refused("WrongState", path, "VM.Set", "{'authorized-keys': <'ssh-rsa AAAA'>}", "{}")
        self.finish(self.begin(path, "Pause"))
        self.apply(path, "autostart", "b", "true")
        self.assertTrue(self.get(path, "Autostart"))
        self.refused("WrongState", path, "VM.Set", "{'disk-bytes': <uint64 %d>}" % (8 << 30), "{}")
        self.assertEqual(self.get(path, "State"), "paused")

    def test_policy_that_waits_no_longer(self):
        path = self.create("waits", "restart", "s", "on-failure")
        self.end_service()
        self.rewrite("UPDATE vms SET restarts = 5")
        self.assertEqual(self.get(path, "State"), "running")
        with Signals(self.session) as signals:
            self.session.kill(next(iter(self.session.processes("qemu"))))
            signals.until(path, State="failed")
        self.assertGreater(self.get(path, "NextStartAt"), 0)
        self.apply(path, "restart", "s", "never")
        self.assertEqual(self.get(path, "NextStartAt"), 0)

    def test_killed_between_growing_and_the_row(self):
        """The disks say what they have come to be, and the next start makes use of it."""
        path = self.create("grows", "disk-bytes", "t", str(256 * MIB), "work-bytes", "t",
                           str(128 * MIB), start=False)
        service = self.session.service_pid()
        with PropertyWatch(self.session) as watch:
            self.session.popen("busctl", "--user", "call", "org.banger.Banger1", path,
                               "org.banger.Banger1.VM", "Set", "a{sv}a{sv}", "1", "work-bytes", "t",
                               str(256 * MIB), "0")
            self.assertIsNotNone(watch.wait_for("Stage", "growing"))
            self.session.kill(service)
        file = next((self.session.state / "vms").iterdir()) / "work.ext4"
        self.assertEqual(self.get(path, "WorkBytes"), file.stat().st_size)
        self.apply(path, "work-bytes", "t", str(256 * MIB))
        self.finish(self.begin(path, "Start"))
        self.assertGreater(self.work_kib("grows"), 200 << 10)


if __name__ == "__main__":
    unittest.main()
