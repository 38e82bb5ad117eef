# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's root file system as an image, mounted, against what GNU tar makes of the same archive;
then written and grown as a guest's kernel would."""

import os
import subprocess
import sys
import tarfile
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
import fixtures
from test_fidelity import Mounted, walk


class Debian(Mounted):
    @classmethod
    def setUpClass(cls):
        try:
            archive = fixtures.debian_tar()
        except (fixtures.FixtureError, OSError) as error:
            raise unittest.SkipTest("no Debian root: %s" % error)
        cls.make(lambda folder: Path(archive))
        cls.add_lists(archive)

    @classmethod
    def add_lists(cls, archive):
        """GNU tar leaves out access control lists that an archive holds as the kernel's attributes."""
        with tarfile.open(archive) as tar:
            for info in tar:
                for key, value in info.pax_headers.items():
                    if key.startswith("SCHILY.xattr.system.posix_acl_"):
                        os.setxattr(cls.expected / info.name, key[len("SCHILY.xattr."):],
                                    value.encode(errors="surrogateescape"))

    def test_digest(self):
        self.assertEqual(self.digest, self.archive_digest)

    def test_it_is_what_tar_extracts_also_when_it_is_written_and_grown(self):
        os.truncate(self.folder / "image", 2 << 30)
        subprocess.run(["resize2fs", "-f", self.folder / "image"], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=True)
        self.check("image")
        expected = walk(self.expected)
        point = self.mount("image", "rw")
        self.compare(walk(point), expected)
        subprocess.run(["cp", "-a", point / "usr/lib", point / "copy"], check=True)
        copied = walk(point / "copy")
        self.unmount(point)
        self.check("image")
        point = self.mount("image")
        got = walk(point)
        top = got.pop(".")
        self.compare({path: facts for path, facts in got.items() if path.split("/")[0] != "copy"},
                     {path: facts for path, facts in expected.items() if path != "."})
        self.assertEqual(top[:3], expected["."][:3])
        self.compare(walk(point / "copy"), copied)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
