# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest of busybox alone: small, so that many boots are cheap."""

import concurrent.futures
import threading
import unittest

import fixtures
from harness import SECONDS, BangerTest

BOOTS = 20
AT_ONCE = 2


class BusyboxTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.session.import_image("tiny-init", fixtures.busybox_tar(init=True))
        cls.idle = cls.session.leftovers()

    def tearDown(self):
        for vm in self.session.json("vm", "list")["vms"]:
            self.session.banger("vm", "delete", "--force", vm["name"], status=None)
        self.assertEqual(self.session.leftovers(), self.idle)

    def create(self, name, image="tiny", *more):
        return self.session.banger("vm", "create", name, "--image", image, "--memory", "128M", *more,
                                   seconds=SECONDS["busybox"])

    def test_without_init(self):
        """The agent itself is the first process where the image has no init."""
        self.create("plain")
        path = self.session.call("/org/banger/Banger1", "Manager.FindVM", "sa{sv}", "plain", "0")[0]
        health = self.session.call(path, "VM.GetHealth", "a{sv}", "0")[0]
        self.assertEqual(health["health"]["data"], "healthy")
        self.assertEqual(health["init"]["data"], "none")
        result = self.session.guest("plain", "/bin/cat", "/root/from-image")
        self.assertEqual(result.stdout, "seed\n")
        status = self.session.guest("plain", "/bin/cat", "/proc/1/status").stdout
        resident = next(int(line.split()[1]) for line in status.splitlines()
                        if line.startswith("VmRSS:"))
        self.assertLessEqual(resident, 1024, "kB that the agent holds")
        print("# the agent holds %d kB" % resident)
        self.assertIn("the image has no init", self.session.banger("vm", "logs", "plain").stdout)

    def test_modules(self):
        """Also those that no disk needs are loaded, though nobody but the agent is there for it."""
        self.create("modules")
        lines = self.session.guest("modules", "/bin/cat", "/proc/modules").stdout.splitlines()
        self.assertLessEqual({"virtio_blk", "virtio_net", "virtio_balloon", "virtio_rng", "evdev"},
                             {line.split()[0] for line in lines})

    def test_what_is_bound(self):
        """What the image has is seen where folders come from the upper disk, files most of all."""
        self.create("bound")
        kept = self.session.guest("bound", "/bin/cat", "/var/lib/docker/from-image")
        self.assertEqual(kept.stdout, "kept\n")
        mounts = self.session.guest("bound", "/bin/cat", "/proc/mounts").stdout.splitlines()
        targets = {line.split()[1]: line.split()[2] for line in mounts}
        self.assertNotIn("/var/lib/docker", targets)
        self.assertEqual(targets.get("/var/lib/containers"), "ext4")
        listed = self.session.guest("bound", "/bin/ls", "/var/lib/containers")
        self.assertEqual(listed.stdout, "storage\n")
        self.session.guest("bound", "/bin/touch", "/var/lib/containers/mine")
        self.session.banger("vm", "stop", "bound", seconds=SECONDS["busybox"])
        self.session.banger("vm", "start", "bound", seconds=SECONDS["busybox"])
        listed = self.session.guest("bound", "/bin/ls", "/var/lib/containers")
        self.assertEqual(listed.stdout, "mine\nstorage\n")

    def test_with_busybox_init(self):
        self.create("inited", "tiny-init")
        result = self.session.guest("inited", "/bin/readlink", "/proc/1/exe")
        self.assertEqual(result.stdout, "/bin/busybox\n")
        self.assertIn("handing over to /", self.session.banger("vm", "logs", "inited").stdout)

    def test_boots_in_a_row(self):
        """Every one of many boots is healthy, two at a time; under load a guest's clock and
        interrupts are what fails first."""
        failures, seconds, lock = [], [], threading.Lock()

        def boot(number):
            name = "row-%d" % number
            try:
                created = self.create(name)
                health = self.session.json("vm", "health", name)
                if health.get("health") != "healthy":
                    raise AssertionError("%s: %s" % (name, health))
                self.session.banger("vm", "delete", "--force", name)
                with lock:
                    seconds.append(created.seconds)
            except Exception as error:  # pylint: disable=broad-except
                with lock:
                    failures.append("%s: %s" % (name, error))

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(boot, range(1, BOOTS + 1)))
        self.assertEqual(failures, [])
        self.assertEqual(len(seconds), BOOTS)
        print("# %d boots, two at once: %.1f to %.1f s" % (BOOTS, min(seconds), max(seconds)))

    def test_aborts_leave_no_stale_byte(self):
        """A client that goes away in the middle of an answer does not reach into the next one's."""
        self.create("abort")
        for _ in range(10):
            command = self.session.popen("banger", "vm", "exec", "abort", "--", "/bin/sh", "-c",
                                         "while :; do echo stale stale stale stale; done")
            self.assertTrue(command.stdout.read(4096).startswith(b"stale"))
            command.kill()
            command.wait()
            command.stdout.close()
            result = self.session.guest("abort", "/bin/echo", "fresh")
            self.assertEqual((result.stdout, result.stderr), ("fresh\n", ""))

    def test_monitor_killed(self):
        """Without its monitor a guest does not go on: bangerd says so and can start it again."""
        self.create("orphan")
        monitor = next(iter(self.session.processes("banger-vmm")))
        self.session.kill(monitor)
        self.session.wait_for_state("orphan", "failed")
        self.assertEqual(self.session.processes("qemu"), {})
        self.session.banger("vm", "start", "orphan", seconds=SECONDS["busybox"])
        self.assertEqual(self.session.guest("orphan", "/bin/echo", "again").stdout, "again\n")


if __name__ == "__main__":
    unittest.main()
