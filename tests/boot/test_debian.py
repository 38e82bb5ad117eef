# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stock Debian guest with systemd, from import to deletion."""

import signal
import unittest

import fixtures
from harness import SECONDS, BangerTest

NAME = "deb"
EATER = "a=x; while :; do a=$a$a; done"


class DebianTest(BangerTest):
    """One guest serves all tests, in the order of their names; what ends it comes last."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("debian", fixtures.debian_tar())
        cls.created = cls.session.banger("vm", "create", NAME, "--image", "debian",
                                         seconds=SECONDS["debian"])

    def guest(self, *argv, **more):
        return self.session.guest(NAME, *argv, **more)

    def health(self):
        path = self.session.call("/org/banger/Banger1", "Manager.FindVM", "sa{sv}", NAME, "0")[0]
        health = self.session.call(path, "VM.GetHealth", "a{sv}", "0")[0]
        return {key: value["data"] for key, value in health.items()}

    def assert_agent_answers(self):
        self.assertEqual(self.guest("echo", "here").stdout, "here\n")

    def test_10_healthy(self):
        health = self.health()
        self.assertEqual(health["health"], "healthy")
        self.assertEqual(health["init"], "systemd")
        self.assertEqual(health["problems"], [])
        times = [seconds for _, seconds in health["stages"]]
        self.assertEqual(times, sorted(times))
        self.assertGreater(len(times), 2)

    def test_11_system_is_running(self):
        result = self.guest("systemctl", "is-system-running", "--wait", status=None,
                            seconds=SECONDS["debian"])
        failed = self.guest("systemctl", "--failed", "--no-legend", status=None).stdout
        self.assertEqual((result.stdout.strip(), failed), ("running", ""))

    def test_12_exec_keeps_streams_and_status_apart(self):
        result = self.guest("sh", "-c", "echo out; echo err >&2; exit 7", status=7)
        self.assertEqual((result.stdout, result.stderr), ("out\n", "err\n"))

    def test_13_exec_reads_standard_input(self):
        result = self.session.run("banger", "vm", "exec", NAME, "--", "wc", "-c", stdin=None,
                                  input="x" * 100000, timeout=SECONDS["exec"])
        self.assertEqual((result.returncode, result.stdout.strip()), (0, "100000"), result.stderr)

    def test_14_exec_of_what_is_not_there(self):
        result = self.guest("/no/such/program", status=None)
        self.assertEqual(result.returncode, 127)
        self.assertIn("/no/such/program", result.stderr)

    def test_15_exec_over_the_bus(self):
        path = self.session.call("/org/banger/Banger1", "Manager.FindVM", "sa{sv}", NAME, "0")[0]
        status, out, err = self.session.call(path, "VM.Exec", "asa{sv}", "3", "sh", "-c",
                                             "echo out; echo err >&2; exit 5", "0")
        self.assertEqual((status, bytes(out), bytes(err)), (5, b"out\n", b"err\n"))

    def test_20_modules(self):
        release = self.guest("uname", "-r").stdout.strip()
        self.assertIn(release, self.guest("ls", "/usr/lib/modules").stdout.split())
        self.guest("modprobe", "dummy")
        self.assertIn("dummy", self.guest("cat", "/proc/modules").stdout)

    def test_21_work_disk(self):
        """/root is a disk of its own that holds what the image had there."""
        self.assertEqual(self.guest("findmnt", "-no", "FSTYPE", "/root").stdout.strip(), "ext4")
        self.assertIn(".profile", self.guest("ls", "-A", "/root").stdout.split())

    def test_22_owners_and_modes(self):
        result = self.guest("stat", "-c", "%a %u %g %n", "/usr/bin/su", "/etc/shadow", "/tmp")
        self.assertEqual(result.stdout.splitlines(),
                         ["4755 0 0 /usr/bin/su", "640 0 42 /etc/shadow", "1777 0 0 /tmp"])

    def test_30_agent_outlives_isolate(self):
        self.guest("systemctl", "isolate", "rescue.target", status=None)
        self.assert_agent_answers()
        self.guest("systemctl", "isolate", "multi-user.target", status=None)
        self.assert_agent_answers()

    def test_31_agent_outlives_daemon_reexec(self):
        self.guest("systemctl", "daemon-reexec", status=None)
        self.assert_agent_answers()

    def test_32_agent_outlives_memory_exhaustion(self):
        """The kernel kills what eats the memory, not the agent."""
        result = self.guest("sh", "-c", EATER, status=None, seconds=SECONDS["debian"])
        self.assertEqual(result.returncode, 128 + signal.SIGKILL, result.stderr)
        self.assertIn("killed process", self.guest("dmesg").stdout.lower())
        self.assert_agent_answers()

    def test_40_bangerd_killed(self):
        """The guest does not notice that bangerd died, and the next bangerd finds it."""
        self.guest("sh", "-c", "cat /proc/sys/kernel/random/boot_id > /root/boot")
        guests = self.session.processes("qemu")
        self.session.kill(self.session.service_pid())
        self.assertEqual(self.session.json("vm", "show", NAME)["state"], "running")
        self.assertEqual(self.session.processes("qemu"), guests)
        result = self.guest("cmp", "/root/boot", "/proc/sys/kernel/random/boot_id")
        self.assertEqual(result.returncode, 0)

    def test_50_stop_and_start(self):
        """A stop is clean, and what was written is there at the next start."""
        self.guest("sh", "-c", "echo kept > /root/kept; echo kept > /etc/kept")
        self.session.banger("vm", "stop", NAME, seconds=SECONDS["stop"])
        self.assertEqual(self.session.processes("qemu", "banger-vmm"), {})
        self.assertEqual(self.session.banger("vm", "exec", NAME, "--", "true",
                                             status=None).returncode, 4)
        self.session.banger("vm", "start", NAME, seconds=SECONDS["debian"])
        self.assertEqual(self.guest("cat", "/root/kept", "/etc/kept").stdout, "kept\nkept\n")

    def test_60_delete(self):
        self.session.banger("vm", "delete", "--force", NAME)
        self.session.banger("image", "delete", "debian")
        self.session.banger("kernel", "delete", "cloud")
        self.assertEqual(self.session.leftovers(), {})


if __name__ == "__main__":
    unittest.main()
