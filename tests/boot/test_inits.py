# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest of each kind of init: healthy, with all its disks, and stopped by itself."""

import struct
import unittest
from pathlib import Path

from agent import Stream
from fixtures import guests, layouts
from harness import ROOT_PATH, SECONDS, PropertyWatch
from life import VmTest

# Ten times what the slowest takes on an idle machine without KVM.
STOP_SECONDS = 240
KEPT = "echo kept > /root/kept && echo kept > /etc/kept && sync"
# Until what the init was to start is there: some say nothing when they have done it.
UNTIL = "until %s; do sleep 1; done"
RUNLEVEL_2 = UNTIL % "runlevel | grep -q ' 2$'"
OPENRC_DEFAULT = "test \"$(rc-status -r)\" = default && test -z \"$(rc-status --crashed)\""
BROKEN = """
printf '#!/sbin/openrc-run\\nstart() { return 1; }\\n' > /etc/init.d/broken
chmod 755 /etc/init.d/broken && rc-update -q add broken default
"""
RUNSVDIR = UNTIL % "grep -qx runsvdir /proc/[0-9]*/comm"
INCOMPAT_RECOVER = 4


def needs_recovery(disk):
    """Whether an ext4 was not unmounted: its superblock (Linux, Documentation/filesystems/ext4)."""
    with open(disk, "rb") as file:
        file.seek(1024)
        superblock = file.read(1024)
    magic, = struct.unpack_from("<H", superblock, 0x38)
    incompat, = struct.unpack_from("<I", superblock, 0x60)
    if magic != 0xEF53:
        raise AssertionError("%s is no ext4" % disk)
    return bool(incompat & INCOMPAT_RECOVER)


class InitsTest(VmTest):
    def tearDown(self):
        for vm in self.session.json("vm", "list")["vms"]:
            self.session.banger("vm", "delete", "--force", vm["name"], status=None)
        for image in self.session.json("image", "list")["images"]:
            if image["name"] != "tiny":
                self.session.banger("image", "delete", image["name"])
        super().tearDown()

    def boot(self, name, memory):
        """Healthy: its init was started, or its services are up where it says so."""
        with PropertyWatch(self.session, SECONDS["debian"]) as watch:
            path, _ = self.session.call(
                ROOT_PATH, "Manager.CreateVM", "soa{sv}", name, self.find("Image", name), "2",
                "memory-bytes", "t", str(memory << 20), "network", "s", "none")
            self.assertEqual(watch.wait_for("Health", "healthy", path), path,
                             self.session.json("vm", "health", name))
        return path

    def assert_healthy(self, name, init):
        health = self.session.json("vm", "health", name)
        self.assertEqual((health["health"], health["init"], health["problems"]),
                         ("healthy", init, []))

    def assert_stops(self, path):
        """By the guest, with its work disk unmounted."""
        job = self.begin(path, "Stop", "timeout", "u", str(STOP_SECONDS))
        result = self.finish(job, seconds=STOP_SECONDS + SECONDS["stop"])
        log = self.session.banger("vm", "logs", self.get(path, "Name")).stdout[-2000:]
        self.assertEqual(result["ended-by"], "guest", log)
        self.assertEqual(self.get(path, "LastExit"), "shutdown", log)
        work = self.session.state / "vms" / Path(path).name / "work.ext4"
        self.assertFalse(needs_recovery(work), log)

    def check(self, name, image, init, up, memory=256):
        """From its first start to its second; @up succeeds in the guest once its init is up."""
        path = self.check_first(name, image, init, up, memory)
        self.start(path, "healthy")
        self.assert_healthy(name, init)
        kept = self.session.guest(name, "cat", "/root/kept", "/etc/kept")
        self.assertEqual(kept.stdout, "kept\nkept\n")
        # Nobody has waited for anything but its health.
        self.assert_stops(path)

    def start(self, path, health):
        with PropertyWatch(self.session, SECONDS["debian"]) as watch:
            self.begin(path, "Start")
            self.assertEqual(watch.wait_for("Health", health, path), path)

    def check_first(self, name, image, init, up, memory=256):
        self.session.import_image(name, image)
        path = self.boot(name, memory)
        self.assert_healthy(name, init)
        mounts = self.session.guest(name, "cat", "/proc/mounts").stdout.splitlines()
        self.assertEqual([line.split()[2] for line in mounts if line.split()[1] == "/root"],
                         ["ext4"])
        self.session.guest(name, "sh", "-c", up, seconds=SECONDS["debian"])
        self.session.guest(name, "sh", "-c", KEPT)
        self.assert_stops(path)
        return path

    def test_systemd(self):
        self.check("systemd", guests.guest_tar("systemd"), "systemd",
                   "systemctl is-system-running --wait")

    def test_openrc(self):
        """A service that cannot be started at the second start is told, and nothing else."""
        path = self.check_first("openrc", guests.guest_tar("openrc"), "openrc",
                                OPENRC_DEFAULT + BROKEN)
        self.start(path, "degraded")
        with Stream(self.session, "openrc") as stream:
            health = stream.get("/healthz")
        self.assertEqual((health["problems"], health["failed_units"]), (["units"], ["broken"]))
        kept = self.session.guest("openrc", "cat", "/root/kept", "/etc/kept")
        self.assertEqual(kept.stdout, "kept\nkept\n")

    def test_runit(self):
        self.check("runit", guests.guest_tar("runit"), "runit", RUNSVDIR)

    def test_sysv(self):
        self.check("sysv", guests.guest_tar("sysv"), "sysv", RUNLEVEL_2)

    def test_none(self):
        self.check("none", guests.guest_tar("none"), "none", "true")

    def test_alpine(self):
        """OpenRC from busybox' inittab, with programs of openrc-init that would do nothing."""
        self.check("alpine", layouts.layout_tar("alpine"), "openrc",
                   "grep -qx default /run/runlevels", memory=128)

    def test_void(self):
        self.check("void", layouts.layout_tar("void"), "runit",
                   UNTIL % "test -L /run/runit/runsvdir/current", memory=128)


if __name__ == "__main__":
    unittest.main()
