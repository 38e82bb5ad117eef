# SPDX-License-Identifier: LGPL-2.1-or-later
"""Importing a kernel with its modules, against copying the files and unpacking the kernel by hand."""

import os
import shutil
import struct
import subprocess
import time
from pathlib import Path

import fixtures
from gates import BaselineMissing, spread
from measure import Bench, median, timed

ROUNDS = 5
SETTLE = 0.3  # after a sync
# Linux, Documentation/arch/x86/boot.rst.
SETUP_SECTS, PAYLOAD_OFFSET = 0x1f1, 0x248
MAGIC = b"\x02\x21\x4c\x18"  # of lz4's older format


class Files:
    """A kernel as its package has it."""

    def __init__(self, folder):
        for program in ("dpkg-deb", "lz4", "cp"):
            if not shutil.which(program):
                raise BaselineMissing("%s is not installed" % program)
        subprocess.run(["dpkg-deb", "-x", fixtures.kernel_deb(), folder], check=True)
        self.vmlinuz = next(folder.glob("boot/vmlinuz-*"))
        self.modules = next(folder.glob("lib/modules/*"))
        self.payload = folder / "payload"
        self.payload.write_bytes(self.find_payload())

    def find_payload(self):
        """What lz4(1) unpacks: without the four bytes behind it that say how large it becomes."""
        image = self.vmlinuz.read_bytes()
        offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
        start = ((image[SETUP_SECTS] or 4) + 1) * 512 + offset
        payload = image[start:start + length - 4]
        if not payload.startswith(MAGIC):
            raise BaselineMissing("this kernel is not compressed by lz4")
        return payload

    def copy(self, folder):
        """By the reference tools, on the disk at the end."""
        folder.mkdir()
        subprocess.run(["cp", self.vmlinuz, folder], check=True)
        subprocess.run(["cp", "-r", self.modules, folder], check=True)
        with open(self.payload, "rb") as payload, open(folder / "vmlinux", "wb") as vmlinux:
            subprocess.run(["lz4", "-dc"], stdin=payload, stdout=vmlinux, check=True)
        subprocess.run(["sync", "-f", folder / "vmlinux"], check=True)


def settle():
    os.sync()
    time.sleep(SETTLE)


def through_banger(session, files):
    """Milliseconds of the job, and seconds of the command line, which packs the modules."""
    took = session.banger("kernel", "import", "bench", "--vmlinuz", files.vmlinuz, "--modules",
                          files.modules, seconds=120).seconds
    path = session.call("/org/banger/Banger1", "Manager.FindKernel", "sa{sv}", "bench", "0")[0]
    job = sum(session.last_job("import-kernel", path).values())
    session.banger("kernel", "delete", "bench")
    return job, took


def measure(report):
    copies, jobs, commands = [], [], []
    with Bench() as session:
        files = Files(Path(session.base) / "files")
        # Both once beforehand: what is read lies in memory for all that is measured.
        files.copy(Path(session.base) / "first")
        through_banger(session, files)
        for number in range(ROUNDS):
            settle()
            copies.append(1000 * timed(files.copy, Path(session.base) / ("copy-%d" % number)))
            settle()
            job, command = through_banger(session, files)
            jobs.append(job)
            commands.append(1000 * command)
    ratios = [job / copy for job, copy in zip(jobs, copies)]
    report.note("load of the host", os.getloadavg(), "%.1f %.1f %.1f" % os.getloadavg())
    report.note("cp, lz4 -dc and sync, ms", copies, spread(copies))
    report.note("the job, ms", jobs, spread(jobs))
    report.note("the command line, ms", commands, spread(commands))
    report.gate("kernel import: the job to cp, lz4 -dc and sync", median(ratios), "x", most=3,
                note=spread(ratios))
