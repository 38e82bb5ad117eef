# SPDX-License-Identifier: LGPL-2.1-or-later
"""Edits of an image, beside those by debugfs: both sync what they have written."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import fixtures
from gates import BaselineMissing, spread
from harness import BUS_NAME
from measure import Bench, median, timed

EDITS = 100
ROUNDS = 5
IMAGE = "debian"


def find_tool():
    program = Path(os.environ["BANGER_BENCH_BUILD"]) / "tests/bench/edit-bench"
    if not program.exists():
        raise BaselineMissing("%s is not built" % program)
    return program


class Disks:
    """The image, and a copy of it for the baseline."""

    def __init__(self, session):
        self.session, self.tool = session, find_tool()
        self.debugfs = shutil.which("debugfs", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        if not self.debugfs:
            raise BaselineMissing("debugfs is not installed")
        self.image = next(path for path, image in session.managed("Image").items()
                          if image["Name"] == IMAGE)
        rootfs = session.property(self.image, "Image", "RootfsPath")
        self.ours, self.theirs = session.base / "ours", session.base / "theirs"
        self.file = session.base / "file"
        self.file.write_bytes(b"a line of what one changes in an image\n" * 100)
        for disk in (self.ours, self.theirs):
            subprocess.run(["cp", "--sparse=always", rootfs, disk], check=True)
        self.written = 0

    def edit(self, how, what, count):
        """Seconds, by edit-bench."""
        result = self.session.run(self.tool, how, what, self.file, count, timeout=300)
        if result.returncode:
            raise AssertionError(result.stderr.strip() + self.session.bus_log()[-1000:])
        return float(result.stdout)

    def by_debugfs(self, count):
        """Seconds of as many runs."""
        began = time.monotonic()
        for _ in range(count):
            self.written += 1
            subprocess.run([self.debugfs, "-w", "-R",
                            "write %s /etc/debugfs-%d" % (self.file, self.written), self.theirs],
                           check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.monotonic() - began

    def check(self):
        """The baseline did what it was measured for."""
        found = subprocess.run([self.debugfs, "-R", "ls -p /etc", self.theirs], check=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        if found.count("/debugfs-") != self.written:
            raise BaselineMissing("debugfs did not write all files")


def settle():
    os.sync()
    time.sleep(0.3)


def pairs(rounds, ours, theirs):
    """The two in turn, so that a busy host slows both down."""
    taken = []
    for _ in range(rounds):
        settle()
        taken.append((theirs(), ours()))
    return taken


def gate(report, name, taken, least, goal=None):
    ratios = [theirs / ours for theirs, ours in taken]
    for index, what in enumerate(("debugfs", "banger")):
        report.note("%s, %s: ms" % (name, what), [1000 * t[index] for t in taken],
                    spread([1000 * t[index] for t in taken]))
    report.gate("%s: debugfs to banger" % name, median(ratios), "x", least=least,
                goal=goal, note=spread(ratios))


def measure(report):
    print("  load %.1f" % os.getloadavg()[0], flush=True)
    with Bench() as session:
        session.import_image(IMAGE, fixtures.debian_tar())
        disks = Disks(session)
        timed(disks.edit, "call", disks.image, 1)  # what comes once: bangerd's first worker
        gate(report, "one edit by the library",
             pairs(5 * ROUNDS, lambda: disks.edit("disk", disks.ours, 1),
                   lambda: disks.by_debugfs(1)), least=3)
        gate(report, "%d edits by the library" % EDITS,
             pairs(ROUNDS, lambda: disks.edit("disk", disks.ours, EDITS),
                   lambda: disks.by_debugfs(EDITS)), least=10)
        # Of which a process in its sandbox takes a third: it is 10 where a sync takes any time.
        gate(report, "%d edits in one call of %s" % (EDITS, BUS_NAME),
             pairs(ROUNDS, lambda: disks.edit("call", disks.image, EDITS),
                   lambda: disks.by_debugfs(EDITS)), least=5, goal=10)
        disks.check()
