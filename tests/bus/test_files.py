# SPDX-License-Identifier: LGPL-2.1-or-later
"""ReadFiles and EditFiles: what they do to images and to the disks of VMs, who is in whose way, and
what is left when somebody goes away in the middle. No guest runs. Runs in privbus.py."""

import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import threading
import time
import unittest

from callers import NAME, ROOT, SECONDS, Caller, pid_of
from privbus import UIDS
from vm_case import MIB, VmCase, CONFIGURATION

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

def write(path, text):
    """A step. Text forms of GVariant end bytes that are given as b'…' with a zero."""
    content = "[%s]" % ", ".join("byte %d" % byte for byte in text.encode())
    return "('write', {'path': <'%s'>, 'content': <%s>})" % (path, content)


def e2fsck(file):
    return subprocess.run(["e2fsck", "-fn", str(file)], capture_output=True, text=True,
                          env=dict(os.environ, PATH=PATH), check=False)


def debugfs(file, command):
    return subprocess.run(["debugfs", "-R", command, str(file)], capture_output=True, text=True,
                          env=dict(os.environ, PATH=PATH), check=True).stdout


class FilesTest(VmCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.configuration = CONFIGURATION.replace("vms=2", "vms=8").replace("disk=128M", "disk=1G")
        cls.configure(cls.configuration)
        cls.restart()

    def setUp(self):
        super().setUp()
        self.pipes = []
        self.folder = self.base / "files"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(mode=0o755)
        self.addCleanup(self.remove_images)
        self.image = self.import_image("mine")

    def import_image(self, name):
        answer = self.alice.call(ROOT, "Manager.ImportImage", "('%s', handle 0, @a{sv} {})" % name,
                                 files=[self.base / "small.tar"])
        self.assertIsNone(answer.error, answer)
        image, job = re.findall(r"/org/banger/Banger1/\w+/\w+", answer.value)
        self.ended(self.alice, job, ["import-image", image, "done"])
        return image

    def remove_images(self):
        self.remove_all()
        with Caller("root") as root:
            root.wait(root.send("watch"))
            answer = root.call_to(NAME, ROOT, "org.freedesktop.DBus.ObjectManager",
                                  "GetManagedObjects")
            for path in set(re.findall(r"'?(/org/banger/Banger1/image/\w+)'?: \{", answer.value)):
                if self.property(path, "Name", "Image") != "'small'":
                    job = self.begun(root.call(path, "Image.Delete"))
                    self.ended(root, job, ["delete-image", path, "done"])

    def files_of(self, path):
        return self.base / "state" / ("%ss" % path.split("/")[-2]) / path.rsplit("/", 1)[1]

    def rootfs(self, image=None):
        return self.files_of(image or self.image) / "rootfs.ext4"

    @staticmethod
    def interface(path):
        return {"image": "Image", "vm": "VM"}[path.split("/")[-2]]

    def begin_edit(self, path, *steps, caller=None, files=()):
        answer = (caller or self.alice).call(
            path, "%s.EditFiles" % self.interface(path),
            "(@a(sa{sv}) [%s], @a{sv} {})" % ", ".join(steps), files=files)
        return answer

    def edit(self, path, *steps, result="done", **more):
        """The job, which must end so."""
        job = self.begun(self.begin_edit(path, *steps, **more))
        self.ended(self.alice, job, ["edit-files", path, result])
        return job

    def begin_read(self, path, *steps, output, caller=None):
        return (caller or self.alice).call(
            path, "%s.ReadFiles" % self.interface(path),
            "(@a(sa{sv}) [%s], handle 0, @a{sv} {})" % ", ".join(steps), files=[">%s" % output])

    def output(self):
        file = self.folder / "output"
        file.write_bytes(b"")
        os.chown(file, UIDS["alice"], UIDS["alice"])
        file.chmod(0o666)
        return file

    def read(self, path, *steps, result="done", **more):
        """What the steps gave, and their job."""
        file = self.output()
        job = self.begun(self.begin_read(path, *steps, output=file, **more))
        self.ended(self.alice, job, ["read-files", path, result])
        self.job = job
        return file.read_bytes()

    def cat(self, path, name):
        return self.read(path, "('read', {'path': <'%s'>})" % name)

    def error(self, job):
        return self.property(job, "Error", "Job")

    def fifo(self):
        """A pipe with a name; our end for writing is open before it is passed on."""
        path = self.folder / ("pipe%d" % len(self.pipes))
        os.mkfifo(path)
        path.chmod(0o666)
        fd = os.open(path, os.O_RDWR)
        self.pipes.append(fd)
        self.addCleanup(self.close, fd)
        return path

    def close(self, fd):
        if fd in self.pipes:
            self.pipes.remove(fd)
            os.close(fd)

    def begin_slow(self, path, method="EditFiles", caller=None):
        """A job that waits for a pipe in its first step. The job, and how to end the pipe."""
        pipe = self.fifo()
        fd = self.pipes[-1]
        if method == "EditFiles":
            answer = self.begin_edit(
                path, "('write', {'path': <'/slow'>, 'file': <handle 0>})", files=[pipe],
                caller=caller)
        else:
            os.set_blocking(fd, False)
            # So full that not a byte more has room.
            try:
                while os.write(fd, bytes(4096)):
                    pass
            except BlockingIOError:
                pass
            answer = (caller or self.alice).call(
                path, "Image.Export", "(handle 0, @a{sv} {})", files=[">%s" % pipe]
            ) if method == "Export" else self.begin_read(
                path, "('read', {'path': <'/etc/hostname'>})", output=pipe, caller=caller)
        job = self.begun(answer)
        self.wait_until(self.workers, "no worker runs")
        return job, lambda: self.close(fd)

    def assert_settled(self, path, *, marked=False):
        self.assertEqual((self.files_of(path) / "changing").exists(), marked)
        if "/image/" in path:
            result = e2fsck(self.rootfs(path))
            self.assertEqual(result.returncode, 0, result.stdout)

    def test_read(self):
        """What an archive had is read back, without a mount."""
        lines = self.read(self.image, "('stat', {'path': <'/etc/hostname'>})",
                          "('list', {'path': <'/'>, 'recursive': <true>})")
        stat, *listed = map(json.loads, lines.splitlines())
        self.assertEqual((stat["step"], stat["name"], stat["type"], stat["mode"], stat["size"],
                          stat["uid"], stat["links"], stat["xattrs"]),
                         (1, "/etc/hostname", "file", "0644", 4, 0, 1, {}))
        self.assertEqual([l["name"] for l in listed], ["etc", "etc/hostname", "lost+found", "root"])
        self.assertEqual({l["step"] for l in listed}, {2})
        self.assertEqual(self.cat(self.image, "/etc/hostname"), b"box\n")
        self.assertEqual(self.read(self.image, "('read', {'path': <'/etc/hostname'>, "
                                   "'offset': <uint64 1>, 'length': <uint64 2>})"), b"ox")
        self.assertEqual(self.property(self.image, "EditedAt", "Image"), "uint64 0")
        self.assertEqual(self.property(self.image, "Entries", "Image"), "uint64 3")

    def test_steps_of_reading_that_fail(self):
        """What was read before it is there; the error says which it was."""
        lines = self.read(self.image, "('stat', {'path': <'/etc'>})",
                          "('stat', {'path': <'/no'>})", result="failed")
        self.assertEqual(json.loads(lines)["name"], "/etc")
        self.assertIn("image 'mine': step 2 (stat): ", self.error(self.job))
        self.assertIn("NotFound", self.error(self.job))

    def test_edit(self):
        """All that the steps say is so, and the file system is without fault."""
        digest = self.property(self.image, "Digest", "Image")
        content = self.folder / "content"
        content.write_bytes(b"from a file\n" * 1000)
        content.chmod(0o644)
        job = self.edit(
            self.image, write("/etc/hostname", "other\n"),
            "('mkdir', {'path': <'/srv/a/b'>, 'parents': <true>, 'mode': <uint32 0700>})",
            "('write', {'path': <'/srv/a/b/c'>, 'file': <handle 0>, 'uid': <uint32 1000>,"
            " 'gid': <uint32 70000>, 'mode': <uint32 04755>, 'mtime': <int64 -5>,"
            " 'mtime-nsec': <uint32 500>})",
            "('symlink', {'path': <b'/srv/\\351'>, 'target': <'a/b'>})",
            "('link', {'path': <'/srv/d'>, 'target': <'/srv/a/b/c'>})",
            "('rename', {'path': <'/srv/d'>, 'to': <'/srv/e'>})",
            "('set', {'path': <'/root'>, 'mode': <uint32 0711>})",
            "('remove', {'path': <'/none'>, 'missing-ok': <true>})", files=[content])
        self.assertEqual(self.property(job, "Result", "Job"), "{'done': <uint32 8>}")
        self.assert_settled(self.image)
        self.assertEqual(self.cat(self.image, "/etc/hostname"), b"other\n")
        self.assertEqual(self.cat(self.image, "/srv/e"), content.read_bytes())
        found = {}
        for line in self.read(self.image, "('list', {'path': <'/srv'>, 'recursive': <true>})"
                              ).splitlines():
            entry = json.loads(line)
            found[entry.get("name") or entry["name_base64"]] = entry
        self.assertEqual(set(found), {"a", "a/b", "a/b/c", "e", "6Q=="})
        c = found["a/b/c"]
        self.assertEqual((c["mode"], c["uid"], c["gid"], c["mtime"], c["mtime_nsec"], c["links"]),
                         ("4755", 1000, 70000, -5, 500, 2))
        self.assertEqual(found["6Q=="]["target"], "a/b")
        self.assertEqual(found["a"]["mode"], "0755")
        self.assertEqual(found["a/b"]["mode"], "0700")
        self.assertIn("Mode:  0711", debugfs(self.rootfs(), "stat /root"))
        self.assertEqual(self.property(self.image, "Digest", "Image"), digest)
        edited = int(self.property(self.image, "EditedAt", "Image").split()[-1])
        self.assertLess(abs(edited - time.time()), 100)

    def test_archives(self):
        """What is packed is unpacked elsewhere the same; nothing is reached through a link."""
        tar = self.folder / "tree.tar"
        tar.write_bytes(self.read(self.image, "('pack', {'path': <'/etc'>})"))
        tar.chmod(0o644)
        with tarfile.open(tar) as packed:
            self.assertEqual(packed.getnames(), ["etc", "etc/hostname"])
        self.edit(self.image, "('mkdir', {'path': <'/copy'>})",
                  "('unpack', {'path': <'/copy'>, 'file': <handle 0>, 'uid': <uint32 7>,"
                  " 'gid': <uint32 8>})", files=[tar])
        lines = self.read(self.image, "('list', {'path': <'/copy'>, 'recursive': <true>})")
        found = [json.loads(line) for line in lines.splitlines()]
        self.assertEqual([(f["name"], f["uid"], f["gid"]) for f in found],
                         [("etc", 7, 8), ("etc/hostname", 7, 8)])
        self.assertEqual(self.cat(self.image, "/copy/etc/hostname"), b"box\n")
        with tarfile.open(tar, "w") as evil:
            for name, link in (("out", "/etc"), ("out/hostname", None)):
                entry = tarfile.TarInfo(name)
                if link:
                    entry.type, entry.linkname = tarfile.SYMTYPE, link
                evil.addfile(entry)
        job = self.edit(self.image, "('unpack', {'path': <'/copy'>, 'file': <handle 0>})",
                        files=[tar], result="failed")
        self.assertIn("image 'mine': '/copy/out' cannot be used", self.error(job))
        self.assertEqual(self.cat(self.image, "/etc/hostname"), b"box\n")
        self.assert_settled(self.image)

    def test_grows(self):
        """What has no room in the margin has it all the same; what is not known beforehand may not."""
        size = self.rootfs().stat().st_size
        large = self.folder / "large"
        large.write_bytes(os.urandom(40 * MIB))
        large.chmod(0o644)
        self.edit(self.image, "('write', {'path': <'/large'>, 'file': <handle 0>})", files=[large])
        self.assertGreater(self.rootfs().stat().st_size, size + 39 * MIB)
        self.assertEqual(self.property(self.image, "SizeBytes", "Image"),
                         "uint64 %d" % self.rootfs().stat().st_size)
        self.assertEqual(self.cat(self.image, "/large"), large.read_bytes())
        self.assert_settled(self.image)
        pipe = self.fifo()
        fd = self.pipes[-1]
        job = self.begun(self.begin_edit(
            self.image, write("/before", "kept"),
            "('write', {'path': <'/more'>, 'file': <handle 0>})", files=[pipe]))
        os.set_blocking(fd, False)
        deadline = time.monotonic() + SECONDS
        while self.property(job, "State", "Job") == "'running'":
            self.assertLess(time.monotonic(), deadline)
            try:
                os.write(fd, bytes(range(256)) * 256)
            except BlockingIOError:
                time.sleep(0.01)
        self.ended(self.alice, job, ["edit-files", self.image, "failed"])
        self.assertIn("NoSpace", self.error(job))
        self.assertEqual(self.cat(self.image, "/before"), b"kept")
        self.assert_settled(self.image)

    def test_room(self):
        """Of a pipe its caller knows how much comes, holes take nothing, and many small files more
        than their archive is long."""
        large = os.urandom(40 * MIB)
        pipe = self.fifo()
        fd = self.pipes[-1]
        job = self.begun(self.begin_edit(
            self.image, "('write', {'path': <'/large'>, 'file': <handle 0>,"
            " 'room-bytes': <uint64 %d>})" % len(large), files=[pipe]))
        with os.fdopen(os.dup(fd), "wb") as out:
            out.write(large)
        self.close(fd)
        self.ended(self.alice, job, ["edit-files", self.image, "done"])
        self.assertEqual(self.cat(self.image, "/large"), large)
        size = self.rootfs().stat().st_size
        sparse = self.folder / "sparse"
        with sparse.open("wb") as file:
            file.truncate(300 << 30)
        sparse.chmod(0o644)
        self.edit(self.image, "('write', {'path': <'/sparse'>, 'file': <handle 0>})",
                  files=[sparse])
        self.assertEqual(self.rootfs().stat().st_size, size)
        stat = json.loads(self.read(self.image, "('stat', {'path': <'/sparse'>})"))
        self.assertEqual(stat["size"], 300 << 30)
        tar = self.folder / "many.tar"
        with tarfile.open(tar, "w") as many:
            for i in range(6000):
                entry = tarfile.TarInfo("file%d" % i)
                entry.size = 100
                many.addfile(entry, io.BytesIO(bytes([65 + i % 26]) * 100))
        tar.chmod(0o644)
        self.edit(self.image, "('mkdir', {'path': <'/many'>})",
                  "('unpack', {'path': <'/many'>, 'file': <handle 0>})", files=[tar])
        self.assertEqual(self.cat(self.image, "/many/file5999"), b"T" * 100)
        self.assertLess(self.rootfs().stat().st_blocks * 512, 128 * MIB)
        self.assert_settled(self.image)

    def test_steps_before_one_that_fails_stay(self):
        job = self.edit(self.image, write("/a", "a"), "('remove', {'path': <'/none'>})",
                        write("/b", "b"), result="failed")
        self.assertIn("step 2 (remove)", self.error(job))
        self.assertEqual(self.property(job, "Result", "Job"), "{'done': <uint32 1>}")
        self.assertEqual(self.cat(self.image, "/a"), b"a")
        self.read(self.image, "('stat', {'path': <'/b'>})", result="failed")
        self.assert_settled(self.image)

    def test_step_that_finds_damage(self):
        """Nothing stays done then, and it is the step that says why."""
        self.edit(self.image, "('mkdir', {'path': <'/d'>})")
        block = int(debugfs(self.rootfs(), "blocks /d").split()[0])
        with self.rootfs().open("r+b") as file:
            file.seek(block * 4096)
            file.write(b"garbage " * 512)
        job = self.edit(self.image, write("/a", "a"), write("/d/b", "b"), result="failed")
        self.assertIn("step 2 (write)", self.error(job))
        self.assertIn("damaged at", self.error(job))

    def test_new_vms_get_what_was_edited(self):
        """The seed of their /root as well; VMs that are there keep theirs."""
        self.edit(self.image, write("/root/greeting", "hello"))
        vm = self.made_of(self.image)
        work = self.files_of(vm) / "work.ext4"
        self.assertEqual(debugfs(work, "cat /greeting"), "hello")
        self.assertFalse((self.files_of(self.image) / "seed.ext4.new").exists())

    def made_of(self, image, options=""):
        answer = self.alice.call(ROOT, "Manager.CreateVM",
                                 "('', objectpath '%s', {'start': <false>%s})"
                                 % (image, ", " + options if options else ""))
        self.assertIsNone(answer.error, answer)
        vm, job = re.findall(r"/org/banger/Banger1/\w+/\w+", answer.value)
        self.ended(self.alice, job, ["create", vm, "done"])
        return vm

    def refused(self, answer, word, *texts):
        self.assertEqual(answer.word, word, answer)
        for text in texts:
            self.assertIn(text, answer.message)

    def test_in_use(self):
        """An overlay lies over the image's very files; a copy does not mind."""
        self.made_of(self.image, "'root': <'clone'>, 'disk-bytes': <uint64 %d>" % (64 * MIB))
        self.edit(self.image, write("/a", "a"))
        vm = self.made_of(self.image)
        name = self.property(vm, "Name").strip("'")
        self.refused(self.begin_edit(self.image, write("/a", "b")), "Busy",
                     "image 'mine' is used by vm '%s'" % name, "banger vm delete %s" % name)
        self.assertEqual(self.cat(self.image, "/a"), b"a")

    def test_shared(self):
        """Everybody's VMs would change with it."""
        self.assertIsNone(self.root.call(self.image, "Image.Share", "(true, @a{sv} {})").error)
        self.refused(self.begin_edit(self.image, write("/a", "b")), "WrongState",
                     "it is shared", "banger image unshare mine")
        self.refused(self.begin_edit(self.image, write("/a", "b"), caller=self.erin),
                     "NotAuthorizedCanObtain")
        file = self.output()
        job = self.begun(self.begin_read(self.image, "('read', {'path': <'/etc/hostname'>})",
                                         output=file, caller=self.erin))
        self.ended(self.erin, job, ["read-files", self.image, "done"])
        self.assertEqual(file.read_bytes(), b"box\n")

    def test_one_edit_at_a_time(self):
        job, end = self.begin_slow(self.image)
        for answer in (self.begin_edit(self.image, write("/a", "b")),
                       self.begin_read(self.image, "('stat', {'path': <'/'>})",
                                       output=self.output()),
                       self.alice.call(self.image, "Image.Delete"),
                       self.alice.call(ROOT, "Manager.CreateVM",
                                       "('', objectpath '%s', {'start': <false>})" % self.image)):
            self.refused(answer, "Busy", "image 'mine': job", "(edit-files) works on it")
        self.assertTrue((self.files_of(self.image) / "changing").exists())
        os.write(self.pipes[0], b"late")
        end()
        self.ended(self.alice, job, ["edit-files", self.image, "done"])
        self.assertEqual(self.cat(self.image, "/slow"), b"late")
        self.assert_settled(self.image)

    def test_edit_waits_for_no_reader(self):
        """It is refused while one reads oneself, and VMs are made of it meanwhile."""
        job, end = self.begin_slow(self.image, "ReadFiles")
        self.refused(self.begin_edit(self.image, write("/a", "b")), "Busy", "is being read")
        self.refused(self.alice.call(self.image, "Image.Delete"), "Busy", "is being read")
        self.made_of(self.image, "'root': <'clone'>, 'disk-bytes': <uint64 %d>" % (64 * MIB))
        end()
        self.ended(self.alice, job, ["read-files", self.image, "failed"])
        self.assertIn("cannot be written to the caller", self.error(job))
        self.edit(self.image, write("/a", "b"))

    def test_stalled(self):
        """Who takes nothing keeps a place as long as nobody waits for it, and who takes slowly does."""
        self.addCleanup(self.restart)
        self.addCleanup(self.configure, self.configuration)
        self.configure(self.configuration.replace("vms=8", "vms=8\nimport-stall=3"))
        self.restart()
        self.alice = self.watching("alice")
        large = self.folder / "large"
        large.write_bytes(os.urandom(64 * MIB))
        large.chmod(0o644)
        self.edit(self.image, "('write', {'path': <'/large'>, 'file': <handle 0>})", files=[large])
        slow = self.fifo()
        going = self.begun(self.begin_read(self.image, "('pack', {'path': <'/large'>})",
                                           output=slow))
        pause, end = [0.01], threading.Event()
        taker = threading.Thread(target=self.take, args=(self.pipes[-1], pause, end))
        taker.start()
        self.addCleanup(taker.join)
        self.addCleanup(end.set)
        quiet, _ = self.begin_slow(self.image, "Export")
        time.sleep(3.5)  # more than is allowed once somebody waits
        for job in (quiet, going):
            self.assertEqual(self.property(job, "State", "Job"), "'running'")
        waits = self.begun(self.begin_read(self.image, "('stat', {'path': <'/'>})",
                                           output=self.output()))
        self.ended(self.alice, waits, ["read-files", self.image, "done"])
        self.assertEqual(self.property(quiet, "State", "Job"), "'failed'")
        self.assertIn("Timeout", self.error(quiet))
        self.assertIn("nothing was taken or received for 3 seconds", self.error(quiet))
        pause[0] = 0
        self.ended(self.alice, going, ["read-files", self.image, "done"])

    @staticmethod
    def take(pipe, pause, end):
        os.set_blocking(pipe, False)
        while not end.wait(pause[0]):
            try:
                os.read(pipe, 65536)
            except BlockingIOError:
                pass  # nothing is there yet, or any more

    def test_others_who_read_are_ended(self):
        """Nobody keeps an owner from what is theirs: those who read are told why they cannot."""
        for method, kind in (("ReadFiles", "read-files"), ("Export", "export-image")):
            with self.subTest(method=method):
                self.assertIsNone(
                    self.root.call(self.image, "Image.Share", "(true, @a{sv} {})").error)
                job, _ = self.begin_slow(self.image, method, caller=self.erin)
                waits = [self.begin_slow(self.image, method, caller=self.erin)[0]
                         for _ in range(2)]
                self.assertIsNone(
                    self.alice.call(self.image, "Image.Share", "(false, @a{sv} {})").error)
                self.edit(self.image, write("/a", method))
                for path in (job, *waits):
                    self.assertEqual(self.property(path, "State", "Job"), "'failed'")
                    self.assertIn("image 'mine': %s: was ended" % kind, self.error(path))
                    self.assertIn("Interrupted", self.error(path))
                    self.assertIn("the image is being edited", self.error(path))
                self.assertEqual(self.cat(self.image, "/a"), method.encode())
                self.assert_settled(self.image)
        self.assertIsNone(self.root.call(self.image, "Image.Share", "(true, @a{sv} {})").error)
        job, _ = self.begin_slow(self.image, "Export", caller=self.erin)
        gone = self.begun(self.alice.call(self.image, "Image.Delete"))
        self.ended(self.alice, gone, ["delete-image", self.image, "done"])
        self.assertIn("the image is being deleted", self.error(job))
        self.assertFalse(self.files_of(self.image).exists())

    def test_cancel(self):
        """What the steps changed may be there or not; the image is without fault, and all else in it as
        it was."""
        pipe = self.fifo()
        job = self.begun(self.begin_edit(
            self.image, write("/a", "a"), "('write', {'path': <'/b'>, 'file': <handle 0>})",
            files=[pipe]))
        self.wait_until(self.workers, "no worker runs")
        os.write(self.pipes[-1], bytes(40000))
        self.assertIsNone(self.alice.call(job, "Job.Cancel").error)
        self.ended(self.alice, job, ["edit-files", self.image, "cancelled"])
        self.assert_settled(self.image)
        self.assertEqual(self.property(self.image, "State", "Image"), "'ready'")
        listed = self.read(self.image, "('list', {'path': <'/'>, 'recursive': <true>})")
        names = {json.loads(line)["name"] for line in listed.splitlines()}
        self.assertEqual(names - {"a", "b"}, {"etc", "etc/hostname", "lost+found", "root"})
        self.assertEqual(self.cat(self.image, "/etc/hostname"), b"box\n")
        self.edit(self.image, write("/c", "c"))
        self.assertEqual(self.cat(self.image, "/c"), b"c")

    def test_worker_is_killed(self):
        before = self.rootfs().stat().st_blocks
        job, _ = self.begin_slow(self.image)
        os.write(self.pipes[-1], b"x" * (2 * MIB))
        self.wait_until(lambda: self.rootfs().stat().st_blocks > before + MIB // 512,
                        "nothing is written")
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)
        self.ended(self.alice, job, ["edit-files", self.image, "failed"])
        self.assertIn("signal 9", self.error(job))
        self.assert_settled(self.image)
        self.assertLess(self.rootfs().stat().st_blocks, before + MIB // 8 // 512)
        self.edit(self.image, write("/c", "c"))

    def test_service_is_killed(self):
        """The next one recovers the image before anybody uses it."""
        self.begin_slow(self.image)
        self.kill_service()
        self.assertTrue((self.files_of(self.image) / "changing").exists())
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
        self.wait_until(lambda: not (self.files_of(self.image) / "changing").exists(),
                        "it is not recovered")
        self.assert_settled(self.image)
        self.alice = self.watching("alice")
        self.edit(self.image, write("/c", "c"))

    def test_host_stops(self):
        """What was written of an edit may be anything then: all of the image is looked at."""
        self.restart()
        subprocess.run([shutil.which("debugfs", path=PATH), "-w", "-R",
                        "sif /etc/hostname links_count 5", self.rootfs()], check=True,
                       stderr=subprocess.DEVNULL)
        self.assertNotEqual(e2fsck(self.rootfs()).returncode, 0)
        mark = self.put_mark()
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
        self.wait_until(lambda: not mark.exists(), "it is not recovered")
        self.assertEqual(self.property(self.image, "State", "Image"), "'ready'")
        self.assert_settled(self.image)

    def watching(self, user):
        caller = self.caller(user)
        self.assertIsNone(caller.wait(caller.send("watch")).error)
        return caller

    def kill_service(self):
        pid = pid_of(NAME, self.root)
        end = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: not os.path.exists("/proc/%d" % pid), "it does not end")
        os.close(end)
        self.wait_until(lambda: not self.workers(), "a worker outlives the service")

    def test_damaged(self):
        """What cannot be recovered is said to be so: it can be exported raw and deleted. Each start
        tries again."""
        self.restart()
        whole = self.rootfs().read_bytes()
        with self.rootfs().open("r+b") as file:
            file.write(bytes(8 * MIB))
        mark = self.put_mark()
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
        self.wait_until(lambda: self.property(self.image, "State", "Image") == "'damaged'",
                        "it is not found damaged")
        self.alice = self.watching("alice")
        self.refused(self.begin_edit(self.image, write("/a", "a")), "WrongState", "is damaged")
        self.refused(self.alice.call(ROOT, "Manager.CreateVM",
                                     "('', objectpath '%s', {'start': <false>})" % self.image),
                     "WrongState", "is damaged")
        self.read(self.image, "('stat', {'path': <'/'>})", result="failed")
        self.assertNotIn("the VM", self.error(self.job))
        file = self.output()
        job = self.begun(self.alice.call(self.image, "Image.Export",
                                         "(handle 0, {'format': <'raw'>})", files=[">%s" % file]))
        self.ended(self.alice, job, ["export-image", self.image, "done"])
        self.assertEqual(file.read_bytes(), self.rootfs().read_bytes())
        self.restart()
        self.assertEqual(self.property(self.image, "State", "Image"), "'damaged'")
        self.assertTrue(mark.exists())
        self.restart()
        with self.rootfs().open("r+b") as file:
            file.write(whole)
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
        self.wait_until(lambda: not mark.exists(), "it is not tried again")
        self.assertEqual(self.property(self.image, "State", "Image"), "'ready'")

    def put_mark(self):
        """As of an edit that was cut short: the next start recovers the image."""
        mark = self.files_of(self.image) / "changing"
        mark.touch()
        os.chown(mark, UIDS["bangerd"], UIDS["bangerd"])
        return mark

    def test_use_while_it_is_recovered(self):
        """There is no job to wait for or to cancel."""
        self.restart()
        mark = self.put_mark()
        worker = self.base / "libexec/banger-worker"
        kept = self.base / "libexec/banger-worker.real"
        worker.rename(kept)
        self.addCleanup(os.replace, kept, worker)
        shutil.copy2("/bin/cat", worker)  # takes the job and says nothing
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
        self.wait_until(self.workers, "it is not recovered")
        self.alice = self.watching("alice")
        for answer in (self.begin_edit(self.image, write("/a", "a")),
                       self.alice.call(self.image, "Image.Delete")):
            self.refused(answer, "Busy", "image 'mine' is being recovered", "try again in a moment")
            self.assertNotIn("cancel", answer.message)
        self.restart()
        self.wait_until(lambda: not self.workers(), "a worker outlives the service")
        shutil.copy2(kept, worker)
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
        self.wait_until(lambda: not mark.exists(), "it is not recovered")

    def test_recovery_that_the_host_fails(self):
        """A worker that says so says nothing of the image, and a rename does not write it down."""
        self.restart()
        mark = self.put_mark()
        e2fsck = os.path.realpath(shutil.which("e2fsck", path=PATH))
        subprocess.run(["mount", "--bind", "/bin/false", e2fsck], check=True)
        try:
            self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
            self.wait_until(lambda: self.property(self.image, "State", "Image") == "'damaged'",
                            "it is used as it is")
        finally:
            subprocess.run(["umount", e2fsck], check=True)
        self.assertIsNone(self.alice.call(self.image, "Image.Rename",
                                          "('renamed', @a{sv} {})").error)
        with sqlite3.connect(self.base / "state/state.db") as db:
            self.assertEqual(list(db.execute("SELECT state FROM images WHERE name = 'renamed'")),
                             [("ready",)])
        self.assertEqual(self.property(self.image, "State", "Image"), "'damaged'")
        self.restart()
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
        self.wait_until(lambda: not mark.exists(), "it is not recovered")
        self.assertEqual(self.property(self.image, "State", "Image"), "'ready'")
        self.assertEqual(self.property(self.image, "Name", "Image"), "'renamed'")
        self.assert_settled(self.image)

    def test_recovery_that_fails_for_a_while(self):
        """A worker that cannot run says nothing of the image: who wants to use it has it tried again."""
        self.restart()
        mark = self.put_mark()
        worker = self.base / "libexec/banger-worker"
        kept = self.base / "libexec/banger-worker.real"
        shutil.copy2(worker, kept)
        self.addCleanup(os.replace, kept, worker)
        worker.unlink()
        shutil.copy2("/bin/false", worker)
        self.assertIsNone(self.root.call(ROOT, "Manager.Check").error)
        self.wait_until(lambda: self.property(self.image, "State", "Image") == "'damaged'",
                        "it is used as it is")
        self.alice = self.watching("alice")
        self.refused(self.begin_edit(self.image, write("/a", "a")), "Busy", "tried once more",
                     "'mine' could not be recovered", "status 1")
        worker.unlink()
        shutil.copy2(kept, worker)
        self.wait_until(lambda: "could not be recovered" in
                        self.begin_edit(self.image, write("/a", "a")).message, "it is not tried")
        self.wait_until(lambda: not mark.exists(), "it is not recovered")
        self.assertEqual(self.property(self.image, "State", "Image"), "'ready'")
        self.assert_settled(self.image)

    def test_refused(self):
        """Before there is a job, and with the step that is wrong."""
        for steps, words in (
                ([], "1 to 1024 steps"),
                (["('unlink', @a{sv} {})"], "step 1 is none of"),
                (["('set', {'path': <'/'>})", "('mkdir', {'path': <'a'>})"],
                 "step 2 (mkdir): 'path' must begin with '/'"),
                (["('write', {'path': <'/a'>, 'file': <handle 0>})"], "did not come with")):
            with self.subTest(steps=steps):
                self.refused(self.begin_edit(self.image, *steps), "InvalidArgument", words,
                             "image 'mine'")
        twice = ["('write', {'path': <'/%s'>, 'file': <handle 0>})" % name for name in "ab"]
        self.refused(self.begin_edit(self.image, *twice, files=[self.base / "small.tar"]),
                     "InvalidArgument", "step 2 (write): 'file' is a descriptor")
        self.refused(self.begin_edit(self.image, "('set', {'path': <'/'>, 'uid': <uint32 4294967295>})"),
                     "InvalidArgument", "'uid' must be less")
        many = [self.base / "small.tar"] * 9
        self.refused(self.begin_edit(self.image, write("/a", "b"), files=many),
                     "InvalidArgument", "at most 8 descriptors")

    # VMs

    def vm(self, root):
        return self.made(self.alice, "'root': <'%s'>, 'disk-bytes': <uint64 %d>" % (root, 64 * MIB))

    def test_both_roots(self):
        """Edits show what the guest would see, and never touch the image."""
        small = next(p for p in (self.base / "state/images").iterdir()
                     if p.name != self.image.rsplit("/", 1)[1]) / "rootfs.ext4"
        before = small.read_bytes()
        for root in ("overlay", "clone"):
            with self.subTest(root=root):
                vm = self.vm(root)
                self.assertEqual(self.cat(vm, "/etc/hostname"), b"box\n")
                job = self.edit(vm, write("/etc/hostname", "mine\n"), write("/root/x", "work"),
                                "('remove', {'path': <'/lost+found'>, 'recursive': <true>,"
                                " 'missing-ok': <true>})")
                self.assertEqual(self.property(job, "Result", "Job"), "{'done': <uint32 3>}")
                self.assertEqual(self.cat(vm, "/etc/hostname"), b"mine\n")
                self.assertEqual(self.cat(vm, "/root/x"), b"work")
                self.assertEqual(debugfs(self.files_of(vm) / "work.ext4", "cat /x"), "work")
                self.assert_settled(vm)
                for disk in self.files_of(vm).glob("*.ext4"):
                    self.assertEqual(e2fsck(disk).returncode, 0, disk)
        self.assertEqual(small.read_bytes(), before)

    def test_no_start_meanwhile(self):
        vm = self.vm("overlay")
        job, end = self.begin_slow(vm)
        for method in ("Start", "Delete"):
            answer = self.alice.call(vm, "VM." + method)
            self.assertEqual(answer.word, "Busy", answer)
        end()
        self.ended(self.alice, job, ["edit-files", vm, "done"])
        self.assert_settled(vm)

    def test_reading_recovers(self):
        """The journals of a guest's disks are brought into place first: what was cut short there is
        mended before the next use, and what could not be read leaves nothing to mend."""
        vm = self.vm("clone")
        mark = self.files_of(vm) / "changing"
        for end in ("cancelled", "failed"):
            with self.subTest(end=end):
                job, _ = self.begin_slow(vm, "ReadFiles")
                self.assertTrue(mark.exists())
                if end == "cancelled":
                    self.assertIsNone(self.alice.call(job, "Job.Cancel").error)
                else:
                    for pid in self.workers():
                        os.kill(pid, signal.SIGKILL)
                self.ended(self.alice, job, ["read-files", vm, end])
                self.assert_settled(vm, marked=True)
                self.assertEqual(self.cat(vm, "/etc/hostname"), b"box\n")
                self.assert_settled(vm)
        self.read(vm, "('stat', {'path': <'/no'>})", result="failed")
        self.assertIn("NotFound", self.error(self.job))
        self.assert_settled(vm)

    def test_killed(self):
        """The mark stays, and who uses the disks next recovers them."""
        vm = self.vm("clone")
        job, _ = self.begin_slow(vm)
        for pid in self.workers():
            os.kill(pid, signal.SIGKILL)
        self.ended(self.alice, job, ["edit-files", vm, "failed"])
        self.assert_settled(vm, marked=True)
        self.assertEqual(self.cat(vm, "/etc/hostname"), b"box\n")
        self.assert_settled(vm)
        self.assertEqual(e2fsck(self.files_of(vm) / "root.ext4").returncode, 0)


if __name__ == "__main__":
    unittest.main()
