# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one asks of a VM: its figures, its health, the logs of its boots, commands and their end."""

import unittest

from harness import SECONDS
from life import Signals, VmTest


class UseTest(VmTest):
    def ask(self, path, member, *options):
        answer = self.session.call(path, "VM." + member, "a{sv}", str(len(options) // 3),
                                   *options)[0]
        return {key: value["data"] for key, value in answer.items()}

    def test_health(self):
        path = self.create("well")
        health = self.ask(path, "GetHealth")
        version = self.session.run("bangerd", "--version").stdout.split()[1]
        self.assertEqual(health["health"], "healthy")
        self.assertEqual((health["monitor-version"], health["agent-version"]), (version, version))
        self.assertEqual(health["agent-protocol"],
                         self.session.property("/org/banger/Banger1", "Manager", "Protocol"))
        # The same words as while it booted.
        self.assertEqual(self.get(path, "BootStage"), health["stages"][-1][0])

    def test_boot_stages_are_told(self):
        path = self.create("boots", start=False)
        with Signals(self.session) as signals:
            job = self.begin(path, "Start")
            signals.until(path, BootStage="healthy", Health="healthy")
        self.finish(job)

    def test_figures_of_the_guest(self):
        path = self.create("counts")
        self.session.guest("counts", "/bin/sh", "-c", "dd if=/dev/zero of=/root/x bs=1M count=8; sync")
        stats = self.ask(path, "GetStats", "guest", "b", "true")
        self.assertGreater(stats["guest-uptime-seconds"], 0)
        self.assertGreater(stats["guest-memory-total-bytes"], 64 << 20)
        self.assertLess(stats["guest-memory-available-bytes"], stats["guest-memory-total-bytes"])
        for disk in ("disk", "work"):
            self.assertLess(stats["guest-%s-free-bytes" % disk],
                            stats["guest-%s-total-bytes" % disk])
        self.assertEqual(stats["guest-commands"], 0)
        self.assertGreater(stats["disk-written-bytes"], 8 << 20)
        self.assertGreater(stats["disk-read-bytes"], 0)
        self.assertNotIn("guest-load", self.ask(path, "GetStats"))
        self.finish(self.begin(path, "Pause"))
        # What speaks with the guest waits, so nothing is said of it.
        stats = self.ask(path, "GetStats", "guest", "b", "true")
        self.assertNotIn("guest-load", stats)
        self.assertGreater(stats["cpu-seconds"], 0)

    def say(self, name, text):
        self.session.guest(name, "/bin/sh", "-c", "echo %s > /dev/console" % text)

    def test_logs_of_former_boots(self):
        path = self.create("talks", start=False)
        self.refused("NotFound", path, "VM.OpenLog", "{}")
        for boot in range(5):
            self.finish(self.begin(path, "Start"))
            self.say("talks", "boot-%d" % boot)
            self.finish(self.begin(path, "Kill"))
        folder = next((self.session.state / "vms").iterdir())
        logs = [folder / "console.log"] + [folder / ("console.log.%d" % n) for n in (1, 2, 3)]
        for before, log in enumerate(logs):
            self.assertIn(b"boot-%d" % (4 - before), log.read_bytes())
        self.assertFalse((folder / "console.log.4").exists())
        # A log is a descriptor, so what is refused is what can be seen here.
        for options in ("{'boot': <1>}", "{'boot': <-4>}", "{'boot': <-1>, 'follow': <true>}"):
            self.refused("InvalidArgument", path, "VM.OpenLog", options)
        log = logs[2]
        log.unlink()
        self.refused("NotFound", path, "VM.OpenLog", "{'boot': <-2>}")

    def test_failure_keeps_its_console(self):
        """What a policy starts after it writes to a log of its own."""
        path = self.create("fails", "restart", "s", "on-failure")
        self.say("fails", "before-the-fault")
        with Signals(self.session) as signals:
            self.session.kill(next(iter(self.session.processes("qemu"))))
            signals.until(path, State="failed")
            signals.until(path, State="running")
            signals.until(path, Health="healthy")
        details = self.ask(path, "GetFailureDetails")
        self.assertIn(b"before-the-fault", bytes(details["console-tail"]))

    def test_command_ends_with_its_caller(self):
        path = self.create("runs")
        client = self.session.popen(
            "busctl", "--user", "--timeout=600", "call", "org.banger.Banger1", path,
            "org.banger.Banger1.VM", "Exec", "asa{sv}", "2", "sleep", "4711", "0")
        find = "ps | grep -q '[s]leep 4711'"
        # Busy, but in the guest: it ends as soon as it is so.
        self.session.guest("runs", "/bin/sh", "-c", "until %s; do sleep 0.1; done" % find)
        client.kill()
        client.wait()
        client.stdout.close()
        self.session.guest("runs", "/bin/sh", "-c", "while %s; do sleep 0.1; done" % find,
                           seconds=SECONDS["exec"])

    def test_console_needs_a_guest(self):
        path = self.create("cold", start=False)
        self.refused("WrongState", path, "VM.OpenConsole", "{}")
        self.refused("InvalidArgument", path, "VM.OpenConsole", "{'tail': <uint32 65537>}")


if __name__ == "__main__":
    unittest.main()
