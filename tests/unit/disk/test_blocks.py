# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disk images and partition tables as others make them: qemu-img, sfdisk. What banger reads is what
they read."""

import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

TOOL = os.environ["BANGER_READ_BLOCKS"]
MIB = 1 << 20
SIZE = 16 * MIB + 3 * 512


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.PIPE, text=True,
                          **more).stdout


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="banger-blocks-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)

    def read(self, image):
        copy = self.folder / "copy"
        run(TOOL, "copy", image, copy)
        return copy.read_bytes()

    def refused(self, image, kind, cause):
        done = subprocess.run([TOOL, "copy", image, self.folder / "copy"], stderr=subprocess.PIPE,
                              text=True, check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(kind, done.stderr)
        self.assertIn(cause, done.stderr)


@unittest.skipUnless(shutil.which("qemu-img"), "needs qemu-img")
class Qcow2(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        noise = random.Random(7)
        cls.raw = cls.folder / "raw"
        with cls.raw.open("wb") as out:
            out.truncate(SIZE)
            for _ in range(60):
                out.seek(noise.randrange(SIZE // 512) * 512)
                data = noise.randbytes(512) * noise.randrange(1, 300)
                out.write(data[:SIZE - out.tell()])
        cls.expected = cls.raw.read_bytes()

    def convert(self, *options, flags=()):
        image = self.folder / "image.qcow2"
        run("qemu-img", "convert", "-O", "qcow2", *flags,
            *(["-o", ",".join(options)] if options else []), self.raw, image)
        return image

    def test_every_size_of_clusters(self):
        for bits in range(9, 22):
            with self.subTest(bits=bits):
                self.assertEqual(self.read(self.convert("cluster_size=%d" % (1 << bits))),
                                 self.expected)

    def test_versions(self):
        for version in ("0.10", "1.1"):
            with self.subTest(version=version):
                self.assertEqual(self.read(self.convert("compat=" + version)), self.expected)

    def test_compressed(self):
        for kind in ("zlib", "zstd"):
            for size in (4096, 65536, 2 * MIB):
                with self.subTest(kind=kind, size=size):
                    image = self.convert("compression_type=" + kind, "cluster_size=%d" % size,
                                         flags=["-c"])
                    self.assertEqual(self.read(image), self.expected)

    def test_compressed_of_version_2(self):
        self.assertEqual(self.read(self.convert("compat=0.10", flags=["-c"])), self.expected)

    def test_subclusters(self):
        for flags in ([], ["-c"]):
            with self.subTest(flags=flags):
                self.assertEqual(self.read(self.convert("extended_l2=on", flags=flags)),
                                 self.expected)

    def test_subclusters_written_one_by_one(self):
        image = self.folder / "parts.qcow2"
        run("qemu-img", "create", "-f", "qcow2", "-o", "extended_l2=on", image, "4M")
        run("qemu-io", "-c", "write -P 7 6k 2k", "-c", "write -P 9 100k 4k", "-c",
            "write -z 64k 10k", "-c", "write -P 3 130k 60k", "-c", "write -z 140k 20k", image)
        plain = self.folder / "plain"
        run("qemu-img", "convert", "-O", "raw", image, plain)
        self.assertEqual(self.read(image), plain.read_bytes())

    def test_preallocated_and_lazy(self):
        for options in (["preallocation=metadata"], ["preallocation=falloc"],
                        ["lazy_refcounts=on"], ["refcount_bits=1"]):
            with self.subTest(options=options):
                self.assertEqual(self.read(self.convert(*options)), self.expected)

    def test_snapshots_are_left_out(self):
        image = self.convert()
        run("qemu-img", "snapshot", "-c", "before", image)
        run("qemu-io", "-c", "write -P 5 1M 3M", "-c", "write -z 8M 2M", "-c", "discard 12M 1M",
            image)
        plain = self.folder / "plain"
        run("qemu-img", "convert", "-O", "raw", image, plain)
        self.assertNotEqual(plain.read_bytes(), self.expected)
        self.assertEqual(self.read(image), plain.read_bytes())

    def test_empty_disks(self):
        for size in ("0", "1T"):
            with self.subTest(size=size):
                image = self.folder / "empty.qcow2"
                run("qemu-img", "create", "-f", "qcow2", image, size)
                run(TOOL, "copy", image, self.folder / "copy")
                self.assertEqual((self.folder / "copy").stat().st_blocks, 0)

    def test_not_supported(self):
        image = self.folder / "other.qcow2"
        run("qemu-img", "create", "-f", "qcow2", "-b", self.raw, "-F", "raw", image)
        self.refused(image, "NotSupported", "differs from another file")
        run("qemu-img", "create", "-f", "qcow2", "-o", "data_file=%s" % (self.folder / "data"),
            image, "1M")
        self.refused(image, "NotSupported", "in another file")
        self.refused(self.change(32, struct.pack(">I", 2)), "NotSupported", "encrypted")

    def change(self, offset, data):
        image = self.convert()
        with image.open("r+b") as out:
            out.seek(offset)
            out.write(data)
        return image

    def test_damaged(self):
        image = self.convert()
        l1 = struct.unpack_from(">Q", image.read_bytes(), 40)[0]
        l2 = struct.unpack_from(">Q", image.read_bytes(), l1)[0] & ~(1 << 63)
        for offset, data, kind, cause in (
                (0, b"QFIX", "BadImage", None),
                (4, struct.pack(">I", 4), "NotSupported", "version"),
                (20, struct.pack(">I", 30), "BadImage", "possible size"),
                (24, struct.pack(">Q", 1 << 63), "BadImage", "possible size"),
                (24, struct.pack(">Q", 1 << 62), "BadImage", "too small"),
                (36, struct.pack(">I", 1 << 28), "BadImage", "32 MiB"),
                (40, struct.pack(">Q", 1 << 40), "BadImage", "end of the file"),
                (72, struct.pack(">Q", 2), "BadImage", "corrupt"),
                (72, struct.pack(">Q", 1 << 40), "NotSupported", "does not know"),
                (l1, struct.pack(">Q", 1 << 50), "BadImage", "end of the file"),
                (l1, struct.pack(">Q", 512), "BadImage", "no cluster"),
                (l2, struct.pack(">Q", 1 << 50), "BadImage", "end of the file"),
                (l2, struct.pack(">Q", 1 << 62 | 1 << 40), "BadImage", "end of the file"),
                (l2, struct.pack(">Q", 1 << 62 | 65536), "BadImage", "damaged")):
            with self.subTest(offset=offset, data=data):
                image = self.change(offset, data)
                if cause is None:  # no qcow2 any more, so it is taken as it is
                    self.assertEqual(self.read(image), image.read_bytes())
                else:
                    self.refused(image, kind, cause)

    def test_cut_off(self):
        image = self.convert()
        whole = image.stat().st_size
        for size in (4, 71, 103, whole // 2, whole - 65536):
            with self.subTest(size=size):
                os.truncate(image, size)
                self.refused(image, "BadImage", "")
                image = self.convert()


def gpt(sector, partitions, size):
    """Both copies of a GPT, as UEFI has it; sfdisk writes it for sectors of 512 bytes only."""
    entries = b"".join(struct.pack("<16s16sQQQ72s", b"t" * 16, b"u" * 16, first, last, 0, b"")
                       for first, last in partitions).ljust(128 * 128, b"\0")
    last = size // sector - 1

    def header(here, there, at):
        fields = struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, 0, 0, here, there, 6,
                             last - 6, b"d" * 16, at, 128, 128, zlib.crc32(entries))
        return fields[:16] + struct.pack("<I", zlib.crc32(fields)) + fields[20:]

    tables = -(-len(entries) // sector)
    mbr = bytearray(512)
    mbr[446:462] = struct.pack("<B3sB3sII", 0, b"", 0xee, b"", 1, last)
    mbr[510:] = b"\x55\xaa"
    return {0: bytes(mbr), sector: header(1, last, 2), 2 * sector: entries,
            (last - tables) * sector: entries, last * sector: header(last, 1, last - tables)}


class Partitions(Case):
    def disk(self, pieces=None, size=64 * MIB):
        path = self.folder / "disk"
        with path.open("wb") as out:
            out.truncate(size)
            for offset, data in (pieces or {}).items():
                out.seek(offset)
                out.write(data)
        return path

    def sfdisk(self, script):
        path = self.disk()
        run("sfdisk", "-q", path, input=script)
        told = {}
        for line in run("sfdisk", "-d", path).splitlines():
            if line.startswith(str(path)):
                name, fields = line.split(" : ")
                fields = dict(f.strip().split("=") for f in fields.split(",") if "=" in f)
                told[int(name[len(str(path)):])] = (int(fields["start"]) * 512,
                                                    int(fields["size"]) * 512)
        return path, told

    def partitions(self, path):
        lines = [line.split() for line in run(TOOL, "partitions", path).splitlines()]
        return {int(n): (int(at), int(length)) for n, at, length, _ in lines if n != "0"}

    @unittest.skipUnless(shutil.which("sfdisk"), "needs sfdisk")
    def test_as_sfdisk_makes_them(self):
        for script in ("label: gpt\n,10M\n,20M\n,\n", "label: dos\n,10M\n,20M\n,\n",
                       "label: gpt\n2048,2048\n20480,100\n8192,100\n",
                       "label: dos\n,10M\n,40M,E\n,\n,5M\n,6M\n,7M\n"):
            with self.subTest(script=script):
                path, told = self.sfdisk(script)
                extended = {n for n in told if "E" in script and n == 2}
                found = self.partitions(path)
                self.assertEqual(found, {n: p for n, p in told.items() if n not in extended})
                self.assertEqual(list(found), sorted(found, key=found.get))

    def test_gpt_of_large_sectors(self):
        self.assertEqual(self.partitions(self.disk(gpt(4096, [(10, 20), (30, 30)], 64 * MIB))),
                         {1: (10 * 4096, 11 * 4096), 2: (30 * 4096, 4096)})

    def test_second_copy_of_a_gpt(self):
        for sector in (512, 4096):
            pieces = gpt(sector, [(100, 199)], 64 * MIB)
            for lost in (sector, 2 * sector):
                with self.subTest(sector=sector, lost=lost):
                    self.assertEqual(self.partitions(self.disk({**pieces, lost: b"x" * 4096})),
                                     {1: (100 * sector, 100 * sector)})

    def test_damaged(self):
        pieces = gpt(512, [(100, 199)], 64 * MIB)
        done = subprocess.run([TOOL, "partitions", self.disk({0: pieces[0]})], check=False,
                              stderr=subprocess.PIPE, text=True)
        self.assertIn("neither of its copies is whole", done.stderr)
        entry = struct.pack("<B3sB3sII", 0, b"", 5, b"", 0, 8)  # leads back to itself
        loop = bytes(446) + struct.pack("<B3sB3sII", 0, b"", 0x83, b"", 1, 2) + entry + bytes(32)
        mbr = bytes(446) + struct.pack("<B3sB3sII", 0, b"", 5, b"", 8, 100) + bytes(48)
        done = subprocess.run([TOOL, "partitions",
                               self.disk({0: mbr + b"\x55\xaa", 4096: loop + b"\x55\xaa"})],
                              check=False, stderr=subprocess.PIPE, text=True)
        self.assertIn("it has no end", done.stderr)

    def test_none(self):
        self.assertEqual(self.partitions(self.disk()), {})
        self.assertEqual(self.partitions(self.disk(size=100)), {})
        # A boot sector ends like a partition table.
        self.assertEqual(self.partitions(self.disk({446: b"boot code" * 7, 510: b"\x55\xaa"})), {})

    def test_file_systems_are_told_apart(self):
        for program, argv, name in (("mke2fs", ["-q", "-t", "ext2"], "ext4"),
                                    ("mke2fs", ["-q", "-t", "ext4"], "ext4"),
                                    ("mkfs.xfs", ["-q", "-f"], "xfs"),
                                    ("mkfs.vfat", [], "vfat"), ("mkswap", [], "swap")):
            with self.subTest(program=program, name=name):
                if not shutil.which(program):
                    self.assertNotIn(program, ("mke2fs", "mkfs.xfs"))
                    continue
                path = self.disk(size=400 * MIB)
                run(program, *argv, path, stderr=subprocess.DEVNULL)
                self.assertEqual(run(TOOL, "partitions", path).split()[3], name)
        for offset, mark, name in ((0x10040, b"_BHRfS_M", "btrfs"), (512, b"LABELONE", "LVM"),
                                   (0, b"LUKS\xba\xbe", "LUKS")):
            self.assertEqual(run(TOOL, "partitions", self.disk({offset: mark})).split()[3], name)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
