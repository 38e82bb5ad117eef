# SPDX-License-Identifier: LGPL-2.1-or-later
"""From nothing to a healthy guest and back, through banger and by hand."""

import os
import select
import shutil
import time

import hand
from gates import BaselineMissing, spread
from measure import Bench, median, timed

PAIRS = 10
LEAST = 0.5  # banger cannot be so much faster than what it does itself
INITRAMFS_MAX = 1.5  # MB, of 10^6 bytes
COMMANDS = 5  # in each of the guests, after one that is not measured
# What banger does before the guest's CPUs run.
OWN_STAGES = ("admitted", "disks", "kernel", "monitor", "vmm")


class Pairs:
    def __init__(self, session):
        self.session = session
        self.recipe, self.fresh = None, {}
        self.stages, self.through, self.by_hand, self.cpus, self.kills = [], [], [], [], []
        self.kill_jobs, self.hand_ends, self.commands, self.hand_commands = [], [], [], []
        self.initramfs, self.guest_seconds = 0, []

    def prepare(self):
        """Takes the recipe from a VM that runs, and fresh disks from one that never did."""
        self.session.create("recipe")
        vmm = next(iter(self.session.processes("qemu")), None)
        if vmm is None:
            raise BaselineMissing("no VMM runs to start one like it by hand")
        self.recipe = hand.Recipe(vmm)
        self.initramfs = next(len(m) for m in self.recipe.memory.values() if b"\nkey=" in m) / 1e6
        own = {n: path for n, path in self.recipe.files.items()
               if path.startswith(str(self.session.state / "vms") + "/")}
        self.session.banger("vm", "delete", "--force", "recipe")
        self.session.create("fresh", "--no-start")
        folder = next(iter((self.session.state / "vms").iterdir()))
        for number, path in own.items():
            self.fresh[number] = str(folder / os.path.basename(path))

    def start_by_hand(self):
        disks = {}
        for number, path in self.fresh.items():
            disks[number] = str(self.session.base / ("hand-%d" % number))
            self.session.run("cp", "--sparse=always", path, disks[number])
        guest = hand.Guest(self.recipe, disks)
        self.by_hand.append(guest.boot())
        self.cpus.append(1000 * guest.seconds["cpus"])
        taken = [1000 * guest.run_true() for _ in range(COMMANDS + 1)]
        self.hand_commands += taken[1:]
        self.hand_ends.append(1000 * guest.end())

    def start_through_banger(self, number):
        name = "pair-%d" % number
        self.through.append(self.session.create(name))
        path = self.session.vm_path(name)
        timings = self.session.last_job("create", path)
        self.stages.append({stage: timings.get(stage, 0) for stage in OWN_STAGES})
        reached = {stage["stage"]: stage["at_us"] / 1e6
                   for stage in self.session.json("vm", "health", name)["stages"]}
        self.guest_seconds.append(reached["healthy"] - reached["kernel"])
        taken = [1000 * timed(self.session.guest, name, "/bin/true") for _ in range(COMMANDS + 1)]
        self.commands += taken[1:]
        self.kill(name, path)
        self.session.banger("vm", "delete", name)

    def kill(self, name, path):
        """Until the command has returned and no process of the VM is left."""
        pids = [os.pidfd_open(pid) for pid in self.session.processes("banger-vmm", "qemu", "passt")]
        started = time.monotonic()
        command = self.session.popen("banger", "vm", "kill", name)
        for fd in pids:
            if not select.select([fd], [], [], 30)[0]:
                raise AssertionError("a process outlives the kill by 30 s")
            os.close(fd)
        gone = time.monotonic() - started
        command.communicate(timeout=30)
        self.kills.append(1000 * max(gone, time.monotonic() - started))
        if command.returncode:
            raise AssertionError("vm kill: status %d" % command.returncode)
        self.kill_jobs.append(sum(self.session.last_job("kill", path).values()))


def measure(report):
    with Bench() as session:
        pairs = Pairs(session)
        try:
            pairs.prepare()
            pairs.start_by_hand()
        except (hand.HandError, OSError) as error:
            raise BaselineMissing("no guest by hand: %s" % error) from error
        for first in (pairs.by_hand, pairs.cpus, pairs.hand_ends, pairs.hand_commands):
            first.clear()
        for number in range(PAIRS):
            pairs.start_by_hand()
            pairs.start_through_banger(number)
    own = [sum(stages.values()) for stages in pairs.stages]
    ratios = [a / b for a, b in zip(pairs.through, pairs.by_hand)]
    report.note("by hand, ms to running CPUs", pairs.cpus, spread(pairs.cpus))
    report.note("by hand, s to healthy", pairs.by_hand, spread(pairs.by_hand))
    report.note("by hand, ms from quit to no process", pairs.hand_ends, spread(pairs.hand_ends))
    report.note("through banger, s to healthy", pairs.through, spread(pairs.through))
    report.note("stages", pairs.stages, ", ".join("%s %.1f ms" % (
        stage, median([s[stage] for s in pairs.stages])) for stage in OWN_STAGES))
    report.gate("create: banger's own stages, until the CPUs run", median(own), "ms", most=250,
                goal=120, note=spread(own))
    if median(ratios) < LEAST:
        raise BaselineMissing("by hand it takes %s s: the guest waits for something that it is not "
                              "given" % spread(pairs.by_hand))
    report.gate("create to healthy: banger to by hand", median(ratios), "x", most=1.25, goal=1.05,
                note="%s; through banger: the whole command line, disks and all; by hand: QEMU's "
                "start with the same arguments, initramfs and ready-made disks to the agent's "
                "answer 'healthy'" % spread(ratios))
    report.gate("the initramfs as the VMM gets it", pairs.initramfs, "MB", most=INITRAMFS_MAX)
    report.gate("in the guest: from the kernel's hand-over to a healthy agent",
                median(pairs.guest_seconds), "s", most=0.5, note=spread(pairs.guest_seconds))
    report.note("exec true by hand, ms", pairs.hand_commands, spread(pairs.hand_commands))
    report.note("exec true through banger, ms", pairs.commands, spread(pairs.commands))
    report.gate("exec true beyond what the guest takes",
                median(pairs.commands) - median(pairs.hand_commands), "ms", most=30,
                note="the whole command line, less the same stream, handshake and command asked of "
                "the hand-started guest")
    report.gate("kill: the job", median(pairs.kill_jobs), "ms", most=100,
                note=spread(pairs.kill_jobs))
    report.gate("kill: the command line, until no process is left", median(pairs.kills), "ms",
                most=100, note=spread(pairs.kills))
