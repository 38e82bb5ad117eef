# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same archive gives the same bytes: however it comes, whoever imports it, and when."""

import bz2
import gzip
import io
import lzma
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
from pathlib import Path

TOOL = os.environ["BANGER_IMPORT_TAR"]


def archive():
    noise = random.Random(5)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        def add(name, data=b"", kind=tarfile.REGTYPE, headers=None, **fields):
            info = tarfile.TarInfo(name)
            info.type, info.size, info.mtime = kind, len(data), 1700000000
            info.pax_headers = headers or {}
            for key, value in fields.items():
                setattr(info, key, value)
            tar.addfile(info, io.BytesIO(data))

        add("root", kind=tarfile.DIRTYPE, mode=0o700)
        add("root/large", noise.randbytes(3_000_001))
        add("root/zeros", bytes(1_000_000))
        add("root/ümläut", b"text", headers={"mtime": "1700000001.123456789"})
        add("label", b"x", headers={"SCHILY.xattr.security.selinux": "u:r:t:s0",
                                    "SCHILY.xattr.user.block": "b" * 3000})
        add("large-value", headers={"SCHILY.xattr.user.large": "l" * 9000})
        add("hard", kind=tarfile.LNKTYPE, linkname="root/large")
        add("slow", kind=tarfile.SYMTYPE, linkname="t" * 300)
        for i in range(4000):
            add("many/file-number-%05d-of-a-large-directory" % i)
    return out.getvalue()


class Reproducible(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="banger-reproducible-", dir="/var/tmp"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.archive = archive()
        cls.began = int(time.time())
        cls.first = cls.images(cls.archive)

    @classmethod
    def images(cls, data, piece=None, umask=0o022, **environment):
        """The bytes of the image and of its seed."""
        source = cls.folder / "source"
        source.write_bytes(data)
        paths = [cls.folder / "image", cls.folder / "seed"]
        env = dict(os.environ, **environment)
        if piece is None:
            with source.open("rb") as file:
                subprocess.run([TOOL, *paths], stdin=file, stdout=subprocess.DEVNULL, check=True,
                               umask=umask, env=env)
        else:
            with subprocess.Popen([TOOL, *paths], stdin=subprocess.PIPE, bufsize=0,
                                  stdout=subprocess.DEVNULL, umask=umask, env=env) as tool:
                for at in range(0, len(data), piece):
                    tool.stdin.write(data[at:at + piece])
                tool.stdin.close()
            assert tool.returncode == 0
        found = [path.read_bytes() for path in paths]
        for path in paths:
            path.unlink()
        return found

    def check(self, images):
        for name, had, has in zip(("image", "seed"), self.first, images):
            self.assertEqual(len(had), len(has))
            if had != has:
                at = next(i for i, pair in enumerate(zip(had, has)) if pair[0] != pair[1])
                self.fail("the %s differs from byte %d on" % (name, at))

    def test_from_a_pipe(self):
        self.check(self.images(self.archive, piece=3001))

    def test_compressed(self):
        for pack in (gzip.compress, bz2.compress, lzma.compress):
            with self.subTest(pack=pack.__module__):
                self.check(self.images(pack(self.archive)))

    def test_by_another(self):
        self.check(self.images(self.archive, umask=0o077, LC_ALL="POSIX", TZ="Asia/Tokyo",
                               HOME="/nonexistent", G_SLICE="always-malloc"))

    def test_later(self):
        # Times in a file system are of whole seconds.
        time.sleep(max(0, self.began + 2 - time.time()))
        self.check(self.images(self.archive))


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
