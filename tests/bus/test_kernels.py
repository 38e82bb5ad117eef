# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernels as the command line takes them, and what is said of them."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent)]

import small_kernel
from harness import ROOT_PATH, Banger
from leftovers import wait_for_end

HERE = os.uname().release
OLD, NEW = "5.14.1-old", "6.1.0-9-new"
CAN = ["acpi-devices", "overlay", "virtio-serial"]


class KernelsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.session = Banger()
        cls.session.__enter__()
        cls.addClassCleanup(cls.session.__exit__, None, None, None)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def taken(self, *argv):
        """What 'kernel show' says of the kernel that is imported with @argv."""
        self.session.banger("kernel", "import", "k", *argv)
        self.addCleanup(self.session.banger, "kernel", "delete", "k")
        return self.session.json("kernel", "show", "k")

    def refused(self, *argv, status=1):
        result = self.session.banger("kernel", "import", "k", *argv, status=status)
        self.assertEqual(self.session.banger("kernel", "list", "-q").stdout, "")
        return result.stderr

    def tar(self, *names):
        subprocess.run(["tar", "-C", self.root, "-cf", self.root / "it.tar", *names], check=True)
        return self.root / "it.tar"

    # A tree

    def test_tree(self):
        shown = self.taken("--tree", small_kernel.write_tree(self.root, NEW))
        self.assertEqual((shown["release"], shown["capabilities"]), (NEW, ["acpi-devices",
                         "orphan-file", "overlay", "virtio-serial"]))
        facts = shown["facts"]
        self.assertEqual((facts["compression"], facts["config"], facts["modules"],
                          facts["builtin"], facts["vmlinux_bytes"]),
                         ("none", "file", 5, 1, shown["size_bytes"]))
        text = self.session.banger("kernel", "show", "k").stdout
        self.assertRegex(text, r"(?m)^can do: +acpi-devices, orphan-file, overlay, virtio-serial$")
        self.assertRegex(text, r"(?m)^modules: +5, and 1 built in$")
        self.assertRegex(text, r"(?m)^configuration: +from a file$")

    def test_facts_outlive_the_service(self):
        self.taken("--tree", small_kernel.write_tree(self.root, NEW))
        before = self.session.json("kernel", "show", "k")
        pid = self.session.service_pid()
        os.kill(pid, signal.SIGTERM)
        self.assertTrue(wait_for_end(pid, 20))
        self.assertEqual(self.session.json("kernel", "show", "k"), before)

    def test_tree_with_usr(self):
        """/lib is a link, and the kernel lies beside its modules."""
        small_kernel.write_tree(self.root, OLD)
        (self.root / "usr").mkdir()
        (self.root / "lib").rename(self.root / "usr/lib")
        (self.root / "lib").symlink_to("/usr/lib")
        (self.root / "boot" / ("vmlinuz-" + OLD)).rename(
            self.root / "usr/lib/modules" / OLD / "vmlinuz")
        self.assertEqual(self.taken("--tree", self.root)["capabilities"], CAN)

    def test_several_releases(self):
        for release in (OLD, NEW):
            small_kernel.write_tree(self.root, release)
        (self.root / "lib/modules/6.9.9-left").mkdir()
        text = self.refused("--tree", self.root, status=2)
        self.assertIn("%s, %s\n" % (OLD, NEW), text)
        self.assertIn("--release", text)
        text = self.refused("--tree", self.tar("boot", "lib"))
        self.assertIn("the kernels %s, %s\n" % (OLD, NEW), text)
        self.assertIn("choose one with --release", text)
        for source in (self.root, self.tar("boot", "lib")):
            self.assertIn("6.9.9", self.refused("--tree", source, "--release", "6.9.9",
                                                status=3 if source == self.root else 1))
            self.session.banger("kernel", "import", "k", "--tree", source, "--release", OLD)
            self.assertEqual(self.session.json("kernel", "show", "k")["release"], OLD)
            self.session.banger("kernel", "delete", "k")

    def test_no_kernel_in_it(self):
        self.assertIn("boot/vmlinuz-RELEASE", self.refused("--tree", self.root, status=3))

    def test_host(self):
        """Root can put other files in the place of the host's; in a container there are none."""
        missing = [d for d in ("/boot", "/lib/modules") if not os.path.isdir(d)]
        if missing:
            self.assertIn("there is no lib/modules/" + HERE, self.refused("--host", status=3))
            return
        if os.getuid() != 0:
            self.skipTest("only root can mount")
        small_kernel.write_tree(self.root, HERE)
        script = "mount --bind %s/boot /boot && mount --bind %s/lib/modules /lib/modules && exec " \
            '"$@"' % (self.root, self.root)
        result = self.session.run("unshare", "-m", "sh", "-c", script, "sh", "banger", "kernel",
                                  "import", "k", "--host", timeout=50)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.addCleanup(self.session.banger, "kernel", "delete", "k")
        shown = self.session.json("kernel", "show", "k")
        self.assertEqual((shown["release"], shown["facts"]["config"]), (HERE, "file"))

    # What comes apart

    def test_vmlinuz_with_its_directory(self):
        """The configuration beside the kernel goes along."""
        small_kernel.write_tree(self.root, NEW)
        parts = ("--vmlinuz", self.root / "boot" / ("vmlinuz-" + NEW), "--modules",
                 self.root / "lib/modules" / NEW)
        self.assertEqual(self.taken(*parts)["facts"]["config"], "file")

    def test_vmlinuz_without_a_configuration(self):
        small_kernel.write_tree(self.root, NEW, config=None)
        parts = ("--vmlinuz", self.root / "boot" / ("vmlinuz-" + NEW), "--modules",
                 self.root / "lib/modules" / NEW)
        self.assertEqual(self.taken(*parts)["facts"]["config"], "none")
        notes = [job["Notes"] for job in self.session.managed("Job").values()
                 if job["Kind"] == "import-kernel"]
        self.assertIn("build configuration", str(notes))

    # What is refused

    def test_reasons_reach_the_user(self):
        """The cause and what would mend it, and nothing stays."""
        small_kernel.write_tree(self.root, NEW, small_kernel.CONFIG.replace("ACPI=y", "ACPI=n"))
        text = self.refused("--tree", self.root)
        self.assertIn("it finds no devices", text)
        self.assertIn("CONFIG_ACPI=y", text)

    def test_modules_beside(self):
        """Which directory they must be in, and by which option they come."""
        small_kernel.write_tree(self.root, NEW)
        kernel = self.root / "boot" / ("vmlinuz-" + NEW)
        self.assertIn("hint: give the directory lib/modules/RELEASE itself",
                      self.refused("--vmlinuz", kernel, "--modules", self.root / "lib/modules"))
        self.assertIn("with --modules, too", self.refused("--vmlinuz", kernel))

    def test_arguments(self):
        for argv in ([], ["x.deb", "--tree", "/"], ["--tree", "/", "--host"], ["--vmlinuz", "x", "--tree", "/"],
                     ["--modules", "x"], ["--host", "--release", NEW], ["--tree", "/", "--modules", "x"]):
            with self.subTest(argv=argv):
                self.assertIn("kernel import: ", self.refused(*argv, status=2))

    def test_inputs_of_the_bus(self):
        for files in (["tree", "modules"], ["package", "vmlinuz"], ["vmlinuz", "tree"], ["modules"], []):
            with self.subTest(files=files):
                result = self.session.run("busctl", "--user", "call", "org.banger.Banger1",
                                          ROOT_PATH, "org.banger.Banger1.Manager", "ImportKernel",
                                          "sa{sh}a{sv}", "k", str(len(files)),
                                          *[word for name in files for word in (name, "0")], "0",
                                          timeout=50)
                self.assertNotEqual(result.returncode, 0)


if __name__ == "__main__":
    unittest.main()
