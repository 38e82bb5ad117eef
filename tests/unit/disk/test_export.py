# SPDX-License-Identifier: LGPL-2.1-or-later
"""What leaves an image: tars that GNU tar takes and that come back as they were, and raw disks."""

import fcntl
import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

from test_fidelity import entry, walk, write_archive

IMPORT, EXPORT = os.environ["BANGER_IMPORT_TAR"], os.environ["BANGER_EXPORT_DISK"]
MIB = 1 << 20
ROOT = os.geteuid() == 0


def write_holes(path, folder):
    """What GNU tar makes of files with holes and long names, from what lies in a folder."""
    tree = folder / "with-holes"
    tree.mkdir()
    for name, size, places in (("end", 5 * MIB, [0]), ("begin", 5 * MIB, [5 * MIB - 1]),
                               ("all", 3 * MIB, []), ("odd", 200_001, [100_000]),
                               ("short", 40_000, [0]),
                               ("zeros", 70_000, [])):
        with (tree / name).open("wb") as out:
            out.truncate(size)
            for place in places:
                out.seek(place)
                out.write(b"x")
    (tree / "written-zeros").write_bytes(b"a" + bytes(300_000) + b"b")
    (tree / ("l" * 250)).write_bytes(b"long")
    os.link(tree / ("l" * 250), tree / "z-other-name")
    os.symlink("t" * 4000, tree / "far-link")
    os.utime(tree / "odd", ns=(0, 1_250_000_001))
    (tree / os.fsdecode(b"latin-\xe9")).write_bytes(b"raw name")
    subprocess.run(["tar", "-C", tree, "--format=pax", "-S", "-cf", path, "."], check=True)


def write_far(path, folder):
    tree = folder / "with-far"
    tree.mkdir()
    with (tree / "far").open("wb") as out:
        out.truncate(9 << 30)
        for place in (3 << 30, (8 << 30) + 7):
            out.seek(place)
            out.write(b"x")
    subprocess.run(["tar", "-C", tree, "--format=pax", "-S", "-cf", path, "."], check=True)


class Export(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="banger-export-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        write_archive(cls.folder / "tree.tar")
        write_holes(cls.folder / "holes.tar", cls.folder)
        write_far(cls.folder / "far.tar", cls.folder)
        for name in ("tree", "holes", "far"):
            cls.make(cls.folder / (name + ".tar"), name)
            cls.export(name, "tar", name + ".out")

    @classmethod
    def make(cls, archive, image):
        with archive.open("rb") as source:
            subprocess.run([IMPORT, cls.folder / image, cls.folder / (image + ".seed")],
                           stdin=source, stdout=subprocess.DEVNULL, check=True)

    @classmethod
    def export(cls, image, form, target, compression="none"):
        with (cls.folder / target).open("wb") as out:
            subprocess.run([EXPORT, cls.folder / image, form, compression], stdout=out,
                           stderr=subprocess.DEVNULL, check=True)
        return cls.folder / target

    def test_same_archive_comes_back(self):
        for name in ("tree", "holes", "far"):
            with self.subTest(name=name):
                self.make(self.folder / (name + ".out"), name + "-again")
                again = self.export(name + "-again", "tar", name + "-again.out")
                self.assertEqual(again.read_bytes(), (self.folder / (name + ".out")).read_bytes())

    def test_order_of_an_archive_does_not_matter(self):
        names = ["b/", "b/x", "a", "B", "b-c", "b.d/"]
        archives = []
        for turn, order in enumerate((names, names[::-1])):
            path = self.folder / ("order%d.tar" % turn)
            with tarfile.open(path, "w") as tar:
                tar.addfile(entry("./", tarfile.DIRTYPE, 0o755))
                for name in order:
                    kind = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
                    tar.addfile(entry(name, kind))
            self.make(path, "order%d" % turn)
            archives.append(self.export("order%d" % turn, "tar", "order%d.out" % turn))
        self.assertEqual(archives[0].read_bytes(), archives[1].read_bytes())
        with tarfile.open(archives[0]) as tar:
            self.assertEqual(tar.getnames(), [".", "./B", "./a", "./b", "./b/x", "./b-c", "./b.d"])

    def names(self, name, *entries):
        """What an image of the entries, below a root of an odd time, exports."""
        path = self.folder / (name + ".tar")
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            tar.addfile(entry("./", tarfile.DIRTYPE, 0o755, mtime=1700000000.25))
            for each in entries:
                tar.addfile(each)
        self.make(path, name)
        with tarfile.open(self.export(name, "tar", name + ".out")) as tar:
            return tar.getnames()

    def test_lost_found_that_no_source_had(self):
        self.assertEqual(self.names("none"), ["."])
        self.assertEqual(self.names("same", entry("lost+found/", tarfile.DIRTYPE, 0o700)), ["."])
        self.assertEqual(self.names("open", entry("lost+found/", tarfile.DIRTYPE, 0o755)),
                         [".", "./lost+found"])
        self.assertEqual(self.names("full", entry("lost+found/", tarfile.DIRTYPE, 0o700),
                                    entry("lost+found/#12")),
                         [".", "./lost+found", "./lost+found/#12"])

    def test_holes_take_no_room(self):
        self.assertLess((self.folder / "holes.out").stat().st_size, 2 * MIB)

    def test_compression(self):
        plain = (self.folder / "tree.out").read_bytes()
        self.assertEqual(gzip.decompress(self.export("tree", "tar", "t.gz", "gzip").read_bytes()),
                         plain)
        self.make(self.export("tree", "tar", "t.zst", "zstd"), "packed")
        self.assertEqual(self.export("packed", "tar", "packed.out").read_bytes(), plain)

    def test_raw_is_the_image(self):
        raw = self.export("holes", "raw", "raw")
        self.assertEqual(raw.read_bytes(), (self.folder / "holes").read_bytes())
        self.assertLess(raw.stat().st_blocks * 512, 3 * MIB)
        piped = subprocess.run([EXPORT, self.folder / "tree", "raw", "none"], check=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(piped.stdout, (self.folder / "tree").read_bytes())
        self.assertEqual(piped.stderr.decode(), "%d bytes\n" % len(piped.stdout))

    def test_raw_to_a_file_that_is_appended_to(self):
        appended = self.folder / "appended"
        with appended.open("ab") as out:
            subprocess.run([EXPORT, self.folder / "tree", "raw", "none"], stdout=out, check=True,
                           stderr=subprocess.DEVNULL)
        self.assertEqual(appended.read_bytes(), (self.folder / "tree").read_bytes())

    def test_a_file_that_is_not_empty(self):
        path = self.folder / "full"
        path.write_bytes(b"mine")
        with path.open("r+b") as out:
            done = subprocess.run([EXPORT, self.folder / "tree", "tar", "none"], stdout=out,
                                  stderr=subprocess.PIPE, text=True, check=False)
        self.assertIn("InvalidArgument", done.stderr)
        self.assertEqual(path.read_bytes(), b"mine")

    def test_reader_goes_away(self):
        for form, compression in (("tar", "none"), ("tar", "gzip"), ("tar", "zstd"),
                                  ("raw", "none")):
            with self.subTest(form=form, compression=compression):
                child = subprocess.Popen([EXPORT, self.folder / "tree", form, compression],
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                child.stdout.buffer.raw.read(1)
                child.stdout.close()
                self.assertEqual(child.stderr.read(), "Failed: the export cannot be written: "
                                                      "who reads it has gone\n")
                child.stderr.close()
                self.assertEqual(child.wait(), 1)

    def test_reader_that_is_slow_and_a_pipe_that_does_not_block(self):
        ours, theirs = os.pipe()
        fcntl.fcntl(theirs, fcntl.F_SETFL, os.O_NONBLOCK)
        child = subprocess.Popen([EXPORT, self.folder / "tree", "tar", "none"], stdout=theirs,
                                 stderr=subprocess.DEVNULL)
        os.close(theirs)
        with open(ours, "rb") as source:
            self.assertEqual(source.read(), (self.folder / "tree.out").read_bytes())
        self.assertEqual(child.wait(), 0)

    @unittest.skipUnless(os.path.exists("/dev/full"), "needs /dev/full")
    def test_no_space(self):
        with open("/dev/full", "wb") as out:
            done = subprocess.run([EXPORT, self.folder / "tree", "tar", "none"], stdout=out,
                                  stderr=subprocess.PIPE, text=True, check=False)
        self.assertIn("NoSpace", done.stderr)

    def extract(self, name):
        folder = self.folder / (name + ".extracted")
        folder.mkdir()
        subprocess.run(["tar", "-C", folder, "-xpf", self.folder / (name + ".out"), "--same-owner",
                        "--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner"], check=True)
        return folder

    def mount(self, image):
        point = self.folder / (image + ".mnt")
        point.mkdir()
        self.addCleanup(point.rmdir)
        done = subprocess.run(["mount", "-o", "loop,ro", self.folder / image, point],
                              stderr=subprocess.PIPE, text=True)
        if done.returncode != 0 and "loop" in done.stderr:
            self.skipTest("no loop device: " + done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(subprocess.run, ["umount", point], check=True)
        return point

    @unittest.skipUnless(ROOT and os.path.exists("/dev/loop-control"), "needs root, to mount images")
    def test_gnu_tar_extracts_what_the_image_holds(self):
        for name in ("tree", "holes"):
            got = walk(self.extract(name))
            want = walk(self.mount(name))
            self.assertEqual(sorted(got), sorted(want))
            for path in want:
                with self.subTest(path=path[:40]):
                    self.assertEqual(got[path], want[path])


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
