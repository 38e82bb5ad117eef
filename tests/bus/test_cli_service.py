# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the command line says of the service, of what happens on the bus, and of itself."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/bus")]

from cli_case import CliTest
from harness import BUS_NAME, SECONDS


class Monitor(CliTest):
    def monitor(self, *argv):
        process = subprocess.Popen(["banger", "monitor", *argv], env=self.session.env,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        # It says this once nothing is missed any more.
        self.assertIn(b"monitoring", process.stderr.readline())
        return process

    def until(self, process, pattern):
        """Lines up to the one that has @pattern."""
        lines = []
        for line in process.stdout:
            lines.append(line.decode().rstrip("\n"))
            if re.search(pattern, lines[-1]):
                return lines
        self.fail("no %r in %r" % (pattern, lines))

    def end(self, process):
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(SECONDS["command"]), 0)

    def test_text(self):
        process = self.monitor()
        self.session.import_image("debian", self.tar)
        text = "\n".join(self.until(process, "import-image done"))
        self.assertRegex(text, r"(?m)^\d\d:\d\d:\d\d image 'debian': there is one, importing$")
        self.assertRegex(text, r"(?m) job [a-z2-7]{12}, image 'debian': import-image began$")
        self.assertRegex(text, r"(?m) job [a-z2-7]{12}, image 'debian': import-image done$")
        self.assertRegex(text, r"(?m) job [a-z2-7]{12}: .*stage stored")
        self.assertRegex(text, r"(?m) image 'debian': .*state ready")
        self.session.banger("image", "rename", "debian", "other")
        self.until(process, "image 'debian': name other")
        self.session.import_kernel()
        self.session.banger("vm", "create", "web", "--image", "other", "--no-start", "--no-ssh-key")
        self.session.banger("vm", "set", "web", "label.a=b", "label.c=d")
        self.until(process, "vm 'web': .*labels a=b c=d")
        self.session.banger("vm", "delete", "web")
        self.session.banger("kernel", "delete", "cloud")
        self.session.banger("image", "delete", "other")
        self.until(process, "image 'other': it is gone")
        self.until(process, "job [a-z2-7]{12}, image 'other': delete-image done")
        self.end(process)

    def test_json(self):
        process = self.monitor("--json")
        self.session.import_image("debian", self.tar)
        events = [json.loads(line) for line in self.until(process, '"job-finished"')]
        man = self.session.banger("help", "--man").stdout.replace("\\", "")
        for event in events:
            self.assertEqual(event["schema"], 1)
            for member in event:
                self.assertRegex(man, r"\b%s\b" % member)
            self.assertRegex(event["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        added = [e for e in events if e["event"] == "added"]
        self.assertEqual({e["object_kind"] for e in added}, {"image", "job"})
        image = next(e for e in added if e["object_kind"] == "image")
        self.assertEqual(image["object_name"], "debian")
        self.assertEqual(image["properties"]["size_bytes"], 0)
        states = [e["properties"]["state"] for e in events if e["event"] == "changed"
                  and e["object_kind"] == "image" and "state" in e["properties"]]
        self.assertEqual(states, ["ready"])
        self.assertEqual(events[-1]["result"], "done")
        self.assertEqual(events[-1]["kind"], "import-image")
        self.assertIsNone(events[-1]["error"])
        self.end(process)

    def test_what_was_never_made(self):
        """A failed import has a name in the list of jobs, and for who looks after it has begun."""
        broken = self.session.base / "broken.tar"
        broken.write_bytes(b"this is no archive" * 100)
        self.session.banger("image", "import", "broken", str(broken), status=1)
        listed = json.loads(self.session.banger("job", "list", "--json").stdout)["jobs"]
        self.assertIn(("image broken", "broken"),
                      [(j["object"], j["object_name"]) for j in listed])
        process, pipe = self.start_endless()
        monitor = self.monitor("--json")
        self.session.banger("job", "cancel", self.running_jobs()[0])
        line = self.until(monitor, '"job-finished"')[-1]
        self.assertEqual(json.loads(line)["target_name"], "endless")
        self.end(monitor)

    def test_restart(self):
        """It outlives the service, and knows the names of what the next one has."""
        self.session.import_image("debian", self.tar)
        process = self.monitor("--json")
        self.session.kill(self.session.service_pid())
        self.until(process, '"service-ended"')
        self.session.banger("image", "list")
        self.until(process, '"service-started"')
        self.session.banger("image", "delete", "debian")
        lines = self.until(process, '"removed".*"image"')
        self.assertEqual(json.loads(lines[-1])["object_name"], "debian")
        lines = self.until(process, '"job-finished".*"delete-image"')
        self.assertEqual(json.loads(lines[-1])["target_name"], "debian")
        self.end(process)


class Interaction(CliTest):
    def allowed(self, *argv, member="GetManagedObjects", status=0):
        """Did the call of @member say that polkit may ask the user?"""
        watch = subprocess.Popen(
            ["busctl", "--user", "--match",
             "type='method_call',member='%s'" % member, "monitor"],
            env=self.session.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        deadline = threading.Timer(SECONDS["command"], watch.kill)
        flags = None
        try:
            deadline.start()
            for line in watch.stdout:
                if line.startswith(b"Monitoring"):
                    break
            self.session.banger(*argv, status=status)
            for line in watch.stdout:
                flags = re.search(rb"Flags=(\d+)", line) or flags
                if b"Destination=%s " % BUS_NAME.encode() in line:
                    return bool(int(flags[1]) & 4)
        finally:
            deadline.cancel()
            watch.kill()
            watch.wait()
            watch.stdout.close()
        self.fail("no call of %s" % member)

    def test_no_input(self):
        """Wherever it stands, nobody is asked for a password either."""
        self.assertTrue(self.allowed("image", "list"))
        self.assertFalse(self.allowed("image", "list", "--no-input"))
        self.assertFalse(self.allowed("--no-input", "image", "list"))
        self.assertTrue(self.allowed("vm", "start", "x", member="FindVM", status=3))
        self.assertFalse(self.allowed("--no-input", "start", "x", member="FindVM", status=3))
        # Those that see to their words themselves, too: after its name all is the guest's.
        self.assertFalse(self.allowed("exec", "--no-input", "x", "ls", member="FindVM", status=3))
        self.assertTrue(self.allowed("exec", "x", "ls", "--no-input", member="FindVM", status=3))


class Service(CliTest):
    def test_status(self):
        status = self.session.json("status")
        self.assertEqual(status["vms"], 0)
        self.assertEqual(status["vms_running"], 0)
        self.assertEqual(status["bus"], "session")
        self.assertIsNone(status["default_image"])
        self.session.import_image("debian", self.tar)
        self.session.banger("image", "promote", "debian")
        self.assertEqual(self.session.json("status")["default_image"], "debian")
        text = self.session.banger("status").stdout
        self.assertRegex(text, r"(?m)^service: +bangerd \S+ on the session bus$")
        self.assertRegex(text, r"(?m)^VMs: +0, 0 of them running$")
        self.assertRegex(text, r"(?m)^default image: +debian$")

    def test_configuration(self):
        """The option, the environment, the user's file: in this order."""
        folder = Path(self.session.env["XDG_CONFIG_HOME"]) / "banger"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "banger.conf"
        self.addCleanup(file.unlink)
        env = dict(self.session.env, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nowhere/bus")
        del env["BANGER_BUS"]
        run = lambda *argv, **more: subprocess.run(
            ["banger", *argv], env=dict(env, **more), capture_output=True, text=True, check=False)
        file.write_text("[client]\nbus=session\nprogress=plain\n")
        self.assertEqual(run("vm", "list").returncode, 0)
        self.assertEqual(run("vm", "list", BANGER_BUS="system").returncode, 6)
        self.assertEqual(run("--system", "vm", "list").returncode, 6)
        self.assertEqual(run("--session", "vm", "list", BANGER_BUS="system").returncode, 0)
        result = run("image", "import", "debian", str(self.tar))
        self.assertIn("image 'debian': stored", result.stderr)
        result = run("--progress", "none", "image", "delete", "debian")
        self.assertEqual(result.stderr, "")
        file.write_text("[client]\nbus=both\n")
        result = run("vm", "list")
        self.assertEqual(result.returncode, 2)
        self.assertIn(str(file), result.stderr)
        # Who needs help with it gets it.
        self.assertEqual(run("help", "vm").returncode, 0)
        file.write_text("")


class Versions(CliTest):
    def empty(self):
        """There is no service of ours to be left with anything."""

    def service(self, version, protocol):
        program = Path(os.environ["BANGER_BUILD"]).parent / "tests/bus/other-version"
        process = subprocess.Popen([program, version, protocol], env=self.session.env,
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), b"ready\n")

    def test_other_protocol(self):
        self.service("9.9.9", "9")
        document = self.session.json("version")
        self.assertEqual((document["service_version"], document["service_protocol"]), ("9.9.9", 9))
        self.assertRegex(self.session.banger("version").stdout, "bangerd 9.9.9 protocol 9: bring")
        self.assertRegex(self.session.banger("status").stdout, "bangerd 9.9.9 protocol 9: bring")
        # What works, works without a word; what fails says one.
        self.assertEqual(self.session.banger("vm", "list").stderr, "")
        result = self.session.banger("vm", "show", "x", status=None)
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr, r"\nnote: banger \S+ speaks protocol 1, bangerd 9.9.9 "
                                        r"protocol 9.*\n$")

    def test_same_protocol(self):
        """A service that says no protocol speaks the first one: all works, nothing is noted."""
        self.service("0.0.1", "0")
        self.assertEqual(self.session.json("version")["service_protocol"], 1)
        self.assertRegex(self.session.banger("version").stdout, "bangerd 0.0.1: they work together")
        self.assertEqual(self.session.banger("vm", "list", "-q").stdout, "")
        result = self.session.banger("vm", "show", "x", status=None)
        self.assertNotIn("note:", result.stderr)


class Help(CliTest):
    def test_tree(self):
        tree = self.session.banger("help", "--tree").stdout
        self.assertRegex(tree, r"(?m)^├─ vm$")
        self.assertRegex(tree, r"(?m)^│  ├─ create \[NAME\] - make a VM and start it$")
        self.assertNotIn("__complete", tree)

    def test_json(self):
        document = self.session.json("help")
        commands = {c["name"]: c for c in document["commands"]}
        stop = commands["vm stop"]
        self.assertEqual(stop["shorthands"], ["stop"])
        self.assertEqual({o["name"]: o["type"] for o in stop["options"]}["timeout"], "count")
        self.assertIn("memory", commands["vm list"]["columns"])
        self.assertIn("no-input", [o["name"] for o in document["options"]])
        self.assertEqual({e["status"] for e in document["exit_statuses"]},
                         {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 127, 255})

    def test_man_page(self):
        """Every member of a document is in the man page, and so is every command."""
        self.session.import_image("debian", self.tar)
        man = self.session.banger("help", "--man").stdout.replace("\\", "")

        def members(node):
            if isinstance(node, dict):
                for key, value in node.items():
                    yield key
                    yield from members(value)
            elif isinstance(node, list):
                for value in node:
                    yield from members(value)

        for argv in (["image", "show", "debian"], ["image", "list"], ["job", "list"], ["status"],
                     ["version"], ["doctor"], ["help"]):
            result = self.session.banger(*argv, "--json", status=None)
            for name in set(members(json.loads(result.stdout))):
                self.assertIn(name, man, argv)
        for command in self.session.json("help")["commands"]:
            self.assertIn(".SS banger %s" % command["name"], man)


if __name__ == "__main__":
    unittest.main()
