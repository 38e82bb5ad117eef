# SPDX-License-Identifier: LGPL-2.1-or-later
"""ssh into a guest with a real server and no network, and what else goes through its ports."""

import shutil
import socket
import subprocess
import threading
import tempfile
import unittest
from pathlib import Path

import fixtures
from harness import SECONDS, BangerTest

SERVER = "/usr/sbin/dropbear"


class SshTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not shutil.which("ssh"):
            raise unittest.SkipTest("ssh is not installed")
        folder = tempfile.TemporaryDirectory(prefix="banger-ssh-")
        cls.addClassCleanup(folder.cleanup)
        cls.home = Path(folder.name)
        # Nothing of the user's who runs the tests: neither keys nor configuration.
        cls.session.env.update(HOME=str(cls.home), XDG_DATA_HOME=str(cls.home / "data"))
        cls.session.env.pop("SSH_AUTH_SOCK", None)
        cls.key = cls.home / "data/banger/id_ed25519"
        if not cls.key.exists():
            cls.key.parent.mkdir(parents=True)
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(cls.key)],
                           check=True)
        cls.session.import_kernel()
        cls.session.import_image("ssh", fixtures.dropbear_tar())
        cls.create("web")

    @classmethod
    def create(cls, name, serve=True):
        cls.session.banger("vm", "create", name, "--image", "ssh", "--memory", "160M",
                           seconds=SECONDS["busybox"])
        cls.session.guest(name, "/bin/mkdir", "-p", "-m", "700", "/root/.ssh", "/etc/dropbear")
        cls.session.banger("cp", str(cls.key) + ".pub", name + ":/root/.ssh/authorized_keys")
        if serve:
            cls.session.guest(name, SERVER, "-R", "-s", "-p", "127.0.0.1:22")
            cls.session.banger("vm", "wait", name, "--for", "ssh", "--timeout", "50")

    def ssh(self, *words, status=0):
        return self.session.banger("ssh", *words, status=status, seconds=SECONDS["exec"])

    def test_commands(self):
        # Not a word of a host key that is new, either.
        result = self.ssh("web", "echo from; hostname")
        self.assertEqual((result.stdout, result.stderr), ("from\nweb\n", ""))
        self.ssh("web", "exit 5", status=5)
        result = self.session.run("banger", "ssh", "web", "cat", stdin=None, input="piped\n",
                                  timeout=SECONDS["exec"])
        self.assertEqual(result.stdout, "piped\n")

    def test_known_hosts_follow_the_vm(self):
        """Made anew under its name a VM is another host; the one that is gone is forgotten."""
        known = self.session.state / "known_hosts"
        self.create("again")
        self.ssh("again", "true")
        first = self.session.json("vm", "show", "again")["id"]
        self.assertIn(first, known.read_text())
        self.session.banger("vm", "delete", "--force", "again")
        self.create("again")
        self.addCleanup(self.session.banger, "vm", "delete", "--force", "again")
        self.assertEqual(self.ssh("again", "hostname").stdout, "again\n")
        self.assertNotIn(first, known.read_text())
        self.assertIn(self.session.json("vm", "show", "again")["id"], known.read_text())

    def test_nothing_listens(self):
        self.create("deaf", serve=False)
        self.addCleanup(self.session.banger, "vm", "delete", "--force", "deaf")
        for command in (("ssh", "deaf"), ("vm", "proxy", "deaf")):
            result = self.session.banger(*command, status=255)
            self.assertIn("nothing listens on port 22", result.stderr)
            self.assertIn("banger shell deaf", result.stderr)
        result = self.session.banger("vm", "wait", "deaf", "--for", "ssh", "--timeout", "1", status=7)
        self.assertIn("not ssh within 1 s", result.stderr)

    def test_config(self):
        for names in ([], ["web"]):
            config = self.home / "config"
            config.write_text(self.session.banger("vm", "ssh-config", *names).stdout)
            result = self.session.run("ssh", "-F", config, "web.banger", "hostname",
                                      timeout=SECONDS["exec"])
            self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "web\n", ""))

    def test_proxy(self):
        """The end of input is passed on, and the answer comes after it."""
        self.session.guest("web", "/bin/sh", "-c",
                           "nc -l -p 7000 -e /bin/sh -c 'cat | wc -c; echo end' >/dev/null 2>&1 &")
        self.session.banger("vm", "wait", "web", "--for", "port:7000", "--timeout", "50")
        much = "x" * 3000000
        result = self.session.run("banger", "vm", "proxy", "web", "7000", stdin=None, input=much,
                                  timeout=SECONDS["exec"])
        self.assertEqual((result.returncode, result.stdout), (0, "3000000\nend\n"))

    def test_proxy_to_one_that_does_not_read(self):
        """What goes to the guest does not wait until somebody reads what it says."""
        self.session.guest("web", "/bin/sh", "-c",
                           "nc -l -p 7001 -e /bin/sh -c 'yes | head -c 1000000 & wc -c > /tmp/heard; wait' "
                           ">/dev/null 2>&1 &")
        self.session.banger("vm", "wait", "web", "--for", "port:7001", "--timeout", "50")
        process = self.session.popen("banger", "vm", "proxy", "web", "7001",
                                     stdin=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def speak():
            process.stdin.write(b"x" * 3000000)
            process.stdin.close()

        speaker = threading.Thread(target=speak, daemon=True)
        speaker.start()
        speaker.join(SECONDS["exec"])
        self.assertFalse(speaker.is_alive())
        self.assertEqual(len(process.stdout.read()), 1000000)
        self.assertEqual(process.wait(SECONDS["command"]), 0)
        heard = self.session.banger("exec", "web", "--", "cat", "/tmp/heard").stdout
        self.assertEqual(int(heard), 3000000)

    def test_pass(self):
        """The stream itself, as ssh takes it from a ProxyCommand."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = subprocess.Popen(["banger", "vm", "proxy", "--pass", "web"],
                                       env=self.session.env, stdin=subprocess.DEVNULL, stdout=theirs)
            self.assertEqual(process.wait(SECONDS["command"]), 0)
            _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        with socket.socket(fileno=fds[0]) as stream:
            stream.settimeout(SECONDS["command"])
            self.assertTrue(stream.recv(64).startswith(b"SSH-2.0-"))

    def test_ports(self):
        ports = {port["port"]: port for port in self.session.json("vm", "ports", "web")["ports"]}
        self.assertTrue(ports[22]["listening"])
        self.assertEqual(ports[22]["address"], "127.0.0.1")
        self.assertIn("dropbear", self.session.banger("vm", "ports", "web").stdout)


if __name__ == "__main__":
    unittest.main()
