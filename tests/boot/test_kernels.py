# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests of kernels that come in other ways than as Debian packs them today."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import fixtures
from harness import ROOT_PATH, SECONDS, BangerTest

# Of what a boot loads, with what that needs.
NEEDED = ("virtio", "virtio_ring", "virtio_mmio", "virtio_blk", "virtio_console", "overlay",
          "failover", "net_failover", "virtio_net", "virtio-rng", "virtio_balloon", "button", "evdev",
          "vsock", "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport")


class KernelsTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_image("tiny", fixtures.busybox_tar())

    def test_compressed_modules_of_a_tree(self):
        """What the guest loads from the disk of modules it has there uncompressed, too."""
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["dpkg-deb", "-x", fixtures.kernel_deb(), folder], check=True)
            modules = next(Path(folder).glob("lib/modules/*"))
            for path in modules.rglob("*.ko"):
                if path.stem not in NEEDED:
                    path.unlink()
            subprocess.run(["xz", "--check=crc32", *modules.rglob("*.ko")], check=True)
            self.session.banger("kernel", "import", "packed", "--tree", folder,
                                seconds=SECONDS["import"])
        shown = self.session.json("kernel", "show", "packed")
        self.assertEqual((shown["release"], shown["facts"]["modules"]), (modules.name, len(NEEDED)))
        self.session.banger("vm", "create", "v", "--image", "tiny", "--memory", "128M", "--network",
                            "none", seconds=SECONDS["busybox"])
        loaded = self.session.guest("v", "/bin/cat", "/proc/modules").stdout
        loaded = {line.split()[0] for line in loaded.splitlines()}
        self.assertLessEqual({name.replace("-", "_") for name in NEEDED}, loaded)
        path = self.session.call(ROOT_PATH, "Manager.FindVM", "sa{sv}", "v", "0")[0]
        health = self.session.call(path, "VM.GetHealth", "a{sv}", "0")[0]
        self.assertEqual(health["health"]["data"], "healthy")
        self.assertEqual(health["problems"]["data"], [])
        found = self.session.guest("v", "/bin/find", "/usr/lib/modules/" + modules.name, "-name",
                                   "virtio_net.ko*").stdout
        self.assertIn("/.banger/virtio_net.ko\n", found)
        self.assertIn("virtio_net.ko.xz\n", found)
        self.session.banger("vm", "delete", "--force", "v")


if __name__ == "__main__":
    unittest.main()
