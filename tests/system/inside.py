# SPDX-License-Identifier: LGPL-2.1-or-later
"""banger as it is installed on a host with systemd, polkit, KVM and vhost-vsock. Runs as root in
the host that machine.py boots; the users are its own."""

import contextlib
import json
import os
import pwd
import re
import signal
import sqlite3
import subprocess
import unittest
from pathlib import Path

import leftovers
from leftovers import wait_for_end

SHARE = Path("/mnt")
FILES = json.loads((SHARE / "out/files.json").read_text(encoding="utf-8"))
NAME, ROOT = "org.banger.Banger1", "/org/banger/Banger1"
SECONDS = {"command": 60, "import": 120, "tiny": 120, "debian": 300, "system": 90}
SEED = "seed\n"  # /root/from-image of the tiny guest
# What knock.py prints where nothing is to be had.
STRANGER = ["http closed", "guess challenged, closed", "own challenged, closed", "port closed"]


def command(*argv, status=0, seconds=SECONDS["system"], **more):
    """A command of this host; fails unless it ends with @status (None: any)."""
    more.setdefault("stdin", subprocess.DEVNULL)
    result = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, timeout=seconds, check=False, cwd="/", **more)
    if status is not None and result.returncode != status:
        raise AssertionError("%s: status %d, not %d\n%s%s" % (
            " ".join(map(str, argv)), result.returncode, status, result.stdout, result.stderr))
    return result


def setUpModule():
    """What a distribution's package does when it is installed."""
    with subprocess.Popen(["tar", "-C", SHARE / "root", "-c", "."], stdout=subprocess.PIPE) as tree:
        command("tar", "-C", "/", "--keep-directory-symlink", "--no-overwrite-dir", "--no-same-owner",
                "-x", stdin=tree.stdout)
    command("systemd-sysusers")
    command("systemd-tmpfiles", "--create")
    command("systemctl", "daemon-reload")
    command("busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
            "ReloadConfig")
    command("usermod", "-a", "-G", "banger", "carol")


class User:
    """Somebody of this host, and the bus that they speak to banger on."""

    def __init__(self, name, bus):
        entry = pwd.getpwnam(name)
        self.name, self.bus, self.uid, self.home = name, bus, entry.pw_uid, entry.pw_dir
        self.runtime = "/run/user/%d" % self.uid
        self.env = {"HOME": self.home, "USER": name, "LC_ALL": "C.UTF-8", "BANGER_BUS": bus,
                    "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"}
        if bus == "session":
            command("loginctl", "enable-linger", name)
            command("systemctl", "start", "user@%d.service" % self.uid)
            self.env.update(XDG_RUNTIME_DIR=self.runtime,
                            DBUS_SESSION_BUS_ADDRESS="unix:path=%s/bus" % self.runtime)

    def run(self, *argv, **more):
        return command("setpriv", "--reuid", self.name, "--regid", self.name, "--init-groups",
                       *argv, env=self.env, **more)

    def banger(self, *argv, seconds=SECONDS["command"], **more):
        return self.run("banger", *argv, seconds=seconds, **more)

    def json(self, *argv, **more):
        return json.loads(self.banger(*argv, "--json", **more).stdout)

    def guest(self, vm, *argv):
        return self.banger("vm", "exec", vm, "--", *argv).stdout

    def call(self, path, method, *arguments, **more):
        """A method by gdbus, which names errors."""
        return self.run("gdbus", "call", "--" + self.bus, "--timeout", "60", "--dest", NAME,
                        "--object-path", path, "--method", "%s.%s" % (NAME, method), *arguments,
                        **more)

    def path(self, vm):
        return re.search(r"'(/[^']+)'", self.call(ROOT, "Manager.FindVM", vm, "{}").stdout).group(1)

    def stream(self, vm, port, text, **more):
        """What a port of the guest answers to @text."""
        with subprocess.Popen(["printf", "%s", text], stdout=subprocess.PIPE) as source:
            return self.run("python3", SHARE / "tests/system/stream.py", self.bus, self.path(vm),
                            port, stdin=source.stdout, **more)

    def import_all(self, *images):
        self.banger("kernel", "import", "cloud", FILES["kernel"], seconds=SECONDS["import"])
        for name in images:
            self.banger("image", "import", name, FILES[name], seconds=SECONDS["import"])

    def delete_all(self, *images):
        for name in images:
            self.banger("image", "delete", name)
        self.banger("kernel", "delete", "cloud")


def guests():
    """{pid: command} of the VMMs that run guests, and not just say what they can do."""
    commands = {int(pid): leftovers.command_of(pid) for pid in filter(str.isdigit, os.listdir("/proc"))}
    return {pid: text for pid, text in commands.items() if re.search(r"qemu\S* -name banger-", text)}


def guest_cid():
    return re.search(r"guest-cid=(\d+)", next(iter(guests().values()))).group(1)


class HostTest(unittest.TestCase):
    """What both buses have in common. The tests of a class go by their names."""

    def assert_left(self, state, runtime, service):
        """Nothing but a service that idles."""
        found = leftovers.count(state, runtime)
        found["processes"] = [p for p in found.get("processes", [])
                              if not p.startswith("%d " % service)]
        self.assertEqual({what: names for what, names in found.items() if names}, {})

    def assert_kvm_guest(self, user, vm):
        shown = user.json("vm", "show", vm)
        self.assertEqual((shown["state"], shown["accelerator"]), ("running", "kvm"))
        self.assertIn("Hypervisor detected: KVM", user.guest(vm, "dmesg"))

    def assert_denied(self, user, path, method, *arguments):
        result = user.call(path, method, *arguments, status=1)
        self.assertRegex(result.stderr, r"org\.banger\.Banger1\.Error\.NotAuthorized\w*:")


class SessionTest(HostTest):
    """A user's own service, started by the user's manager when the session bus asks for it."""

    @classmethod
    def setUpClass(cls):
        cls.alice, cls.bob = User("alice", "session"), User("bob", "system")

    def service(self):
        shown = self.alice.run("systemctl", "--user", "show", "-P", "MainPID", "bangerd-session.service")
        return int(shown.stdout)

    def test_10_doctor(self):
        found = {f["id"]: f["status"] for f in self.alice.json("doctor", status=None)["findings"]}
        self.assertEqual((found["kvm"], found["vhost-vsock"]), ("ok", "ok"))
        self.assertNotEqual(self.service(), 0)

    def test_20_create(self):
        self.alice.import_all("tiny", "debian")
        self.alice.banger("vm", "create", "t1", "--image", "tiny", "--memory", "128M",
                          seconds=SECONDS["tiny"])
        self.assert_kvm_guest(self.alice, "t1")
        self.assertEqual(self.alice.guest("t1", "cat", "/root/from-image"), SEED)

    def test_21_stream_to_another_port(self):
        self.alice.guest("t1", "busybox", "httpd", "-p", "127.0.0.1:8080", "-h", "/root")
        answer = self.alice.stream("t1", 8080, "GET /from-image HTTP/1.0\r\n\r\n").stdout
        self.assertRegex(answer, r"^HTTP/1\.[01] 200 OK")
        self.assertTrue(answer.endswith("\n\n" + SEED), answer)
        health = self.alice.stream("t1", 1024, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n")
        self.assertIn('"state":"healthy"', health.stdout)
        for port in (0, 65536 + 8080):
            self.assertIn("a port is a number", self.alice.stream("t1", port, "", status=1).stderr)

    def test_22_strangers_get_nothing(self):
        """bob may connect to any guest by the kernel's rules; without the key nobody answers."""
        got = self.bob.run("python3", SHARE / "tests/system/knock.py", guest_cid(), 8080).stdout
        self.assertEqual(got.splitlines(), STRANGER)
        self.assertEqual(self.alice.guest("t1", "echo", "here"), "here\n")

    def test_30_service_killed(self):
        """The guest does not notice; the next service, which the bus starts, finds it."""
        before, running = self.service(), guests()
        os.kill(before, signal.SIGKILL)
        self.assertTrue(wait_for_end(before, SECONDS["command"]))
        self.assertEqual(self.alice.json("vm", "health", "t1")["health"], "healthy")
        self.assertNotIn(self.service(), (0, before))
        self.assertEqual(guests(), running)
        self.assertEqual(self.alice.guest("t1", "cat", "/root/from-image"), SEED)

    def test_40_debian(self):
        self.alice.banger("vm", "create", "deb", "--image", "debian", seconds=SECONDS["debian"])
        self.assert_kvm_guest(self.alice, "deb")
        self.assertEqual(self.alice.guest("deb", "systemctl", "is-system-running"), "running\n")
        self.alice.banger("vm", "stop", "deb", seconds=SECONDS["debian"])
        self.assertEqual(self.alice.json("vm", "show", "deb")["state"], "stopped")

    def test_90_delete(self):
        self.alice.banger("vm", "delete", "--force", "t1", "deb")
        self.alice.delete_all("tiny", "debian")
        self.assert_left(self.alice.home + "/.local/state/banger", self.alice.runtime + "/banger",
                         self.service())
        self.assertEqual(guests(), {})


class SystemTest(HostTest):
    """The system's service: user bangerd, started by systemd, with polkit's word on who may."""

    @classmethod
    def setUpClass(cls):
        cls.root, cls.bob, cls.carol, cls.erin = (User(name, "system")
                                                  for name in ("root", "bob", "carol", "erin"))

    @staticmethod
    def service():
        return int(command("systemctl", "show", "-P", "MainPID", "bangerd.service").stdout)

    def test_10_unit(self):
        self.assertEqual(command("systemd-analyze", "verify", "--man=no", "bangerd.service").stderr, "")
        rating = command("systemd-analyze", "security", "--no-pager", "--threshold=15",
                         "bangerd.service").stdout.splitlines()[-1]
        print("# %s" % rating)

    def test_11_started_by_the_bus(self):
        found = {f["id"]: f["status"] for f in self.carol.json("doctor", status=None)["findings"]}
        self.assertEqual((found["kvm"], found["vhost-vsock"]), ("ok", "ok"))
        status = Path("/proc/%d/status" % self.service()).read_text(encoding="utf-8")
        uid = pwd.getpwnam("bangerd").pw_uid
        self.assertIn("Uid:\t%d\t%d\t%d\t%d\n" % ((uid,) * 4), status)
        self.assertIn("CapEff:\t0000000000000000\n", status)

    def test_20_member_creates(self):
        self.carol.import_all("tiny")
        # The system has no default until somebody who may share chooses one.
        self.carol.banger("vm", "create", "t1", "--image", "tiny", "--kernel", "cloud", "--memory", "128M",
                          seconds=SECONDS["tiny"])
        self.assert_kvm_guest(self.carol, "t1")
        self.assertEqual(self.carol.guest("t1", "cat", "/root/from-image"), SEED)
        self.carol.guest("t1", "busybox", "httpd", "-p", "127.0.0.1:8080", "-h", "/root")
        answer = self.carol.stream("t1", 8080, "GET /from-image HTTP/1.0\r\n\r\n").stdout
        self.assertTrue(answer.endswith("\n\n" + SEED), answer)

    def test_21_others_are_refused(self):
        path, image = self.carol.path("t1"), self.carol.json("image", "show", "tiny")["id"]
        for user in (self.bob, self.erin):
            with self.subTest(user=user.name):
                result = user.banger("image", "import", "other", FILES["tiny"], "--json", status=None)
                self.assertRegex(result.stdout, r"org\.banger\.Banger1\.Error\.NotAuthorized\w*\"")
                self.assert_denied(user, ROOT, "Manager.CreateVM", "t2",
                                   "%s/image/%s" % (ROOT, image), "{}")
                self.assert_denied(user, path, "VM.Exec", "['id']", "{}")
                self.assert_denied(user, path, "VM.OpenAgent", "1024", "{}")
                self.assert_denied(user, path, "VM.Kill", "{}")
        self.assertEqual(self.carol.json("vm", "show", "t1")["state"], "running")

    def test_22_strangers_get_nothing(self):
        got = self.bob.run("python3", SHARE / "tests/system/knock.py", guest_cid(), 8080).stdout
        self.assertEqual(got.splitlines(), STRANGER)

    def assert_same_guest(self, running, before):
        self.assertEqual(self.carol.json("vm", "health", "t1")["health"], "healthy")
        self.assertNotIn(self.service(), (0, before))
        self.assertEqual(guests(), running)
        self.assertEqual(self.carol.guest("t1", "cat", "/root/from-image"), SEED)

    def test_30_service_restarted(self):
        before, running = self.service(), guests()
        command("systemctl", "restart", "bangerd.service")
        self.assert_same_guest(running, before)

    def test_31_service_killed(self):
        before, running = self.service(), guests()
        os.kill(before, signal.SIGKILL)
        self.assertTrue(wait_for_end(before, SECONDS["command"]))
        self.assert_same_guest(running, before)

    def test_32_starts_with_the_host(self):
        """Enabled, it begins without a call, and starts what is to start after a boot."""
        self.carol.banger("vm", "set", "t1", "--autostart")
        self.carol.banger("vm", "stop", "t1", seconds=SECONDS["tiny"])
        command("systemctl", "enable", "bangerd.service")
        command("systemctl", "stop", "bangerd.service")
        # Another boot, for all that it can know.
        with contextlib.closing(sqlite3.connect("/var/lib/banger/state.db")) as db, db:
            db.execute("DELETE FROM settings WHERE key = 'autostarted'")
        command("systemctl", "start", "multi-user.target")
        self.assertNotEqual(self.service(), 0)
        self.carol.banger("vm", "wait", "t1", "--for", "healthy", seconds=SECONDS["tiny"])
        self.assert_kvm_guest(self.carol, "t1")

    def test_40_root_may(self):
        self.root.banger("vm", "stop", "t1", seconds=SECONDS["tiny"])
        self.assertEqual(self.carol.json("vm", "show", "t1")["state"], "stopped")

    def test_90_delete(self):
        self.carol.banger("vm", "delete", "--force", "t1")
        self.carol.delete_all("tiny")
        self.assert_left("/var/lib/banger", "/run/banger", self.service())
        self.assertEqual(guests(), {})

    def test_91_stops_without_complaint(self):
        command("systemctl", "stop", "bangerd.service")
        self.assertEqual(command("systemctl", "is-failed", "bangerd.service", status=1).stdout,
                         "inactive\n")
        complaints = command("journalctl", "-b", "-p", "warning", "-o", "cat",
                             "_SYSTEMD_UNIT=bangerd.service").stdout
        self.assertEqual(complaints.replace("-- No entries --\n", ""), "")


if __name__ == "__main__":
    unittest.main()
