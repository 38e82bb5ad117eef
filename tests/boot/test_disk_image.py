# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk image such as distributions offer for clouds, made an image and booted: its fstab, which
names disks that a guest does not have, keeps nothing waiting."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import fixtures
from harness import SECONDS, BangerTest

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
FSTAB = """UUID=3d0f1b5e-5a1c-4a53-9d0a-8f1f2a3b4c5d / ext4 rw,discard,errors=remount-ro 0 1
PARTUUID=61a9e3b1-02 /boot/efi vfat defaults 0 0
LABEL=swap none swap sw 0 0
tmpfs /mnt tmpfs size=1M 0 0
"""


def run(*argv, **more):
    subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE, env=dict(os.environ, PATH=PATH), **more)


@unittest.skipUnless(os.geteuid() == 0, "needs root, to make a root file system")
class DiskImageTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.folder = Path(tempfile.mkdtemp(prefix="banger-disk-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def cloud(self):
        """A GPT with a system partition and the root behind it, in a compressed qcow2."""
        tree, root, disk, qcow = (self.folder / name for name in ("tree", "root", "disk", "qcow2"))
        tree.mkdir()
        run("tar", "-C", tree, "-xpf", fixtures.debian_tar(), "--xattrs", "--acls",
            "--numeric-owner")
        (tree / "etc/fstab").write_text(FSTAB)
        for path, size in ((root, 1000), (disk, 1100)):
            with path.open("wb") as out:
                out.truncate(size << 20)
        run("mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, root)
        shutil.rmtree(tree)
        run("sfdisk", "-q", disk, input=b"label: gpt\n,64M,U\n,1000M,L\n")
        run("dd", "if=%s" % root, "of=%s" % disk, "bs=1M", "seek=65", "conv=notrunc,sparse")
        run("qemu-img", "convert", "-c", "-O", "qcow2", disk, qcow)
        for path in (root, disk):
            path.unlink()
        return qcow

    def test_cloud(self):
        result = self.session.banger("image", "import", "cloud", self.cloud(),
                                     seconds=SECONDS["import"])
        self.assertIn("'etc/fstab': 3 lines about disks that a guest does not have are comments",
                      result.stderr)
        self.session.banger("vm", "create", "cloud", "--image", "cloud", "--memory", "512M",
                            seconds=SECONDS["debian"])
        health = self.session.json("vm", "health", "cloud")
        self.assertEqual((health["health"], health["init"]), ("healthy", "systemd"))
        mounts = self.session.guest("cloud", "findmnt", "--noheadings", "/mnt").stdout
        self.assertIn("tmpfs", mounts)
        failed = self.session.guest("cloud", "systemctl", "list-units", "--failed", "--no-legend")
        self.assertEqual(failed.stdout, "")
        self.session.banger("vm", "delete", "--force", "cloud")


if __name__ == "__main__":
    unittest.main()
