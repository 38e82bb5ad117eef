# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent's archives against GNU tar's and tarfile's, and what hostile ones come to."""

import contextlib
import ctypes
import hashlib
import io
import os
import shutil
import socket
import stat
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

PROGRAM = os.environ["AGENT_TAR"]
ROOT = os.geteuid() == 0
LONG = "n" * 120
MIB = 1 << 20
SECONDS = 120


def run(*argv, data=b"", **more):
    return subprocess.run([str(a) for a in argv], input=data, capture_output=True, check=False,
                          timeout=SECONDS, **more)


def pack(*paths, cwd=None, **more):
    return run(PROGRAM, "pack", *paths, cwd=cwd, **more)


def unpack(folder, archive, *options, **more):
    return run(PROGRAM, "unpack", folder, *options, data=archive, **more)


def without_rights():
    """What runs after this reads no file that its mode forbids and gives none away, root or not."""
    libc, pr_capbset_drop = ctypes.CDLL(None, use_errno=True), 24
    for capability in (0, 1, 2) if ROOT else ():  # CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH
        if libc.prctl(pr_capbset_drop, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def sparse_file(path, size, pieces):
    with open(path, "wb") as file:
        file.truncate(size)
        for offset, content in pieces:
            file.seek(offset)
            file.write(content)


def make_tree(top):
    """One of everything that an archive must bring over."""
    folder = top / "tree"
    deep = folder / LONG / LONG / LONG
    deep.mkdir(parents=True)
    (deep / (LONG + ".txt")).write_text("deep")
    for name, size in (("empty", 0), ("small", 5), ("block", 512), ("full", 65536),
                       ("over", 65537), ("large", 3 * MIB + 7)):
        (folder / name).write_bytes(os.urandom(size))
    os.link(folder / "large", folder / "hard")
    os.link(folder / "small", deep / "hard-small")
    (folder / "link").symlink_to("small")
    (folder / "broken").symlink_to("/nowhere/" + LONG)
    (folder / "umlaut-\u00fc \n").write_text("x")
    os.mkfifo(folder / "pipe", 0o640)
    sparse_file(folder / "holes", 20 * MIB, ((0, b"begin"), (5 * MIB, b"m" * 70000),
                                             (20 * MIB - 3, b"end")))
    sparse_file(folder / "hole", 9 * MIB, ())
    sparse_file(folder / "tail", 9 * MIB + 1, ((MIB, b"x"),))
    with contextlib.suppress(OSError):
        os.setxattr(folder / "small", b"user.word", b"a\0b\nc")
        os.setxattr(folder / LONG, b"user.folder", b"of it")
    if ROOT:
        os.mknod(folder / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(folder / "disk", stat.S_IFBLK | 0o600, os.makedev(259, 70000))
        os.chown(folder / "small", 3000000000, 70000)
        (folder / "suid").write_text("")
        os.chown(folder / "suid", 12, 34)
        (folder / "suid").chmod(0o4755)
    (folder / "full").chmod(0o400)
    (folder / "shut").mkdir()
    (folder / "shut" / "inside").write_text("in")
    (folder / "shut").chmod(0o555)
    os.utime(folder / "block", ns=(0, 1234567890123456789))
    os.utime(folder / "empty", ns=(0, -1750000000))
    os.utime(folder / "shut", ns=(0, 1000000000000000001))
    os.utime(folder / LONG, ns=(0, 99999999999000000000))
    os.utime(folder / "link", ns=(0, 1111111111000000000), follow_symlinks=False)
    return folder


def hash_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(MIB):
            digest.update(piece)
    return digest.hexdigest()


def describe(top, times=True, owners=ROOT, xattrs=True):
    """{path: all that counts} of a tree."""
    found, inodes = {}, {}
    for folder, folders, names in os.walk(top):
        for name in [*folders, *names, "."]:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            relative = os.path.relpath(path, top)
            facts = {"mode": info.st_mode, "device": info.st_rdev}
            if times:
                facts["time"] = info.st_mtime_ns
            if owners:
                facts["owner"] = (info.st_uid, info.st_gid)
            if stat.S_ISREG(info.st_mode):
                facts["content"] = (info.st_size, hash_of(path))
            if stat.S_ISLNK(info.st_mode):
                facts["link"] = os.readlink(path)
            elif xattrs:
                facts["xattrs"] = {n: os.getxattr(path, n) for n in os.listxattr(path)
                                   if n.startswith("user.")}
            if not stat.S_ISDIR(info.st_mode):
                inodes.setdefault(info.st_ino, set()).add(relative)
                facts["names"] = inodes[info.st_ino]
            found[relative] = facts
    return found


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.top = Path(tempfile.mkdtemp(prefix="banger-tar-"))
        self.addCleanup(self.remove)
        self.out = self.top / "out"
        self.out.mkdir()
        self.archive = io.BytesIO()

    def remove(self):
        for folder, _, _ in os.walk(self.top):
            os.chmod(folder, 0o700)
        shutil.rmtree(self.top)

    def assert_good(self, result):
        self.assertEqual((result.returncode, result.stderr), (0, b""))

    def assert_bad(self, result, *words):
        self.assertEqual(result.returncode, 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr.decode(errors="replace"))

    @contextlib.contextmanager
    def making(self, **more):
        """A tarfile; afterwards self.archive is bytes."""
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w", **more) as tar:
            yield tar
        self.archive = target.getvalue()

    @staticmethod
    def add(tar, name, kind=tarfile.REGTYPE, data=b"", link="", **more):
        info = tarfile.TarInfo(name)
        info.type, info.size, info.linkname = kind, len(data), link
        info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
        for key, value in more.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(data))


class SameTest(Case):
    def setUp(self):
        super().setUp()
        self.tree = make_tree(self.top)
        self.before = describe(self.tree)

    def test_gnu_tar_reads_ours(self):
        archive = pack(self.tree)
        self.assert_good(archive)
        result = run("tar", "-xpf", "-", "--xattrs", "--numeric-owner", "--warning=no-timestamp", "-C", self.out,
                     data=archive.stdout)
        self.assert_good(result)
        self.assertEqual(describe(self.out / "tree"), self.before)

    def test_tarfile_reads_ours(self):
        with tarfile.open(fileobj=io.BytesIO(pack(self.tree).stdout)) as tar:
            self.assertEqual(len(tar.getmembers()), len(self.before) - sum(
                1 for name in self.before if name.endswith("/.")))

    def test_ours_reads_gnu_tar(self):
        more = ["--owner=+0", "--group=+0"] if not ROOT else []
        for number, options in enumerate((["--format=pax", "--xattrs"],
                                          ["--format=pax", "--xattrs", "--sparse"])):
            archive = run("tar", "-cf", "-", *options, *more, "-C", self.top, "tree")
            self.assertEqual(archive.returncode, 0, archive.stderr)
            into = self.out / str(number)
            into.mkdir()
            self.assert_good(unpack(into, archive.stdout, *(["keep"] if ROOT else [])))
            self.assertEqual(describe(into / "tree"), self.before, options)

    def test_ours_reads_the_gnu_format(self):
        """Without nanoseconds and extended attributes, which it cannot hold."""
        archive = run("tar", "-cf", "-", "--format=gnu", "-C", self.top, "--exclude=empty", "tree")
        self.assertEqual(archive.returncode, 0, archive.stderr)
        self.assert_good(unpack(self.out, archive.stdout, *(["keep"] if ROOT else [])))
        wanted = describe(self.tree, times=False, xattrs=False)
        del wanted["empty"]
        self.assertEqual(describe(self.out / "tree", times=False, xattrs=False), wanted)

    def test_ours_reads_ours(self):
        archive = pack("tree", cwd=self.top)
        self.assert_good(unpack(self.out, archive.stdout, *(["keep"] if ROOT else [])))
        self.assertEqual(describe(self.out / "tree"), self.before)
        for name in ("holes", "hole", "tail"):
            blocks = (self.out / "tree" / name).stat().st_blocks
            self.assertLessEqual(blocks, (self.tree / name).stat().st_blocks + 64, name)
        self.assertLess(len(archive.stdout), 8 * MIB)

    def test_gnus_own_sparse_files(self):
        """More extents than the header holds, and than the block after it."""
        sparse_file(self.tree / "many", 8 * MIB, [(i * 256 * 1024, b"x" * 5000) for i in range(30)])
        (self.tree / "empty").unlink()
        before = describe(self.tree, times=False, xattrs=False)
        archive = run("tar", "-c", "-S", "--format=gnu", "tree", cwd=self.top)
        self.assert_good(archive)
        self.assertLess(len(archive.stdout), 8 * MIB)
        self.assert_good(unpack(self.out, archive.stdout, *(["keep"] if ROOT else [])))
        self.assertEqual(describe(self.out / "tree", times=False, xattrs=False), before)

    def test_a_second_time_over_the_first(self):
        archive = pack(self.tree).stdout
        keep = ["keep"] if ROOT else []
        self.assert_good(unpack(self.out, archive, *keep))
        result = unpack(self.out, archive, *keep)
        # Without root, a folder that may not be written cannot be filled again.
        if ROOT:
            self.assert_good(result)
        self.assertEqual(describe(self.out / "tree"), self.before)

    def test_owners_are_the_users(self):
        self.assert_good(unpack(self.out, pack(self.tree).stdout))
        for path in self.out.rglob("*"):
            info = path.lstat()
            self.assertEqual((info.st_uid, info.st_gid), (os.geteuid(), os.getegid()), path)
            if not path.is_symlink():
                self.assertEqual(info.st_mode & (stat.S_ISUID | stat.S_ISGID), 0, path)


class PlaceTest(Case):
    """Where things go, and what they take the place of."""

    def test_names(self):
        (self.top / "one").write_text("1")
        (self.top / "two").mkdir()
        archive = pack("one", "../%s/two/" % self.top.name, cwd=self.top)
        self.assert_good(archive)
        self.assert_good(unpack(self.out, archive.stdout))
        self.assertEqual(sorted(os.listdir(self.out)), ["one", "two"])
        inside = pack(".", cwd=self.top / "two")
        with tarfile.open(fileobj=io.BytesIO(inside.stdout)) as tar:
            self.assertEqual(tar.getnames(), ["."])

    def test_rename(self):
        tree = self.top / "old"
        (tree / "old").mkdir(parents=True)
        (tree / "file").write_text("1")
        os.link(tree / "file", tree / "old" / "again")
        self.assert_good(unpack(self.out, pack(tree).stdout, "rename", "new"))
        self.assertEqual(os.listdir(self.out), ["new"])
        self.assertEqual(sorted(os.listdir(self.out / "new")), ["file", "old"])
        self.assertTrue(os.path.samefile(self.out / "new/file", self.out / "new/old/again"))
        self.assert_good(unpack(self.out, pack(tree / "file").stdout, "rename", "single"))
        self.assertEqual((self.out / "single").read_text(), "1")

    def test_makes_the_folder(self):
        with self.making() as tar:
            self.add(tar, "a/b/c", data=b"x")
        self.assert_bad(unpack(self.out / "not/there", self.archive), "not/there", "No such file")
        self.assert_good(unpack(self.out / "not/there", self.archive, "mkdir"))
        self.assertEqual((self.out / "not/there/a/b/c").read_text(), "x")

    def test_replaces_without_writing_to_what_was_there(self):
        (self.out / "file").write_text("old")
        os.link(self.out / "file", self.out / "other")
        (self.top / "victim").write_text("safe")
        (self.out / "link").symlink_to(self.top / "victim")
        (self.out / "was-link").symlink_to(self.top)
        with self.making() as tar:
            self.add(tar, "file", data=b"new")
            self.add(tar, "link", data=b"new")
            self.add(tar, "was-link", tarfile.DIRTYPE)
            self.add(tar, "was-link/victim", data=b"new")
            self.add(tar, "other", tarfile.LNKTYPE, link="file")
        with open(self.out / "file", encoding="ascii") as old:
            self.assert_good(unpack(self.out, self.archive))
            self.assertEqual(old.read(), "old")
        self.assertEqual((self.out / "file").read_text(), "new")
        self.assertEqual((self.out / "link").read_text(), "new")
        self.assertTrue(os.path.samefile(self.out / "file", self.out / "other"))
        self.assertEqual((self.out / "was-link/victim").read_text(), "new")
        self.assertEqual((self.top / "victim").read_text(), "safe")
        self.assertEqual(sorted(os.listdir(self.out)), ["file", "link", "other", "was-link"])

    def test_a_folder_is_not_replaced(self):
        (self.out / "kept").mkdir()
        with self.making() as tar:
            self.add(tar, "kept", data=b"new")
            self.add(tar, "after", data=b"new")
        self.assert_bad(unpack(self.out, self.archive), "kept: Is a directory")
        self.assertEqual((self.out / "after").read_text(), "new")
        self.assertEqual(sorted(os.listdir(self.out)), ["after", "kept"])

    def test_what_is_not_there(self):
        (self.top / "there").write_text("1")
        result = pack("missing", "there", cwd=self.top)
        self.assert_bad(result, "missing: No such file or directory\n")
        self.assert_bad(pack("/no/such", cwd=self.top), "/no/such: No such file or directory\n")
        self.assert_good(unpack(self.out, result.stdout))
        self.assertEqual(os.listdir(self.out), ["there"])

    def test_names_of_what_is_not_there(self):
        """A link to what is not in the archive would be a fault of who unpacks it."""
        tree = self.top / "tree"
        tree.mkdir()
        for name in ("small", "large"):
            (tree / name).write_bytes(bytes(70000 if name == "large" else 5))
            (tree / name).chmod(0)
            os.link(tree / name, tree / (name + "-again"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tree / "socket"))
        os.link(tree / "socket", tree / "socket-again")
        (tree / "there").write_text("1")
        result = pack(tree, preexec_fn=without_rights)
        self.assert_bad(result)
        self.assertEqual(set(result.stderr.decode().splitlines()), {
            "%s/%s: Permission denied" % (tree, name)
            for name in ("large", "large-again", "small", "small-again")})
        self.assert_good(unpack(self.out, result.stdout))
        self.assertEqual(os.listdir(self.out / "tree"), ["there"])

    def test_the_kernels_files(self):
        """They do not say how long they are."""
        self.assert_good(unpack(self.out, pack("/proc/self/mounts", "/proc/version").stdout))
        self.assertEqual((self.out / "version").read_text(), Path("/proc/version").read_text())


class OwnerTest(Case):
    """Whose the copies are, and the bits that mean nothing without their owner."""

    def make(self, uid, gid):
        owner = {"uid": uid, "gid": gid, "mtime": 5}
        with self.making() as tar:
            self.add(tar, "folder", tarfile.DIRTYPE, mode=0o7755, **owner)
            self.add(tar, "folder/file", data=b"x", mode=0o6755, **owner)

    def modes(self):
        return [stat.S_IMODE((self.out / name).stat().st_mode) for name in ("folder", "folder/file")]

    def test_the_users(self):
        self.make(os.geteuid(), os.getegid())
        self.assert_good(unpack(self.out, self.archive))
        self.assertEqual(self.modes(), [0o1755, 0o755])

    def test_kept(self):
        self.make(*((12, 34) if ROOT else (os.geteuid(), os.getegid())))
        self.assert_good(unpack(self.out, self.archive, "keep"))
        self.assertEqual(self.modes(), [0o7755, 0o6755])

    def test_kept_where_they_cannot_be(self):
        self.make(12, 34)
        result = unpack(self.out, self.archive, "keep", preexec_fn=without_rights)
        self.assert_bad(result, "folder: Operation not permitted",
                        "folder/file: Operation not permitted")
        self.assertEqual(self.modes(), [0o1755, 0o755])
        for name in ("folder", "folder/file"):
            info = (self.out / name).stat()
            self.assertEqual((info.st_uid, info.st_mtime), (os.geteuid(), 5), name)


class HostileTest(Case):
    def setUp(self):
        super().setUp()
        (self.top / "victim").write_text("safe")
        self.before = describe(self.top)

    def assert_refused(self, *words):
        self.assert_bad(unpack(self.out, self.archive), *words)
        shutil.rmtree(self.out)
        self.out.mkdir()
        self.assertEqual(describe(self.top, times=False), {
            name: {k: v for k, v in facts.items() if k != "time"}
            for name, facts in self.before.items()})

    def test_ways_out(self):
        for name in ("../victim", "a/../../victim", "a/..", ".."):
            with self.making() as tar:
                self.add(tar, name, data=b"evil")
            self.assert_refused("it would leave the folder")

    def test_absolute_names_stay_inside(self):
        with self.making() as tar:
            self.add(tar, "/%s/victim" % self.top, data=b"new")
        self.assert_good(unpack(self.out, self.archive))
        self.assertEqual((self.out / str(self.top)[1:] / "victim").read_text(), "new")

    def test_through_links(self):
        for target in ("..", str(self.top), "../out"):
            with self.making() as tar:
                self.add(tar, "way", tarfile.SYMTYPE, link=target)
                self.add(tar, "way/victim", data=b"evil")
                self.add(tar, "way/folder/victim", data=b"evil")
            self.assert_refused("it leads through what is no folder")

    def test_links_to_outside(self):
        for link in ("../victim", str(self.top / "victim"), "way/victim"):
            with self.making() as tar:
                self.add(tar, "way", tarfile.SYMTYPE, link="..")
                self.add(tar, "hard", tarfile.LNKTYPE, link=link)
                self.add(tar, "hard", data=b"evil", mode=0o4777)
            result = unpack(self.out, self.archive)
            self.assert_bad(result, "hard: ")
            self.assertEqual((self.top / "victim").read_text(), "safe")
            self.assertEqual((self.top / "victim").stat().st_nlink, 1)
            shutil.rmtree(self.out)
            self.out.mkdir()

    def test_a_link_in_place_of_a_folder(self):
        """Its mode and time are not given to what the link leads to."""
        with self.making() as tar:
            self.add(tar, "way", tarfile.DIRTYPE, mode=0o700, mtime=5)
            self.add(tar, "way", tarfile.SYMTYPE, link="..")
        before = self.top.stat().st_mode
        self.assert_bad(unpack(self.out, self.archive), "way: Is a directory")
        self.assertEqual(self.top.stat().st_mode, before)

    def test_damage(self):
        with self.making() as tar:
            self.add(tar, "a", data=b"x" * 5000)
        good = self.archive
        cases = {
            "cut in the data": good[:3000], "cut in the header": good[:100], "empty": b"",
            "without an end": good[:512 + 5120], "garbage": os.urandom(5000),
            "another checksum": good[:148] + b"0000000\0" + good[156:],
            "no magic": good[:257] + b"\0" * 8 + good[265:]}
        for what, archive in cases.items():
            self.archive = archive
            with self.subTest(what):
                self.assert_refused("the archive: ")

    def test_bad_records(self):
        for key, value in (("size", "-1"), ("size", "9" * 30), ("uid", "99999999999"),
                           ("mtime", "now"), ("GNU.sparse.major", "2"), ("GNU.sparse.map", "0,1"),
                           ("path", "x" * 20000), ("path", "")):
            with self.making(format=tarfile.PAX_FORMAT) as tar:
                self.add(tar, "a", pax_headers={key: value})
            with self.subTest(key + value[:20]):
                self.assert_refused("the archive: ")

    def test_bad_maps(self):
        for text in ("", "1\n", "1\n0\n", "x\n", "2\n10\n5\n0\n5\n", "1\n99\n5\n", "1\n0\n600\n",
                     "99999999999\n", "1\n-1\n5\n", "0\n"):
            data = text.encode().ljust(512, b"\0") + b"12345".ljust(512, b"\0")
            with self.making(format=tarfile.PAX_FORMAT) as tar:
                self.add(tar, "a", data=data, pax_headers={
                    "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a",
                    "GNU.sparse.realsize": "100"})
            with self.subTest(text):
                self.assert_refused("the archive: a sparse file's map is wrong")

    def old_sparse(self, extents, size, real, more=b""):
        """A header of GNU's own format; up to four extents, and blocks of others as they are."""
        info = tarfile.TarInfo("a")
        info.type, info.size = b"S", size
        header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        for i, extent in enumerate(extents):
            header[386 + 24 * i:410 + 24 * i] = b"%011o\0%011o\0" % extent
        header[482:495] = (b"\1" if more else b"\0") + b"%011o\0" % real
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return bytes(header) + more + b"12345".ljust(512, b"\0")

    def test_bad_old_maps(self):
        end = bytes(1024)
        bad_block = (b"%011o\0%011o\0" % (2, 5)).ljust(512, b"\0")
        self.archive = self.old_sparse([(7, 5)], 5, 100) + end
        self.assert_good(unpack(self.out, self.archive))
        self.assertEqual((self.out / "a").read_bytes(), (bytes(7) + b"12345").ljust(100, b"\0"))
        shutil.rmtree(self.out)
        self.out.mkdir()
        for arguments in (([(10, 5), (0, 5)], 10, 100), ([(99, 5)], 5, 100), ([(7, 5)], 4, 100),
                          ([], 5, 100), ([(0, 5)], 10, 100, bad_block)):
            self.archive = self.old_sparse(*arguments) + end
            with self.subTest(arguments):
                self.assert_refused("the archive: a sparse file's map is wrong")
        self.archive = self.old_sparse([(7, 5)], 5, 100, b"cut off")[:519]
        self.assert_refused("the archive: it is cut off")

    def test_large_numbers_cost_nothing(self):
        """What is said of a size is not believed until the bytes are there."""
        info = tarfile.TarInfo("a")
        info.size = 1 << 50
        header = info.tobuf(tarfile.GNU_FORMAT)
        for self.archive in (header, info.tobuf(tarfile.PAX_FORMAT)):
            self.assert_refused("cut off")
        for kind in (b"x", b"L"):
            info.type, info.size = kind, 1 << 40
            self.archive = info.tobuf(tarfile.GNU_FORMAT)
            self.assert_refused("the archive: ")

    def test_names_do_not_break_lines(self):
        with self.making() as tar:
            self.add(tar, "../a\n\x1b[31mb", data=b"")
        result = unpack(self.out, self.archive)
        self.assertEqual(result.stderr, b"../a??[31mb: it would leave the folder\n")


if __name__ == "__main__":
    unittest.main()
