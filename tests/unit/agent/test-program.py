# SPDX-License-Identifier: LGPL-2.1-or-later
"""The agent as it is installed: static, small, and of no use outside a guest."""

import os
import struct
import subprocess
import unittest

SIZE_MAX = 256 * 1024
PT_INTERP = 3


class Program(unittest.TestCase):
    path = os.environ["BANGER_AGENT"]

    def test_size(self):
        self.assertLessEqual(os.path.getsize(self.path), SIZE_MAX)

    def test_static(self):
        with open(self.path, "rb") as file:
            elf = file.read()
        self.assertEqual(elf[:5], b"\x7fELF\x02")
        offset, = struct.unpack_from("<Q", elf, 32)
        size, count = struct.unpack_from("<HH", elf, 54)
        types = [struct.unpack_from("<I", elf, offset + i * size)[0] for i in range(count)]
        self.assertIn(1, types)
        self.assertNotIn(PT_INTERP, types)

    def test_refuses_to_run_outside_a_guest(self):
        done = subprocess.run([self.path], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("initramfs", done.stderr)


if __name__ == "__main__":
    unittest.main()
