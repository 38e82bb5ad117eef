# SPDX-License-Identifier: LGPL-2.1-or-later
"""How much memory an import takes, by the number of entries and by the window of the codec."""

import lzma
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zlib
from pathlib import Path

TOOL = os.environ["BANGER_IMPORT_TAR"]
KIB, MIB = 1 << 10, 1 << 20
# The bounds that docs/internals.md gives.
FEW, FEW_BYTES = 100_000, 64 * MIB
ENTRY_BYTES, NAME_BYTES = 300, 40


def entries(count, in_one):
    """A tar of @count empty files with names of 40 bytes, @in_one of them in each folder."""
    header = (b"\0" * 100 + b"0000644\0" + b"0000000\0" * 2 + b"00000000000\0" + b"14524770000\0"
              + b" " * 8 + b"0" + b"\0" * 100 + b"ustar\00000" + b"\0" * 247)
    own, between, end = sum(header), header[100:148], header[156:]
    for first in range(0, count, 1000):
        blocks = []
        for i in range(first, min(first + 1000, count)):
            name = b"%06d/a-file-that-is-of-no-use-%015d" % (i // in_one, i)
            blocks.append(name.ljust(100, b"\0") + between + b"%06o\0 " % (own + sum(name)) + end)
        yield b"".join(blocks)
    yield b"\0" * 1024


def compressed(blocks, compressor):
    for block in blocks:
        yield compressor.compress(block)
    yield compressor.flush()


class Memory(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="banger-memory-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, self.folder)

    def peak(self, blocks):
        """Of an import from a pipe, its seed and its check by us; in bytes."""
        with subprocess.Popen([TOOL, self.folder / "image", self.folder / "seed"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as tool:
            try:
                for block in blocks:
                    tool.stdin.write(block)
            except BrokenPipeError:
                pass
            output, errors = tool.communicate()
        self.assertEqual(tool.returncode, 0, errors)
        peak = int(output.split()[1]) * KIB
        self.assertGreater(peak, MIB)
        print("# %.1f MiB" % (peak / MIB))
        return peak

    def test_few_entries(self):
        self.assertLess(self.peak(entries(FEW, 1000)), FEW_BYTES)

    def test_few_entries_in_gzip(self):
        stream = compressed(entries(FEW, 1000), zlib.compressobj(1, wbits=31))
        self.assertLess(self.peak(stream), FEW_BYTES + 32 * KIB)

    def test_few_entries_in_xz(self):
        window = 32 * MIB
        filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": window}]
        stream = compressed(entries(FEW, 1000), lzma.LZMACompressor(filters=filters))
        self.assertLess(self.peak(stream), FEW_BYTES + window)

    def check_many(self, count, in_one):
        more = (count - FEW) * (ENTRY_BYTES + NAME_BYTES)
        self.assertLess(self.peak(entries(count, in_one)), FEW_BYTES + more)

    def test_500000_entries(self):
        self.check_many(500_000, 100)

    def test_1000000_entries(self):
        self.check_many(1_000_000, 1000)

    def test_1000000_entries_in_one_folder(self):
        self.check_many(1_000_000, 1_000_000)


if __name__ == "__main__":
    unittest.main(argv=sys.argv)
