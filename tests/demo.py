# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demo: a real Debian guest through the bus, from import to deletion, and what is left of it."""

import json
import os
import signal
import subprocess
import sys
import time

import fixtures
import leftovers
from session import Session

NAME = "demo"


class DemoFailed(Exception):
    pass


class Demo:
    def __init__(self, session):
        self.session = session
        self.seconds = {}

    def step(self, *argv, time_as=None):
        """Shows a command and lets it speak for itself."""
        print("\n$ banger %s" % " ".join(map(str, argv)), flush=True)
        started = time.monotonic()
        process = subprocess.Popen(["banger", *map(str, argv)], env=self.session.env,
                                   stdin=subprocess.DEVNULL)
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.wait()  # Ctrl-C is its own too: it cancels, and says so.
            raise
        if time_as:
            self.seconds[time_as] = time.monotonic() - started
        if status:
            raise DemoFailed("banger %s ended with status %d" % (" ".join(argv[:2]), status))

    def ask(self, *argv):
        """A command's output, shown too."""
        print("\n$ banger %s" % " ".join(argv), flush=True)
        started = time.monotonic()
        result = self.session.run("banger", *argv)
        self.seconds["exec"] = time.monotonic() - started
        print(result.stdout.rstrip(), flush=True)
        if result.returncode:
            raise DemoFailed("banger %s ended with status %d: %s" % (
                " ".join(argv[:2]), result.returncode, result.stderr.strip()))
        return result.stdout

    def show(self):
        return json.loads(self.session.run("banger", "vm", "show", "--json", NAME).stdout)

    def use(self):
        self.step("doctor")
        self.step("image", "import", "debian", fixtures.debian_tar(), time_as="image import")
        self.step("kernel", "import", "cloud", fixtures.kernel_deb(), time_as="kernel import")
        self.step("vm", "create", NAME, "--image", "debian", "--kernel", "cloud", time_as="create")
        self.facts = self.show()
        release = self.ask("vm", "exec", NAME, "--", "cat", "/etc/os-release")
        self.system = dict(line.split("=", 1) for line in release.splitlines() if "=" in line)
        self.state = self.ask("vm", "exec", NAME, "--", "systemctl", "is-system-running", "--wait")
        self.kernel = self.ask("vm", "exec", NAME, "--", "uname", "-sr").strip()
        self.step("vm", "health", NAME)
        self.health = json.loads(self.session.run("banger", "vm", "health", "--json", NAME).stdout)
        if self.health.get("health") != "healthy" or self.state.strip() != "running":
            raise DemoFailed("the guest is not healthy: %s" % self.health)
        self.step("vm", "delete", "--force", NAME, time_as="delete")
        self.step("image", "delete", "debian")
        self.step("kernel", "delete", "cloud")

    def left(self):
        """What is there beyond an idle service, by kernel facts."""
        found = leftovers.count(self.session.state, self.session.runtime)
        own = self.session.service_pid()
        found["processes"] = [p for p in found.get("processes", []) if int(p.split()[0]) != own]
        return found

    def report(self, left):
        stages = self.health["stages"]
        print("\nguest      %s, %s" % (self.system.get("PRETTY_NAME", "?").strip('"'), self.kernel))
        print("backend    %s, %s" % (self.facts.get("backend"), self.facts.get("accelerator")))
        print("create     %.1f s from the command to a healthy guest" % self.seconds["create"])
        if stages:
            print("boot       %.1f s of the guest's own time until it was healthy"
                  % (stages[-1]["at_us"] / 1e6))
        print("exec       %.2f s" % self.seconds["exec"])
        print("delete     %.2f s" % self.seconds["delete"])
        print("left over  %s" % ", ".join("%d %s" % (len(left.get(what, [])), what) for what in (
            "processes", "mounts", "sockets", "files", "rows")))
        for what, names in left.items():
            for name in names:
                print("  %s: %s" % (what, name))


def run_demo():
    print("Making the guest's image and fetching its kernel, unless they are in %s …"
          % os.path.relpath(fixtures.CACHE, fixtures.ROOT), flush=True)
    fixtures.debian_tar()
    fixtures.kernel_deb()
    with Session() as session:
        demo = Demo(session)
        try:
            demo.use()
        except DemoFailed:
            print(session.run("banger", "vm", "logs", NAME).stdout[-3000:], file=sys.stderr)
            print(session.bus_log()[-3000:], file=sys.stderr)
            raise
        left = demo.left()
    # The session has ended: now bangerd too must be gone, by itself.
    processes = ["%d %s" % p for p in session.stubborn.items()]
    left["processes"] = left.get("processes", []) + processes
    demo.report(left)
    if any(left.values()):
        raise DemoFailed("something is left over")


def main():
    if len(sys.argv) > 1:
        print("usage: ./quickstart demo", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run_demo()
    except (DemoFailed, fixtures.FixtureError, RuntimeError, subprocess.TimeoutExpired) as error:
        print("demo: failed: %s" % error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    print("demo: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
