# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images written to files, and disk images taken as images, by the command line."""

import fcntl
import os
import re
import select
import signal
import subprocess
import sys
import tarfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cli_case import CliTest
from harness import SECONDS

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
MIB = 1 << 20


class ExportTest(CliTest):
    def setUp(self):
        super().setUp()
        self.session.import_image("first", self.tar)
        self.file = self.session.base / "out"
        self.addCleanup(self.remove_files)

    def remove_files(self):
        for path in self.session.base.glob("out*"):
            path.unlink()

    def export(self, *words, status=0, **more):
        return self.session.banger("image", "export", *words, status=status, **more)

    def rootfs(self, name):
        found, = self.session.state.glob(
            "**/%s/rootfs.ext4" % self.session.json("image", "show", name)["id"])
        return found

    def test_comes_back(self):
        """As it was: a tar by its bytes, a raw file by the image's."""
        self.assertEqual(self.export("first", self.file).stdout,
                         "image 'first' is written to '%s'\n" % self.file)
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.session.import_image("second", self.file)
        again = self.session.base / "out-again"
        self.export("second", again)
        self.assertEqual(again.read_bytes(), self.file.read_bytes())
        raw = self.session.base / "out-raw"
        self.export("first", raw, "--raw")
        self.session.import_image("third", raw)
        self.assertEqual(self.rootfs("third").read_bytes(), self.rootfs("first").read_bytes())
        self.assertEqual(list(self.session.base.glob("out*.part")), [])

    def test_compressed(self):
        self.export("first", self.file, "--compress", "gzip")
        with tarfile.open(self.file, "r:gz") as tar:
            self.assertIn("./etc/hostname", tar.getnames())

    def test_file_that_is_there(self):
        self.file.write_bytes(b"mine")
        result = self.export("first", self.file, status=4)
        self.assertIn("is there already", result.stderr)
        self.assertIn("--force", result.stderr)
        self.assertEqual(self.file.read_bytes(), b"mine")
        self.export("first", self.file, "--force")
        self.assertTrue(tarfile.is_tarfile(self.file))

    def test_part_that_is_there(self):
        """What an export that was killed left is no riddle, and gives way to --force; what is still
        written, or is another thing, does not."""
        part = self.session.base / "out.part"
        part.write_bytes(b"cut short")
        result = self.export("first", self.file, status=4)
        self.assertIn("out.part' is there already", result.stderr)
        self.assertIn("--force", result.stderr)
        with part.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            self.export("first", self.file, "--force", status=4)
        self.assertEqual(part.read_bytes(), b"cut short")
        self.export("first", self.file, "--force")
        self.assertTrue(tarfile.is_tarfile(self.file))
        self.assertFalse(part.exists())
        part.symlink_to(self.file)
        self.export("first", self.file, "--force", status=4)
        self.assertTrue(part.is_symlink())

    def test_standard_output(self):
        with self.file.open("wb") as out:
            result = subprocess.run(["banger", "image", "export", "first", "-"], stdout=out,
                                    stderr=subprocess.PIPE, env=self.session.env, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(tarfile.is_tarfile(self.file))
        ours, theirs = os.openpty()
        result = subprocess.run(["banger", "image", "export", "first", "-"], stdout=theirs,
                                stderr=subprocess.PIPE, text=True, env=self.session.env,
                                check=False)
        os.close(ours)
        os.close(theirs)
        self.assertEqual(result.returncode, 2)
        self.assertIn("is a terminal", result.stderr)

    def test_what_cannot_be(self):
        self.assertIn("--compress must be one of",
                      self.export("first", self.file, "--compress", "zip", status=2).stderr)
        self.assertIn("--compress is for a tar archive only",
                      self.export("first", self.file, "--raw", "--compress", "zstd",
                                  status=2).stderr)
        self.export("nobody", self.file, status=3)
        self.export("first", "/nowhere/out", status=1)
        self.assertIn("a path is empty", self.export("first", "", status=2).stderr)
        folder = self.session.base / "folder"
        folder.mkdir()
        for words in ([folder], [folder, "--force"], ["%s/" % folder, "--force"],
                      ["%s/" % self.file]):
            result = self.export("first", *words, status=2)
            self.assertIn("is a directory", result.stderr)
            self.assertNotIn("replace it", result.stderr)
        folder.rmdir()
        self.assertEqual(list(self.session.base.glob("folder*")), [])
        self.assertEqual(list(self.session.base.glob("out*")), [])

    def test_full(self):
        """It is the target that has no room, not the service's disk."""
        for words in ((), ("--raw",)):
            result = self.export("first", "/dev/full", *words, status=1)
            self.assertIn("No space left", result.stderr)
            self.assertIn("that it is written to", result.stderr)
            self.assertNotIn("banger's state", result.stderr)

    def test_interrupted(self):
        """Nothing of the file is left."""
        fifo = self.session.base / "out.fifo"
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.session.import_image("large", self.large())
        client = self.session.popen("banger", "image", "export", "large", fifo)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.kill)
        self.assertTrue(select.select([reader], [], [], SECONDS["command"])[0])
        client.send_signal(signal.SIGINT)
        client.wait()
        self.assertNotEqual(client.returncode, 0)
        self.assertEqual(self.running_jobs(), [])

    def large(self):
        path = self.session.base / "out-large.tar"
        (self.session.base / "out-noise").write_bytes(os.urandom(4 * MIB))
        with tarfile.open(path, "w") as tar:
            tar.add(self.session.base / "out-noise", "noise")
        return path


class DiskTest(CliTest):
    def setUp(self):
        super().setUp()
        self.disk = self.session.base / "disk"
        self.addCleanup(self.disk.unlink, missing_ok=True)

    def run_tool(self, *argv, **more):
        subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, env=dict(os.environ, PATH=PATH), **more)

    def make(self, size=64 * MIB):
        tree = self.session.base / "disk-tree"
        (tree / "etc").mkdir(parents=True, exist_ok=True)
        (tree / "usr").mkdir(exist_ok=True)
        (tree / "etc/fstab").write_text("UUID=1-2 / ext4 defaults 0 1\n")
        with self.disk.open("wb") as out:
            out.truncate(size)
        self.run_tool("mke2fs", "-q", "-t", "ext4", "-d", tree, self.disk)

    def import_disk(self, *options, status=0):
        return self.session.banger("image", "import", "disk", self.disk, *options, status=status)

    def test_found_out(self):
        """By what it begins with; the notes tell what was changed."""
        self.make()
        result = self.import_disk()
        self.assertIn("ready", result.stdout)
        self.assertEqual(re.findall("(?m)^note: (.*)$", result.stderr),
                         ["'etc/fstab': 1 lines about disks that a guest does not have are comments "
                          "now"])
        job, = (j for j in self.session.json("job", "list")["jobs"]
                if j["kind"] == "register-image")
        self.assertEqual(job["state"], "done")

    def test_keep_fstab(self):
        self.make()
        self.assertNotIn("note:", self.import_disk("--keep-fstab").stderr)

    def test_others(self):
        self.disk.write_bytes(b"XFSB" + bytes(MIB))
        result = self.import_disk(status=1)
        self.assertIn("it holds xfs", result.stderr)
        self.assertIn("--from-dir", result.stderr)
        self.disk.write_bytes(bytes(MIB))
        self.assertIn("not a tar archive", self.import_disk(status=1).stderr)
        self.assertIn("no file system", self.import_disk("--disk-format", "raw", status=1).stderr)
        self.assertIn("qcow2", self.import_disk("--disk-format", "qcow2", status=1).stderr)
        self.make()
        result = self.import_disk("--partition", "2", status=2)
        self.assertIn("no partition 2", result.stderr)
        self.assertIn("without --partition", result.stderr)
        self.assertIn("--disk-format must be 'auto', 'raw' or 'qcow2'",
                      self.import_disk("--disk-format", "vmdk", status=2).stderr)
        self.session.banger("image", "import", "x", "--from-dir", self.session.base,
                            "--keep-fstab", status=2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
