# SPDX-License-Identifier: LGPL-2.1-or-later
"""What bus and boot tests share: a session of the programs under test, and how to ask them."""

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import unittest

import fixtures
import leftovers
from leftovers import wait_for_end
from session import Session

BUS_NAME = "org.banger.Banger1"
ROOT_PATH = "/org/banger/Banger1"
# Ten times what each takes on an idle machine without KVM.
SECONDS = {"command": 50, "import": 100, "busybox": 60, "debian": 300, "exec": 50, "stop": 100}


class CommandFailed(AssertionError):
    pass


class Banger(Session):
    """A session whose methods are what a user does."""

    def __init__(self, **more):
        super().__init__(build=os.environ.get("BANGER_BUILD"), **more)

    def banger(self, *argv, seconds=SECONDS["command"], status=0):
        """The command line; fails unless it ends with @status (None: any)."""
        started = time.monotonic()
        result = self.run("banger", *argv, timeout=seconds)
        result.seconds = time.monotonic() - started
        if status is not None and result.returncode != status:
            raise CommandFailed("banger %s: status %d, not %d\n%s%s\n%s" % (
                " ".join(map(str, argv)), result.returncode, status, result.stdout, result.stderr,
                self.bus_log()[-2000:]))
        return result

    def json(self, *argv, **more):
        return json.loads(self.banger(*argv, "--json", **more).stdout)

    def call(self, path, member, signature="", *arguments, seconds=50):
        """A method of one of our interfaces, as "VM.GetHealth", by busctl: its results as JSON."""
        interface, method = member.rsplit(".", 1)
        result = self.run("busctl", "--user", "--json=short", "--timeout=%d" % seconds, "--",
                          "call", BUS_NAME, path, "%s.%s" % (BUS_NAME, interface), method,
                          *([signature] if signature else []), *arguments, timeout=seconds + 10)
        if result.returncode:
            raise CommandFailed("%s: %s" % (member, result.stderr.strip()))
        return json.loads(result.stdout)["data"] if result.stdout.strip() else []

    def property(self, path, interface, name):
        result = self.run("busctl", "--user", "--json=short", "get-property", BUS_NAME, path,
                          "%s.%s" % (BUS_NAME, interface), name, timeout=60)
        if result.returncode:
            raise CommandFailed("%s.%s: %s" % (interface, name, result.stderr.strip()))
        return json.loads(result.stdout)["data"]

    def managed(self, interface):
        """{path: {property: value}} of all objects with the interface."""
        name = "%s.%s" % (BUS_NAME, interface)
        return {path: {key: value["data"] for key, value in interfaces[name].items()}
                for path, interfaces in self.objects().items() if name in interfaces}

    def objects(self):
        result = self.run("busctl", "--user", "--json=short", "call", BUS_NAME, ROOT_PATH,
                          "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")
        if result.returncode:
            raise AssertionError(result.stderr)
        return json.loads(result.stdout)["data"][0]

    def stages(self):
        """{kind of job: [its stages in their order]}, as bangerd lists them."""
        found = {}
        for line in self.run("bangerd", "--list-stages").stdout.splitlines():
            kind, stage = line.split()
            found.setdefault(kind, []).append(stage)
        return found

    def import_kernel(self, name="cloud"):
        return self.banger("kernel", "import", name, fixtures.kernel_deb(),
                           seconds=SECONDS["import"])

    def import_image(self, name, path):
        return self.banger("image", "import", name, path, seconds=SECONDS["import"])

    def guest(self, name, *argv, status=0, seconds=SECONDS["exec"]):
        """A command in the guest."""
        return self.banger("vm", "exec", name, "--", *argv, seconds=seconds, status=status)

    @staticmethod
    def kill(pid):
        """kill -9, and wait until the process is gone."""
        os.kill(pid, signal.SIGKILL)
        if not wait_for_end(pid, SECONDS["command"]):
            raise AssertionError("process %d does not end" % pid)

    def path_of_vm(self, name):
        return self.call(ROOT_PATH, "Manager.FindVM", "sa{sv}", name, "0")[0]

    def wait_for(self, name, what, value, seconds=SECONDS["command"]):
        """Waits for signals of the VM until its property @what is @value."""
        path = self.path_of_vm(name)
        with PropertyWatch(self, seconds) as watch:
            now = self.property(path, "VM", what)
            if now != value and not watch.wait_for(what, value, path):
                raise AssertionError("vm %s: %s %s, not %s" % (name, what, now, value))

    def wait_for_state(self, name, state, seconds=SECONDS["command"]):
        self.wait_for(name, "State", state, seconds)

    def leftovers(self):
        """What is there beyond an idle service's own, as {what: [names]}."""
        found = leftovers.count(self.state, self.runtime)
        own = self.service_pid()
        found["processes"] = [p for p in found.get("processes", [])
                              if p.split(" ", 1)[0] != str(own)]
        return {what: names for what, names in found.items() if names}


class PropertyWatch:
    """Sees objects' properties change as that is announced on the bus. Use as a context manager."""

    def __init__(self, session, seconds=SECONDS["busybox"] + SECONDS["import"]):
        self.process = subprocess.Popen(
            ["busctl", "--user", "--json=short", "--match=type='signal'", "monitor"],
            env=session.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self.deadline = threading.Timer(seconds, self.process.kill)
        self.deadline.start()
        # It says this once the bus has made it a monitor, so nothing is missed from here on.
        for line in self.process.stdout:
            if line.startswith(b"Monitoring"):
                break

    def wait_for(self, name, value, path=None):
        """Path of the object whose property @name becomes @value, of any or that at @path; None
        where a job ends first (unless @path is given), or the time is over."""
        for line in self.process.stdout:
            message = json.loads(line)
            if message.get("member") == "JobFinished" and not path:
                return None
            if message.get("member") == "PropertiesChanged" and path in (None, message["path"]):
                changed = message["payload"]["data"][1]
                if changed.get(name, {}).get("data") == value:
                    return message["path"]
        return None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.deadline.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class BangerTest(unittest.TestCase):
    """Tests that share one session; it must end with nothing left over."""

    session_class = Banger

    @classmethod
    def setUpClass(cls):
        for program in ("dbus-daemon", "qemu-system-x86_64", "busctl", "setpriv"):
            if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin"):
                raise unittest.SkipTest("%s is not installed" % program)
        cls.session = cls.session_class()
        cls.enterClassContext(cls.session)

    if not hasattr(unittest.TestCase, "enterClassContext"):  # Python before 3.11
        @classmethod
        def enterClassContext(cls, manager):
            cls.addClassCleanup(manager.__exit__, None, None, None)
            return manager.__enter__()
