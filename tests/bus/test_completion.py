# SPDX-License-Identifier: LGPL-2.1-or-later
"""Completion: what the program offers, and what the real shells make of it."""

import os
import pty
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/bus")]

from cli_case import CliTest
from harness import SECONDS

SCRIPTS = ROOT / "data/completions"
DEADLINE = 0.15


class CompletionTest(CliTest):
    def offered(self, *words):
        # What took as long as the deadline may have been cut off by it, on a machine that is busy.
        for _ in range(5):
            result = self.session.banger("__complete", *words)
            self.assertEqual(result.stderr, "")
            if result.seconds < DEADLINE:
                break
        return result.stdout.split()

    def need(self, shell):
        if not shutil.which(shell):
            self.skipTest("%s is not installed" % shell)

    def typed(self, argv, *steps, seconds=SECONDS["command"]):
        """Runs a shell on a terminal. Each step is what is typed, and a pattern that then comes."""
        pid, master = pty.fork()
        if pid == 0:
            os.execvpe(argv[0], argv, dict(self.session.env, TERM="vt100", COLUMNS="200"))
        self.addCleanup(os.close, master)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        seen = b""
        for text, pattern in steps:
            os.write(master, text.encode())
            part, deadline = b"", time.monotonic() + seconds
            while not re.search(pattern.encode(), part):
                ready, _, _ = select.select([master], [], [], max(0, deadline - time.monotonic()))
                self.assertTrue(ready, "no %r in %r after %r" % (pattern, part, seen))
                part += os.read(master, 65536)
                # Without what moves the cursor or is there for a terminal's slowness.
                part = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|[\0\a]", b"", part)
            seen += part
        return seen.decode(errors="replace")

    def bash(self):
        """The words that start it with our completion, and its first step."""
        self.need("bash")
        rc = self.session.base / "bashrc"
        rc.write_text("PS1='READY> '; source %s\n" % (SCRIPTS / "banger"))
        return ["bash", "--noprofile", "--rcfile", str(rc), "-i"], ("", "READY> ")

    def zsh(self):
        self.need("zsh")
        folder = self.session.base / "zsh"
        folder.mkdir(exist_ok=True)
        (folder / ".zshrc").write_text(
            "PS1='READY> '; fpath=(%s $fpath); autoload -U compinit; compinit -u -D\n" % SCRIPTS)
        self.session.env["ZDOTDIR"] = str(folder)
        return ["zsh", "-i"], ("", "READY> ")

    def fish_offers(self, line, cwd=None):
        self.need("fish")
        result = subprocess.run(
            ["fish", "--no-config", "-c", "source %s; complete -C '%s'"
             % (SCRIPTS / "banger.fish", line)],
            cwd=cwd, env=dict(self.session.env, HOME=str(self.session.base)), text=True,
            capture_output=True, timeout=SECONDS["command"])
        self.assertEqual(result.returncode, 0, result.stderr)
        return [line.split("\t")[0] for line in result.stdout.splitlines()]


class Completion(CompletionTest):
    def test_words(self):
        self.assertEqual(set(self.offered("vm", "sto")), {"stop"})
        self.assertEqual(self.offered("im"), ["image"])
        self.assertIn("exec", self.offered("ex"))
        self.assertNotIn("__complete", self.offered(""))
        self.assertEqual(self.offered("vm", "create", "--mem"), ["--memory"])
        self.assertEqual(self.offered("vm", "list", "--progress", ""), ["auto", "plain", "none"])
        self.assertEqual(self.offered("image", "import", "x", "/e"), [":file"])
        self.assertEqual(self.offered("vm", "exec", "web", "ls", "-"), [])
        self.assertEqual(self.offered("nonsense", "x", "y"), [])
        self.assertEqual(self.offered("help", "vm", "sho"), ["show"])

    def test_short_verbs(self):
        """After the nouns that have such verbs, as the words that stand for commands before."""
        self.assertEqual(self.offered("vm", "l"), ["list", "logs", "ls"])
        self.assertEqual(self.offered("image", "r"), ["rename", "rm"])
        self.assertEqual(self.offered("job", "l"), ["list", "ls"])
        self.assertEqual(self.offered("job", "r"), [])
        self.assertEqual(self.offered("l"), ["ls", "logs"])

    def test_names(self):
        self.session.import_image("debian", self.tar)
        self.session.import_image("alpine", self.tar)
        self.assertEqual(self.offered("image", "show", ""), ["alpine", "debian"])
        self.assertEqual(self.offered("image", "delete", "alpine", "d"), ["debian"])
        self.assertEqual(self.offered("--session", "vm", "create", "--image", "al"), ["alpine"])
        self.assertEqual(self.offered("image", "show", "debian", ""), [])
        self.assertEqual(self.offered("image", "rename", "d"), ["debian"])
        self.assertEqual(self.offered("image", "rename", "debian", ""), [])
        self.assertEqual(self.offered("image", "cat", "d"), ["debian:"])
        self.assertEqual(self.offered("image", "rm", "debian:/etc", "a"), ["alpine:"])
        self.assertEqual(self.offered("image", "chmod", "644", ""), ["alpine:", "debian:"])
        self.assertEqual(self.offered("image", "ls", "debian:/e"), [])
        self.assertEqual(self.offered("image", "edit", "d"), ["debian"])
        self.assertEqual(self.offered("image", "cp", "d"), [":file", "debian:"])
        self.assertEqual(self.offered("image", "cat", "--vm", "d"), [])
        self.assertEqual(self.offered("image", "sha"), ["share"])

    def test_many(self):
        """Of a service with fifty VMs all names are there in time, as a rule: median of nine."""
        names = ["vm-%02d" % n for n in range(50)]
        self.session.import_kernel()
        self.session.import_image("debian", self.tar)
        self.addCleanup(self.session.banger, "kernel", "delete", "cloud")
        self.addCleanup(self.session.banger, "vm", "delete", "--all", "--yes",
                        seconds=len(names) * SECONDS["command"])
        for name in names:
            self.session.banger("vm", "create", name, "--image", "debian", "--disk", "64M", "--work",
                                "64M", "--no-ssh-key", "--no-start")
        runs = [self.session.banger("__complete", "vm", "show", "") for _ in range(9)]
        # All of them, or none where the time was over.
        for run in runs:
            self.assertIn(run.stdout.split(), (names, []))
        whole = [r.seconds for r in runs if r.stdout]
        self.assertGreater(len(whole), len(runs) // 2, [r.seconds for r in runs])
        self.assertLess(statistics.median(r.seconds for r in runs), DEADLINE)

    def test_deadline(self):
        """A service that does not answer costs no more than the deadline."""
        self.session.banger("vm", "list")
        service = self.session.service_pid()
        os.kill(service, signal.SIGSTOP)
        try:
            result = self.session.banger("__complete", "image", "show", "", seconds=10)
        finally:
            os.kill(service, signal.SIGCONT)
        self.assertEqual(result.stdout, "")
        self.assertLess(result.seconds, 5)

    def test_values(self):
        """Values of enumerations, columns, and keys of changes."""
        self.assertEqual(self.offered("vm", "list", "--format", ""),
                         ["table", "json", "yaml", "csv"])
        self.assertEqual(self.offered("vm", "show", "x", "--format", ""),
                         ["table", "json", "yaml"])
        self.assertEqual(self.offered("vm", "list", "--format=j"), ["--format=json"])
        self.assertEqual(self.offered("vm", "list", "--columns", "name,sta"),
                         ["name,state", "name,stage", "name,started"])
        self.assertEqual(self.offered("job", "list", "--sort", "-ki"), ["-kind"])
        self.assertEqual(self.offered("vm", "list", "--filter", "hea"), ["health="])
        self.assertEqual(self.offered("vm", "list", "--filter", "state=pa"), ["state=paused"])
        self.assertEqual(self.offered("vm", "list", "--filter", "health!=un"),
                         ["health!=unknown", "health!=unreachable"])
        self.assertEqual(self.offered("vm", "create", "--restart", "o"), ["on-failure"])
        self.assertEqual(self.offered("vm", "create", "--root", ""), ["overlay", "clone"])
        self.assertEqual(self.offered("wait", "web", "--for", ""),
                         ["running", "healthy", "ssh", "stopped", "port:"])
        self.assertEqual(self.offered("vm", "create", "--backend", ""), ["qemu"])
        self.assertEqual(self.offered("vm", "set", "web", "me"), ["memory="])
        self.assertEqual(self.offered("vm", "set", "web", "restart=al"), ["restart=always"])
        self.assertEqual(self.offered("image", "show", "x", "-p", "size"), ["size_bytes"])
        self.assertEqual(self.offered("--progress", "plain", "vm", "li"), ["list"])


class Shells(CompletionTest):
    """The shells themselves, each on a terminal of its own where it needs one."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_image("debian", cls.tar)

    def empty(self):
        """The image stays for all tests of this class."""

    @classmethod
    def tearDownClass(cls):
        cls.session.banger("image", "delete", "debian")
        super().tearDownClass()

    def test_bash(self):
        bash, start = self.bash()
        self.typed(bash, start, ("banger image show de\t", "debian "),
                   ("--form\tya\t", "--format yaml "))
        self.typed(bash, start, ("banger image cat deb\t", r"debian:(?! )"))
        self.typed(bash, start, ("banger vm list --filter state=pau\t", "state=paused "))
        self.typed(bash, start, ("banger vm set web autos\t", "autostart="), ("t\t", "true "))
        self.typed(bash, start, ("banger image import x %s/REA\t" % ROOT, r"README\.md "))

    def test_zsh(self):
        zsh, start = self.zsh()
        self.typed(zsh, start, ("banger image show de\t", "debian "),
                   ("--form\t", "--format "), ("ya\t", "yaml "))
        self.typed(zsh, start, ("banger image cat deb\t", r"debian:(?! )"))
        self.typed(zsh, start, ("banger vm list --filter state=pau\t", "paused "))
        self.typed(zsh, start, ("banger vm set web autos\t", "autostart="), ("t\t", "true "))
        self.typed(zsh, start, ("banger image import x %s/REA\t" % ROOT, r"README\.md "))

    def test_fish(self):
        self.assertEqual(self.fish_offers("banger image show de"), ["debian"])
        self.assertEqual(self.fish_offers("banger image cat deb"), ["debian:"])
        self.assertEqual(sorted(self.fish_offers("banger vm list --format ")),
                         ["csv", "json", "table", "yaml"])
        self.assertEqual(self.fish_offers("banger vm list --filter state=pau"), ["state=paused"])
        self.assertEqual(self.fish_offers("banger vm set web autos"), ["autostart="])
        self.assertIn("%s/README.md" % ROOT,
                      self.fish_offers("banger image import x %s/REA" % ROOT))


class OfEachState(CompletionTest):
    """What depends on what VMs do, of a service that has one of each state."""

    def setUp(self):
        super().setUp()
        self.service = self.one_vm("states")
        self.folder = self.session.base / "files"
        self.folder.mkdir(exist_ok=True)
        for name in ("runes", "unique"):
            (self.folder / name).touch()

    def empty(self):
        """There is no service of ours to be left with anything."""

    def test_states(self):
        startable, alive = ["failed", "stopped"], ["paused", "running", "starting"]
        has_vmm = ["paused", "running", "starting", "stopping"]
        each = ["creating", "deleting", "failed", *alive, "stopped", "stopping"]
        offers = {"start": startable, "stop": alive, "kill": has_vmm, "pause": ["running"],
                  "restart": ["paused", "running"], "resume": ["paused"], "console": has_vmm,
                  "health": has_vmm}
        offers.update(dict.fromkeys(("exec", "shell", "ssh", "proxy", "ports", "top"),
                                    ["running"]))
        # A VM that runs can be deleted by force, and stats tells of the disks of any.
        offers.update(dict.fromkeys(("delete", "show", "status", "logs", "wait", "stats"), each))
        for verb, names in offers.items():
            with self.subTest(verb=verb):
                self.assertEqual(self.offered("vm", verb, ""), names)
        self.assertEqual(self.offered("start", "failed", "s"), ["stopped"])
        self.assertEqual(self.offered("vm", "set", "pau"), ["paused"])

    def test_cp(self):
        """Files, and guests of which no path is offered: a word with a guest is no file here."""
        self.assertEqual(self.offered("cp", ""), [":file", "running:"])
        self.assertEqual(self.offered("vm", "cp", "x", "y", "ru"), [":file", "running:"])
        self.assertEqual(self.offered("cp", "x", "st"), [":file"])
        self.assertEqual(self.offered("cp", "./a:b"), [":file"])
        for word in ("running:", "running:/e", "web:x"):
            self.assertEqual(self.offered("cp", word), [])

    def test_cp_deadline(self):
        """Files are offered whatever the service does."""
        os.kill(self.service.pid, signal.SIGSTOP)
        self.assertEqual(self.offered("cp", ""), [":file"])

    def test_bash(self):
        bash, start = self.bash()
        enter = ("cd %s\n" % self.folder, "READY> $")
        # What is typed behind it shows that there is no space, or that nothing was added.
        self.typed(bash, start, enter, ("banger cp run\t\t", r"runes +running:"),
                   ("ni\t/etc", "ning:/etc"))
        self.typed(bash, start, enter, ("banger cp unique running:uni\t.", r"running:uni\."))
        self.typed(bash, start, enter, ("banger cp uni\t", "unique "))

    def test_zsh(self):
        zsh, start = self.zsh()
        enter = ("cd %s\n" % self.folder, "READY> $")
        self.typed(zsh, start, enter, ("banger cp run\t", r"running:\s+runes"))
        self.typed(zsh, start, enter, ("banger cp runn\t/etc", "ing:/etc"))
        self.typed(zsh, start, enter, ("banger cp unique running:uni\t.", r"running:uni\."))
        self.typed(zsh, start, enter, ("banger cp uni\t", "que "))

    def test_fish(self):
        self.assertEqual(sorted(self.fish_offers("banger cp run", self.folder)),
                         ["runes", "running:"])
        self.assertEqual(self.fish_offers("banger cp unique running:uni", self.folder), [])
        self.assertEqual(self.fish_offers("banger vm resume ", self.folder), ["paused"])


if __name__ == "__main__":
    unittest.main()
