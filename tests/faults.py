# SPDX-License-Identifier: LGPL-2.1-or-later
"""A session whose programs die, wait or lack space where a test says: see boot/faults.c."""

import mmap
import os
import struct
import tempfile
import time
from pathlib import Path

from harness import SECONDS, Banger

TEXT_BYTES = 256
# After the text: changes, reached, hit.
NUMBERS = struct.Struct("IIi")
AHEAD_AT = TEXT_BYTES + 16
TICK = 0.002
PROGRAMS = {"monitor": "banger-vmm", "vmm": "qemu"}


class Plan:
    """What is to befall whom; one thing at a time."""

    def __init__(self, path):
        path.write_bytes(bytes(mmap.PAGESIZE))
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def set(self, text=""):
        self.memory[:TEXT_BYTES] = bytes(TEXT_BYTES)
        NUMBERS.pack_into(self.memory, TEXT_BYTES, 0, 0, 0)
        self.memory[:len(text)] = text.encode()

    def set_clock(self, ahead):
        """Seconds that the clock of the day is ahead for our programs; negative: behind."""
        struct.pack_into("q", self.memory, AHEAD_AT, ahead)

    def numbers(self):
        """Changes of the state that were counted, whether the stage was reached, pid of whom it
        befell (0: nobody so far)."""
        return NUMBERS.unpack_from(self.memory, TEXT_BYTES)

    def wait(self, going_on, needs_stage=False):
        """Pid of whom it befell; None once @going_on() is false and it befell nobody."""
        deadline = time.monotonic() + SECONDS["busybox"]
        while time.monotonic() < deadline:
            alive = going_on()
            _, reached, pid = self.numbers()
            if pid and (reached or not needs_stage):
                return pid
            if not alive:
                return None
            time.sleep(TICK)
        return None


def wait_until_stopped(pid):
    deadline = time.monotonic() + SECONDS["command"]
    while time.monotonic() < deadline:
        if Path("/proc/%d/stat" % pid).read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "T":
            return
        time.sleep(TICK)
    raise AssertionError("process %d does not stop" % pid)


class FaultySession(Banger):
    def __init__(self, **more):
        self.folder = tempfile.TemporaryDirectory(prefix="banger-plan-")
        path = Path(self.folder.name) / "plan"
        self.plan = Plan(path)
        super().__init__(service_env={"LD_PRELOAD": os.environ["BANGER_FAULTS"],
                                      "FAULTS_PLAN": str(path)}, **more)

    def __exit__(self, *exc):
        self.plan.set()
        super().__exit__(*exc)
        self.folder.cleanup()
        return False
