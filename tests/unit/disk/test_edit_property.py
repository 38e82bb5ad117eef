# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random changes of a disk by the library, and the same by the kernel to a copy of it that is
mounted: both end as the same tree, for an image and for an upper disk over one. The seed is printed;
BANGER_EDIT_SEED repeats a run, BANGER_EDIT_STEPS makes it longer."""

import errno
import hashlib
import multiprocessing
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
from pathlib import Path

TOOL = os.environ["BANGER_EDIT_STEPS_TOOL"]
STEPS = int(os.environ.get("BANGER_EDIT_STEPS", "400"))
SEED = int(os.environ.get("BANGER_EDIT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
CHECK_EVERY = 50
MODE, UID, GID, MTIME = 1, 2, 4, 8
NAMES = [b"a", b"b", b"c", b"dir", b"etc", "ünï".encode(), b"\xff\xfe raw", b"l" * 255, b"x%41 y"]
SIZES = (0, 1, 100, 4095, 4096, 5000, 70000, 300000, 1 << 20)
CAPABILITY = struct.pack("<IIIII", 0x02000001, 0x3000, 0, 0, 0)
ACL = struct.pack("<I" + "HHI" * 5, 2, 1, 6, 0xffffffff, 2, 4, 1234, 4, 4, 0xffffffff,
                  16, 4, 0xffffffff, 32, 0, 0xffffffff)


def content(rng):
    size = rng.choice(SIZES)
    data = bytearray(rng.randbytes(size))
    if size > 200000 and rng.random() < 0.5:
        data[8192:8192 + 131072] = bytes(131072)
    return bytes(data)


# ── What the kernel does, in a process whose root is the mounted copy ────────────────────────────

class Kernel:
    def __init__(self, folder):
        os.chroot(folder)
        os.chdir("/")
        os.umask(0)

    @staticmethod
    def _attributes(path, what, mode, uid, gid, mtime):
        is_link = stat.S_ISLNK(os.lstat(path).st_mode)
        if what & (UID | GID):
            os.chown(path, uid if what & UID else -1, gid if what & GID else -1,
                     follow_symlinks=False)
        if what & MODE and not is_link:
            os.chmod(path, mode)
        if what & MTIME:
            os.utime(path, ns=(0, mtime), follow_symlinks=False)

    def write(self, path, data, what, mode, uid, gid, mtime):
        """A new file takes the place of the old one, as the library does it."""
        old, names = None, {}
        try:
            old = os.lstat(path)
        except FileNotFoundError:
            pass
        if old is not None and not (stat.S_ISREG(old.st_mode) or stat.S_ISLNK(old.st_mode)):
            raise FileExistsError(path)
        new = os.path.join(os.path.dirname(path), b".new")
        with open(new, "xb") as file:
            file.write(data)
        if old is not None and stat.S_ISREG(old.st_mode):
            names = {n: os.getxattr(path, n) for n in os.listxattr(path)
                     if n != "security.capability"}
            mode, uid, gid = (mode if what & MODE else stat.S_IMODE(old.st_mode),
                              uid if what & UID else old.st_uid,
                              gid if what & GID else old.st_gid)
        else:
            mode, uid, gid = (mode if what & MODE else 0o644, uid if what & UID else 0,
                              gid if what & GID else 0)
        self._attributes(new, what | MODE | UID | GID, mode, uid, gid, mtime)
        for name, value in names.items():
            os.setxattr(new, name, value)
        os.chmod(new, mode)
        os.rename(new, path)

    def mkdir(self, path, what, mode, uid, gid, mtime):
        os.mkdir(path)
        self._attributes(path, what | MODE | UID | GID, mode if what & MODE else 0o755,
                         uid if what & UID else 0, gid if what & GID else 0, mtime)

    def symlink(self, path, target, what, uid, gid, mtime):
        os.symlink(target, path)
        self._attributes(path, what & ~MODE | UID | GID, 0, uid if what & UID else 0,
                         gid if what & GID else 0, mtime)

    @staticmethod
    def link(path, target):
        os.link(target, path, follow_symlinks=False)

    def rename(self, path, to):
        try:
            os.rename(path, to)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            # A folder of the lower tree: as mv(1) does it.
            if os.path.lexists(to):
                os.rmdir(to)
            self._copy(path, to)
            self.remove(path, True)

    def _copy(self, path, to):
        info = os.lstat(path)
        if stat.S_ISDIR(info.st_mode):
            os.mkdir(to)
            for name in os.listdir(path):
                self._copy(os.path.join(path, name), os.path.join(to, name))
        elif stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(path), to)
        elif stat.S_ISREG(info.st_mode):
            with open(path, "rb") as source, open(to, "xb") as target:
                target.write(source.read())
        else:
            os.mknod(to, info.st_mode, info.st_rdev)
        os.chown(to, info.st_uid, info.st_gid, follow_symlinks=False)
        for name in os.listxattr(path, follow_symlinks=False):
            os.setxattr(to, name, os.getxattr(path, name, follow_symlinks=False),
                        follow_symlinks=False)
        if not stat.S_ISLNK(info.st_mode):
            os.chmod(to, stat.S_IMODE(info.st_mode))
        os.utime(to, ns=(0, info.st_mtime_ns), follow_symlinks=False)

    @staticmethod
    def remove(path, recursive):
        if path == b"/":
            raise OSError(errno.EBUSY, "the root stays")  # rmtree would empty it first
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            os.unlink(path)
        elif recursive:
            shutil.rmtree(path)
        else:
            os.rmdir(path)

    def set(self, path, recursive, what, mode, uid, gid, mtime):
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode) and what & MODE and not recursive:
            raise OSError(errno.EINVAL, "a link has no mode")
        self._attributes(path, what, mode, uid, gid, mtime)
        if recursive and stat.S_ISDIR(info.st_mode):
            for name in os.listdir(path):
                self.set(os.path.join(path, name), True, what, mode, uid, gid, mtime)

    @staticmethod
    def _describe(path):
        info = os.lstat(path)
        facts = {"mode": info.st_mode, "owner": (info.st_uid, info.st_gid),
                 "mtime": info.st_mtime_ns}
        facts["xattrs"] = {name: os.getxattr(path, name, follow_symlinks=False)
                           for name in os.listxattr(path, follow_symlinks=False)
                           if name != "trusted.banger.fresh"}  # for the guest's first start
        if not stat.S_ISDIR(info.st_mode):
            facts["size"], facts["links"] = info.st_size, info.st_nlink
            facts["device"] = (os.major(info.st_rdev), os.minor(info.st_rdev))
        if stat.S_ISLNK(info.st_mode):
            facts["target"] = os.readlink(path)
        elif stat.S_ISREG(info.st_mode):
            with open(path, "rb") as file:
                facts["digest"] = hashlib.sha256(file.read()).hexdigest()
        return facts

    def walk(self):
        found = {b"": self._describe(b"/")}
        for folder, folders, files in os.walk(b"/"):
            for name in folders + files:
                path = os.path.join(folder, name)
                found[path[1:]] = self._describe(path)
        return found


def serve(folder, pipe):
    kernel = Kernel(folder)
    while True:
        call = pipe.recv()
        if call is None:
            return
        try:
            pipe.send(("ok", getattr(kernel, call[0])(*call[1:])))
        except (OSError, shutil.Error) as error:
            pipe.send(("%s %r" % (errno.errorcode.get(getattr(error, "errno", None) or 0), error), None))


class Mounted:
    """The kernel's side."""

    def __init__(self, folder):
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=serve,
                                                                   args=(folder, other))
        self.process.start()
        other.close()

    def call(self, *words):
        self.pipe.send(words)
        return self.pipe.recv()

    def close(self):
        self.pipe.send(None)
        self.process.join()


# ── What the library does ────────────────────────────────────────────────────────────────────────

class Library:
    def __init__(self, folder, *disks):
        self.folder = folder
        self.process = subprocess.Popen([TOOL, *disks], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def line(self, *fields):
        words = [urllib.parse.quote_from_bytes(f if isinstance(f, bytes) else str(f).encode(), "/")
                 for f in fields]
        self.process.stdin.write(" ".join(words).encode() + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().strip()

    @staticmethod
    def _meta(what, mode, uid, gid, mtime):
        return what, mode, uid, gid, mtime // 10**9, mtime % 10**9

    def call(self, verb, *words):
        if verb == "write":
            path, data, what, mode, uid, gid, mtime = words
            file = self.folder / "content"
            file.write_bytes(data)
            return self.line(verb, path, file, *self._meta(what, mode, uid, gid, mtime))
        if verb == "mkdir":
            return self.line(verb, words[0], 0, *self._meta(*words[1:]))
        if verb == "symlink":
            path, target, what, uid, gid, mtime = words
            return self.line(verb, path, target, *self._meta(what, 0, uid, gid, mtime))
        if verb == "set":
            return self.line(verb, words[0], int(words[1]), *self._meta(*words[2:]))
        return self.line(verb, *(int(w) if isinstance(w, bool) else w for w in words))

    def walk(self):
        file = self.folder / "walk"
        answer = self.line("walk", file)
        if answer != "ok":
            raise AssertionError(answer)
        return dict(self._thing(line.split(" ")) for line in file.read_text().splitlines())

    @staticmethod
    def _thing(words):
        numbers = [int(words[1], 8)] + [int(w) for w in words[2:10]]
        mode, uid, gid, size, seconds, nsec, links, major, minor = numbers
        facts = {"mode": mode, "owner": (uid, gid), "mtime": seconds * 10**9 + nsec, "xattrs": {}}
        for xattr in words[12:]:
            name, value = xattr.split("=")
            facts["xattrs"][name] = bytes.fromhex(value)
        if not stat.S_ISDIR(mode):
            facts.update(size=size, links=links, device=(major, minor))
        if stat.S_ISLNK(mode):
            facts["target"] = bytes.fromhex(words[10][1:])
        elif stat.S_ISREG(mode):
            facts["digest"] = words[11]
        return bytes.fromhex(words[0][1:]), facts

    def finish(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait()


# ── Random steps ─────────────────────────────────────────────────────────────────────────────────

class Steps:
    """What can be done next, more often to what is there than to what is not."""

    def __init__(self, rng, links=True, moves=True):
        self.rng, self.links, self.moves = rng, links, moves
        self.paths, self.folders = [b"/"], [b"/"]

    def learn(self, walk):
        self.paths = sorted(b"/" + p for p in walk)
        self.folders = sorted(b"/" + p for p in walk if stat.S_ISDIR(walk[p]["mode"]))

    def _new(self):
        folder = self.rng.choice(self.folders)
        if folder.count(b"/") > 4:
            folder = b"/"
        return os.path.join(folder, self.rng.choice(NAMES))

    def _path(self):
        return self.rng.choice(self.paths) if self.rng.random() < 0.6 else self._new()

    def _meta(self):
        rng = self.rng
        return (rng.randrange(16), rng.choice((0o600, 0o644, 0o755, 0o4711, 0o2775, 0o1777)),
                rng.choice((0, 5, 70000, 4000000000)), rng.choice((0, 7, 65536)),
                rng.choice((-2**31 + 1, -1, 0, 10**9, 2**31, 2**33)) * 10**9 + rng.randrange(10**9))

    def next(self):
        rng, kind = self.rng, self.rng.random()
        what, mode, uid, gid, mtime = self._meta()
        if kind < 0.30:
            return "write", self._path(), content(rng), what, mode, uid, gid, mtime
        if kind < 0.48:
            return "mkdir", self._new(), what, mode, uid, gid, mtime
        if kind < 0.56:
            target = rng.choice([self._path(), rng.choice(NAMES), b"../" + rng.choice(NAMES),
                                 b"t" * rng.choice((59, 60, 1000))])
            return "symlink", self._new(), target, what, uid, gid, mtime
        if kind < 0.62 and self.links:
            return "link", self._new(), self._path()
        if kind < 0.76 and self.moves:
            return "rename", self._path(), self._path()
        if kind < 0.86:
            return "remove", self._path(), rng.random() < 0.4
        return "set", self._path(), rng.random() < 0.2, what or MODE, mode, uid, gid, mtime


def make_tree(folder):
    """What the changes begin with: by the kernel, with all that an inode can have."""
    rng = random.Random(7)
    for top in (b"etc", b"dir", b"dir/a", b"dir/a/b", b"big"):
        os.mkdir(os.path.join(folder, top))
    for i in range(600):
        with open(os.path.join(folder, b"big/a-name-of-some-length-%04d" % i), "wb"):
            pass
    for top in (b"", b"etc", b"dir", b"dir/a"):
        for name in NAMES[:3] + NAMES[5:]:
            path = os.path.join(folder, top, name)
            if not os.path.lexists(path):
                with open(path, "wb") as file:
                    file.write(content(rng))
    paths = [os.path.join(folder, top, NAMES[5]) for top in (b"etc", b"dir", b"dir/a")]
    os.setxattr(paths[0], "user.small", b"v")
    os.setxattr(paths[0], "user.block", b"b" * 3000)
    os.setxattr(paths[1], "security.capability", CAPABILITY)
    os.chmod(paths[1], 0o4755)
    os.setxattr(paths[2], "system.posix_acl_access", ACL)
    os.setxattr(os.path.join(folder, b"dir"), "trusted.some", b"value")
    os.symlink("/etc", os.path.join(folder, b"absolute"))
    os.symlink("../../dir/a", os.path.join(folder, b"dir/above"))
    os.utime(os.path.join(folder, b"dir/a", NAMES[0]), ns=(0, -1_500_000_000))
    os.mkfifo(os.path.join(folder, b"fifo"))
    os.mknod(os.path.join(folder, b"null"), 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(os.path.join(folder, b"nvme"), 0o660 | stat.S_IFBLK, os.makedev(259, 70000))


@unittest.skipUnless(os.geteuid() == 0, "needs root, to mount images")
@unittest.skipUnless(os.path.exists("/dev/loop-control"), "needs loop devices")
class EditProperty(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="banger-edits-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.rng = random.Random("%d %s" % (SEED, self.id()))
        print("# seed %d" % SEED, flush=True)

    def mount(self, name, options, kind=None, source=None):
        point = self.folder / name
        point.mkdir()
        done = subprocess.run(["mount", *(["-t", kind] if kind else []), "-o", options,
                               source or "none", point], stderr=subprocess.PIPE, text=True,
                              check=False)
        if done.returncode and ("loop" in done.stderr or kind == "overlay"):
            self.skipTest("cannot be mounted here: " + done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(subprocess.run, ["umount", point], check=True)
        return point

    def make_disk(self, name, tree, journal=True):
        disk = self.folder / name
        with disk.open("wb") as file:
            file.truncate(256 << 20)
        subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-I", "256",
                        "-O", "^resize_inode" + ("" if journal else ",^has_journal"), disk],
                       check=True)
        if tree:
            point = self.folder / (name + ".tree")
            point.mkdir()
            done = subprocess.run(["mount", "-o", "loop", disk, point], stderr=subprocess.PIPE,
                                  text=True, check=False)
            if done.returncode:
                self.skipTest("cannot be mounted here: " + done.stderr.strip())
            try:
                make_tree(os.fsencode(point))
            finally:
                subprocess.run(["umount", point], check=True)
        return disk

    def assert_same(self, got, expected, links, since, when):
        def plain(facts):
            facts = {key: value for key, value in facts.items() if links or key != "links"}
            if since - 1 <= facts["mtime"] / 10**9 <= time.time() + 1:
                facts["mtime"] = "now"
            return facts

        self.assertEqual(sorted(got), sorted(expected), when)
        for path in expected:
            if path.split(b"/")[0] != b"lost+found":
                self.assertEqual(plain(got[path]), plain(expected[path]), (path, when))

    def compare(self, library, kernel, links, since, when):
        walk = library.walk()
        said, expected = kernel.call("walk")
        self.assertEqual(said, "ok", when)
        self.assert_same(walk, expected, links, since, when)
        return walk

    def grow_folder(self, library, kernel):
        """One of many blocks: the library's own has no index, those of make_tree have."""
        for side in (library, kernel):
            side.call("mkdir", b"/grown", 0, 0, 0, 0, 0)
            for i in range(400):
                side.call("write", b"/grown/a-name-of-some-length-%04d" % i, b"", 0, 0, 0, 0, 0)

    def run_steps(self, library, kernel, steps, links):
        since, done, good = time.time(), [], 0
        self.grow_folder(library, kernel)
        steps.learn(self.compare(library, kernel, links, since, "before all"))
        for number in range(1, STEPS + 1):
            step = steps.next()
            done.append(tuple(w[:40] if isinstance(w, bytes) else w for w in step))
            answer, said = library.call(*step), kernel.call(*step)[0]
            good += said == "ok"
            self.assertEqual(answer == "ok", said == "ok",
                             "step %d %s: library '%s', kernel '%s'"
                             % (number, done[-1], answer, said))
            self.assertNotIn("damaged", answer)
            if number % CHECK_EVERY == 0 or number == STEPS:
                when = "\n".join(map(str, done))
                steps.learn(self.compare(library, kernel, links, since, when))
                done = []
                if self.rng.random() < 0.3:
                    self.assertEqual(library.line("reopen"), "ok")
        self.assertGreater(good, STEPS / 4)
        walk = library.walk()
        self.assertEqual(library.finish(), 0)
        return walk, since

    def check(self, disk):
        done = subprocess.run(["e2fsck", "-fn", disk], stdout=subprocess.PIPE, text=True,
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_image(self):
        disk = self.make_disk("disk", tree=True)
        copy = self.folder / "copy"
        shutil.copyfile(disk, copy)
        kernel = Mounted(self.mount("mounted", "loop", source=copy))
        self.addCleanup(kernel.close)
        walk, since = self.run_steps(Library(self.folder, disk), kernel, Steps(self.rng), True)
        self.check(disk)
        after = Mounted(self.mount("after", "loop", source=disk))
        self.addCleanup(after.close)
        self.assert_same(after.call("walk")[1], walk, True, since, "by the kernel")

    def overlay(self, **what):
        lower, upper = self.make_disk("lower", tree=True, journal=False), \
            self.make_disk("upper", tree=False)
        below = self.mount("lower.mnt", "loop,ro,noload", source=lower)
        digest = hashlib.sha256(lower.read_bytes()).digest()
        copy = self.folder / "copy"
        shutil.copyfile(upper, copy)

        def layered(name, disk):
            point = self.mount(name + ".mnt", "loop", source=disk)
            (point / "upper").mkdir(exist_ok=True)
            (point / "work").mkdir(exist_ok=True)
            info = below.stat()
            if not name.startswith("after"):
                os.chown(point / "upper", info.st_uid, info.st_gid)
                os.chmod(point / "upper", stat.S_IMODE(info.st_mode))
                os.utime(point / "upper", ns=(0, info.st_mtime_ns))
            top = self.mount(name, "lowerdir=%s,upperdir=%s,workdir=%s,redirect_dir=off,index=off,"
                             "metacopy=off" % (below, point / "upper", point / "work"), "overlay")
            kernel = Mounted(top)
            self.addCleanup(kernel.close)
            return kernel

        kernel = layered("mounted", copy)
        walk, since = self.run_steps(Library(self.folder, upper, lower), kernel,
                                     Steps(self.rng, **what), False)
        self.check(upper)
        self.assertEqual(hashlib.sha256(lower.read_bytes()).digest(), digest)
        after = layered("after", upper).call("walk")
        self.assertEqual(after[0], "ok")
        self.assert_same(after[1], walk, False, since, "by the kernel")

    # What is moved out of the lower tree is copied by the kernel's users: links to it are lost.
    def test_overlay_with_moves(self):
        self.overlay(links=False)

    def test_overlay_with_links(self):
        self.overlay(moves=False)

    # GNU tar's archive becomes the same tree, and so does ours, by GNU tar.
    def test_archives(self):
        source, target = self.make_disk("disk", tree=True), self.make_disk("target", tree=False)
        tar, packed, folder = (self.folder / name for name in ("tar", "packed", "extracted"))
        folder.mkdir()
        options = ["--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "--sparse"]
        point = self.mount("mounted", "loop,ro", source=source)
        subprocess.run(["tar", "-C", point, *options, "--exclude=./lost+found", "-cf", tar, "."],
                       check=True)
        kernel = Mounted(point)
        self.addCleanup(kernel.close)
        expected = kernel.call("walk")[1]
        del expected[b"lost+found"]
        library = Library(self.folder, target)
        self.assertEqual(library.line("mkdir", "/deep", 0, *[0] * 6), "ok")
        self.assertEqual(library.line("unpack", "/deep", tar), "ok")
        got = {p[5:]: facts for p, facts in library.walk().items()
               if p.split(b"/")[0] == b"deep"}
        self.assert_same(got, expected, True, time.time(), "unpacked")
        self.assertEqual(library.line("pack", "/deep", packed), "ok")
        self.assertEqual(library.finish(), 0)
        self.check(target)
        subprocess.run(["tar", "-C", folder, *options, "-xpf", packed], check=True)
        extracted = Mounted(folder / "deep")
        self.addCleanup(extracted.close)
        self.assert_same(extracted.call("walk")[1], expected, True, time.time(), "packed")


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
