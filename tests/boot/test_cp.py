# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files between here and guests, and between two guests."""

import hashlib
import io
import os
import signal
import stat
import subprocess
import tarfile
import tempfile
import time
import unittest
from pathlib import Path

import fixtures
from harness import SECONDS, BangerTest

MUCH = 256 << 20


class CpTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        for name in ("one", "two"):
            cls.session.banger("vm", "create", name, "--image", "tiny", "--memory", "160M",
                               seconds=SECONDS["busybox"])

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="banger-cp-")
        self.addCleanup(folder.cleanup)
        self.here = Path(folder.name)
        self.there = "/root/" + self.id().rsplit(".", 1)[1]
        for name in ("one", "two"):
            self.session.guest(name, "/bin/mkdir", self.there)
            self.addCleanup(self.session.guest, name, "/bin/rm", "-rf", self.there)

    def cp(self, *words, status=0):
        return self.session.banger("cp", *words, status=status, seconds=SECONDS["exec"])

    def guest(self, line, name="one"):
        return self.session.guest(name, "/bin/sh", "-c", "cd %s; %s" % (self.there, line)).stdout

    def make_tree(self):
        tree = self.here / "tree"
        (tree / "deep/er").mkdir(parents=True)
        (tree / "empty").mkdir()
        (tree / "text").write_text("text\n")
        (tree / "deep/er/random").write_bytes(os.urandom(300000))
        (tree / "link").symlink_to("deep/er/random")
        (tree / "broken").symlink_to("/nowhere/at all")
        (tree / "näme with\nbreak").write_text("odd")
        (tree / ("long" * 50)).write_text("long")
        os.link(tree / "text", tree / "same")
        os.chmod(tree / "text", 0o750)
        os.utime(tree / "text", (1000000000, 1000000000))
        with open(tree / "sparse", "wb") as sparse:
            sparse.seek(32 << 20)
            sparse.write(b"end")
            sparse.truncate(40 << 20)
        return tree

    def describe(self, tree):
        """What a copy must have alike: {path: facts}."""
        found = {}
        for path in [tree, *tree.rglob("*")]:
            st = path.lstat()
            if stat.S_ISLNK(st.st_mode):
                facts = ("link", os.readlink(path))
            elif stat.S_ISDIR(st.st_mode):
                facts = ("dir", stat.S_IMODE(st.st_mode))
            else:
                facts = ("file", stat.S_IMODE(st.st_mode), int(st.st_mtime), st.st_size, st.st_nlink,
                         hashlib.sha256(path.read_bytes()).hexdigest())
            found[str(path.relative_to(tree))] = facts
        return found

    def test_there_and_back(self):
        tree = self.make_tree()
        self.cp(tree, "one:" + self.there)
        self.assertEqual(self.guest("cat tree/text; readlink tree/link; stat -c %h,%a,%Y tree/same"),
                         "text\ndeep/er/random\n2,750,1000000000\n")
        self.cp("one:%s/tree" % self.there, self.here / "back")
        self.assertEqual(self.describe(self.here / "back"), self.describe(tree))
        self.assertLess((self.here / "back/sparse").stat().st_blocks * 512, 1 << 20)
        self.assertLess(int(self.guest("du -k tree/sparse").split()[0]), 1024)

    def test_between_guests(self):
        tree = self.make_tree()
        self.cp(tree, "one:" + self.there)
        self.cp("one:%s/tree" % self.there, "two:%s/other" % self.there)
        self.cp("two:%s/other" % self.there, self.here)
        self.assertEqual(self.describe(self.here / "other"), self.describe(tree))
        self.assertLess(int(self.guest("du -k other/sparse", "two").split()[0]), 1024)

    def test_names(self):
        """As cp: into a directory that is there, else by the new name."""
        (self.here / "file").write_text("first\n")
        self.cp(self.here / "file", "one:" + self.there)
        self.cp(self.here / "file", "one:%s/named" % self.there)
        self.cp(self.here / "file", "one:%s/" % self.there)
        self.assertEqual(self.guest("ls; cat named"), "file\nnamed\nfirst\n")
        (self.here / "file").write_text("second\n")
        self.cp(self.here / "file", "one:%s/named" % self.there)
        self.assertEqual(self.guest("cat named"), "second\n")
        self.cp(self.here / "file", "one:%s/absent/" % self.there, status=1)
        self.cp(self.here / "file", "one:%s/absent/deep" % self.there, status=1)
        self.cp("one:%s/named" % self.there, self.here / "back")
        self.assertEqual((self.here / "back").read_text(), "second\n")
        self.cp("one:%s/named" % self.there, self.here)
        self.assertEqual((self.here / "named").read_text(), "second\n")
        self.cp("one:%s/named" % self.there, "%s/absent/" % self.here, status=3)

    def test_several(self):
        for name in ("a", "b"):
            (self.here / name).write_text(name)
        self.cp(self.here / "a", self.here / "b", "one:" + self.there)
        self.assertEqual(self.guest("cat a b"), "ab")
        (self.here / "back").mkdir()
        self.cp("one:%s/a" % self.there, "one:%s/b" % self.there, self.here / "back")
        self.assertEqual(sorted(os.listdir(self.here / "back")), ["a", "b"])
        self.cp(self.here / "a", self.here / "b", "one:%s/a" % self.there, status=1)
        self.assertEqual(self.guest("cat a"), "a")
        self.cp("one:%s/a" % self.there, "one:%s/b" % self.there, self.here / "none", status=3)

    def test_relative_is_home(self):
        (self.here / "file").write_text("home")
        self.cp(self.here / "file", "one:")
        self.addCleanup(self.session.guest, "one", "/bin/rm", "-f", "/root/file")
        self.assertEqual(self.session.guest("one", "/bin/cat", "/root/file").stdout, "home")
        self.cp("one:file", self.here / "again")
        self.assertEqual((self.here / "again").read_text(), "home")

    def test_streams(self):
        (self.here / "file").write_text("packed")
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w") as tar:
            tar.add(self.here / "file", "folder/file")
        (self.here / "in.tar").write_bytes(made.getvalue())
        with open(self.here / "in.tar", "rb") as given:
            subprocess.run(["banger", "cp", "-", "one:" + self.there], env=self.session.env,
                           stdin=given, check=True, timeout=SECONDS["exec"])
        self.assertEqual(self.guest("cat folder/file"), "packed")
        with open(self.here / "out.tar", "wb") as taken:
            subprocess.run(["banger", "cp", "one:%s/folder" % self.there, "-"],
                           env=self.session.env, stdin=subprocess.DEVNULL, stdout=taken,
                           check=True, timeout=SECONDS["exec"])
        with tarfile.open(self.here / "out.tar") as tar:
            self.assertEqual(tar.extractfile("folder/file").read(), b"packed")

    def test_faults_are_told(self):
        result = self.cp("one:%s/absent" % self.there, self.here, status=1)
        self.assertIn("absent", result.stderr)
        self.assertIn("not all was copied", result.stderr)
        self.assertEqual(os.listdir(self.here), [])
        self.cp(self.here / "absent", "one:" + self.there, status=3)
        self.cp(self.here, "nobody:/root", status=3)
        for words in (["a", "b"], ["one:/a", "-", "b"], ["-", "-"], [":x", "y"],
                      ["one:/", self.here], ["--owner", "mine", "one:/root/a", "b"]):
            self.cp(*words, status=2)

    def test_no_devices(self):
        self.guest("mkfifo pipe; mknod disk b 7 0; echo kept > kept")
        result = self.cp("one:" + self.there, self.here / "back", status=None)
        self.assertEqual(os.listdir(self.here / "back"), ["kept"], result.stderr)

    def test_owners(self):
        self.guest("echo x > mine; chown 12:34 mine; chmod 4755 mine")
        self.cp("one:%s/mine" % self.there, self.here / "user")
        st = (self.here / "user").stat()
        self.assertEqual((st.st_uid, stat.S_IMODE(st.st_mode) & 0o7000), (os.getuid(), 0))
        self.cp("--owner", "keep", "one:%s/mine" % self.there, "two:%s/mine" % self.there)
        self.assertEqual(self.guest("stat -c %u:%g:%a mine", "two"), "12:34:4755\n")
        self.cp("one:%s/mine" % self.there, "two:%s/theirs" % self.there)
        self.assertEqual(self.guest("stat -c %u:%g:%a theirs", "two"), "0:0:755\n")
        if os.getuid() == 0:
            self.cp("--owner", "keep", "one:%s/mine" % self.there, self.here / "keep")
            st = (self.here / "keep").stat()
            self.assertEqual((st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)), (12, 34, 0o4755))

    def test_links_here_are_not_followed(self):
        self.guest("mkdir -p web/data; echo evil > web/data/file")
        (self.here / "elsewhere").mkdir()
        (self.here / "web").mkdir()
        (self.here / "web/data").symlink_to(self.here / "elsewhere")
        result = self.cp("one:%s/web" % self.there, self.here, status=1)
        self.assertIn("symbolic link", result.stderr)
        self.assertEqual(os.listdir(self.here / "elsewhere"), [])

    def start(self, *words):
        process = subprocess.Popen(["banger", "cp", *map(str, words)], env=self.session.env,
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def interrupt(self, process):
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        self.assertEqual(process.wait(SECONDS["command"]), 9)
        self.assertIn("interrupted", said)

    def test_interrupted_download(self):
        self.session.banger("exec", "one", "--", "/bin/dd", "if=/dev/zero", "bs=1048576",
                            "count=400", "of=%s/big" % self.there, seconds=SECONDS["exec"])
        process = self.start("one:%s/big" % self.there, self.here)
        deadline = time.monotonic() + SECONDS["command"]
        while not [p for p in self.here.glob(".banger-*") if p.stat().st_size]:
            self.assertLess(time.monotonic(), deadline)
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        self.interrupt(process)
        self.assertEqual(os.listdir(self.here), [])

    def test_interrupted_upload(self):
        with open(self.here / "big", "wb") as big:
            for _ in range(MUCH >> 20):
                big.write(os.urandom(1 << 20))
        process = self.start(self.here / "big", "one:%s/copy" % self.there)
        self.guest("until [ -n \"$(find . -type f)\" ]; do :; done")
        self.interrupt(process)
        self.guest("while [ -n \"$(find . -type f)\" ]; do sleep 0.1; done")


if __name__ == "__main__":
    unittest.main()
