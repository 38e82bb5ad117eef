# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images made of directories, and what bounds an import."""

import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cli_case import SECONDS, CliTest, archive, endless


class ImportTest(CliTest):
    def setUp(self):
        super().setUp()
        self.tree = self.session.base / "tree"
        self.tree.mkdir()
        self.addCleanup(shutil.rmtree, self.tree)
        (self.tree / "etc").mkdir()
        (self.tree / "etc/hostname").write_text("packed\n")
        (self.tree / "root").mkdir()

    def from_dir(self, name, *options, status=0):
        return self.session.banger("image", "import", name, "--from-dir", self.tree, *options,
                                   status=status)

    def debugfs(self, name, command):
        image = self.session.json("image", "show", name)["id"]
        found, = self.session.state.glob("**/%s/rootfs.ext4" % image)
        return subprocess.run(["debugfs", "-R", command, found], check=True, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout

    def assert_left(self, *names):
        self.assertEqual(sorted(image["name"] for image in
                                self.session.json("image", "list")["images"]), sorted(names))

    def test_directory(self):
        os.link(self.tree / "etc/hostname", self.tree / "linked")
        (self.tree / "left.o").write_bytes(b"object")
        with open(self.tree / "sparse", "wb") as sparse:
            sparse.truncate(1 << 30)
        with socket.socket(socket.AF_UNIX) as held:
            held.bind(os.path.relpath(self.tree / "socket"))
        result = self.from_dir("packed", "--exclude", "*.o", "--exclude", "/root/*", "--owner",
                               "12:70000", "--quiet")
        self.assertEqual(result.stdout, "packed\n")
        self.assertEqual(re.findall("(?m)^note: (.*)$", result.stderr),
                         ["'socket': left out: it is a socket"])
        self.assertEqual(self.debugfs("packed", "cat /linked"), "packed\n")
        stat = self.debugfs("packed", "stat /etc/hostname")
        self.assertRegex(stat, r"User: +12 +Group: +70000 ")
        self.assertIn("Links: 2 ", stat)
        self.assertIn("Size: 1073741824", self.debugfs("packed", "stat /sparse"))
        self.assertNotIn("left.o", self.debugfs("packed", "ls /"))
        self.assertLess(self.session.json("image", "show", "packed")["size_bytes"], 1 << 25)

    def test_defaults(self):
        """A person sees those that were said, and no others."""
        self.from_dir("plain")
        self.from_dir("set", "--user", "app", "--cwd", "/srv", "--env", "A=1", "--env", "B=2")
        show = lambda name: self.session.banger("image", "show", name).stdout
        self.assertRegex(show("set"), r"(?m)^user: +app\ndirectory: +/srv\nenvironment: +A=1\n +B=2$")
        for word in ("user:", "directory:", "environment:"):
            self.assertNotIn(word, show("plain"))

    def test_no_wait(self):
        """It reads all, as nobody else would; what the service then does is not waited for."""
        (self.tree / "large").write_bytes(os.urandom(8 << 20))
        result = self.from_dir("packed", "--no-wait")
        self.assertEqual(result.stdout, "image 'packed' is being imported\n")
        for job in self.running_jobs():
            self.wait_for_job(job)
        self.assertEqual(self.session.json("image", "show", "packed")["state"], "ready")

    def test_same_directory_same_digest(self):
        digests = set()
        for name in ("first", "second"):
            self.from_dir(name)
            digests.add(self.session.json("image", "show", name)["digest"])
        self.assertEqual(len(digests), 1)

    def test_unreadable(self):
        """It is named, with what helps, and nothing of the image is left."""
        (self.tree / "etc/shadow").write_bytes(b"secret")
        (self.tree / "etc/shadow").chmod(0)
        self.session.base.chmod(0o755)
        # As root all can be read: then as one who has lost that.
        drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search",
                "--inh-caps=-all"] if os.geteuid() == 0 else []
        words = ["banger", "image", "import", "packed", "--from-dir", str(self.tree)]
        result = self.session.run(*drop, *words)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("cannot read '%s/etc/shadow'" % self.tree, result.stderr)
        self.assertIn("--exclude", result.stderr)
        self.assert_left()
        self.assertEqual(self.session.run(*drop, *words, "--exclude", "shadow").returncode, 0)
        self.assert_left("packed")

    def test_usage(self):
        for options in (["--owner", "root:root"], ["--owner", "0"], ["--owner", "0:4294967295"],
                        ["--owner", "-1:0"], [self.tar]):
            self.assertIn("banger: ", self.from_dir("x", *options, status=2).stderr)
        for words in (["x"], ["x", self.tar, "--owner", "0:0"], ["x", self.tar, "--exclude", "y"]):
            self.session.banger("image", "import", *words, status=2)
        for glob in ("", "//"):
            self.assertIn("--exclude: '%s' names nothing" % glob,
                          self.from_dir("x", "--exclude", glob, status=2).stderr)
        result = self.session.banger("image", "import", "x", status=2)
        self.assertRegex(result.stderr, "hint: - is standard input; --from-dir")
        result = self.session.banger("image", "import", "x", self.tree, status=2)
        self.assertIn("--from-dir", result.stderr)
        result = self.session.banger("image", "import", "x", "--from-dir", "/nowhere", status=3)
        self.assertIn("'/nowhere' is not a directory", result.stderr)
        self.assert_left()

    def test_limits(self):
        """Past one of them nothing is left, and the hint says what would let it in."""
        for number in range(30):
            (self.tree / ("file%d" % number)).write_bytes(bytes(10000))
        for option, low, enough in (("--max-entries", "20", "40"), ("--max-bytes", "200000", "1M")):
            result = self.from_dir("bounded", option, low, status=1)
            self.assertIn(option, result.stderr)
            self.assert_left()
            self.from_dir("bounded", option, enough)
            self.session.banger("image", "delete", "bounded")
        for option, wrong, most in (("--max-entries", "3000001", "1 to 3000000"),
                                    ("--max-bytes", "257G", "1 byte to 256G")):
            result = self.from_dir("x", option, wrong, status=2)
            self.assertIn("%s must be from %s" % (option, most), result.stderr)
        self.assert_left()

    def test_bomb(self):
        """A little that becomes much."""
        bomb = self.session.base / "bomb.tar.gz"
        with tarfile.open(bomb, "w:gz", compresslevel=1) as tar:
            info = tarfile.TarInfo("zeros")
            info.size = 64 << 20
            with open("/dev/zero", "rb") as zeros:
                tar.addfile(info, zeros)
        result = self.session.banger("image", "import", "bomb", bomb, "--max-bytes", "10M", status=1)
        self.assertIn("--max-bytes", result.stderr)
        self.assert_left()


class WatchedTest(CliTest):
    """On a terminal one sees how much has come of what has no known size."""

    BYTES = rb"receiving +\d[^\r]* s  (\d[\d.]*) ([KM]iB), \d[^\r]*/s"

    def on_terminal(self, *argv, stdin=subprocess.DEVNULL):
        """The command, and the terminal that shows its standard error."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            ["banger", "image", "import", *map(str, argv)], stdin=stdin, stdout=subprocess.DEVNULL,
            stderr=slave, env=dict(self.session.env, LC_ALL="C.UTF-8", TERM="xterm"))
        os.close(slave)
        self.addCleanup(os.close, master)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, master

    def from_pipe(self, name):
        read, write = os.pipe()
        process, master = self.on_terminal(name, "-", stdin=read)
        os.close(read)
        return process, master, write

    def read_until(self, master, pattern):
        said, end = b"", time.monotonic() + SECONDS["command"]
        while not re.search(pattern, said):
            self.assertLess(time.monotonic(), end, said)
            said += os.read(master, 65536)
        return said

    def end(self, process, master):
        """Its status, and what it showed until then: it could not end if nobody read that."""
        said = b""
        try:
            while more := os.read(master, 65536):
                said += more
        except OSError:  # EIO: nobody has the other end any more
            pass
        return process.wait(SECONDS["command"]), said

    def write(self, pipe, data):
        while data:
            data = data[os.write(pipe, data):]

    def test_pipe(self):
        content = os.urandom(3 << 20)
        process, master, pipe = self.from_pipe("piped")
        data = archive(content)
        self.write(pipe, data[:2 << 20])
        said = self.read_until(master, rb"receiving [^\r]*  2(\.0)? MiB, ")
        self.assertRegex(said, self.BYTES)
        self.assertNotIn(b" %", said)
        self.write(pipe, data[2 << 20:])
        os.close(pipe)
        status, said = self.end(process, master)
        self.assertEqual(status, 0, said)
        self.assertEqual(self.session.json("image", "show", "piped")["state"], "ready")

    def test_directory(self):
        """One more than may run at once shows what waits in its pipe."""
        pipes = [self.start_endless(name="endless%d" % number) for number in range(4)]
        tree = self.session.base / "watched"
        tree.mkdir()
        self.addCleanup(shutil.rmtree, tree)
        (tree / "large").write_bytes(os.urandom(4 << 20))
        process, master = self.on_terminal("packed", "--from-dir", tree)
        said = self.read_until(master, self.BYTES)
        self.assertNotIn(b" %", said)
        for _, pipe in pipes:
            os.close(pipe)
        status, said = self.end(process, master)
        self.assertEqual(status, 0, said)

    def test_reader_that_ends(self):
        """What is wrong is said at once, though whoever writes does not go on."""
        process, master, pipe = self.from_pipe("wrong")
        self.addCleanup(os.close, pipe)
        self.write(pipe, b"x" * 65536)
        status, said = self.end(process, master)
        self.assertEqual(status, 1, said)
        self.assertIn(b"not a tar archive", said)

    def test_interrupted(self):
        """A pipe that has stalled is not waited for."""
        process, master, pipe = self.from_pipe("stalled")
        self.addCleanup(os.close, pipe)
        self.write(pipe, endless())
        said = self.read_until(master, self.BYTES)
        process.send_signal(signal.SIGINT)
        status, said = self.end(process, master)
        self.assertNotEqual(status, 0, said)
        self.assertIn(b"cancelled: nothing of it is left", said)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
