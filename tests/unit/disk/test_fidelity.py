# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image made from an archive, mounted, against what GNU tar makes of the same archive."""

import hashlib
import io
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

TOOL = os.environ["BANGER_IMPORT_TAR"]
CAPABILITY = struct.pack("<IIIII", 0x02000001, 0x3000, 0, 0, 0).decode("latin-1")


def entry(name, kind=tarfile.REGTYPE, mode=0o644, mtime=1700000000, **fields):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, mtime
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def write_archive(path):
    noise = random.Random(3)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        def add(info, data=b""):
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

        add(entry("./", tarfile.DIRTYPE, 0o751, uid=3, gid=4))
        add(entry("plain", uid=1000000, gid=70000), b"plain\n")
        add(entry("empty"))
        add(entry("setuid", mode=0o4755), b"#!")
        add(entry("sticky", tarfile.DIRTYPE, 0o1777))
        add(entry("large"), noise.randbytes(9_000_001))
        add(entry("aligned"), noise.randbytes(8192))
        for length in (1, 58, 59, 60, 61, 1000):
            add(entry(f"link{length}", tarfile.SYMTYPE, 0o777, linkname="t" * length))
        add(entry("hard", tarfile.LNKTYPE, linkname="plain"))
        add(entry("fifo", tarfile.FIFOTYPE, 0o600))
        add(entry("null", tarfile.CHRTYPE, 0o666, devmajor=1, devminor=3))
        add(entry("tty", tarfile.CHRTYPE, 0o620, devmajor=5, devminor=300))
        add(entry("nvme", tarfile.BLKTYPE, 0o660, devmajor=259, devminor=70000))
        for year, seconds in (("1901", -2147483648), ("1969", -1), ("2038", 2147483648),
                              ("2106", 4294967296), ("2446", 15032385535)):
            add(entry(f"time{year}", mtime=seconds))
        add(entry("nanoseconds", pax_headers={"mtime": "1700000000.123456789"}))
        add(entry("capable", mode=0o755,
                  pax_headers={"SCHILY.xattr.security.capability": CAPABILITY}), b"x")
        add(entry("attributes", pax_headers={"SCHILY.xattr.user.small": "v",
                                             "SCHILY.xattr.user.block": "b" * 3000}), b"x")
        add(entry("acl", mode=0o640, pax_headers={
            "SCHILY.acl.access": "user::rw-,user:1234:r--,group::r--,mask::r--,other::---"}), b"x")
        add(entry("n" * 255), b"longest name")
        add(entry("ümläut/日本"), b"utf-8")
        for i in range(3000):
            add(entry(f"many/file-number-{i:05}-of-a-large-directory"), b"%d" % i)
        add(entry("./root", tarfile.DIRTYPE, 0o700))
        add(entry("./root/.ssh/authorized_keys", mode=0o600, uid=5), b"key")
        add(entry("./root/again", tarfile.LNKTYPE, linkname="./root/.ssh/authorized_keys"))
        add(entry("./root/away", tarfile.SYMTYPE, linkname="../etc/motd"))


def describe(path):
    """All that should survive, but atime, ctime and where it lies."""
    info = os.lstat(path)
    facts = [oct(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns]
    if not stat.S_ISDIR(info.st_mode):
        facts += [info.st_size, info.st_nlink]
    if stat.S_ISLNK(info.st_mode):
        facts.append(os.readlink(path))
    elif stat.S_ISREG(info.st_mode):
        facts.append(hashlib.sha256(Path(path).read_bytes()).hexdigest())
    elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        facts.append((os.major(info.st_rdev), os.minor(info.st_rdev)))
    names = os.listxattr(path, follow_symlinks=False)
    facts.append({name: os.getxattr(path, name, follow_symlinks=False) for name in names})
    return facts


def walk(top):
    found = {".": describe(top)}
    for folder, folders, files in os.walk(top):
        for name in folders + files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, top)] = describe(path)
    found.pop("lost+found", None)
    return found


@unittest.skipUnless(os.geteuid() == 0, "needs root, to mount images")
@unittest.skipUnless(os.path.exists("/dev/loop-control"), "needs loop devices")
class Fidelity(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="banger-fidelity-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        archive = cls.folder / "tree.tar"
        write_archive(archive)
        cls.expected = cls.folder / "expected"
        cls.expected.mkdir()
        subprocess.run(["tar", "-C", cls.expected, "-xpf", archive, "--same-owner", "--acls",
                        "--xattrs", "--xattrs-include=*", "--numeric-owner"],
                       check=True, stderr=subprocess.DEVNULL)
        # GNU tar leaves the times of directories that the archive does not name to the clock.
        cls.implied = {"many", "ümläut", "root/.ssh"}
        with archive.open("rb") as source:
            cls.digest = subprocess.run([TOOL, cls.folder / "image", cls.folder / "seed"],
                                        stdin=source, stdout=subprocess.PIPE, check=True,
                                        text=True).stdout.split()[0]
        cls.archive_digest = hashlib.sha256(archive.read_bytes()).hexdigest()

    def mount(self, image):
        point = self.folder / (image + ".mnt")
        point.mkdir()
        done = subprocess.run(["mount", "-o", "loop,ro", self.folder / image, point],
                              stderr=subprocess.PIPE, text=True)
        if done.returncode != 0 and "loop" in done.stderr:
            self.skipTest("no loop device: " + done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(point.rmdir)
        self.addCleanup(subprocess.run, ["umount", point], check=True)
        return point

    def compare(self, got, expected):
        self.assertEqual(sorted(got), sorted(expected))
        for path in expected:
            with self.subTest(path=path[:40]):
                want, have = expected[path], got[path]
                if path in self.implied:
                    want, have = want[:3], have[:3]
                self.assertEqual(have, want)

    def test_digest(self):
        self.assertEqual(self.digest, self.archive_digest)

    def test_image_is_what_tar_extracts(self):
        self.compare(walk(self.mount("image")), walk(self.expected))

    def test_seed_is_the_home_of_root(self):
        self.implied = {".ssh"}
        self.compare(walk(self.mount("seed")), walk(self.expected / "root"))

    def test_every_name_of_a_large_directory_is_found(self):
        point = self.mount("image")
        for i in range(3000):
            name = point / "many" / f"file-number-{i:05}-of-a-large-directory"
            self.assertEqual(name.read_bytes(), b"%d" % i)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
