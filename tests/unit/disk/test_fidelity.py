# SPDX-License-Identifier: LGPL-2.1-or-later
"""An image made from an archive, mounted, against what GNU tar makes of the same archive; then
written, grown and checked as a guest's kernel would."""

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
HUGE = (5 << 30) + 3
CAPABILITY = struct.pack("<IIIII", 0x02000001, 0x3000, 0, 0, 0).decode("latin-1")


def entry(name, kind=tarfile.REGTYPE, mode=0o644, mtime=1700000000, **fields):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, mtime
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def write_archive(path):
    noise = random.Random(3)
    path.write_bytes(huge_file(path.parent))
    with path.open("ab") as whole, tarfile.open(mode="w", fileobj=whole, errors="surrogateescape",
                                                format=tarfile.PAX_FORMAT) as tar:
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
        for length in (1, 58, 59, 60, 61, 1000, 4095):
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
        for i, seconds in enumerate(("-0.5", "-1.25", "-0.000000001", "0.5", "-2147483646.75")):
            add(entry(f"fraction{i}", pax_headers={"mtime": seconds}))
        add(entry("capable", mode=0o755,
                  pax_headers={"SCHILY.xattr.security.capability": CAPABILITY}), b"x")
        add(entry("attributes", pax_headers={"SCHILY.xattr.user.small": "v",
                                             "SCHILY.xattr.user.block": "b" * 3000}), b"x")
        add(entry("acl", mode=0o640, pax_headers={
            "SCHILY.acl.access": "user::rw-,user:1234:r--,group::r--,mask::r--,other::---"}), b"x")
        add(entry("defaults", tarfile.DIRTYPE, 0o755, pax_headers={
            "SCHILY.acl.default": "user::rwx,group::r-x,group:77:rwx,mask::rwx,other::---"}))
        add(entry("label", pax_headers={"SCHILY.xattr.security.selinux":
                                        "system_u:object_r:bin_t:s0\0"}), b"x")
        add(entry("encoded", pax_headers={"SCHILY.xattr.user.a%3Db%25": "v"}), b"x")
        add(entry("n" * 255), b"longest name")
        add(entry(b"caf\xe9-pax".decode(errors="surrogateescape"), mtime=1.5), b"raw")
        tar.format = tarfile.USTAR_FORMAT
        add(entry(b"caf\xe9-ustar".decode(errors="surrogateescape")), b"raw")
        add(entry(b"\x80\xff".decode(errors="surrogateescape"), tarfile.DIRTYPE, 0o755))
        add(entry(b"\x80\xff/deep".decode(errors="surrogateescape")), b"raw")
        tar.format = tarfile.PAX_FORMAT
        add(entry("ümläut/日本"), b"utf-8")
        for i in range(3000):
            add(entry(f"many/file-number-{i:05}-of-a-large-directory"), b"%d" % i)
        add_replacements(add)
        add(entry("./root", tarfile.DIRTYPE, 0o700))
        add(entry("./root/.ssh/authorized_keys", mode=0o600, uid=5), b"key")
        add(entry("./root/again", tarfile.LNKTYPE, linkname="./root/.ssh/authorized_keys"))
        add(entry("./root/away", tarfile.SYMTYPE, linkname="../etc/motd"))


def add_replacements(add):
    """Each type over each type; a directory has nothing in it, as tar removes no more."""
    types = {"file": lambda name: add(entry(name, mode=0o640), b"the later"),
             "directory": lambda name: add(entry(name, tarfile.DIRTYPE, 0o711)),
             "symlink": lambda name: add(entry(name, tarfile.SYMTYPE, linkname="target")),
             "link": lambda name: add(entry(name, tarfile.LNKTYPE, linkname="over/target")),
             "fifo": lambda name: add(entry(name, tarfile.FIFOTYPE, 0o610)),
             "char": lambda name: add(entry(name, tarfile.CHRTYPE, devmajor=1, devminor=7)),
             "block": lambda name: add(entry(name, tarfile.BLKTYPE, devmajor=7, devminor=1))}
    add(entry("over", tarfile.DIRTYPE, 0o755))
    add(entry("over/target"), b"linked")
    for first, add_first in types.items():
        for second, add_second in types.items():
            add_first(f"over/{second}-over-{first}")
            add_second(f"over/{second}-over-{first}")


def huge_file(folder):
    """The part of an archive that holds a file over 4 GiB, nearly all hole, as GNU tar has it."""
    with open(folder / "huge", "wb") as huge:
        for offset in (0, 3 << 30, HUGE - 4):
            huge.seek(offset)
            huge.write(b"data")
    part = subprocess.run(["tar", "-C", folder, "--format=pax", "--sparse", "-cf", "-", "huge"],
                          stdout=subprocess.PIPE, check=True).stdout
    os.unlink(folder / "huge")
    return part[:len(part.rstrip(b"\0")) + 511 & ~511]


def content(path, size):
    """Of a large file without its zeros, whether they are holes or not."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        if size < 1 << 30:
            return hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) \
                else hashlib.sha256(file.read()).hexdigest()
        offset = 0
        while offset < size:
            try:
                offset = os.lseek(file.fileno(), offset, os.SEEK_DATA)
            except OSError:
                break
            end = os.lseek(file.fileno(), offset, os.SEEK_HOLE)
            for at in range(offset, end, 4096):
                block = os.pread(file.fileno(), 4096, at)
                if block.strip(b"\0"):
                    digest.update(b"%d:" % at + block)
            offset = end
    return digest.hexdigest()


def describe(path):
    """All that should survive, but atime, ctime and where it lies."""
    info = os.lstat(path)
    facts = [oct(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns]
    if not stat.S_ISDIR(info.st_mode):
        facts += [info.st_size, info.st_nlink]
    if stat.S_ISLNK(info.st_mode):
        facts.append(os.readlink(path))
    elif stat.S_ISREG(info.st_mode):
        facts.append(content(path, info.st_size))
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


def extract(archive, folder):
    folder.mkdir()
    subprocess.run(["tar", "-C", folder, "-xpf", archive, "--same-owner", "--acls", "--xattrs",
                    "--xattrs-include=*", "--numeric-owner"], check=True, stderr=subprocess.DEVNULL)


@unittest.skipUnless(os.geteuid() == 0, "needs root, to mount images")
@unittest.skipUnless(os.path.exists("/dev/loop-control"), "needs loop devices")
class Mounted(unittest.TestCase):
    """An archive as an image and its seed, and as tar extracts it."""

    implied = set()

    @classmethod
    def make(cls, write):
        cls.folder = Path(tempfile.mkdtemp(prefix="banger-fidelity-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        archive = write(cls.folder)
        cls.expected = cls.folder / "expected"
        extract(archive, cls.expected)
        with archive.open("rb") as source:
            cls.digest = subprocess.run([TOOL, cls.folder / "image", cls.folder / "seed"],
                                        stdin=source, stdout=subprocess.PIPE, check=True,
                                        text=True).stdout.split()[0]
            source.seek(0)
            cls.archive_digest = hashlib.sha256(source.read()).hexdigest()

    def mount(self, image, options="ro"):
        point = self.folder / (image + ".mnt")
        point.mkdir()
        done = subprocess.run(["mount", "-o", "loop," + options, self.folder / image, point],
                              stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            point.rmdir()
        if done.returncode != 0 and "loop" in done.stderr:
            self.skipTest("no loop device: " + done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(self.unmount, point)
        return point

    def unmount(self, point):
        if point.exists():
            subprocess.run(["umount", point], check=True)
            point.rmdir()

    def check(self, image):
        done = subprocess.run(["e2fsck", "-fn", self.folder / image], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        self.assertEqual(done.returncode, 0, done.stdout)

    def compare(self, got, expected):
        self.assertEqual(sorted(got), sorted(expected))
        for path in expected:
            with self.subTest(path=path[:40]):
                want, have = expected[path], got[path]
                if path in self.implied:
                    want, have = want[:3], have[:3]
                self.assertEqual(have, want)


class Fidelity(Mounted):
    @classmethod
    def setUpClass(cls):
        # GNU tar leaves the times of directories that the archive does not name to the clock.
        cls.implied = {"many", "ümläut", "root/.ssh"}

        def write(folder):
            write_archive(folder / "tree.tar")
            return folder / "tree.tar"
        cls.make(write)

    def test_digest(self):
        self.assertEqual(self.digest, self.archive_digest)

    def test_image_is_what_tar_extracts(self):
        self.compare(walk(self.mount("image")), walk(self.expected))

    def test_holes_take_no_room(self):
        huge = self.mount("image") / "huge"
        self.assertEqual(huge.stat().st_size, HUGE)
        self.assertLess(huge.stat().st_blocks * 512, 1 << 20)

    def test_seed_is_the_home_of_root(self):
        self.implied = {".ssh"}
        self.compare(walk(self.mount("seed")), walk(self.expected / "root"))

    def test_every_name_of_a_large_directory_is_found(self):
        point = self.mount("image")
        for i in range(3000):
            name = point / "many" / f"file-number-{i:05}-of-a-large-directory"
            self.assertEqual(name.read_bytes(), b"%d" % i)

    def test_the_kernel_writes_and_grows_it(self):
        """Files, names in a large directory, attributes; then a larger disk, which is filled."""
        shutil.copy(self.folder / "image", self.folder / "written")
        with open(self.folder / "written", "rb+") as image:
            image.truncate(512 << 20)
        for tool in (["e2fsck", "-fy"], ["resize2fs"]):
            subprocess.run([*tool, self.folder / "written"], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=True)
        self.check("written")
        point = self.mount("written", "rw")
        before = walk(point)
        self.compare(before, walk(self.expected))
        for i in range(3000, 9000):
            (point / "many" / f"file-number-{i:05}-of-a-large-directory").write_bytes(b"%d" % i)
        for i in range(0, 3000, 2):
            (point / "many" / f"file-number-{i:05}-of-a-large-directory").unlink()
        noise = random.Random(5).randbytes(40 << 20)
        (point / "filled").write_bytes(noise)
        with open(point / "huge", "rb+") as huge:
            os.pwrite(huge.fileno(), b"amid a hole", 1 << 32)
        os.setxattr(point / "attributes", "user.small", b"another")
        os.rename(point / "plain", point / "sticky" / "moved")
        shutil.rmtree(point / "over")
        written = walk(point)
        self.unmount(point)
        self.check("written")
        point = self.mount("written")
        self.compare(walk(point), written)
        self.assertEqual((point / "filled").read_bytes(), noise)
        self.assertEqual(len(os.listdir(point / "many")), 7500)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
