# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands on VMs that are never started: making, showing, changing, choosing among them."""

import json
import re
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/bus")]

from cli_case import CliTest

MIB = 1 << 20


class Vms(CliTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", cls.tar)

    def empty(self):
        """The image and the kernel stay for all tests of this class."""
        self.session.banger("vm", "delete", "--all", "--yes")

    @classmethod
    def tearDownClass(cls):
        cls.session.banger("image", "delete", "tiny")
        cls.session.banger("kernel", "delete", "cloud")
        assert cls.session.leftovers() == {}, cls.session.leftovers()
        super().tearDownClass()

    def create(self, name, *options):
        return self.session.banger("vm", "create", name, "--no-start", "--disk", "64M", "--work",
                                   "64M", *options)

    def show(self, name):
        return self.session.json("vm", "show", name)

    def set(self, *argv, status=0):
        return self.session.banger("vm", "set", *argv, status=status)

    def test_create(self):
        self.create("web", "--label", "env=test", "-p", "8080:80", "--restart", "on-failure",
                    "--autostart", "--root", "clone", "--network", "none", "--vcpus", "1")
        vm = self.show("web")
        self.assertEqual(vm["labels"], {"env": "test"})
        self.assertEqual(vm["published"], ["127.0.0.1:8080:80"])
        self.assertEqual((vm["restart"], vm["root"], vm["network"]),
                         ("on-failure", "clone", "none"))
        self.assertIs(vm["autostart"], True)
        self.assertIsNone(vm["last_exit"])
        self.assertIsNone(vm["started_at"])
        for argv in (["--restart", "sometimes"], ["--root", "none"], ["--publish", "x"],
                     ["--ssh-key", "/etc/passwd", "--no-ssh-key"]):
            with self.subTest(argv=argv):
                self.session.banger("vm", "create", "bad", "--no-start", *argv, status=2)
        for name in self.names():
            self.assertEqual(name, "web")

    def names(self, *argv):
        return self.session.banger("vm", "list", "-q", *argv).stdout.split()

    def test_man_page(self):
        """Each member of a VM's document is in the man page."""
        self.create("web")
        man = self.session.banger("help", "--man").stdout.replace("\\", "")
        for name in self.show("web"):
            self.assertIn(name, man)

    def test_key(self):
        """banger's own pair is made once, and its public key is what opens the VM."""
        self.create("web")
        identity = Path(self.session.env["XDG_DATA_HOME"]) / "banger/id_ed25519"
        if not identity.exists():
            self.skipTest("ssh-keygen is not installed")
        public = identity.with_suffix(".pub").read_text()
        work, = self.session.state.glob("vms/%s/work.ext4" % self.show("web")["id"])
        keys = self.session.run("debugfs", "-R", "cat /.ssh/authorized_keys", work).stdout
        self.assertIn(public.strip(), keys)
        self.create("closed", "--no-ssh-key")
        work, = self.session.state.glob("vms/%s/work.ext4" % self.show("closed")["id"])
        keys = self.session.run("debugfs", "-R", "cat /.ssh/authorized_keys", work).stdout
        self.assertEqual(keys.strip(), "")
        self.assertEqual(identity.with_suffix(".pub").read_text(), public)

    def test_status(self):
        """For people: what it is, and what to do next; of one that never ran nothing else."""
        self.create("web", "-p", "8080:80")
        self.assertEqual(self.session.banger("vm", "status", "web").stdout,
                         "web: stopped\n"
                         "  image tiny, kernel cloud, 1 CPU, 512 MiB\n"
                         "  published ports: 127.0.0.1:8080:80\n"
                         "  next: banger vm start web, or banger vm delete web\n")
        result = self.session.banger("vm", "status", "nobody", "web", status=3)
        self.assertIn("\nweb: stopped\n", result.stdout)

    def test_set(self):
        self.create("web", "--label", "env=test", "--label", "old=1", "-p", "8080:80")
        said = self.set("web", "memory=256M", "label.tier=1", "--unlabel", "env", "--publish",
                        "8081:81", "--unpublish", "8080", "--dry-run").stdout
        self.assertRegex(said, r"(?m)^VM +KEY +OLD +NEW +WHEN$")
        self.assertRegex(said, r"(?m)^web +memory +512 MiB +256 MiB +at its next start$")
        self.assertRegex(said, r"(?m)^web +labels +env=test old=1 +old=1 tier=1 +now$")
        self.assertEqual(self.show("web")["memory_bytes"], 512 * MIB)
        document = json.loads(self.set(
            "web", "memory=256M", "label.tier=1", "--unlabel", "env", "--publish", "8081:81",
            "--unpublish", "8080", "--json").stdout)
        self.assertEqual({c["key"]: c["when"] for c in document["changes"]},
                         {"memory": "next-start", "labels": "now", "publish": "now"})
        vm = self.show("web")
        self.assertEqual(vm["memory_bytes"], 256 * MIB)
        self.assertEqual(vm["labels"], {"old": "1", "tier": "1"})
        self.assertEqual(vm["published"], ["127.0.0.1:8081:81"])
        said = self.set("web", "memory=256M", "label.tier=1", "autostart=no", "--dry-run").stdout
        self.assertEqual(dict(re.findall(r"(?m)^web +(\w+) .* (\w+)$", said)),
                         dict.fromkeys(("memory", "labels", "autostart"), "unchanged"))
        self.set("web", "publish=", "autostart=yes")
        vm = self.show("web")
        self.assertEqual(vm["published"], [])
        self.assertIs(vm["autostart"], True)
        self.set("web", "--no-autostart")
        self.assertIs(self.show("web")["autostart"], False)

    def test_set_refused(self):
        self.create("web")
        before = self.show("web")
        said = self.set("web", "disk=32M", status=2).stderr
        self.assertIn("banger: vm 'web': --disk must be at least the 64 MiB", said)
        said = self.set("web", "nobody", "--work", "1T", status=2).stderr
        self.assertIn("banger: vm 'web': --work must be a whole number of MiB", said)
        said = self.session.banger("vm", "create", "bad", "--no-start", "--disk", "1M",
                                   status=2).stderr
        self.assertIn("banger: vm 'bad': --disk must be a whole number of MiB", said)
        self.set("web", "restart=sometimes", "memory=1G", status=2)
        self.set("web", "kernel=nobody", status=3)
        host = Path("/proc/meminfo").read_text()
        much = "%dM" % (int(re.search(r"(?m)^MemTotal: +(\d+) kB$", host)[1]) // 1024 + 1)
        for flags in ([], ["--dry-run"]):
            said = self.set("web", "memory=" + much, *flags, status=None).stderr
            self.assertIn("banger: vm 'web': the host has not so much memory", said)
        said = self.session.banger("vm", "create", "bad", "--no-start", "--memory", much,
                                   status=None).stderr
        self.assertIn("banger: vm 'bad': the host has not so much memory", said)
        self.set("web", "--unpublish", "99", status=3)
        result = self.set("web", "disk=32M", "--json", status=2)
        self.assertIn("InvalidArgument", json.loads(result.stdout)["error"]["name"])
        self.assertEqual(self.show("web"), before)

    def test_set_contradictions(self):
        """What is said twice is not guessed at; what is so already is no error."""
        self.create("web", "--label", "a=0", "--network", "none")
        before = self.show("web")
        for argv, said in (
                (["vcpus=1", "vcpus=2"], "vm set: vcpus is given twice"),
                (["network=none", "--network", "user"], "vm set: network is given twice"),
                (["memory=128M", "--memory", "128M"], "vm set: memory is given twice"),
                (["autostart=no", "--autostart"], "vm set: autostart is given twice"),
                (["label.a=1", "--label", "a=2"], "vm set: label 'a' is given twice"),
                (["--label", "a=1", "--unlabel", "a"],
                 "vm set: label 'a' cannot both be set and taken away")):
            with self.subTest(argv=argv):
                self.assertIn("banger: " + said, self.set("web", *argv, status=2).stderr)
        self.assertEqual(self.show("web"), before)
        result = self.set("web", "--unlabel", "nosuch")
        self.assertIn("note: vm 'web' has no label 'nosuch'\n", result.stderr)
        self.assertRegex(result.stdout, r"(?m)^web +labels +a=0 +a=0 +unchanged$")
        self.assertNotIn("note", self.set("web", "--unlabel", "a").stderr)
        self.assertEqual(self.show("web")["labels"], {})

    def test_set_several(self):
        """All that can be changed is; the status is that of the first failure."""
        self.create("web-1")
        self.create("web-2")
        said = self.set("web-*", "nobody", "restart=always", status=3).stdout
        self.assertEqual(re.findall(r"(?m)^(web-\d) +restart", said), ["web-1", "web-2"])
        self.assertEqual(self.names("--filter", "restart=always"), ["web-1", "web-2"])

    def test_rename(self):
        self.create("web")
        self.create("other")
        said = self.session.banger("vm", "rename", "web", "www").stdout
        self.assertEqual(said, "vm 'web' is now called 'www'\n")
        self.assertEqual(self.names(), ["other", "www"])
        jobs = self.session.json("job", "list")
        said = self.session.banger("vm", "rename", "www", "www").stdout
        self.assertEqual(said, "vm 'www' is called that already\n")
        self.assertEqual(self.session.json("vm", "rename", "www", "www")["name"], "www")
        self.assertEqual(self.session.json("job", "list"), jobs)
        self.session.banger("vm", "rename", "www", "other", status=4)
        self.session.banger("vm", "rename", "www", "Not A Name", status=2)

    def test_documents(self):
        """One document of what became of each; of the one that was named an error is all of it."""
        for name in ("a", "b", "c"):
            self.create(name)
        ids = {name: self.show(name)["id"] for name in ("a", "b", "c")}
        self.assertEqual(self.session.json("vm", "stop", "--all"), {"schema": 1, "vms": []})
        result = self.session.banger("vm", "stop", "a", "--json", status=4)
        document = json.loads(result.stdout)
        self.assertEqual(set(document), {"schema", "error"})
        self.assertIn("WrongState", document["error"]["name"])
        self.assertEqual(result.stderr, "")
        result = self.session.banger("vm", "stop", "a", "nobody", "b", "--json", status=4)
        self.assertEqual(result.stderr, "")
        self.assertEqual([(v["id"], v["name"], v["state"], v["job"], v["duration_us"],
                           v["ended_by"], v["error"]["name"].split(".")[-1])
                          for v in json.loads(result.stdout)["vms"]],
                         [(ids["a"], "a", "stopped", None, None, None, "WrongState"),
                          (None, "nobody", None, None, None, None, "NotFound"),
                          (ids["b"], "b", "stopped", None, None, None, "WrongState")])
        # A pattern may mean several, however many it means now.
        result = self.session.banger("vm", "set", "a*", "disk=32M", "--json", status=2)
        vm, = json.loads(result.stdout)["vms"]
        self.assertIn("vm 'a': --disk must be", vm["error"]["message"])
        document = json.loads(self.set("a", "nobody", "vcpus=1", "name=z", "--json",
                                       status=3).stdout)
        self.assertEqual({c["vm"] for c in document["changes"]}, {"a"})
        self.assertEqual([(v["id"], v["name"], v["state"]) for v in document["vms"]],
                         [(ids["a"], "z", "stopped"), (None, "nobody", None)])
        self.assertEqual(self.session.json("vm", "rename", "z", "a")["id"], ids["a"])
        deleted, = self.session.json("vm", "delete", "a")["vms"]
        self.assertEqual((deleted["id"], deleted["state"], deleted["error"]), (ids["a"], None, None))
        self.assertGreater(deleted["duration_us"], 0)
        begun, = self.session.json("vm", "delete", "b", "--no-wait")["vms"]
        self.assertTrue(begun["job"])
        self.assertIsNone(begun["duration_us"])
        said = self.session.banger("vm", "delete", "c", "--format", "yaml").stdout
        self.assertTrue(said.startswith("schema: 1\nvms:\n  - id: \"%s\"" % ids["c"]), said)

    def test_labels_choose(self):
        self.create("a", "--label", "env=test", "--label", "tier=1")
        self.create("b", "--label", "env=test")
        self.create("c")
        offered = self.session.banger("__complete", "vm", "stop", "--label", "env").stdout
        self.assertEqual(offered, "env=test\n")
        # None of them runs: there is nothing to stop, and that is no failure.
        result = self.session.banger("vm", "stop", "--label", "env=test")
        self.assertEqual((result.stdout, result.stderr), ("", "nothing to do: 2 in another state\n"))
        self.session.banger("vm", "delete", "--label", "env=t*", "--label", "tier=1", "-y")
        self.assertEqual(self.names(), ["b", "c"])
        self.session.banger("vm", "delete", "?", "--label", "env", "-y")
        self.assertEqual(self.names(), ["c"])

    def test_states(self):
        """What the state forbids is said with a status of its own."""
        self.create("web")
        for verb in ("stop", "pause", "resume", "restart"):
            with self.subTest(verb=verb):
                result = self.session.banger("vm", verb, "web", status=4)
                self.assertIn("vm 'web'", result.stderr)


if __name__ == "__main__":
    unittest.main()
