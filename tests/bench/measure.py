# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the measurements share: a session to measure, and what the kernel and the bus say of it."""

import json
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import fixtures
from gates import BaselineMissing
from harness import BUS_NAME, ROOT_PATH, Banger

TICKS = os.sysconf("SC_CLK_TCK")
IMAGE = "tiny"


class Bench(Banger):
    """A session with a kernel and an image of busybox."""

    def __init__(self):
        for program in ("qemu-system-x86_64", "dbus-daemon", "busctl"):
            if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
                raise BaselineMissing("%s is not installed" % program)
        super().__init__()

    def __enter__(self):
        super().__enter__()
        try:
            self.import_kernel()
            self.import_image(IMAGE, fixtures.busybox_tar())
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def create(self, name, *more):
        """Seconds of the command line, until the guest is healthy. It has no network: one started by
        hand would wait for an address that nobody gives."""
        return self.banger("vm", "create", name, "--image", IMAGE, "--memory", "128M",
                           "--network", "none", *more, seconds=120).seconds

    def vm_path(self, name):
        return self.call(ROOT_PATH, "Manager.FindVM", "sa{sv}", name, "0")[0]

    def last_job(self, kind, path):
        """{stage: milliseconds} of the job of this kind that worked on @path."""
        result = self.run("busctl", "--user", "--json=short", "call", BUS_NAME, ROOT_PATH,
                          "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", timeout=60)
        for interfaces in json.loads(result.stdout)["data"][0].values():
            job = interfaces.get(BUS_NAME + ".Job")
            if job and job["Kind"]["data"] == kind and job["Object"]["data"] == path:
                return {stage: took / 1000 for stage, _, took in job["Timings"]["data"]}
        raise AssertionError("no job '%s' of %s" % (kind, path))

    def resident(self, pid):
        """MiB of memory that a process holds."""
        for line in Path("/proc/%d/status" % pid).read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("process %d has no memory" % pid)

    def cpu_seconds(self, pid):
        fields = Path("/proc/%d/stat" % pid).read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def client(self, *argv, seconds=300):
        """bus-client's lines, as lists of numbers."""
        result = self.run(find_client(), *argv, timeout=seconds)
        if result.returncode:
            raise AssertionError(result.stderr.strip() + self.bus_log()[-1000:])
        return [[float(n) for n in line.split()] for line in result.stdout.splitlines()]


def find_client():
    """The helper lies in the build, beside nothing that is installed."""
    program = Path(os.environ["BANGER_BENCH_BUILD"]) / "tests/bench/bus-client"
    if not program.exists():
        raise BaselineMissing("%s is not built" % program)
    return program


def cpu_of(session, *argv):
    """Milliseconds of CPU, user and system, of one command line."""
    process = subprocess.Popen([str(a) for a in argv], env=session.env, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = process.stderr.read()
    process.stderr.close()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise AssertionError("%s: %s" % (argv, errors.decode(errors="replace")))
    return 1000 * (usage.ru_utime + usage.ru_stime)


def timed(function, *arguments):
    started = time.monotonic()
    function(*arguments)
    return time.monotonic() - started


def median(values):
    return statistics.median(values)
