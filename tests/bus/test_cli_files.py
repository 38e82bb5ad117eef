# SPDX-License-Identifier: LGPL-2.1-or-later
"""banger image ls, cat, stat, mkdir, rm, chown, chmod and edit, on images and on VMs that stand still."""

import fcntl
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/bus")]

from cli_case import CliTest

PASSWD = b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:100:App:/srv:/bin/sh\n"
GROUP = b"root:x:0:\nusers:x:100:\nwww:x:33:app\n"


def root_tar(path):
    files = {"etc/hostname": b"box\n", "etc/passwd": PASSWD, "etc/group": GROUP,
             "srv/.hidden": b"", "srv/run": b"#!/bin/sh\n",
             "srv/evil\x1b[2J": b"\x1b]0;owned\x07text\n", b"srv/caf\xe9".decode("latin-1"): b"x"}
    with tarfile.open(path, "w", encoding="latin-1", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(content), 0o644, 1700000000
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        tar.addfile(link)


class Files(CliTest):
    def setUp(self):
        super().setUp()
        self.tar = self.session.base / "files.tar"
        root_tar(self.tar)
        self.session.import_image("box", self.tar)

    def image(self, *argv):
        """What it prints, which need not be UTF-8."""
        result = subprocess.run(["banger", "image", *map(str, argv)], env=self.session.env,
                                stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.decode(errors="backslashreplace")

    def terminal(self, *argv):
        """What a terminal gets."""
        words = " ".join("'%s'" % word for word in ("banger", "image", *argv))
        return subprocess.run(["script", "-qec", words, "/dev/null"], env=self.session.env,
                              stdin=subprocess.DEVNULL, capture_output=True, check=True).stdout

    def test_ls(self):
        self.assertEqual(self.image("ls", "box:").split(), ["bin", "etc", "lost+found", "srv"])
        self.assertEqual(self.image("ls", "box:etc"), self.image("ls", "box:/etc"))
        self.assertEqual(self.image("ls", "box:/etc").split(), ["group", "hostname", "passwd"])
        self.assertNotIn(".hidden", self.image("ls", "-R", "box:"))
        self.assertIn("srv/.hidden", self.image("ls", "-R", "-a", "box:"))
        lines = self.image("ls", "-l", "box:/").splitlines()
        self.assertRegex(lines[0], r"^lrwxrwxrwx +1 +0 +0 +7 +\S+Z +bin -> usr/bin$")
        self.assertRegex(self.image("ls", "-l", "box:/etc/hostname"),
                         r"^-rw-r--r-- +1 +0 +0 +4 +2023-11-14T22:13:20Z +/etc/hostname$")
        found = json.loads(self.image("ls", "--json", "box:/srv"))["files"]
        self.assertEqual(sorted(f.get("name", f.get("name_base64")) for f in found),
                         ["Y2Fm6Q==", "evil\x1b[2J", "run"])
        self.assertIn("caf\\xe9\n", self.image("ls", "box:/srv"))
        missing = self.session.banger("image", "ls", "box:/none", status=3)
        self.assertEqual(missing.stdout, "")
        self.assertIn("/none", missing.stderr)
        self.assertNotIn("step 1", missing.stderr)

    def test_words_of_a_shell(self):
        """Without a file ls and rm are what they are for all nouns."""
        self.assertIn("NAME", self.image("ls"))
        self.assertEqual(self.image("ls", "-q"), "box\n")
        self.session.import_image("other", self.tar)
        self.image("rm", "--yes", "other")
        self.assertEqual(self.image("ls", "-q"), "box\n")

    def test_names_on_a_terminal(self):
        """They do nothing to it; a program gets them as they are."""
        self.assertIn("evil\x1b[2J\n", self.image("ls", "box:/srv"))
        for argv in (("ls", "box:/srv"), ("ls", "-l", "box:/srv"), ("stat", "box:/srv/evil\x1b[2J"),
                     ("cat", "box:/srv/evil\x1b[2J")):
            with self.subTest(argv=argv):
                self.assertNotIn(b"\x1b[2J", self.terminal(*argv))
                self.assertNotIn(b"\x1b]", self.terminal(*argv))
        self.assertIn(b"text", self.terminal("cat", "box:/srv/evil\x1b[2J"))

    def test_cat_and_stat(self):
        self.assertEqual(self.image("cat", "box:/etc/hostname", "box:/etc/group"),
                         "box\n" + GROUP.decode())
        text = self.image("stat", "box:/bin", "box:/etc")
        self.assertRegex(text, r"(?s)file: +box:/bin\n.*leads to: +usr/bin\n.*\n\nfile: +box:/etc\n")
        files = json.loads(self.image("stat", "--json", "box:/bin", "box:/etc"))["files"]
        self.assertEqual([(f["name"], f["type"]) for f in files],
                         [("/bin", "symlink"), ("/etc", "directory")])
        self.assertIn("names no file", self.session.banger("image", "cat", "box", status=2).stderr)
        self.assertIn("names no file", self.session.banger("image", "cat", "box", status=2).stderr)
        self.assertIn("for two commands",
                      self.session.banger("image", "cat", "box:/a", "other:/b", status=2).stderr)

    def test_names_that_are_not_utf8(self):
        """Commands reach them, in an image's own bytes."""
        cafe, new = os.fsdecode(b"box:/srv/caf\xe9"), os.fsdecode(b"box:/srv/\xff")
        self.assertEqual(self.image("cat", cafe), "x")
        file, = json.loads(self.image("stat", "--json", cafe))["files"]
        self.assertEqual((file["type"], file["name_base64"]), ("file", "L3Nydi9jYWbp"))
        self.image("mkdir", new)
        self.image("chmod", "700", new)
        self.image("cp", self.tar, new + "/tar")
        self.assertIn("tar", self.image("ls", new))
        here = self.session.base / "cafe"
        self.image("cp", cafe, here)
        self.assertEqual(here.read_bytes(), b"x")
        here.unlink()
        self.image("rm", "-r", new, cafe)
        self.assertNotIn("\\x", self.image("ls", "box:/srv"))
        for words in (["cat", os.fsdecode(b"\xff:/x")], ["cp", os.fsdecode(b"\xff:/x"), "here"]):
            self.session.banger("image", *words, status=2)

    def test_changes(self):
        self.image("mkdir", "-p", "--mode", "700", "--owner", "app", "box:/srv/a/b")
        self.image("chown", "-R", "app:www", "box:/srv/a")
        self.image("chown", "app:", "box:/srv/run")
        self.image("chmod", "4755", "box:/srv/run")
        found = {f["name"]: (f["mode"], f["uid"], f["gid"]) for f in
                 json.loads(self.image("ls", "-R", "--json", "box:/srv"))["files"] if "name" in f}
        self.assertEqual(found["a"], ("0755", 1000, 33))
        self.assertEqual(found["a/b"], ("0700", 1000, 33))
        self.assertEqual(found["run"], ("4755", 1000, 100))
        said = json.loads(self.image("rm", "-r", "--json", "box:/srv/a", "box:/srv/run"))
        self.assertEqual((said["name"], said["steps_done"]), ("box", 2))
        self.assertEqual(self.image("rm", "-f", "-q", "box:/srv/none"), "")
        self.assertNotIn("run", self.image("ls", "box:/srv"))
        self.assertNotIn("step", self.session.banger("image", "rm", "box:/srv/none", status=3).stderr)
        self.assertIn("step 1 (remove): ", self.session.banger(
            "image", "rm", "box:/srv/none", "box:/srv/a", status=3).stderr)
        self.assertIn("-r of 'image rm'",
                      self.session.banger("image", "rm", "box:/srv", status=2).stderr)
        self.assertIn("'nobody' is not in /etc/passwd of box",
                      self.session.banger("image", "chown", "nobody", "box:/srv", status=3).stderr)
        for owner, words in (("4294967296", "at most 4294967294"), ("0:4294967295", "at most"),
                             ("1:2:3", "an owner is USER, USER:GROUP or :GROUP")):
            self.assertIn(words,
                          self.session.banger("image", "chown", owner, "box:/srv", status=2).stderr)
        self.assertIn("octal", self.session.banger("image", "chmod", "u+x", "box:/srv", status=2).stderr)
        self.assertIsNotNone(self.session.json("image", "show", "box")["edited_at"])
        shown = self.session.banger("image", "show", "box").stdout
        self.assertIn("edited:", shown)
        self.assertRegex(shown, r"names: +[1-9]")

    def test_edit(self):
        """A batch of steps, from a file and from standard input; what is wrong names its line."""
        many = self.session.base / "many"
        many.mkdir(exist_ok=True)
        for i in range(20):
            (many / str(i)).write_text("file %d\n" % i, encoding="utf-8")
        script = self.session.base / "script"
        script.write_text("# what is so\n\nmkdir path=/opt/app parents mode=750 uid=1000\n"
                          "write path=/opt/app/motd content='two words' mode=600\n"
                          "symlink path=/opt/link target=app uid=7 mtime=5 mtime-nsec=6\n" + "".join(
                              "write path=/many/%d file=%s parents\n" % (i, many / str(i))
                              for i in range(20)), encoding="utf-8")
        self.assertIn("23 steps", self.image("edit", "box", script))
        self.assertEqual(self.image("cat", "box:/opt/link/motd"), "two words")
        link, = json.loads(self.image("stat", "--json", "box:/opt/link"))["files"]
        self.assertEqual((link["uid"], link["mtime"], link["mtime_nsec"]), (7, 5, 6))
        self.assertEqual(self.image("cat", *("box:/many/%d" % i for i in range(20))),
                         "".join("file %d\n" % i for i in range(20)))
        script.write_text("mkdir path=/files\n" + "".join(
            "write path=/files/%d file=%s\n" % (i, many / str(i)) for i in range(6))
            + "unpack path=/files file=%s uid=7\n" % self.tar, encoding="utf-8")
        self.image("edit", "box", script)
        self.assertEqual(self.image("cat", "box:/files/etc/hostname", "box:/files/5"),
                         "box\nfile 5\n")
        result = subprocess.run(["banger", "image", "edit", "box"], env=self.session.env, text=True,
                                input="remove path=/many recursive\n", capture_output=True, check=True)
        self.assertIn("1 step", result.stdout)
        for text, words in (("", "no step"), ("write path=/a mode=9", "line 1: a mode is"),
                            ("\nwrite content=x", "line 2: path= is missing"),
                            ("write path=/a colour=red", "line 1: 'colour' is no"),
                            ("set path=/etc uid=4294967295", "line 1: 'uid' cannot be"),
                            ("unpack path=/ file=/dev/null room-bytes=x", "'room-bytes' cannot be"),
                            ("write path=/a file=/none", "line 1: cannot open '/none'"),
                            ("write path='/a\nb'", "line 1: it ends within quotes"),
                            ("write path=/a \\", "line 1: it ends within"),
                            ("# no\nburn path=/a", "line 2: 'burn' is no step"),
                            ("stat path=/a", "hint: a step is one of write, unpack, ")):
            with self.subTest(text=text):
                script.write_text(text, encoding="utf-8")
                result = self.session.banger("image", "edit", "box", script, status=None)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)
        self.assertEqual(self.session.banger("image", "edit", "box:/etc", script, status=2).stdout, "")

    def test_room(self):
        """An image grows by what is copied into it, be it much or many."""
        tree = self.here("room")
        (tree / "large").write_bytes(os.urandom(24 << 20))
        (tree / "small").mkdir()
        for i in range(3000):
            (tree / "small" / str(i)).write_bytes(b"%d" % i)
        self.image("cp", "-r", tree, "box:/srv/room")
        self.assertEqual(len(self.listed("box:/srv/room")), 3002)
        packed = self.session.base / "room.tar.gz"
        subprocess.run(["tar", "-C", tree, "-czf", packed, "."], check=True)
        step = "unpack path=/etc file=%s" % packed
        script = self.session.base / "script"
        script.write_text(step, encoding="utf-8")
        self.assertIn("has no room",
                      self.session.banger("image", "edit", "box", script, status=None).stderr)
        script.write_text(step + " room-bytes=%d room-entries=3002" % (25 << 20), encoding="utf-8")
        self.image("edit", "box", script)

    def here(self, name):
        path = self.session.base / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def tree(self):
        tree = self.here("tree")
        (tree / "sub").mkdir(mode=0o711)
        (tree / "sub/file").write_text("text\n", encoding="utf-8")
        (tree / "sub/other").hardlink_to(tree / "sub/file")
        (tree / "link").symlink_to("sub/file")
        with (tree / "holes").open("wb") as file:
            file.seek(100 << 20)
            file.write(b"end")
        (tree / "tool").write_bytes(b"#!/bin/sh\n")
        (tree / "tool").chmod(0o750)
        os.utime(tree / "tool", (1600000000, 1600000000))
        return tree

    def listed(self, *argv):
        return {f["name"]: f for f in
                json.loads(self.image("ls", "-R", "-a", "--json", *argv))["files"] if "name" in f}

    def test_copy_in(self):
        tree = self.tree()
        self.image("cp", tree / "tool", "box:/srv/")
        self.image("cp", tree / "tool", "box:/srv/named", "--owner", "app:www", "--mode", "4711")
        self.image("cp", "-r", tree, "box:/srv")
        self.image("cp", "-r", "--owner", "1000:100", tree / "sub", "box:/srv/new")
        self.image("cp", tree / "tool", tree / "sub/file", "box:/etc")
        found = self.listed("box:/srv")
        self.assertEqual([(found[n]["mode"], found[n]["uid"], found[n]["gid"], found[n]["mtime"])
                          for n in ("tool", "named")],
                         [("0750", 0, 0, 1600000000), ("4711", 1000, 33, 1600000000)])
        self.assertEqual((found["tree/link"]["target"], found["tree/sub"]["mode"],
                          found["tree/sub/file"]["links"], found["tree/holes"]["size"]),
                         ("sub/file", "0711", 2, (100 << 20) + 3))
        self.assertEqual((found["new/file"]["uid"], found["new/file"]["gid"]), (1000, 100))
        image = self.session.json("image", "show", "box")
        self.assertLess(image["allocated_bytes"], 50 << 20)
        self.assertEqual(self.image("cat", "box:/etc/file"), "text\n")
        for argv, words in (((tree, "box:/srv"), "is a directory"),
                            ((tree / "tool", "box:/none/"), "is not a directory"),
                            ((tree / "tool", tree / "tool", "box:/none"), "is not a directory"),
                            ((tree / "none", "box:/srv"), "cannot copy"),
                            (("-r", "-m", "644", tree, "box:/srv"), "--mode is for files"),
                            (("-m", "644", "-", "box:/srv"), "--mode is for files"),
                            ((tree, tree), "NAME:PATH"), (("box:/srv", "box:/etc"), "NAME:PATH")):
            with self.subTest(argv=argv):
                result = self.session.banger("image", "cp", *argv, status=None)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)

    def test_copy_out(self):
        """And what comes back is what went in."""
        tree, out = self.tree(), self.here("out")
        self.image("cp", "-r", tree, "box:/srv/tree")
        self.image("cp", "-r", "box:/srv/tree", out)
        self.image("cp", "box:/etc/hostname", out / "name")
        self.assertEqual((out / "name").read_bytes(), b"box\n")
        back = out / "tree"
        self.assertEqual(sorted(os.listdir(back)), sorted(os.listdir(tree)))
        self.assertEqual(os.readlink(back / "link"), "sub/file")
        self.assertEqual((back / "sub/file").stat().st_nlink, 2)
        self.assertEqual((back / "tool").stat().st_mtime, 1600000000)
        self.assertEqual((back / "holes").read_bytes()[-3:], b"end")
        self.assertLess((back / "holes").stat().st_blocks * 512, 1 << 20)
        for argv, words in ((("box:/srv", out), "is a directory"),
                            (("box:/none", out), "not there"),
                            (("-m", "644", "box:/etc/hostname", out), "--mode is for files"),
                            (("box:/etc/hostname", "box:/etc/group", out / "none"),
                             "is not a directory"), (("-r", "box:/", out), "name what to copy")):
            with self.subTest(argv=argv):
                result = self.session.banger("image", "cp", *argv, status=None)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(words, result.stderr)
        self.assertEqual(sorted(os.listdir(out)), ["name", "tree"])

    def limited(self, *argv):
        """image cp where no file may be larger than 1 MiB."""
        script = "trap '' XFSZ; ulimit -f 1024; exec banger image cp \"$@\""
        return subprocess.run(["bash", "-c", script, "-", *map(str, argv)], env=self.session.env,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def test_copy_is_cut_short(self):
        """It fails, and what was there before stays; nothing else is left."""
        tree, out = self.tree(), self.here("out")
        (tree / "tool").write_bytes(os.urandom(2 << 20))
        self.image("cp", "-r", tree, "box:/srv/tree")
        (out / "tool").write_bytes(b"before")
        result = self.limited("box:/srv/tree/tool", out)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("'tool': File too large", result.stderr)
        self.assertEqual(os.listdir(out), ["tool"])
        self.assertEqual((out / "tool").read_bytes(), b"before")

    def test_copy_to_what_is_no_file(self):
        """A pipe stays one, and a link leads where it led: to the copy then."""
        out = self.here("out")
        os.mkfifo(out / "pipe")
        (out / "file").write_bytes(b"before")
        (out / "link").symlink_to("file")
        (out / "pipe-link").symlink_to("pipe")
        (out / "nowhere").symlink_to("none")
        self.image("cp", "box:/etc/hostname", out / "link")
        self.assertEqual(os.readlink(out / "link"), "file")
        self.assertEqual((out / "file").read_bytes(), b"box\n")
        for name, cause in (("pipe", "it is a device, a pipe"),
                            ("pipe-link", "it is a device, a pipe"),
                            ("nowhere", "a symbolic link to what is not there")):
            with self.subTest(name=name):
                result = self.session.banger("image", "cp", "box:/etc/hostname", out / name,
                                             status=None)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn("cannot copy to", result.stderr)
                self.assertIn(cause, result.stderr)
        self.assertTrue((out / "pipe").is_fifo())
        self.assertEqual(os.readlink(out / "pipe-link"), "pipe")
        self.assertEqual(os.readlink(out / "nowhere"), "none")

    def test_copy_of_what_is_no_file(self):
        """It says so at once, be there nobody who writes."""
        pipe = self.here("in") / "pipe"
        os.mkfifo(pipe)
        for source in (pipe, "/dev/null"):
            with self.subTest(source=source):
                result = subprocess.run(["banger", "image", "cp", source, "box:/srv/new"],
                                        env=self.session.env, stdin=subprocess.DEVNULL, timeout=60,
                                        capture_output=True, text=True, check=False)
                self.assertEqual(result.returncode, 2, result.stderr)
                self.assertIn("it is a device, a pipe or a socket", result.stderr)
        self.assertNotIn("new", self.image("ls", "box:/srv"))

    def test_copy_is_measured(self):
        """On a terminal, whichever way it goes; a program is told nothing."""
        tree, out = self.here("much"), self.here("out")
        large = tree / "large"
        large.write_bytes(os.urandom(1 << 20) * 400)
        # Who opens it waits until the lease is given back.
        self.addCleanup(signal.signal, signal.SIGIO, signal.signal(signal.SIGIO, signal.SIG_IGN))
        with large.open("r+b") as held:
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            words = "banger image cp -r '%s' box:/srv/tree" % tree
            with subprocess.Popen(["script", "-qec", words, "/dev/null"], env=self.session.env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as client:
                text = b""
                while not re.search(rb"\r\d+ B in ", text):
                    more = client.stdout.read1()
                    self.assertTrue(more, text)
                    text += more
                fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
                text += client.stdout.read()
        self.assertRegex(text, rb"\r\x1b\[K400 MiB in [^\r\n]*/s\r\n$")
        text = self.terminal("cp", "box:/srv/tree/large", out)
        self.assertRegex(text, rb"\r\x1b\[K400 MiB in [^\r\n]*/s\r\n$")
        self.assertEqual((out / "large").stat().st_size, 400 << 20)
        result = self.session.banger("image", "cp", large, "box:/srv/file")
        self.assertNotIn("MiB", result.stderr)

    def test_copy_archives(self):
        """- is a tar on standard output, and on standard input."""
        tar = self.session.base / "etc.tar"
        with tar.open("wb") as file:
            subprocess.run(["banger", "image", "cp", "box:/etc", "-"], env=self.session.env,
                           stdout=file, check=True)
        with tarfile.open(tar) as packed:
            self.assertEqual(packed.getnames(), ["etc", "etc/group", "etc/hostname", "etc/passwd"])
        # What is only looked up on the way is not told.
        result = self.session.banger("image", "chown", "app", "box:/srv/run")
        self.assertNotIn("reading", result.stderr)
        self.assertIn("editing", result.stderr)
        for where, owner, uid in (("a", [], 0), ("b", ["--owner", "app"], 1000)):
            self.image("mkdir", "box:/" + where)
            with tar.open("rb") as file:
                subprocess.run(["banger", "image", "cp", *owner, "-", "box:/" + where],
                               env=self.session.env, stdin=file, check=True)
            self.assertEqual(self.listed("box:/" + where)["etc/passwd"]["uid"], uid)

    def test_vm(self):
        """--vm: what its guest would see, the image stays."""
        self.session.import_kernel()
        self.addCleanup(self.session.banger, "kernel", "delete", "cloud")
        self.session.banger("vm", "create", "web", "--image", "box", "--no-start", "--no-ssh-key",
                            "--disk", "64M", "--work", "16M")
        self.addCleanup(self.session.banger, "vm", "delete", "web")
        self.image("mkdir", "--vm", "web:/srv/new", "web:/root/new")
        self.assertIn("new", self.image("ls", "--vm", "web:/srv"))
        self.assertIn("new", self.image("ls", "--vm", "web:/root"))
        self.assertNotIn("new", self.image("ls", "box:/srv"))
        self.assertIn("srv", self.image("ls", "--vm", "web"))
        self.assertEqual(self.image("cat", "--vm", "web:/etc/hostname"), "box\n")
        result = self.session.banger("image", "rm", "box:/srv/run", status=4)
        self.assertIn("image 'box' is used by vm 'web'", result.stderr)
        self.assertIn("banger vm delete web", result.stderr)
