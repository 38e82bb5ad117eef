# SPDX-License-Identifier: LGPL-2.1-or-later
"""bangerd itself on a private system bus, with real users: images of several owners, from what is
asked to what lies on the disk. Runs in privbus.py."""

import io
import os
import re
import select
import shutil
import signal
import subprocess
import tarfile
import unittest
from pathlib import Path

from callers import BUS, NAME, ROOT, SECONDS, Caller, pid_of
from privbus import UIDS

NO_OPTIONS = "@a{sv} {}"


class SystemTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = Path(os.environ["PRIVBUS"])

    def setUp(self):
        self.root, self.alice, self.bob = map(self.caller, ("root", "alice", "bob"))
        self.assertIsNone(self.alice.wait(self.alice.send("watch")).error)
        self.addCleanup(self.remove_images)
        self.home = self.base / "alice"
        self.home.mkdir(mode=0o700, exist_ok=True)
        self.tar = self.home / "small.tar"
        with tarfile.open(self.tar, "w") as tar:
            for name in ("etc", "root"):
                entry = tarfile.TarInfo(name)
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            entry = tarfile.TarInfo("etc/hostname")
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"box\n"))
        for path in (self.home, self.tar):
            os.chown(path, UIDS["alice"], UIDS["alice"])
        self.tar.chmod(0o600)

    def caller(self, user):
        caller = Caller(user)
        self.addCleanup(caller.__exit__)
        return caller

    def word(self, caller, path, method, *arguments, **more):
        text = "(%s,)" % ", ".join((*arguments, NO_OPTIONS))
        return caller.call(path, method, text if not arguments else text.replace(",)", ")"),
                           **more).word

    def objects(self, caller, kind):
        answer = caller.call_to(NAME, ROOT, "org.freedesktop.DBus.ObjectManager",
                                "GetManagedObjects")
        self.assertIsNone(answer.error, answer)
        return set(re.findall(r"'?(/org/banger/Banger1/%s/\w+)'?: \{" % kind, answer.value))

    def property(self, path, interface, name):
        answer = self.bob.call_to(NAME, path, "org.freedesktop.DBus.Properties", "Get",
                                  "('%s.%s', '%s')" % (NAME, interface, name))
        self.assertIsNone(answer.error, answer)
        return answer.value.removeprefix("(<").removesuffix(">,)")

    def remove_images(self):
        root = Caller("root")
        root.wait(root.send("watch"))
        for path in self.objects(root, "image"):
            if root.call(path, "Image.Delete").error is None:
                root.event()
        root.__exit__()

    def begin_import(self, name, file=None, options=""):
        answer = self.alice.call(ROOT, "Manager.ImportImage",
                                 "('%s', handle 0, @a{sv} {%s})" % (name, options),
                                 files=[file or self.tar])
        self.assertIsNone(answer.error, answer)
        return re.findall(r"/org/banger/Banger1/\w+/\w+", answer.value)

    def import_image(self, name, **more):
        image, job = self.begin_import(name, **more)
        self.assertEqual(self.alice.event(), ["job", job, "import-image", image, "done"])
        return image

    def test_runs_as_its_user(self):
        self.assertEqual(self.word(self.bob, ROOT, "Manager.Check"), "ok")
        status = Path("/proc/%d/status" % pid_of(NAME, self.root)).read_text(encoding="utf-8")
        for line in ("Uid", "Gid"):
            self.assertIn("%s:\t%s" % (line, "\t".join([str(UIDS["bangerd"])] * 4)), status)

    def test_import_is_the_callers_own(self):
        """The user's file is read through its descriptor, though bangerd could not open it."""
        image = self.import_image("mine")
        self.assertEqual(self.property(image, "Image", "OwnerUid"), "uint32 %d" % UIDS["alice"])
        self.assertEqual(self.property(image, "Image", "State"), "'ready'")
        self.assertIn(image, self.objects(self.bob, "image"))
        for path in [self.base / "state", *(self.base / "state").rglob("*")]:
            mode = path.stat().st_mode
            self.assertEqual(mode & 0o077, 0, "%s: %o" % (path, mode))
            self.assertEqual(path.stat().st_uid, UIDS["bangerd"], path)

    def test_others_need_more(self):
        image = self.import_image("mine")
        for method, arguments in (("Delete", ()), ("Rename", ("'other'",)), ("Share", ("true",)),
                                  ("Share", ("false",)), ("Promote", ())):
            for user, word in (("bob", "NotAuthorizedCanObtain"),
                               ("erin", "NotAuthorizedCanObtain"), ("dave", "NotAuthorized")):
                with self.subTest(method=method, user=user):
                    self.assertEqual(self.word(self.caller(user), image, "Image." + method,
                                               *arguments), word)
        self.assertEqual(self.property(image, "Image", "Name"), "'mine'")
        self.assertEqual(self.word(self.root, image, "Image.Rename", "'other'"), "ok")
        self.assertEqual(self.property(image, "Image", "Name"), "'other'")

    def test_sharing(self):
        image = self.import_image("mine")
        self.assertEqual(self.word(self.alice, image, "Image.Share", "true"),
                         "NotAuthorizedCanObtain")
        self.assertEqual(self.property(image, "Image", "Shared"), "false")
        self.assertEqual(self.word(self.root, image, "Image.Share", "true"), "ok")
        self.assertEqual(self.property(image, "Image", "Shared"), "true")
        self.assertEqual(self.word(self.alice, image, "Image.Share", "false"), "ok")
        self.assertEqual(self.property(image, "Image", "Shared"), "false")

    def test_defaults_of_commands(self):
        """What is said at import is the image's, also once the service was started anew."""
        words = "'user': <'app:staff'>, 'cwd': <'/srv/app'>, 'env': <['A=b c', 'EMPTY=']>"
        image = self.import_image("mine", options=words)
        plain = self.import_image("plain")
        end = os.pidfd_open(pid_of(NAME, self.root))
        signal.pidfd_send_signal(end, signal.SIGTERM)
        self.assertTrue(select.select([end], [], [], SECONDS)[0])
        os.close(end)
        value = self.property(image, "Image", "Defaults")
        self.assertEqual(sorted(re.findall(r"'(\w+)': (<.*?>)", value)),
                         sorted(re.findall(r"'(\w+)': (<.*?>)", words)))
        self.assertEqual(self.property(plain, "Image", "Defaults"), "@a{sv} {}")

    def test_bad_defaults_of_commands(self):
        for option in ("'user': <''>", "'user': <'a b'>", "'user': <'%s'>" % ("x" * 257),
                       "'cwd': <'srv'>", "'cwd': <'/a\\nb'>", "'env': <['A']>", "'env': <['=b']>",
                       "'env': <['1A=b']>", "'env': <['A=\\u001b[2J']>",
                       "'env': <[%s]>" % ", ".join("'A%d=b'" % n for n in range(65)),
                       "'env': <['A=%s']>" % ("x" * (16 << 10))):
            with self.subTest(option=option[:40]):
                answer = self.alice.call(ROOT, "Manager.ImportImage",
                                         "('mine', handle 0, {%s})" % option, files=[self.tar])
                self.assertEqual(answer.word, "InvalidArgument", answer)
                self.assertIn("option '%s' must be" % option.split("'")[1], answer.message)
        answer = self.alice.call(ROOT, "Manager.ImportKernel",
                                 "('k', @a{sh} {}, {'user': <'app'>})")
        self.assertEqual(answer.word, "InvalidArgument", answer)
        self.assertEqual(self.objects(self.root, "image"), set())

    def test_hint_names_the_command(self):
        image = self.import_image("mine")
        answer = self.root.call(image, "Image.Promote", "(%s,)" % NO_OPTIONS)
        self.assertEqual(answer.word, "WrongState", answer)
        self.assertIn("hint: banger image share mine", answer.message)

    def test_the_only_image_need_not_be_named(self):
        """Without a default the one that the caller may use is taken, and never a foreign one."""
        def create(caller):
            answer = caller.call(ROOT, "Manager.CreateVM", "('', objectpath '/', %s)" % NO_OPTIONS)
            self.assertEqual(answer.word, "NotFound", answer)
            return answer.message

        self.import_image("mine")
        self.assertIn("no kernel was named", create(self.alice))
        self.import_image("other")
        self.assertIn("no image was named cause: there is no default one, and more than one",
                      create(self.alice))
        self.assertIn("no image was named cause: there is no default one, and none",
                      create(self.caller("erin")))

    def test_refused_import_leaves_nothing(self):
        before = sorted((self.base / "state").rglob("*"))
        for user, word in (("bob", "NotAuthorizedCanObtain"), ("dave", "NotAuthorized")):
            answer = self.caller(user).call(ROOT, "Manager.ImportImage",
                                            "('theirs', handle 0, %s)" % NO_OPTIONS,
                                            files=["/dev/null"])
            self.assertEqual(answer.word, word, answer)
        self.assertEqual(self.objects(self.root, "image"), set())
        self.assertEqual(sorted((self.base / "state").rglob("*")), before)

    def test_host_not_ready(self):
        """What Check finds missing refuses the import in the same words, and leaves nothing."""
        program = os.path.realpath(shutil.which("e2fsck", path="/usr/sbin:/sbin"))
        subprocess.run(["mount", "--bind", "/dev/null", program], check=True)
        try:
            findings = self.alice.call(ROOT, "Manager.Check").value
            answer = self.alice.call(ROOT, "Manager.ImportImage",
                                     "('mine', handle 0, %s)" % NO_OPTIONS, files=[self.tar])
        finally:
            subprocess.run(["umount", program], check=True)
        finding = next(f for f in re.findall(r"\{[^}]*\}", findings) if "<'e2fsck'>" in f)
        words = dict(re.findall(r"'(\w+)': <'([^']*)'>", finding))
        self.assertEqual(words["status"], "error")
        self.assertEqual(answer.word, "HostNotReady", answer)
        self.assertIn("cause: %s hint: %s" % (words["found"], words["fix"]), answer.message)
        self.assertEqual(self.objects(self.root, "image"), set())
        self.import_image("mine")

    def test_jobs_are_whose_they_are(self):
        """A job that waits for its archive: others may not end it, who started it may."""
        fifo = self.home / "fifo"
        os.mkfifo(fifo, 0o600)
        self.addCleanup(fifo.unlink)
        os.chown(fifo, UIDS["alice"], UIDS["alice"])
        writer = os.open(fifo, os.O_RDWR)
        self.addCleanup(os.close, writer)
        image, job = self.begin_import("slow", fifo)
        self.assertEqual(self.property(job, "Job", "StartedByUid"), "uint32 %d" % UIDS["alice"])
        for user, word in (("bob", "NotAuthorizedCanObtain"), ("erin", "NotAuthorizedCanObtain"),
                           ("dave", "NotAuthorized")):
            self.assertEqual(self.word(self.caller(user), job, "Job.Cancel"), word)
        self.assertEqual(self.property(job, "Job", "State"), "'running'")
        self.assertEqual(self.word(self.alice, job, "Job.Cancel"), "ok")
        self.assertEqual(self.alice.event(), ["job", job, "import-image", image, "cancelled"])
        self.assertEqual(self.objects(self.root, "image"), set())

    def test_nobody_holds_all_places(self):
        """Archives that never end take a user's own places; others, and what waits, go on."""
        fifo = self.home / "fifo"
        os.mkfifo(fifo, 0o600)
        self.addCleanup(fifo.unlink)
        os.chown(fifo, UIDS["alice"], UIDS["alice"])
        writer = os.open(fifo, os.O_RDWR)
        self.addCleanup(os.close, writer)
        slow = [self.begin_import("slow%d" % number, fifo) for number in range(2)]
        waiting, job = self.begin_import("waiting")
        self.root.wait(self.root.send("watch"))
        answer = self.root.call(ROOT, "Manager.ImportImage",
                                "('roots', handle 0, %s)" % NO_OPTIONS, files=[self.tar])
        self.assertIsNone(answer.error, answer)
        self.assertEqual(self.root.event()[2::2], ["import-image", "done"])
        self.assertEqual(self.alice.event()[2::2], ["import-image", "done"])
        self.assertEqual(self.property(job, "Job", "State"), "'running'")
        self.assertEqual(self.property(job, "Job", "Stage"), "'receiving'")
        self.assertEqual(self.property(job, "Job", "Progress"), "-1.0")
        self.assertEqual(self.word(self.alice, slow[0][1], "Job.Cancel"), "ok")
        ends = [self.alice.event() for _ in range(2)]
        self.assertCountEqual(ends, [
            ["job", slow[0][1], "import-image", slow[0][0], "cancelled"],
            ["job", job, "import-image", waiting, "done"]])
        self.assertEqual(self.word(self.alice, slow[1][1], "Job.Cancel"), "ok")
        self.assertEqual(self.alice.event()[4], "cancelled")

    def test_owner_deletes_whatever_polkit_says(self):
        image = self.import_image("mine")
        answer = self.alice.call(image, "Image.Delete")
        self.assertIsNone(answer.error, answer)
        self.assertEqual(self.alice.event()[2:], ["delete-image", image, "done"])
        self.assertEqual(list((self.base / "state/images").iterdir()), [])

    def test_the_default_is_everybodys(self):
        """To choose a default is Promote's question, also as an option of an import."""
        first = self.import_image("first")
        self.assertEqual(self.word(self.alice, first, "Image.Promote"), "NotAuthorizedCanObtain")
        self.assertEqual(self.property(ROOT, "Manager", "DefaultImage"), "objectpath '/'")
        self.assertEqual(self.word(self.root, first, "Image.Share", "true"), "ok")
        self.assertEqual(self.word(self.root, first, "Image.Promote"), "ok")
        self.assertEqual(self.property(ROOT, "Manager", "DefaultImage"), "objectpath '%s'" % first)
        answer = self.alice.call(ROOT, "Manager.ImportImage",
                                 "('second', handle 0, {'default': <true>})", files=[self.tar])
        self.assertEqual(answer.word, "NotAuthorizedCanObtain", answer)
        self.assertEqual(self.objects(self.root, "image"), {first})
        self.root.wait(self.root.send("watch"))
        answer = self.root.call(ROOT, "Manager.ImportImage",
                                "('second', handle 0, {'default': <true>})", files=[self.tar])
        self.assertIsNone(answer.error, answer)
        second = self.root.event()[3]
        self.assertEqual(self.property(ROOT, "Manager", "DefaultImage"),
                         "objectpath '%s'" % second)
        self.assertEqual(self.property(second, "Image", "Shared"), "true")

    def test_taking_back_takes_the_default(self):
        """What others may not use cannot be what they get without naming it."""
        image = self.import_image("mine")
        self.assertEqual(self.word(self.root, image, "Image.Share", "true"), "ok")
        self.assertEqual(self.word(self.root, image, "Image.Promote"), "ok")
        self.assertEqual(self.property(ROOT, "Manager", "DefaultImage"), "objectpath '%s'" % image)
        self.assertEqual(self.word(self.alice, image, "Image.Rename", "'renamed'"), "ok")
        self.assertEqual(self.property(ROOT, "Manager", "DefaultImage"), "objectpath '%s'" % image)
        self.assertEqual(self.word(self.alice, image, "Image.Share", "false"), "ok")
        self.assertEqual(self.property(ROOT, "Manager", "DefaultImage"), "objectpath '/'")

    def test_removal_can_be_tried_again(self):
        """Files that cannot be removed keep the image: it is there to be deleted once they can."""
        image = self.import_image("mine")
        rootfs = self.base / "state/images" / image.rpartition("/")[2] / "rootfs.ext4"
        subprocess.run(["mount", "--bind", "/dev/null", rootfs], check=True)
        try:
            self.assertEqual(self.word(self.alice, image, "Image.Delete"), "ok")
            self.assertEqual(self.alice.event()[2:], ["delete-image", image, "failed"])
            self.assertEqual(self.property(image, "Image", "State"), "'deleting'")
            self.assertEqual(self.word(self.root, image, "Image.Share", "true"), "WrongState")
        finally:
            subprocess.run(["umount", rootfs], check=True)
        self.assertEqual(self.word(self.alice, image, "Image.Delete"), "ok")
        self.assertEqual(self.alice.event()[2:], ["delete-image", image, "done"])
        self.assertEqual(self.objects(self.root, "image"), set())
        self.assertEqual(list((self.base / "state/images").iterdir()), [])

    def test_restart_keeps_owners(self):
        image = self.import_image("mine")
        pid = pid_of(NAME, self.root)
        ended = os.pidfd_open(pid)
        self.addCleanup(os.close, ended)
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(select.select([ended], [], [], SECONDS)[0])
        self.assertIsNone(self.root.call_to(*BUS, "StartServiceByName",
                                            "('%s', uint32 0)" % NAME).error)
        self.assertEqual(self.property(image, "Image", "OwnerUid"), "uint32 %d" % UIDS["alice"])
        self.assertEqual(self.word(self.bob, image, "Image.Delete"), "NotAuthorizedCanObtain")


class UnitTest(unittest.TestCase):
    """What was installed for systemd: enabled, each service begins with what its VMs begin with."""

    def test_enable(self):
        base = Path(os.environ["PRIVBUS"])
        for unit, folder, more, target in (
                ("bangerd.service", "system", [], "multi-user.target"),
                ("bangerd-session.service", "user", ["--global"], "default.target")):
            with self.subTest(unit=unit):
                installed, = (base / "stage").rglob("systemd/%s/%s" % (folder, unit))
                units = base / "units" / "usr/lib/systemd" / folder
                units.mkdir(parents=True, exist_ok=True)
                shutil.copy(installed, units)
                subprocess.run(["systemctl", "--root", base / "units", "--quiet", *more, "enable", unit],
                               check=True, stdin=subprocess.DEVNULL)
                links = [str(p.relative_to(base / "units/etc/systemd" / folder))
                         for p in (base / "units/etc/systemd" / folder).rglob("*.service")]
                self.assertEqual(links, ["%s.wants/%s" % (target, unit)])
                self.assertIn("\nRestart=on-failure\n", installed.read_text(encoding="utf-8"))


if __name__ == "__main__":
    unittest.main()
