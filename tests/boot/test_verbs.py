# SPDX-License-Identifier: LGPL-2.1-or-later
"""The life of a VM by commands, and what they say to people."""

import json
import unittest

from harness import SECONDS
from life import VmTest


class VerbsTest(VmTest):
    def vm(self, verb, *argv, seconds=SECONDS["busybox"], **more):
        return self.session.banger("vm", verb, *argv, seconds=seconds, **more)

    def status(self, name):
        return self.vm("status", name).stdout

    def test_life(self):
        self.vm("create", "web", "--memory", "128M", "--label", "env=test")
        said = self.status("web")
        self.assertRegex(said, r"^web: running \(healthy\) for \d+ s\n")
        self.assertIn("\n  the console's last lines:\n  | ", said)
        self.assertTrue(said.endswith("  next: banger vm shell web, or banger vm stop web\n"), said)
        self.assertEqual(self.session.json("status")["vms_running"], 1)

        said = self.vm("set", "web", "memory=192M", "restart=on-failure").stdout
        self.assertRegex(said, r"(?m)^web +memory +128 MiB +192 MiB +needs a restart$")
        self.assertRegex(said, r"(?m)^web +restart +never +on-failure +now$")
        self.assertTrue(said.endswith("banger vm restart web\n"), said)
        self.assertTrue(self.status("web").endswith("  next: banger vm restart web\n"))

        self.assertRegex(self.vm("pause", "web").stdout, r"^vm 'web' is paused \(")
        self.assertRegex(self.status("web"), r"^web: paused \(healthy\)")
        self.assertRegex(self.vm("resume", "--all").stdout, r"^vm 'web' runs again \(")

        said = self.vm("restart", "--label", "env=test").stdout
        self.assertRegex(said, r"^vm 'web' is up again \(.*; its guest shut down\)\n$")
        self.assertEqual(self.session.json("vm", "show", "web")["pending"], [])
        memory = self.session.guest("web", "grep", "MemTotal", "/proc/meminfo").stdout
        self.assertGreater(int(memory.split()[1]), 128 << 10)

        said = self.vm("stop", "w*").stdout
        self.assertRegex(said, r"^vm 'web' is stopped \(.*; its guest shut down\)\n$")
        self.assertIn("\n  its guest ended last by: shutdown\n", self.status("web"))
        self.assertEqual(self.vm("stop", "--all").stdout, "")

    def test_documents(self):
        """Each member of what is said of a guest that runs is in the man page."""
        self.vm("create", "web", "--memory", "128M", "--publish", "18080:80")
        man = self.session.banger("help", "--man").stdout.replace("\\", "")

        def check(node):
            for value in node if isinstance(node, list) else ():
                check(value)
            for key, value in node.items() if isinstance(node, dict) else ():
                self.assertRegex(man, r"\b%s\b" % key)
                check(value)

        documents = {}
        for verb in ("health", "ports", "top", "stats", "show"):
            with self.subTest(verb=verb):
                documents[verb] = self.session.json("vm", verb, "web")
                check(documents[verb])
        self.assertEqual(documents["health"]["health"], "healthy")
        self.assertTrue(documents["health"]["stages"])
        self.assertIn("guest_load", documents["stats"]["vms"][0])
        self.assertIn(1, [p["pid"] for p in documents["top"]["processes"]])
        port, = (p for p in documents["ports"]["ports"] if p["port"] == 80)
        self.assertEqual(port, {"port": 80, "listening": False, "address": None, "pid": 0,
                                "command": None, "published": ["127.0.0.1:18080"]})
        for verb, member, value in (("health", "health", "healthy"), ("show", "vcpus", "1")):
            self.assertEqual(self.vm(verb, "web", "-p", member).stdout, value + "\n")

        for verb, state, ended_by in (
                ("pause", "paused", [None]), ("resume", "running", [None]),
                ("restart", "running", ["guest"]), ("stop", "stopped", ["guest"]),
                ("start", "running", [None]), ("kill", "stopped", ["vmm", "kill"])):
            with self.subTest(verb=verb):
                document = json.loads(self.vm(verb, "web", "--json", seconds=SECONDS["stop"]).stdout)
                check(document)
                vm, = document["vms"]
                self.assertEqual((vm["id"], vm["name"], vm["state"], vm["error"]),
                                 (documents["show"]["id"], "web", state, None))
                self.assertIn(vm["ended_by"], ended_by)
                self.assertGreater(vm["duration_us"], 0)


if __name__ == "__main__":
    unittest.main()
