# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of VMs' disks share: the files behind them, and how guests are asked."""

import os
import subprocess
import time

from harness import ROOT_PATH, SECONDS

MIB = 1 << 20
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


def allocated(path):
    return path.stat().st_blocks * 512


class Disks:
    """What VMs are asked, whatever their root is."""

    def tearDown(self):
        for vm in self.session.json("vm", "list")["vms"]:
            self.session.banger("vm", "delete", "--force", vm["name"], status=None)

    def create(self, name, root, *more):
        self.session.banger("vm", "create", name, "--image", "tiny", "--memory", "128M", "--root",
                            root, *more, seconds=SECONDS["busybox"])
        path = self.session.call(ROOT_PATH, "Manager.FindVM", "sa{sv}", name, "0")[0]
        self.assertEqual(self.session.property(path, "VM", "Root"), root)
        return path

    def folder(self, path):
        return self.session.state / "vms" / path.rsplit("/", 1)[1]

    def root_file(self, path, root):
        return self.folder(path) / {"clone": "root.ext4", "overlay": "upper.ext4"}[root]

    def sh(self, name, script, seconds=SECONDS["exec"]):
        return self.session.guest(name, "/bin/sh", "-c", script, seconds=seconds).stdout

    def wait_until(self, true, what):
        """Of files nobody is told."""
        deadline = time.monotonic() + SECONDS["command"]
        while not true():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.1)

    def stop(self, name):
        self.session.banger("vm", "stop", name, "--timeout", "60", seconds=SECONDS["stop"])

    def start(self, name):
        self.session.banger("vm", "start", name, seconds=SECONDS["busybox"])

    def assert_clean(self, *files):
        for file in files:
            result = subprocess.run(["e2fsck", "-fn", str(file)], capture_output=True, text=True,
                                    env=dict(os.environ, PATH=PATH), check=False)
            self.assertEqual(result.returncode, 0, result.stdout)
