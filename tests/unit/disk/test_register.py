# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disk images of others, made an image: what is in it, against a loop mount or debugfs of the disk."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from test_fidelity import walk, write_archive

IMPORT, EXPORT = os.environ["BANGER_IMPORT_TAR"], os.environ["BANGER_EXPORT_DISK"]
TOOL = os.environ["BANGER_REGISTER_DISK"]
MIB = 1 << 20
ROOT = os.geteuid() == 0
LAYOUTS = {
    "ext2": ["-t", "ext2", "-b", "1024"],
    "ext2-64k-groups": ["-t", "ext2", "-b", "2048", "-I", "128"],
    "ext3": ["-t", "ext3"],
    "ext4": ["-t", "ext4"],
    "inline": ["-t", "ext4", "-O", "inline_data"],
    "bigalloc": ["-t", "ext4", "-O", "bigalloc"],
    "ea_inode": ["-t", "ext4", "-O", "ea_inode,large_dir,^metadata_csum"],
}
FSTAB = """# <file system> <mount point> <type> <options>
UUID=2f7a9c1e-0000-0000-0000-000000000001 / ext4 errors=remount-ro 0 1
LABEL=home\t/home ext4 defaults 0 2
  /dev/sda2 none swap sw 0 0
tmpfs /tmp tmpfs size=1G 0 0
server:/export /srv nfs noauto 0 0
/srv/data /var/data none bind 0 0
PARTUUID=1234 /boot/efi vfat umask=0077 0 1"""


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.PIPE, text=True,
                          **more).stdout


def debugfs(image, *commands):
    script = "\n".join(commands) + "\n"
    return subprocess.run(["debugfs", "-w", "-f", "-", image], input=script, text=True, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="banger-register-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def register(self, disk, *words, image="image"):
        """(partition, file system, entries, digest), notes."""
        lines = run(TOOL, disk, self.folder / image, *words).splitlines()
        return lines[0].split(), lines[1:]

    def refused(self, kind, cause, disk, *words):
        done = subprocess.run([TOOL, disk, self.folder / "image", *words], text=True, check=False,
                              stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertTrue(done.stderr.startswith(kind + ": "), done.stderr)
        self.assertIn(cause, done.stderr)
        return done.stderr

    def tree(self, fstab=FSTAB):
        tree = Path(tempfile.mkdtemp(dir=self.folder))
        tree.chmod(0o755)
        for name in ("etc", "usr/bin", "root"):
            (tree / name).mkdir(parents=True)
        (tree / "etc/fstab").write_text(fstab)
        (tree / "usr/bin/tool").write_bytes(b"#!" + bytes(200_000) + b"end")
        os.symlink("usr/bin", tree / "bin")
        os.link(tree / "usr/bin/tool", tree / "usr/bin/again")
        return tree

    def make(self, layout=("-t", "ext4"), tree=None, size=64 * MIB, name="disk"):
        disk = self.folder / name
        disk.unlink(missing_ok=True)
        with disk.open("wb") as out:
            out.truncate(size)
        run("mke2fs", "-q", "-F", *layout, "-d", tree or self.tree(), disk,
            stderr=subprocess.DEVNULL)
        return disk

    def mount(self, image, options="loop,ro"):
        point = Path(tempfile.mkdtemp(dir=self.folder))
        self.addCleanup(point.rmdir)
        done = subprocess.run(["mount", "-o", options, image, point], stderr=subprocess.PIPE,
                              text=True)
        if done.returncode != 0 and "loop" in done.stderr:
            self.skipTest("no loop device: " + done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(subprocess.run, ["umount", point], check=True)
        return point

    def cat(self, path, image="image"):
        return run("debugfs", "-R", "cat " + path, self.folder / image, stderr=subprocess.DEVNULL)


class Trees(Case):
    @unittest.skipUnless(ROOT and os.path.exists("/dev/loop-control"), "needs root, to mount images")
    def test_every_kind_of_ext(self):
        """All that a tree can hold, written by the kernel in each layout, is in the image."""
        archive = self.folder / "tree.tar"
        write_archive(archive)
        for name, layout in LAYOUTS.items():
            with self.subTest(name=name):
                disk = self.make(layout, size=96 * MIB)
                point = tempfile.mkdtemp(dir=self.folder)
                subprocess.run(["mount", "-o", "loop", disk, point], check=True)
                # Of what does not fit into the smaller ones tar says that it is left out.
                subprocess.run(["tar", "-C", point, "-xpf", archive, "--xattrs", "--acls",
                                "--xattrs-include=*", "--same-owner"], check=False,
                               stderr=subprocess.DEVNULL)
                subprocess.run(["umount", point], check=True)
                (partition, kind, _, _), _ = self.register(disk, "keep-fstab")
                self.assertEqual((partition, kind), ("0", layout[1]))
                self.assertEqual(self.walk(self.folder / "image"), self.walk(disk))

    def walk(self, image):
        point = tempfile.mkdtemp(dir=self.folder)
        subprocess.run(["mount", "-o", "loop,ro", image, point], check=True)
        try:
            return walk(point)
        finally:
            subprocess.run(["umount", point], check=True)
            os.rmdir(point)

    def test_fstab(self):
        tree = self.tree()
        disk = self.make(tree=tree)
        _, notes = self.register(disk)
        self.assertEqual(notes, ["'etc/fstab': 4 lines about disks that a guest does not have are "
                                 "comments now"])
        lines = self.cat("/etc/fstab").splitlines()
        self.assertEqual([line.replace("# banger: ", "") for line in lines], FSTAB.splitlines())
        self.assertEqual([n for n, line in enumerate(lines) if line.startswith("# banger: ")],
                         [1, 2, 3, 7])
        _, notes = self.register(disk, "keep-fstab")
        self.assertEqual(notes, [])
        self.assertEqual(self.cat("/etc/fstab"), FSTAB)

    def test_sockets_and_lost_found(self):
        disk = self.make()
        debugfs(disk, "write /dev/null socket", "set_inode_field socket mode 0140644")
        (_, _, entries, _), notes = self.register(disk, "keep-fstab")
        self.assertEqual(notes, ["'socket': a socket was left out"])
        self.assertIn("lost+found", run("debugfs", "-R", "ls /", self.folder / "image",
                                        stderr=subprocess.DEVNULL))
        self.assertEqual(int(entries), 8)

    def test_reserved_blocks_read_as_zeros(self):
        """What was set aside with fallocate(2) and never written is not what lay there before."""
        disk = self.make()
        debugfs(disk, "write /dev/null set-aside", "fallocate set-aside 0 9",
                "set_inode_field set-aside size 40000")
        self.register(disk)
        self.assertEqual(self.cat("set-aside"), "\0" * 40000)

    @unittest.skipUnless(ROOT and os.path.exists("/dev/loop-control"), "needs root, to mount images")
    def test_a_disk_that_was_in_use(self):
        """A copy taken amid it: its journal is replayed, in a copy of ours."""
        disk = self.make()
        point = self.mount(disk, "loop")
        (point / "etc/late").write_text("written")
        os.sync()
        used = self.folder / "used"
        shutil.copyfile(disk, used)
        before = used.read_bytes()
        self.assertIn("needs_recovery", run("dumpe2fs", "-h", used, stderr=subprocess.DEVNULL))
        _, notes = self.register(used, "keep-fstab")
        self.assertEqual(notes, ["the disk was in use when it was copied: its file system was "
                                 "recovered"])
        self.assertEqual(self.cat("/etc/late"), "written")
        self.assertEqual(used.read_bytes(), before)


class Disks(Case):
    def partitioned(self, *parts, label="gpt"):
        """A disk with these file systems, of 64 MiB each, from the second MiB on."""
        disk = self.folder / "partitioned"
        disk.unlink(missing_ok=True)
        with disk.open("wb") as out:
            out.truncate((len(parts) * 64 + 2) * MIB)
        run("sfdisk", "-q", disk, input="label: %s\n" % label + ",64M\n" * len(parts))
        for number, part in enumerate(parts):
            run("dd", "if=%s" % part, "of=%s" % disk, "bs=1M", "conv=notrunc,sparse",
                "seek=%d" % (1 + 64 * number), "status=none")
        return disk

    def test_choice(self):
        boot = self.folder / "boot-tree"
        boot.mkdir()
        (boot / "vmlinuz").write_text("kernel")
        boot, root = self.make(tree=boot, name="boot"), self.make(name="root")
        xfs = self.folder / "xfs"
        xfs.write_bytes(b"XFSB")
        for label in ("gpt", "dos"):
            with self.subTest(label=label):
                disk = self.partitioned(xfs, boot, root, label=label)
                self.assertEqual(self.register(disk)[0][0], "3")
                self.assertEqual(self.register(disk, "partition=2")[0][0], "2")
                self.assertEqual(self.cat("vmlinuz"), "kernel")
                self.refused("InvalidArgument", "it has 1, 2, 3", disk, "partition=4")
                self.refused("NotSupported", "it holds xfs", disk, "partition=1")
        self.assertEqual(self.register(self.partitioned(xfs, boot))[0][0], "2")
        self.refused("NotSupported", "it holds xfs, of which", self.partitioned(xfs))
        self.assertIn("without option 'partition'",
                      self.refused("InvalidArgument", "it is not partitioned", root, "partition=1"))

    def test_cut_off(self):
        """What is missing is the reason, whatever the partitions before hold."""
        vfat = self.folder / "vfat"
        vfat.write_bytes(bytes(54) + b"FAT16   " + bytes(448) + b"\x55\xaa")
        disk = self.partitioned(vfat, self.make(name="root"), label="dos")
        os.truncate(disk, 100 * MIB)
        said = self.refused("BadImage", "partition 2 of the disk cannot be read: it ends beyond",
                            disk)
        self.assertIn("cut off", said)
        self.assertNotIn("vfat", said)

    def test_no_file_system(self):
        disk = self.folder / "empty"
        disk.write_bytes(bytes(MIB))
        self.refused("BadImage", "no file system is known", disk)
        self.refused("BadImage", "receiving", disk, "format=qcow2")

    def test_no_disk(self):
        """What was taken for one, by what it begins with."""
        disk = self.folder / "no-disk"
        for head, cause, hint in (
                (bytes(257) + b"ustar", "it is a tar archive", "without option 'format'"),
                (b"\x1f\x8b\x08", "it is compressed with gzip", "decompress it"),
                (b"KDMV\1", "it is a VMDK disk image", "qemu-img convert"),
                (bytes(64) + b"\x7f\x10\xda\xbe", "it is a VDI disk image", "qemu-img convert"),
                (b"conectix", "it is a VHD disk image", "qemu-img convert"),
                (b"vhdxfile", "it is a VHDX disk image", "qemu-img convert")):
            with self.subTest(cause=cause):
                disk.write_bytes(head + bytes(8192))
                self.assertIn(hint, self.refused("BadImage", cause, disk, "format=raw"))

    @unittest.skipUnless(shutil.which("qemu-img"), "needs qemu-img")
    def test_qcow2(self):
        raw = self.partitioned(self.make())
        expected = self.register(raw)
        for options in (["-c"], ["-c", "-o", "compression_type=zstd"], ["-o", "compat=0.10"]):
            with self.subTest(options=options):
                disk = self.folder / "disk.qcow2"
                run("qemu-img", "convert", "-O", "qcow2", *options, raw, disk)
                self.assertEqual(self.register(disk), expected)
                self.refused("BadImage", "no file system is known", disk, "format=raw")

    def test_limits(self):
        disk = self.make()
        self.refused("BadImage", "", disk, "max-bytes=1000")
        self.refused("BadImage", "", disk, "max-entries=3")

    def test_damaged(self):
        disk = self.make()
        debugfs(disk, "clri /usr")
        self.refused("BadImage", "", disk)
        debugfs(disk, "set_super_value feature_incompat 0x80000042")
        self.refused("NotSupported", "unsupported", disk)
        disk = self.make(LAYOUTS["ext2"])
        debugfs(disk, "set_inode_field <2> block[0] 1")
        self.assertIn("hint: the file system is damaged",
                      self.refused("BadImage", "'/' of the image cannot be read", disk))
        disk = self.make()
        os.truncate(disk, 3 * MIB)
        self.refused("BadImage", "", disk)

    def test_damaged_where_it_is_read(self):
        raw = self.make()
        disk = self.folder / "hole.qcow2"
        run("qemu-img", "convert", "-O", "qcow2", raw, disk)
        os.truncate(disk, disk.stat().st_size // 2)
        self.refused("BadImage", "", disk)


class Images(Case):
    def test_an_image_is_taken_as_it_is(self):
        archive = self.folder / "tree.tar"
        write_archive(archive)
        with archive.open("rb") as source:
            run(IMPORT, self.folder / "first", self.folder / "seed", stdin=source)
        raw = self.folder / "raw"
        with raw.open("wb") as out:
            subprocess.run([EXPORT, self.folder / "first", "raw", "none"], stdout=out, check=True,
                           stderr=subprocess.DEVNULL)
        (partition, kind, entries, digest), notes = self.register(raw, image="second")
        first = (self.folder / "first").read_bytes()
        self.assertEqual((self.folder / "second").read_bytes(), first)
        self.assertEqual((partition, kind, notes), ("0", "ext4", []))
        self.assertEqual(digest, hashlib.sha256(first).hexdigest())
        self.assertLess((self.folder / "second").stat().st_blocks * 512, len(first))
        self.assertGreater(int(entries), 3000)

    def test_a_faulty_image_is_not(self):
        """e2fsck is not content with it: it is read, and written anew."""
        with tempfile.TemporaryDirectory(dir=self.folder) as tree:
            archive = self.folder / "small.tar"
            (Path(tree) / "file").write_text("kept")
            run("tar", "-C", tree, "-cf", archive, ".")
        with archive.open("rb") as source:
            run(IMPORT, self.folder / "first", self.folder / "seed", stdin=source)
        debugfs(self.folder / "first", "set_inode_field file links_count 7")
        self.register(self.folder / "first", image="second")
        self.assertNotEqual((self.folder / "second").read_bytes(),
                            (self.folder / "first").read_bytes())
        self.assertEqual(self.cat("file", image="second"), "kept")


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
