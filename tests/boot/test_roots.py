# SPDX-License-Identifier: LGPL-2.1-or-later
"""Root disks: an image that is shared and a copy of it live alike; what a guest wrote stays, what it
threw away comes back to the host."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import fixtures
from disks import MIB, PATH, Disks, allocated
from harness import ROOT_PATH, SECONDS, Banger, BangerTest

FIND_WORK = "disk=/dev/$(grep -lx work /sys/block/vd*/serial | cut -d/ -f4)"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI test"


class RootsTest(Disks, BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())

    def for_each_root(self, check):
        for root in ("overlay", "clone"):
            with self.subTest(root=root):
                check("vm-" + root, root)

    def test_stays_what_was_written(self):
        self.for_each_root(self.check_stays)

    def check_stays(self, name, root):
        path = self.create(name, root)
        self.sh(name, "mkdir /etc/new && echo one > /etc/new/file && echo two > /root/file &&"
                      " echo three >> /etc/hosts && rm /bin/vi && sync")
        self.stop(name)
        files = self.root_file(path, root), self.folder(path) / "work.ext4"
        self.assertEqual(sorted(p.name for p in self.folder(path).glob("*.ext4")),
                         sorted(p.name for p in files))
        self.assert_clean(*files)
        self.start(name)
        self.assertEqual(self.sh(name, "cat /etc/new/file /root/file; ls /bin/vi 2>&1; ls /bin/sh"),
                         "one\ntwo\nls: /bin/vi: No such file or directory\n/bin/sh\n")
        # The image is as it was: another VM of it has none of this.
        other = name + "-other"
        self.create(other, root)
        self.assertEqual(self.sh(other, "ls /etc/new 2>/dev/null; ls /bin/vi"), "/bin/vi\n")

    def test_edited_while_stopped(self):
        self.for_each_root(self.check_edited)

    def image(self, *argv):
        return self.session.banger("image", *argv).stdout

    def check_edited(self, name, root):
        """What the guest did is seen without it, and what is changed without it the guest sees."""
        path = self.create(name, root)
        self.sh(name, "echo guest > /etc/guest; rm /bin/vi; rm -r /usr/sbin; mkdir /usr/sbin;"
                      " mkdir /var/lib/docker/x && echo layer > /var/lib/docker/x/y;"
                      " echo home > /root/home; sync")
        at = name + ":"
        for argv in (("ls", at + "/"), ("mkdir", at + "/x")):
            refused = self.session.banger("image", argv[0], "--vm", argv[1], status=4)
            self.assertIn("is running, not stopped", refused.stderr)
            self.assertIn("banger vm stop " + name, refused.stderr)
        # Its journals are not played: that comes first.
        self.session.banger("vm", "kill", name)
        self.assertIn("guest\n", self.image("ls", "--vm", at + "/etc"))
        self.assertNotIn("vi", self.image("ls", "--vm", at + "/bin").split())
        self.assertEqual(self.image("ls", "--vm", at + "/usr/sbin"), "")
        self.assertEqual(self.image("cat", "--vm", at + "/etc/guest", at + "/var/lib/docker/x/y",
                                    at + "/root/home"), "guest\nlayer\nhome\n")
        script = Path(self.session.base) / "script"
        script.write_text("write path=/etc/motd content=welcome\nremove path=/etc/guest\n"
                          "remove path=/bin/awk\nremove path=/tmp recursive\n"
                          "mkdir path=/tmp mode=1777\nset path=/bin/busybox mode=711 uid=7\n"
                          "write path=/var/lib/docker/x/z content=layer2\n"
                          "write path=/root/new content=home2 mode=600\n"
                          "symlink path=/bin/vi target=busybox\n", encoding="utf-8")
        self.image("edit", "--vm", name, script)
        files = self.root_file(path, root), self.folder(path) / "work.ext4"
        self.assert_clean(*files)
        self.start(name)
        self.assertEqual(
            self.sh(name, "cat /etc/motd /var/lib/docker/x/y /var/lib/docker/x/z /root/new; echo;"
                          " ls /etc/guest /bin/awk 2>&1; readlink /bin/vi;"
                          " stat -c '%a %u' /bin/busybox /tmp /root/new; ls -a /tmp"),
            "welcomelayer\nlayer2home2\nls: /etc/guest: No such file or directory\n"
            "ls: /bin/awk: No such file or directory\nbusybox\n711 7\n1777 0\n600 0\n.\n..\n")
        self.stop(name)
        self.assert_clean(*files)

    def test_recovers_and_grows(self):
        self.for_each_root(self.check_recovers)

    def check_recovers(self, name, root):
        """A guest that lost its power is stopped, grown with its journal unplayed, and boots on."""
        path = self.create(name, root, "--disk", "64M", "--work", "64M")
        files = self.root_file(path, root), self.folder(path) / "work.ext4"
        self.sh(name, "echo one > /etc/file; echo two > /root/file; sync")
        self.session.banger("vm", "kill", name)
        journal = subprocess.run(["dumpe2fs", "-h", str(files[0])], capture_output=True, text=True,
                                 env=dict(os.environ, PATH=PATH), check=True).stdout
        self.assertIn("needs_recovery", journal)
        self.session.banger("vm", "set", name, "--disk", "1G", "--work", "512M")
        self.assert_clean(*files)
        self.assertEqual([f.stat().st_size for f in files], [1024 * MIB, 512 * MIB])
        self.start(name)
        self.assertEqual(self.sh(name, "cat /etc/file /root/file"), "one\ntwo\n")
        for place, least in (("/etc", 800), ("/root", 400)):
            size = self.sh(name, "df -P -m %s | tail -n 1" % place).split()[1]
            self.assertGreater(int(size), least, place)

    def test_discards_reach_the_file(self):
        self.for_each_root(self.check_discards)

    def check_discards(self, name, root):
        path = self.create(name, root)
        files = {"/etc": self.root_file(path, root), "/root": self.folder(path) / "work.ext4"}
        for place, file in files.items():
            before = allocated(file)
            self.sh(name, "dd if=/dev/urandom of=%s/large bs=1M count=48 && sync" % place)
            self.assertGreater(allocated(file), before + 47 * MIB, place)
            # The kernel gives back what is free once the journal has it.
            self.sh(name, "rm %s/large && sync" % place)
            self.wait_until(lambda f=file, b=before: allocated(f) < b + 8 * MIB, place)

    def test_keys(self):
        self.for_each_root(self.check_keys)

    def check_keys(self, name, root):
        arguments = ("soa{sv}", name, "/", "3", "root", "s", root, "authorized-keys", "s", KEY,
                     "memory-bytes", "t", str(128 * MIB))
        self.session.call(ROOT_PATH, "Manager.CreateVM", *arguments)
        self.session.wait_for(name, "Health", "healthy", SECONDS["busybox"])
        self.assertEqual(self.sh(name, "cat /root/.ssh/authorized_keys;"
                                       " stat -c '%a %u %g' /root/.ssh /root/.ssh/authorized_keys"),
                         KEY + "\n700 0 0\n600 0 0\n")

    def test_trims_after_a_stop(self):
        """A guest that never trims: the host gets back what it threw away, once it has stopped."""
        path = self.create("trims", "overlay")
        file = self.folder(path) / "work.ext4"
        before = allocated(file)
        self.sh("trims", "mount -o remount,nodiscard /root")
        self.sh("trims", "dd if=/dev/zero of=/root/large bs=1M count=320 && echo kept > /root/kept &&"
                         " sync && rm /root/large && sync", seconds=300)
        self.assertGreater(allocated(file), before + 300 * MIB)
        self.stop("trims")
        self.wait_until(lambda: allocated(file) < before + 32 * MIB, "it is not trimmed")
        # A start in the middle of it waits for it to be over.
        self.start("trims")
        self.assertEqual(self.sh("trims", "cat /root/kept"), "kept\n")

    def test_work_disk_of_another_format(self):
        """What the guest put in the place of our file system stays, whatever was cut short, and it
        boots on: without a work disk, which it says."""
        path = self.create("foreign", "overlay", "--work", "64M")
        self.sh("foreign", "cd / && umount /root && echo kept > /kept && %s &&"
                           " dd if=/dev/zero of=$disk bs=1M count=1 &&"
                           " dd if=/kept of=$disk bs=1M seek=20 conv=sync && sync" % FIND_WORK)
        self.stop("foreign")
        (self.folder(path) / "changing").touch()
        self.start("foreign")
        self.assertEqual(self.session.property(path, "VM", "Health"), "degraded")
        health = self.session.call(path, "VM.GetHealth", "a{sv}", "0")[0]
        self.assertEqual(health["problems"]["data"], ["work-disk"])
        self.assertEqual(self.sh("foreign", "%s && dd if=$disk bs=1M skip=20 count=1 | head -c 5"
                                 % FIND_WORK), "kept\n")
        self.assertFalse((self.folder(path) / "changing").exists())


class SharedBlocksTest(Disks, BangerTest):
    """On a file system that can, a copy takes next to nothing. On a loop device of our own."""

    @classmethod
    def setUpClass(cls):
        cls.base = Path(tempfile.mkdtemp(prefix="banger-xfs-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.base, ignore_errors=True)
        image, cls.mount = cls.base / "image", cls.base / "mount"
        cls.mount.mkdir()
        if os.getuid() or not shutil.which("mkfs.xfs", path=PATH):
            raise unittest.SkipTest("needs root and mkfs.xfs")
        with open(image, "wb") as file:
            file.truncate(1024 * MIB)
        cls.run_tool("mkfs.xfs", "-q", image)
        if cls.run_tool("mount", "-o", "loop", image, cls.mount, check=False).returncode:
            raise unittest.SkipTest("no loop device can be mounted here")
        cls.addClassCleanup(cls.run_tool, "umount", cls.mount)
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())

    @classmethod
    def session_class(cls):
        return Banger(keep=cls.mount / "state")

    @classmethod
    def run_tool(cls, *argv, check=True):
        return subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=check,
                              env=dict(os.environ, PATH=PATH))

    def test_clone_shares_its_blocks(self):
        path = self.create("shares", "clone")
        file = self.root_file(path, "clone")
        self.assertIn("shared", self.run_tool("filefrag", "-v", file).stdout)
        self.sh("shares", "echo one > /etc/file; cp /bin/busybox /etc/other; sync")
        self.stop("shares")
        self.assert_clean(file)
        image = next((self.session.state / "images").glob("*/rootfs.ext4"))
        self.assert_clean(image)
        self.start("shares")
        self.assertEqual(self.sh("shares", "cat /etc/file; cmp /bin/busybox /etc/other"), "one\n")


if __name__ == "__main__":
    unittest.main()
