# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many short-lived VMs leave nothing behind: neither in bangerd nor in its state."""

import os
import time
import unittest
from pathlib import Path

import fixtures
from harness import SECONDS, BangerTest
from leftovers import status_kib

# Twice as many: what the first of them took is kept by the allocator for the others.
QUICK = 100
STARTED = 50
# A VM or a job is some 12 kB.
GROWTH_KIB = 2048
JOBS_STAY = 60


def zombies_of(parent):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = Path("/proc/%s/stat" % pid).read_text(encoding="utf-8").rsplit(")", 1)[1]
        except OSError:
            continue
        if fields.split()[0] == "Z" and int(fields.split()[1]) == parent:
            found.append(int(pid))
    return found


class CyclesTest(BangerTest):
    def cycle(self, *more):
        self.session.banger("vm", "create", "short", "--image", "tiny", "--memory", "128M", *more,
                            seconds=SECONDS["busybox"])
        self.session.banger("vm", "delete", "--force", "short")

    def quiet(self):
        """Waits until no ended job is kept any more."""
        deadline = time.monotonic() + JOBS_STAY + SECONDS["command"]
        while self.session.managed("Job"):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(1)

    def facts(self):
        service = self.session.service_pid()
        return {
            "zombies": zombies_of(service),
            "leftovers": self.session.leftovers(),
            "objects": sorted(path for path in self.session.objects() if "/job/" not in path),
        }

    def numbers(self):
        """Of what may be fewer when nothing is done."""
        service = self.session.service_pid()
        return {"descriptors": len(os.listdir("/proc/%d/fd" % service)),
                "threads": status_kib(service, "Threads")}

    def test_cycles(self):
        self.session.import_kernel()
        self.session.import_image("tiny", fixtures.busybox_tar())
        self.cycle()
        for _ in range(QUICK):
            self.cycle("--no-start")
        service = self.session.service_pid()
        self.quiet()
        before, numbers, resident = self.facts(), self.numbers(), status_kib(service, "VmRSS")
        for _ in range(QUICK):
            self.cycle("--no-start")
        for _ in range(STARTED):
            self.cycle()
        most = status_kib(service, "VmHWM")
        self.quiet()
        self.assertEqual(self.session.service_pid(), service)
        self.assertEqual(self.facts(), before)
        for what, number in self.numbers().items():
            self.assertLessEqual(number, numbers[what], what)
        after = status_kib(service, "VmRSS")
        print("# bangerd: %d kB before, %d kB at most, %d kB after" % (resident, most, after))
        self.assertLessEqual(after - resident, GROWTH_KIB)
        # A log that is never brought into the database would grow for ever.
        log = self.session.state / "state.db-wal"
        self.assertLess(log.stat().st_size, 16 << 20)


if __name__ == "__main__":
    unittest.main()
