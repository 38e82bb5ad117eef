# SPDX-License-Identifier: LGPL-2.1-or-later
"""Image.Export and Manager.RegisterImage: images that leave and come back, who may do it and when,
and what is left when somebody goes away in the middle. No guest runs. Runs in privbus.py."""

import hashlib
import io
import os
import re
import select
import shutil
import signal
import subprocess
import tarfile
import unittest

from callers import NAME, ROOT, SECONDS, Caller
from privbus import UIDS
from vm_case import MIB, VmCase

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], check=True, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=dict(os.environ, PATH=PATH), **more).stdout


class DiskImages(VmCase):
    def setUp(self):
        super().setUp()
        self.folder = self.base / "disks"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o755)
        self.addCleanup(self.remove_images)

    def images(self, root):
        answer = root.call_to(NAME, ROOT, "org.freedesktop.DBus.ObjectManager",
                              "GetManagedObjects")
        return set(re.findall(r"'?(/org/banger/Banger1/image/\w+)'?: \{", answer.value))

    def remove_images(self):
        with Caller("root") as root:
            root.wait(root.send("watch"))
            for path in self.images(root):
                if self.property(path, "Name", "Image") != "'small'":
                    job = self.begun(root.call(path, "Image.Delete"))
                    self.ended(root, job, ["delete-image", path, "done"])

    def pair(self, answer):
        self.assertIsNone(answer.error, answer)
        return re.findall(r"/org/banger/Banger1/\w+/\w+", answer.value)

    def imported(self, name, file, result="done"):
        image, job = self.pair(self.alice.call(
            ROOT, "Manager.ImportImage", "('%s', handle 0, @a{sv} {})" % name, files=[file]))
        self.ended(self.alice, job, ["import-image", image, result])
        return image

    def register(self, name, file, options="@a{sv} {}", caller=None):
        return (caller or self.alice).call(
            ROOT, "Manager.RegisterImage", "('%s', {'disk': handle 0}, %s)" % (name, options),
            files=[file])

    def registered(self, name, file, options="@a{sv} {}", result="done"):
        image, self.job = self.pair(self.register(name, file, options))
        self.ended(self.alice, self.job, ["register-image", image, result])
        return image

    def output(self, name="output"):
        file = self.folder / name
        file.write_bytes(b"")
        os.chown(file, UIDS["alice"], UIDS["alice"])
        file.chmod(0o666)
        return file

    def begin_export(self, image, target, options="@a{sv} {}", caller=None):
        return (caller or self.alice).call(image, "Image.Export", "(handle 0, %s)" % options,
                                           files=[">%s" % target])

    def export(self, image, options="@a{sv} {}", result="done", name="output"):
        file = self.output(name)
        self.job = self.begun(self.begin_export(image, file, options))
        self.ended(self.alice, self.job, ["export-image", image, result])
        return file

    def files_of(self, image):
        return self.base / "state/images" / image.rsplit("/", 1)[1]

    def noisy_tar(self):
        """Larger than any pipe."""
        path = self.folder / "noisy.tar"
        with tarfile.open(path, "w") as tar:
            for number in range(4):
                entry = tarfile.TarInfo("noise-%d" % number)
                entry.size = 2 * MIB
                tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
        path.chmod(0o644)
        return path

    def disk(self, *, used=False):
        """An ext4 in the second partition of a disk; one that was in use, if that is asked for."""
        tree, part, disk = (self.folder / name for name in ("tree", "part", "disk"))
        (tree / "etc").mkdir(parents=True)
        (tree / "usr").mkdir()
        (tree / "root").mkdir()
        (tree / "etc/fstab").write_text("LABEL=x / ext4 defaults 0 1\n")
        (tree / "root/note").write_text("in the seed")
        for path, size in ((part, 32), (disk, 40)):
            with path.open("wb") as out:
                out.truncate(size * MIB)
        run("mke2fs", "-q", "-t", "ext4", "-d", tree, part)
        if used:
            run("debugfs", "-w", "-R", "feature needs_recovery", part)
        run("sfdisk", "-q", disk, input="label: gpt\n,1M\n,32M\n")
        run("dd", "if=%s" % part, "of=%s" % disk, "bs=1M", "seek=2", "conv=notrunc,sparse")
        disk.chmod(0o644)
        return disk

    def test_round_trips(self):
        """As a tar the same archive comes back, raw the same file."""
        first = self.imported("first", self.base / "small.tar")
        archive = self.export(first, name="one.tar")
        self.assertEqual(self.property(self.job, "Result", "Job"),
                         "{'bytes': <uint64 %d>}" % archive.stat().st_size)
        with tarfile.open(archive) as tar:
            self.assertEqual(tar.getnames(), [".", "./etc", "./etc/hostname", "./root"])
        second = self.imported("second", archive)
        self.assertEqual(self.export(second, name="two.tar").read_bytes(), archive.read_bytes())
        raw = self.export(first, "{'format': <'raw'>}", name="raw")
        self.assertEqual(raw.read_bytes(), (self.files_of(first) / "rootfs.ext4").read_bytes())
        third = self.registered("third", raw)
        for file in ("rootfs.ext4", "seed.ext4"):
            self.assertEqual((self.files_of(third) / file).read_bytes(),
                             (self.files_of(first) / file).read_bytes())
        self.assertEqual(self.property(third, "Digest", "Image"),
                         "'sha256:%s'" % hashlib.sha256(raw.read_bytes()).hexdigest())
        self.assertEqual(self.property(third, "Entries", "Image"), "uint64 3")

    def test_compressed(self):
        image = self.imported("first", self.base / "small.tar")
        for how in ("gzip", "zstd"):
            packed = self.export(image, "{'compression': <'%s'>}" % how, name=how)
            again = self.imported(how, packed)
            self.assertEqual(self.export(again).read_bytes(), self.export(image).read_bytes())

    def test_disk(self):
        image = self.registered("disk", self.disk())
        self.assertEqual(self.property(self.job, "Result", "Job"),
                         "{'filesystem': <'ext4'>, 'partition': <uint32 2>}")
        self.assertIn("disks that a guest does not have", self.property(self.job, "Notes", "Job"))
        self.assertEqual(sorted(p.name for p in self.files_of(image).iterdir()),
                         ["rootfs.ext4", "seed.ext4"])
        self.assertEqual(run("debugfs", "-R", "cat /note", self.files_of(image) / "seed.ext4")
                         .splitlines()[-1], "in the seed")

    def test_disk_that_was_in_use(self):
        """It is recovered in a file that does not stay."""
        disk = self.disk(used=True)
        before = disk.read_bytes()
        image = self.registered("used", disk)
        self.assertIn("the disk was in use", self.property(self.job, "Notes", "Job"))
        self.assertEqual(sorted(p.name for p in self.files_of(image).iterdir()),
                         ["rootfs.ext4", "seed.ext4"])
        self.assertEqual(disk.read_bytes(), before)

    @unittest.skipUnless(shutil.which("qemu-img"), "needs qemu-img")
    def test_qcow2(self):
        disk, qcow = self.disk(), self.folder / "disk.qcow2"
        run("qemu-img", "convert", "-c", "-O", "qcow2", disk, qcow)
        qcow.chmod(0o644)
        images = [self.registered(name, file) for name, file in (("a", disk), ("b", qcow))]
        self.assertEqual(*[(self.files_of(i) / "rootfs.ext4").read_bytes() for i in images])

    def test_refused_disks(self):
        """Nothing of them stays."""
        nothing = self.folder / "nothing"
        nothing.write_bytes(bytes(MIB))
        nothing.chmod(0o644)
        xfs = self.folder / "xfs"
        xfs.write_bytes(b"XFSB" + bytes(MIB))
        xfs.chmod(0o644)
        before = self.images(self.root), sorted((self.base / "state/images").iterdir())
        for file, options, error in (
                (nothing, "@a{sv} {}", "BadImage"), (xfs, "@a{sv} {}", "NotSupported"),
                (self.disk(), "{'partition': <uint32 3>}", "InvalidArgument"),
                (self.folder / "disk", "{'format': <'qcow2'>}", "BadImage"),
                (self.folder / "disk", "{'max-entries': <uint64 2>}", "BadImage")):
            with self.subTest(file=file.name, options=options):
                self.registered("refused", file, options, result="failed")
                said = self.property(self.job, "Error", "Job")
                self.assertIn("Error.%s" % error, said)
                self.assertIn("'receiving'", said)
        self.assertEqual((self.images(self.root), sorted((self.base / "state/images").iterdir())),
                         before)

    def test_refused_calls(self):
        disk = self.base / "small.tar"
        for arguments, files, text in (
                ("('x', @a{sh} {}, @a{sv} {})", [], "made of one file: 'disk'"),
                ("('x', {'other': handle 0}, @a{sv} {})", [disk], "made of one file: 'disk'"),
                ("('x', {'disk': handle 0}, {'format': <'vmdk'>})", [disk], "option 'format' must"),
                ("('x', {'disk': handle 0}, {'none': <1>})", [disk], "option 'none'")):
            with self.subTest(arguments=arguments):
                answer = self.alice.call(ROOT, "Manager.RegisterImage", arguments, files=files)
                self.assertEqual(answer.word, "InvalidArgument", answer)
                self.assertIn(text, answer.message)
        image = self.imported("first", self.base / "small.tar")
        full = self.output("full")
        full.write_bytes(b"mine")
        for target, options, text in (
                (full, "@a{sv} {}", "the file is not empty"),
                (self.output(), "{'format': <'zip'>}", "option 'format' must be one of"),
                (self.output(), "{'compression': <'xz'>}", "option 'compression' must be one of"),
                (self.output(), "{'format': <'raw'>, 'compression': <'gzip'>}", "is for a tar archive only")):
            with self.subTest(options=options):
                answer = self.begin_export(image, target, options)
                self.assertEqual(answer.word, "InvalidArgument", answer)
                self.assertIn(text, answer.message)
        answer = self.alice.call(image, "Image.Export", "(handle 0, @a{sv} {})",
                                 files=[self.base / "small.tar"])
        self.assertIn("not open for writing", answer.message)
        self.assertEqual(full.read_bytes(), b"mine")

    def test_who_may(self):
        image = self.imported("first", self.base / "small.tar")
        answer = self.begin_export(image, self.output(), caller=self.erin)
        self.assertTrue(answer.word.startswith("NotAuthorized"), answer)
        self.assertIsNone(self.root.call(image, "Image.Share", "(true, @a{sv} {})").error)
        job = self.begun(self.begin_export(image, self.output(), caller=self.erin))
        self.ended(self.erin, job, ["export-image", image, "done"])

    def pipe(self):
        path = self.folder / "pipe"
        os.mkfifo(path)
        path.chmod(0o666)
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        return path, fd

    def begin_slow(self):
        """An export into a pipe that nobody reads; the job and our end of the pipe."""
        image = self.imported("noisy", self.noisy_tar())
        path, fd = self.pipe()
        job = self.begun(self.begin_export(image, path))
        self.assertTrue(select.select([fd], [], [], SECONDS)[0])
        return image, job, fd

    def test_in_use(self):
        """Nobody changes or deletes what is being read; others may read it, too."""
        image, job, fd = self.begin_slow()
        for method, arguments in (("Delete", "(@a{sv} {},)"),
                                  ("EditFiles", "(@a(sa{sv}) [('mkdir', {'path': <'/x'>})],"
                                                " @a{sv} {})")):
            answer = self.alice.call(image, "Image." + method, arguments)
            self.assertEqual(answer.word, "Busy", answer)
            self.assertIn("is being read", answer.message)
        self.export(image, name="other")
        self.assertIsNone(self.alice.call(job, "Job.Cancel").error)
        self.ended(self.alice, job, ["export-image", image, "cancelled"])
        os.close(fd)

    def test_reader_goes_away(self):
        image, job, fd = self.begin_slow()
        os.close(fd)
        self.ended(self.alice, job, ["export-image", image, "failed"])
        said = self.property(job, "Error", "Job")
        self.assertIn("Error.Failed", said)
        self.assertIn("who reads it has gone", said)
        self.assertIn("image 'noisy'", said)

    def test_killed(self):
        """A worker that dies leaves an image that can be used, and no image where one was made."""
        image, job, fd = self.begin_slow()
        for entry in os.scandir("/proc"):
            try:
                if entry.name.isdigit() and os.readlink(entry.path + "/exe").endswith(
                        "banger-worker"):
                    os.kill(int(entry.name), signal.SIGKILL)
            except OSError:
                continue
        self.ended(self.alice, job, ["export-image", image, "failed"])
        os.close(fd)
        self.export(image)


if __name__ == "__main__":
    unittest.main()
