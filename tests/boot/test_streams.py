# SPDX-License-Identifier: LGPL-2.1-or-later
"""Consoles, logs, processes, statistics, waiting, and VMs for one command."""

import json
import os
import signal
import subprocess
import unittest

import fixtures
from harness import SECONDS, BangerTest
from leftovers import wait_for_end
from test_shell import Terminal

# More than the agent takes at a time, fewer than all the streams that it takes.
MANY = 40


class StreamsTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.session.banger("image", "promote", "tiny")
        cls.create("box")

    @classmethod
    def create(cls, name, *more):
        cls.session.banger("vm", "create", name, "--memory", "128M", *more,
                           seconds=SECONDS["busybox"])

    def names(self):
        return [vm["name"] for vm in self.session.json("vm", "list")["vms"]]

    def start(self, *words, **more):
        process = self.session.popen("banger", *words, **more)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_console(self):
        terminal = Terminal(self.session, "banger", "console", "box", "--tail", "1")
        self.addCleanup(terminal.__exit__)
        terminal.expect("leaves it")
        pipe = self.start("console", "box")
        self.assertTrue(pipe.stdout.read(1))
        self.session.guest("box", "/bin/sh", "-c", "echo said to all > /dev/console")
        terminal.expect("said to all")
        while b"said to all" not in pipe.stdout.readline():
            self.assertIsNone(pipe.poll())
        reader = self.start("exec", "box", "--", "/bin/sh", "-c",
                            "exec < /dev/console; echo ready; head -n 1")
        self.assertEqual(reader.stdout.readline(), b"ready\n")
        terminal.type("typed\r")
        self.assertEqual(reader.stdout.readline().strip(), b"typed")
        self.assertFalse(terminal.modes())
        last = self.start("exec", "box", "--", "/bin/sh", "-c",
                          "exec < /dev/console; echo ready; head -n 1")
        self.assertEqual(last.stdout.readline(), b"ready\n")
        terminal.type("pasted\r\x1d")
        self.assertEqual(terminal.end(), 0)
        self.assertEqual(last.stdout.readline().strip(), b"pasted")
        self.assertTrue(terminal.modes())
        self.assertIn("\x1b[?25h", terminal.output)

    def test_logs_of_boots(self):
        self.create("boots")
        self.addCleanup(self.session.banger, "vm", "delete", "--force", "boots")
        for word in ("first", "second"):
            self.session.guest("boots", "/bin/sh", "-c", "echo the %s boot > /dev/console" % word)
            if word == "first":
                self.session.banger("vm", "stop", "boots", seconds=SECONDS["stop"])
                self.session.banger("vm", "start", "boots", seconds=SECONDS["busybox"])
        self.assertIn("the second boot", self.session.banger("logs", "boots").stdout)
        self.assertIn("the first boot", self.session.banger("logs", "boots", "--boot", "-1").stdout)
        self.session.banger("logs", "boots", "--boot", "-3", status=3)
        self.session.banger("logs", "boots", "--boot", "1", status=2)

    def test_top(self):
        self.session.banger("exec", "-d", "box", "--", "/bin/sleep", "54321")
        processes = self.session.json("vm", "top", "box")["processes"]
        sleeping = [p for p in processes if "54321" in p["command"]]
        self.assertEqual(len(sleeping), 1)
        self.assertGreater(sleeping[0]["pid"], 1)
        self.assertEqual(sleeping[0]["uid"], 0)
        self.assertIn("sleep 54321", self.session.banger("top", "box").stdout)
        self.session.guest("box", "/bin/kill", str(sleeping[0]["pid"]))

    def test_stats(self):
        stats = self.session.json("vm", "stats")["vms"]
        self.assertEqual([vm["name"] for vm in stats], ["box"])
        self.assertGreater(stats[0]["memory_resident_bytes"], 1 << 20)
        self.assertGreater(stats[0]["guest_memory_total_bytes"], 64 << 20)
        self.assertIn("box", self.session.banger("vm", "stats", "box").stdout)
        self.session.banger("vm", "stats", "absent", status=3)
        watch = self.start("vm", "stats", "--json", "--watch")
        lines = [json.loads(watch.stdout.readline()) for _ in range(2)]
        self.assertNotIn("cpu_percent", lines[0])
        self.assertIn("cpu_percent", lines[1])
        watch.send_signal(signal.SIGINT)
        self.assertEqual(watch.wait(SECONDS["command"]), 0)

    def test_many_commands_at_once(self):
        """The agent shakes few hands at a time: the others wait, and none is turned away."""
        # Until all have begun the guest answers none of them.
        qemu = next(iter(self.session.processes("qemu")))
        os.kill(qemu, signal.SIGSTOP)
        try:
            echoes = [self.start("exec", "box", "--", "/bin/echo", str(number),
                                 stderr=subprocess.PIPE) for number in range(MANY)]
        finally:
            os.kill(qemu, signal.SIGCONT)
        for number, echo in enumerate(echoes):
            output, errors = echo.communicate(timeout=SECONDS["busybox"])
            self.assertEqual((echo.returncode, output), (0, b"%d\n" % number), errors)

    def test_wait(self):
        self.session.banger("vm", "create", "late", "--memory", "128M", "--no-start")
        self.addCleanup(self.session.banger, "vm", "delete", "--force", "late", status=None)
        self.session.banger("wait", "late", "--for", "stopped", "--timeout", "1")
        self.session.banger("wait", "late", "box", "--timeout", "1", status=7)
        waiting = self.start("wait", "late", "box")
        port = self.start("wait", "late", "--for", "port:7777")
        self.session.banger("start", "late", seconds=SECONDS["busybox"])
        self.assertEqual(waiting.wait(SECONDS["command"]), 0)
        self.assertIsNone(port.poll())
        self.session.guest("late", "/bin/sh", "-c", "nc -l -p 7777 >/dev/null 2>&1 &")
        self.assertEqual(port.wait(SECONDS["command"]), 0)
        stopped = self.start("wait", "late", "--for", "stopped")
        never = self.start("wait", "late", "--for", "port:7778")
        self.session.banger("kill", "late", status=None)
        self.session.banger("vm", "kill", "late", status=None)
        self.assertEqual(stopped.wait(SECONDS["command"]), 0)
        self.session.banger("rm", "late")
        self.assertEqual(never.wait(SECONDS["command"]), 3)
        self.session.banger("wait", "box", "--for", "nonsense", status=2)

    def test_run(self):
        before = self.names()
        result = self.session.banger("run", "--memory", "128M", "sh", "-c", "hostname; exit 6",
                                     status=6, seconds=SECONDS["busybox"])
        self.assertTrue(result.stdout.strip())
        self.assertEqual(self.names(), before)
        result = self.session.banger("run", "--memory", "128M", "--name", "once", "--keep", "--",
                                     "hostname", seconds=SECONDS["busybox"])
        self.assertEqual(result.stdout, "once\n")
        self.assertIn("once", self.names())
        self.session.banger("rm", "--force", "once")
        self.session.banger("run", "--memory", "128M", "/bin/not-there", status=127,
                            seconds=SECONDS["busybox"])
        self.assertEqual(self.names(), before)

    def test_run_ends_with_its_signal(self):
        before = self.names()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(signal=number):
                client = self.start("run", "--memory", "128M", "sh", "-c",
                                    "echo up; exec sleep 1000")
                self.assertEqual(client.stdout.readline(), b"up\n")
                client.send_signal(number)
                self.assertNotEqual(client.wait(SECONDS["busybox"]), 0)
                self.assertEqual(self.names(), before)

    def test_run_outlives_its_reader(self):
        before = self.names()
        client = self.start("run", "--memory", "128M", "yes")
        self.assertEqual(client.stdout.readline(), b"y\n")
        client.stdout.close()
        self.assertEqual(client.wait(SECONDS["busybox"]), -signal.SIGPIPE)
        self.assertEqual(self.names(), before)

    def test_run_a_shell(self):
        before = self.names()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                terminal = Terminal(self.session, "banger", "--progress", "none", "run",
                                    "--memory", "128M")
                self.addCleanup(terminal.__exit__)
                terminal.expect("# ", SECONDS["busybox"])
                terminal.process.send_signal(number)
                # A shell that has the terminal too passes its end on.
                while number == signal.SIGHUP and not wait_for_end(terminal.process.pid, 0.02):
                    terminal.process.send_signal(number)
                self.assertEqual(terminal.end(), -number)
                self.assertEqual(self.names(), before)


if __name__ == "__main__":
    unittest.main()
