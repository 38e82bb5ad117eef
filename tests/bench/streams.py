# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files to and from a guest, and what its monitor holds."""

import os

from gates import BaselineMissing, spread
from measure import Bench, median, timed

PORT = 5001
PAIRS = 3
# What the promise is about, where the guest takes it within so long; else what takes about SECONDS.
MIB, MIB_SECONDS, SECONDS = 1024, 15, 4
PROBE_MIB = 16
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
        length = os.path.getsize(arguments[0]) if arguments else int(numbers[1])
        if length == 0 or int(in_guest(self.session, "wc -c < " + FILE)) != length:
            raise BaselineMissing("the raw stream did not carry all of the file")
        return 1e6 * length / numbers[0]


def through_banger(session, file, way):
    """Bytes a second of the command line."""
    there, back = "streams:" + FILE, str(file) + ".back"
    words = (file, there) if way == ">" else (there, back)
    seconds = timed(copy, session, words)
    if way == "<":
        check_same(file, back)
        os.unlink(back)
    return os.path.getsize(file) / seconds


def copy(session, words):
    session.banger("vm", "cp", *words, seconds=300)


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


def choose_size(rate):
    """MiB of each copy where a short one went at @rate bytes a second."""
    if MIB * (1 << 20) <= MIB_SECONDS * rate:
        return MIB
    return max(PROBE_MIB, int(SECONDS * rate / (1 << 20)))


def copies(session, report):
    raw = Raw(session)
    rate = raw.transfer(">", make_file(session, PROBE_MIB))
    mib = choose_size(rate)
    report.note("size of each copy, MiB", mib,
                "%d (%d MiB went at %.4g MiB/s)" % (mib, PROBE_MIB, rate / (1 << 20)))
    file = make_file(session, mib)
    for way, name in ((">", "to the guest"), ("<", "from the guest")):
        rates = []
        for _ in range(PAIRS):
            rates.append((raw.transfer(way, *([file] if way == ">" else [])),
                          through_banger(session, file, way)))
        ratios = [copied / plain for plain, copied in rates]
        for index, what in enumerate(("raw stream", "vm cp")):
            report.note("%s %s, MiB/s" % (what, name), [r[index] / (1 << 20) for r in rates],
                        spread([r[index] / (1 << 20) for r in rates]))
        report.gate("vm cp %s to the raw stream" % name, median(ratios), "x", least=0.7,
                    note="%s; %d MiB each" % (spread(ratios), mib))


def measure(report):
    with Bench() as session:
        # Room for the copy that is there and the one that takes its place.
        session.create("streams", "--work", "%dM" % (3 * MIB))
        monitor = next(iter(session.processes("banger-vmm")))
        report.gate("monitor: resident", session.resident(monitor), "MiB", most=6)
        copies(session, report)
        report.gate("monitor after all that: resident", session.resident(monitor), "MiB", most=6)
