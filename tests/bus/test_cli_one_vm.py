# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands for one VM of a service that does not do what it should, or not soon (one-vm.c)."""

import json
import re
import signal
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/bus")]

from cli_case import CliTest
from harness import SECONDS

# What is asked of it before anything else: by its name, then for all properties.
FOUND = ["FindVM", "State", "Health", "OwnerUid"]


class OneVm(CliTest):
    def empty(self):
        """There is no service of ours to be left with anything."""

    def asked(self, service):
        """All that was asked of it."""
        service.kill()
        service.wait()
        return service.stdout.read().split()

    def start_run(self, *words, nohup=False):
        words = words or ("run", "--", "true")
        process = subprocess.Popen(["nohup"] * nohup + ["banger", "vm", *words],
                                   env=self.session.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_wait_asks_again(self):
        """What broke off is asked again, and nothing else is: the state is told."""
        service = self.one_vm("away")
        self.session.banger("vm", "wait", "a" * 12, "--for", "port:80", "--timeout",
                            str(SECONDS["command"] // 2))
        self.assertEqual(self.asked(service),
                         [*FOUND, "OpenAgent", "OpenAgent", "OpenAgent"])

    def test_wait_takes_the_news(self):
        """What changed right behind the answer is newer, however the two are dispatched."""
        self.one_vm("news")
        for _ in range(200):
            self.session.banger("vm", "wait", "a" * 12, "--for", "running", "--timeout",
                                str(SECONDS["command"] // 2))

    def test_wait_takes_a_degraded_guest(self):
        """It never gets better. Of another's VM nothing is asked that needs to be allowed."""
        for mode, said, asked in (("sick", ": network, units", ["GetHealth"]), ("hers", "", [])):
            with self.subTest(mode=mode):
                service = self.one_vm(mode)
                result = self.session.banger("vm", "wait", "a" * 12, "--timeout",
                                             str(SECONDS["command"] // 2))
                self.assertEqual(result.stderr, "vm '%s' is degraded%s\n" % ("a" * 12, said))
                self.assertEqual(self.asked(service), FOUND + asked)

    def test_wait_for_a_port_that_is_none(self):
        for port in ("0", "65536", "x", ""):
            with self.subTest(port=port):
                said = self.session.banger("vm", "wait", "x", "--for", "port:" + port, status=2)
                self.assertIn("--for: a port is a number from 1 to 65535", said.stderr)

    def test_wait_is_over_while_it_asks(self):
        """Neither --timeout nor Ctrl-C waits for an answer."""
        service = self.one_vm("mute")
        said = self.session.banger("vm", "wait", "a" * 12, "--for", "port:80", "--timeout", "1",
                                   seconds=SECONDS["command"] // 2, status=7).stderr
        self.assertIn("vm '%s': not port:80 within 1 s" % ("a" * 12), said)
        waiting = subprocess.Popen(["banger", "vm", "wait", "a" * 12, "--for", "port:80"],
                                   env=self.session.env, stderr=subprocess.PIPE, text=True)
        self.addCleanup(waiting.stderr.close)
        self.addCleanup(waiting.wait)
        self.addCleanup(waiting.kill)
        for _ in range(2):
            while service.stdout.readline() != "OpenAgent\n":
                self.assertIsNone(service.poll())
        waiting.send_signal(signal.SIGINT)
        self.assertEqual(waiting.wait(SECONDS["command"]), 9)
        self.assertEqual(waiting.stderr.read(), "banger: vm '%s': interrupted\n" % ("a" * 12))

    def test_deleted_once_it_was_found(self):
        self.one_vm("gone")
        for words in (["wait"], ["show"]):
            said = self.session.banger("vm", *words, "a" * 12, status=3).stderr
            self.assertIn("vm/%s is not there any more" % ("a" * 12), said)

    def test_stats_of_what_is_ours_and_runs(self):
        """Others' are not asked, who would need to be allowed; what has ended leaves the watch."""
        self.one_vm("shared")
        watch = self.session.popen("banger", "vm", "stats", "--watch", "--json")
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        names = [json.loads(watch.stdout.readline())["name"] for _ in range(4)]
        self.assertEqual(names, ["ends", "here", "here", "here"])
        once = self.session.json("vm", "stats")
        self.assertEqual([vm["name"] for vm in once["vms"]], ["here"])

    def test_run_is_ended_while_the_vm_is_made(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number=number):
                service = self.one_vm("slow")
                process = self.start_run()
                while service.stdout.readline() != "Cancelable\n":
                    self.assertIsNone(process.poll())
                process.send_signal(number)
                self.assertEqual(process.wait(SECONDS["command"]), 9)
                self.assertIn("Cancel", self.asked(service))

    def test_run_is_ended_too_late_for_the_making(self):
        """The command is not begun."""
        for number in (signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number=number):
                service = self.one_vm("late")
                process = self.start_run()
                while service.stdout.readline() != "Cancelable\n":
                    self.assertIsNone(process.poll())
                process.send_signal(number)
                self.assertEqual(process.wait(SECONDS["command"]), -number)
                asked = self.asked(service)
                self.assertIn("Delete", asked)
                self.assertNotIn("OpenAgent", asked)

    def test_run_is_ended_while_its_command_runs(self):
        """The command is ended with its VM, and we end as the signal has it."""
        for number in (signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number=number):
                service = self.one_vm("busy")
                process = self.start_run()
                self.assertEqual(process.stdout.readline(), b"up\n")
                process.send_signal(number)
                self.assertEqual(process.wait(SECONDS["command"]), -number)
                asked = self.asked(service)
                self.assertIn("Delete", asked)
                self.assertNotIn("Cancel", asked[asked.index("Delete"):])

    def test_a_hangup_that_is_ignored_stays_so(self):
        """A command that was begun with nohup outlasts the session; Ctrl-\\ still ends it."""
        for words in (["run", "--", "true"], ["exec", "a" * 12, "true"]):
            with self.subTest(words=words):
                service = self.one_vm("busy")
                process = self.start_run(*words, nohup=True)
                self.assertEqual(process.stdout.readline(), b"up\n")
                status = Path("/proc/%d/status" % process.pid).read_text()
                process.kill()
                service.kill()
                service.wait()
                ignored = int(re.search(r"SigIgn:\s*(\w+)", status)[1], 16)
                self.assertTrue(ignored & 1 << signal.SIGHUP - 1, status)
        service = self.one_vm("slow")
        process = self.start_run(nohup=True)
        while service.stdout.readline() != "Cancelable\n":
            self.assertIsNone(process.poll())
        process.send_signal(signal.SIGQUIT)
        self.assertEqual(process.wait(SECONDS["command"]), 9)
        self.assertIn("Cancel", self.asked(service))


if __name__ == "__main__":
    unittest.main()
