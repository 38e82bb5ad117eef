# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private session bus that starts the built bangerd, with a state of its own.

As a program: session.py [--fresh | --keep DIR] COMMAND…  (./quickstart run)"""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import leftovers

ROOT = Path(__file__).resolve().parent.parent
BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{services}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
SERVICE = "[D-BUS Service]\nName=org.banger.Banger1\nExec={command} --session\n"
PREFIX = ROOT / ".quickstart/prefix"
END_SECONDS = 60


class Session:
    """Use as a context manager. @keep: a folder for the state, else it is thrown away. @build: the
    folder of programs that are built but not installed, else those of the prefix are used.
    @service_env: what bangerd finds in its environment."""

    def __init__(self, keep=None, build=None, service_env=()):
        self.keep = keep
        self.service_env = dict(service_env)
        self.build = Path(build) if build else None
        self.programs = self.build or PREFIX / "bin"
        self.bus = None

    def __enter__(self):
        # A short path: a socket's may have 107 bytes.
        self.base = Path(tempfile.mkdtemp(prefix="banger-", dir="/tmp")).resolve()
        self.home = Path(self.keep).resolve() if self.keep else self.base / "state"
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.state = self.home / "banger"
        self.runtime = self.base / "run" / "banger"
        self.runtime.parent.mkdir(mode=0o700)
        self.env = dict(
            os.environ,
            PATH="%s:%s:/usr/sbin:/sbin" % (self.programs, os.environ.get("PATH", "/usr/bin:/bin")),
            XDG_STATE_HOME=str(self.home),
            XDG_DATA_HOME=str(self.home / "data"),
            XDG_RUNTIME_DIR=str(self.runtime.parent),
            BANGER_BUS="session",
            DBUS_SESSION_BUS_ADDRESS="unix:path=%s/bus" % self.base)
        self.env.pop("DBUS_STARTER_ADDRESS", None)
        if self.build:
            self.env["BANGER_LIBEXECDIR"] = str(self.build)
            # Nor does what the machine's user configured count for what was built.
            self.env["XDG_CONFIG_HOME"] = str(self.base / "config")
        try:
            self.start_bus()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def start_bus(self):
        config = self.base / "bus.conf"
        services = PREFIX / "share/dbus-1/services"
        if self.build:
            services = self.base / "services"
            services.mkdir()
            (services / "org.banger.Banger1.service").write_text(
                SERVICE.format(command=" ".join(self.service_command())))
        config.write_text(BUS_CONFIG.format(socket=self.base / "bus", services=services))
        self.log = open(self.base / "bus.log", "wb")
        # Out of reach of the terminal's signals, which the command may want for itself; but no
        # bus outlives us.
        self.bus = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "dbus-daemon", "--config-file", str(config),
             "--nofork", "--nopidfile", "--print-address=1"], env=self.env, cwd="/",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log,
            start_new_session=True)
        if not self.bus.stdout.readline():
            raise RuntimeError("dbus-daemon did not start: " + self.bus_log())

    def service_command(self):
        return ["/usr/bin/env", *("%s=%s" % pair for pair in self.service_env.items()),
                str(self.build / "bangerd")]

    def bus_log(self):
        """What the bus and bangerd wrote to standard error."""
        return (self.base / "bus.log").read_text(errors="replace")

    def run(self, *argv, **more):
        """A command in the session, its output captured as text."""
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run([str(a) for a in argv], env=self.env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, check=False, **more)

    def popen(self, *argv, **more):
        """A command in the session whose output is read as it comes, as bytes."""
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stderr", subprocess.DEVNULL)
        return subprocess.Popen([str(a) for a in argv], env=self.env, stdout=subprocess.PIPE,
                                **more)

    def processes(self, *programs):
        return leftovers.processes([str(self.state), str(self.runtime)],
                                   programs or leftovers.ALL_PROGRAMS)

    def service_pid(self):
        """bangerd's pid, or None."""
        return next(iter(self.processes("bangerd")), None)

    def stop_vms(self):
        """Asks VMs that run to shut down, or ends them where nothing is kept."""
        if not self.service_pid():
            return
        listing = self.run("banger", "vm", "list", "--json", timeout=END_SECONDS)
        if listing.returncode != 0:
            return
        for vm in json.loads(listing.stdout)["vms"]:
            if vm.get("state") in ("running", "starting", "paused", "stopping"):
                if self.keep:
                    self.run("banger", "vm", "stop", vm["name"], timeout=END_SECONDS)
                else:
                    self.run("banger", "vm", "delete", "--force", vm["name"], timeout=END_SECONDS)

    def end_processes(self):
        """Ends what still runs; returns what did not go when asked."""
        stubborn = {}
        for sign, seconds in ((signal.SIGTERM, 10), (signal.SIGKILL, 10)):
            left = self.processes()
            if sign == signal.SIGKILL:
                stubborn = left
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign)
            for pid in left:
                leftovers.wait_for_end(pid, seconds)
        return stubborn

    def __exit__(self, *exc):
        with contextlib.suppress(subprocess.TimeoutExpired, ValueError, OSError):
            if self.bus:
                self.stop_vms()
        self.stubborn = self.end_processes()
        if self.bus:
            self.bus.terminate()
            self.bus.wait()
            self.bus.stdout.close()
            self.log.close()
        shutil.rmtree(self.base, ignore_errors=True)
        return False


def run_command(argv, env):
    """Runs it in the foreground; terminal signals are its own, SIGTERM is handed on."""
    process = subprocess.Popen(argv, env=env, preexec_fn=lambda: signal.signal(
        signal.SIGINT, signal.SIG_DFL))
    signal.signal(signal.SIGTERM, lambda number, frame: process.send_signal(number))
    status = process.wait()
    return 128 - status if status < 0 else status


def main():
    parser = argparse.ArgumentParser(prog="quickstart run", usage=(
        "./quickstart run [--fresh | --keep DIR] COMMAND…"))
    state = parser.add_mutually_exclusive_group()
    state.add_argument("--fresh", action="store_true", help="throw the state away (the default)")
    state.add_argument("--keep", metavar="DIR", help="keep the state in DIR")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        parser.error("no command")
    if arguments.keep:
        try:
            Path(arguments.keep).mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            parser.exit(1, "quickstart: %s: %s\n" % (arguments.keep, error.strerror))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Session(keep=arguments.keep) as session:
        try:
            status = run_command(command, session.env)
        except OSError as error:
            print("quickstart: %s: %s" % (command[0], error.strerror), file=sys.stderr)
            status = 127
    for pid, name in session.stubborn.items():
        print("quickstart: had to kill %d: %s" % (pid, name), file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
