# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ctrl-C during jobs that cannot be cancelled at once, or never, and during several; services that
come and go meanwhile."""

import json
import os
import signal
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/bus")]

from cli_case import CliTest
from harness import SECONDS

ONE, OTHER = "a" * 12, "b" * 12


class Interrupt(CliTest):
    def empty(self):
        """There is no service of ours to be left with anything."""

    def service(self, *argv, says=b"ready\n"):
        program = Path(os.environ["BANGER_BUILD"]).parent / "tests/bus/slow-job"
        process = subprocess.Popen([program, *argv], env=self.session.env, stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), says)
        return process

    def restart(self, service, *names, options=()):
        """The command, once the service has begun with all."""
        process = subprocess.Popen(["banger", "vm", "restart", *names, *options],
                                   env=self.session.env, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for name in names:
            self.assertEqual(service.stdout.readline().decode().strip(), name)
        return process

    def until(self, process, text):
        said = ""
        for line in process.stderr:
            said += line.decode()
            if text in said:
                return said
        self.fail("no %r in %r" % (text, said))

    def end(self, process):
        _, err = process.communicate(timeout=SECONDS["command"])
        return process.returncode, err.decode()

    def test_not_at_once(self):
        """A cancel that is refused is tried again when the job says that it can be."""
        process = self.restart(self.service(), ONE)
        process.send_signal(signal.SIGINT)
        said = self.until(process, "vm '%s': it cannot be cancelled now" % ONE)
        self.assertIn("cancelling", said)
        status, said = self.end(process)
        self.assertEqual(status, 9, said)
        self.assertIn("banger: vm '%s': cancelled: it is stopped" % ONE, said)

    def test_never(self):
        """A second Ctrl-C leaves, and says that the job goes on."""
        process = self.restart(self.service("never"), ONE)
        process.send_signal(signal.SIGINT)
        self.until(process, "it cannot be cancelled now; Ctrl-C again leaves it going on")
        process.send_signal(signal.SIGINT)
        status, said = self.end(process)
        self.assertEqual(status, 9, said)
        self.assertIn("banger: vm '%s': left\n"
                      "  cause: it cannot be cancelled; the service goes on with it\n"
                      "  hint: banger job show %s\n" % (ONE, ONE), said)

    def test_several(self):
        """One Ctrl-C is for all of them; of each is said what became of it."""
        process = self.restart(self.service(), ONE, OTHER)
        process.send_signal(signal.SIGINT)
        status, said = self.end(process)
        self.assertEqual(status, 9, said)
        for name in (ONE, OTHER):
            self.assertIn("banger: vm '%s': cancelled: it is stopped" % name, said)

    def test_service_that_is_another_one_by_then(self):
        """The job is that of the one that began it, whoever was there before."""
        self.service("leaves")
        second = self.service("done", says=b"waiting\n")
        process = subprocess.Popen(["banger", "vm", "restart", ONE], env=self.session.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        status, said = self.end(process)
        self.assertEqual(status, 0, said)
        self.assertEqual(second.stdout.readline(), b"ready\n")

    def test_service_that_ends(self):
        """Nobody is there who would know of the job."""
        service = self.service()
        process = self.restart(service, ONE)
        service.kill()
        status, said = self.end(process)
        self.assertEqual(status, 6, said)
        self.assertIn("bangerd ended while it worked on it", said)

    def test_document(self):
        """With --json that is one document, whether they were cancelled or done."""
        process = self.restart(self.service(), ONE, OTHER, options=["--json", "--progress=none"])
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=SECONDS["command"])
        self.assertEqual(process.returncode, 9)
        vms = json.loads(out)["vms"]
        self.assertEqual([(v["id"], v["job"], v["ended_by"]) for v in vms],
                         [(name, name, None) for name in (ONE, OTHER)])
        for vm in vms:
            self.assertTrue(vm["error"]["name"].endswith(".Cancelled"), vm)

    def test_what_ended_a_guest(self):
        self.service("done")
        vm, = self.session.json("vm", "restart", ONE)["vms"]
        self.assertEqual((vm["ended_by"], vm["error"]), ("button", None))
        said = self.session.banger("vm", "restart", ONE).stdout
        self.assertIn("; its guest shut down when the power button was pressed)", said)


if __name__ == "__main__":
    unittest.main()
