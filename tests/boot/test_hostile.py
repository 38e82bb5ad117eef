# SPDX-License-Identifier: LGPL-2.1-or-later
"""An agent that does not speak as ours does: its VM is not healthy and says so, is stopped and
deleted as any other, and neither its monitor, bangerd nor a client grows by what it says."""

import os
import tempfile
import time
import unittest
from pathlib import Path

import fixtures
from harness import SECONDS, Banger, BangerTest, CommandFailed
from leftovers import status_kib

MONITOR_KIB = 16 * 1024
CLIENT_KIB = 64 * 1024
# So long each is asked and asked again.
LISTEN = 5
EXIT_TRANSPORT = 255


class HostileSession(Banger):
    """Its guests get another agent, which lies beside our programs as ours would."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="banger-hostile-")
        programs = Path(os.environ["BANGER_BUILD"])
        for name in ("banger-vmm", "banger-worker"):
            (Path(self.folder.name) / name).symlink_to(programs / name)
        (Path(self.folder.name) / "banger-agent").symlink_to(os.environ["BANGER_HOSTILE_AGENT"])
        super().__init__(service_env={"BANGER_LIBEXECDIR": self.folder.name})

    def __exit__(self, *exc):
        super().__exit__(*exc)
        self.folder.cleanup()
        return False


class HostileTest(BangerTest):
    session_class = HostileSession

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.idle = cls.session.leftovers()

    def create(self, role):
        """A VM with this agent, once its guest has rung."""
        service = status_kib(self.session.service_pid(), "VmRSS")
        self.session.banger("vm", "create", role, "--image", "tiny", "--memory", "256M",
                            "--no-wait", seconds=SECONDS["busybox"])
        self.session.wait_for_state(role, "running", SECONDS["busybox"])
        return self.session.path_of_vm(role), service

    def health(self, path):
        return self.session.property(path, "VM", "Health")

    def end(self, role, service_before):
        """It has not grown, and is stopped and deleted as any other."""
        monitor, = self.session.processes("banger-vmm")
        most = status_kib(monitor, "VmHWM")
        service = status_kib(self.session.service_pid(), "VmRSS")
        print("# %s: monitor %d kB at most, bangerd %+d kB" % (role, most, service - service_before))
        self.assertLess(most, MONITOR_KIB)
        self.assertLess(service - service_before, 4096)
        self.session.banger("vm", "stop", role, "--timeout", "3", seconds=SECONDS["stop"])
        self.assertEqual(self.session.property(self.session.path_of_vm(role), "VM", "State"),
                         "stopped")
        self.session.banger("vm", "delete", role)
        self.assertEqual(self.session.leftovers(), self.idle)

    def check(self, role):
        path, service = self.create(role)
        time.sleep(LISTEN)  # there is no event for that nothing changes
        self.assertEqual(self.health(path), "booting")
        with self.assertRaises(CommandFailed) as refused:
            self.session.call(path, "VM.Exec", "asa{sv}", "1", "/bin/true", "1", "timeout", "u", "3")
        self.assertRegex(str(refused.exception), "agent|guest|did not end within 3 s")
        result = self.session.run("sh", "-c", 'ulimit -v "$0" && exec "$@"', 1 << 20, "timeout",
                                  "3", "banger", "vm", "exec", role, "--", "/bin/true")
        self.assertIn(result.returncode, (EXIT_TRANSPORT, 124))
        if result.returncode == EXIT_TRANSPORT:
            self.assertNotEqual(result.stderr, "")
        else:
            self.assertEqual(role, "never")
        self.end(role, service)

    def test_garbage(self):
        self.check("garbage")

    def test_half(self):
        self.check("half")

    def test_head_without_end(self):
        self.check("head")

    def test_body_of_two_gigabytes(self):
        self.check("length")

    def test_never(self):
        self.check("never")

    def test_once(self):
        """One that was healthy is unreachable from then on."""
        path, service = self.create("once")
        self.session.wait_for("once", "Health", "unreachable", SECONDS["busybox"])
        self.assertEqual(self.session.property(path, "VM", "State"), "running")
        self.end("once", service)


if __name__ == "__main__":
    unittest.main()
