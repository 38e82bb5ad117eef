# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files to and from a guest, and what its monitor holds."""

import os
import subprocess

from gates import BaselineMissing, spread
from measure import Bench, median, timed

PORT = 5001
PAIRS = 3
# One transfer takes about so long, and is never larger than what the promise is about.
SECONDS, MIB_MOST = 4, 1024
FILE = "/root/copied"


def in_guest(session, script):
    return session.guest("streams", "/bin/sh", "-c", script).stdout


class Raw:
    """A port of the guest at the other end of OpenAgent: busybox's nc on the same file."""

    def __init__(self, session):
        self.session, self.path = session, session.vm_path("streams")

    def listen(self, way):
        command = self.session.popen("banger", "vm", "exec", "streams", "--", "/bin/sh", "-c",
                                     "nc -l -p %d %s %s" % (PORT, way, FILE))
        in_guest(self.session, "until grep -q ':%04X 0\\+:0000 0A' /proc/net/tcp /proc/net/tcp6; "
                 "do usleep 20000; done" % PORT)
        return command

    def transfer(self, way, *arguments):
        """Bytes a second."""
        command = self.listen(way)
        verb = "push" if way == ">" else "pull"
        numbers = self.session.client(verb, self.path, PORT, *arguments)[0]
        command.communicate(timeout=60)
        if command.returncode:
            raise BaselineMissing("nc in the guest: status %d" % command.returncode)
        length = os.path.getsize(arguments[0]) if arguments else numbers[1]
        return 1e6 * length / numbers[0]


def through_banger(session, file, way):
    """Bytes a second of the command line."""
    if way == ">":
        with open(file, "rb") as source:
            seconds = timed(run_checked, session, ["/bin/sh", "-c", "cat > " + FILE], source, None)
    else:
        with open(str(file) + ".back", "wb") as target:
            seconds = timed(run_checked, session, ["/bin/cat", FILE], None, target)
        check_same(file, str(file) + ".back")
    return os.path.getsize(file) / seconds


def run_checked(session, argv, source, target):
    command = subprocess.Popen(["banger", "vm", "exec", "streams", "--", *argv], env=session.env,
                               stdin=source or subprocess.DEVNULL, stdout=target)
    command.wait(timeout=300)
    if command.returncode:
        raise AssertionError("%s: status %d" % (argv, command.returncode))


def check_same(first, second):
    with open(first, "rb") as one, open(second, "rb") as other:
        while True:
            piece = one.read(1 << 20)
            if piece != other.read(1 << 20):
                raise AssertionError("%s came back as something else" % first)
            if not piece:
                return


def make_file(session, mib):
    path = session.base / "file"
    with open(path, "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(1 << 20))
    return path


def copies(session, report):
    raw = Raw(session)
    rate = raw.transfer(">", make_file(session, 16))
    mib = int(min(MIB_MOST, max(16, SECONDS * rate / (1 << 20))))
    file = make_file(session, mib)
    for way, name in ((">", "to the guest"), ("<", "from the guest")):
        rates = []
        for _ in range(PAIRS):
            rates.append((raw.transfer(way, *([file] if way == ">" else [])),
                          through_banger(session, file, way)))
        ratios = [copied / plain for plain, copied in rates]
        for index, what in enumerate(("raw stream", "file by the command line")):
            report.note("%s %s, MiB/s" % (what, name), [r[index] / (1 << 20) for r in rates],
                        spread([r[index] / (1 << 20) for r in rates]))
        report.gate("copy %s to the raw stream" % name, median(ratios), "x", least=0.7,
                    note="%s; %d MiB each" % (spread(ratios), mib))


def measure(report):
    with Bench() as session:
        session.create("streams")
        monitor = next(iter(session.processes("banger-vmm")))
        report.gate("monitor: resident", session.resident(monitor), "MiB", most=6)
        copies(session, report)
        report.gate("monitor after all that: resident", session.resident(monitor), "MiB", most=6)
