# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each check of tests/lint finds the fault that it is for."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SPDX = "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"
FUNCTION = "int\nplanted (int x)\n{\n%s  return x;\n}\n"

# check: (file, contents)
FAULTS = {
    "layout": ("src/disk/planted.c", SPDX + "int planted( int x ){return x;}\n"),
    "goto": ("src/disk/planted.c", SPDX + FUNCTION % "  goto out;\nout:\n"),
    "length": ("src/disk/planted.c", SPDX + FUNCTION % ("  x++;\n" * 100)),
    "spawn": ("src/disk/planted.c", SPDX + FUNCTION % '  system ("true");\n'),
    "arrows": ("src/disk/planted.c", SPDX + '#include "wire/mux.h"\n'),
    "dbus": ("src/vmm/planted.c", SPDX + FUNCTION % "  g_bus_get_sync (0, NULL, NULL);\n"),
    "spdx": ("src/disk/planted.c", "int planted;\n"),
    "text": ("docs/planted.md", "A line with a blank at its end. \n"),
    "xml": ("data/dbus/planted.xml", "<node><interface></node>\n"),
    "units": ("data/planted.service", "[Service]\nExecStart=@libexecdir@/x\nNoSuchKey=1\n"),
    "shell": ("planted.sh", "#!/bin/sh\n# SPDX-License-Identifier: LGPL-2.1-or-later\nls $1\n"),
    "python": ("tests/planted.py", "# SPDX-License-Identifier: LGPL-2.1-or-later\ndef f(:\n"),
    "po": ("src/cli/planted.c", SPDX + FUNCTION % '  puts (_ ("Hello"));\n'),
}


def lint(tree, *checks):
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    result = subprocess.run([sys.executable, tree / "tests/lint", *checks], env=env,
                            capture_output=True, text=True, check=False)
    return result.returncode, result.stdout + result.stderr


class LintTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.tree = Path(cls.folder.name) / "tree"
        # .git stays behind: the copy is linted as an unpacked release is.
        patterns = shutil.ignore_patterns(".git", "build*", ".quickstart", "__py*")
        shutil.copytree(ROOT, cls.tree, symlinks=True, ignore=lambda folder, names: [
            *patterns(folder, names),
            *(n for n in names if os.path.isdir(os.path.join(folder, n, "meson-private")))])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_tree_is_clean(self):
        status, output = lint(self.tree)
        self.assertEqual(status, 0, output)

    def test_faults_are_found(self):
        for check, (path, text) in FAULTS.items():
            with self.subTest(check=check):
                planted = self.tree / path
                planted.write_text(text, encoding="utf-8")
                try:
                    status, output = lint(self.tree, check)
                finally:
                    planted.unlink()
                if "lint: %s: not checked" % check in output:
                    self.skipTest(output.splitlines()[0])
                self.assertEqual(status, 1, output)
                self.assertIn("[%s]" % check, output)
                self.assertIn(os.path.basename(path), output)

    def test_build_folder_of_any_name(self):
        folder = self.tree / "obj-x86_64-linux-gnu"
        (folder / "meson-private").mkdir(parents=True)
        (folder / "meson-log.txt").write_text("A line with a blank at its end. \n", encoding="utf-8")
        try:
            status, output = lint(self.tree, "text")
        finally:
            shutil.rmtree(folder)
        self.assertEqual(status, 0, output)

    def test_untranslated(self):
        if not shutil.which("msgcmp"):
            self.skipTest("gettext is not installed")
        potfiles, source = self.tree / "po/POTFILES.in", self.tree / "src/cli/text.c"
        self.assertIn("src/cli/text.c\n", potfiles.read_text(encoding="utf-8"))
        text = source.read_text(encoding="utf-8")
        try:
            source.write_text(text + '/* */ static const char *planted = _ ("said by nobody");\n',
                              encoding="utf-8")
            status, output = lint(self.tree, "po")
        finally:
            source.write_text(text, encoding="utf-8")
        self.assertEqual(status, 1, output)
        self.assertRegex(output, r"po/de\.po: .*not defined.*\[po\]")

    def test_every_check_has_a_fault(self):
        status, output = lint(self.tree, "--list")
        self.assertEqual(status, 0, output)
        self.assertEqual({line.split()[0] for line in output.splitlines()}, set(FAULTS))
        self.assertEqual(lint(self.tree, "no-such-check")[0], 2)


if __name__ == "__main__":
    unittest.main()
