# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random kills of our programs while several clients have all sorts of things done: after each batch
what is there is what bangerd says, it can be used, and deleted nothing of it is left.

BANGER_STORM_SEED replays what the clients and the killer choose, BANGER_STORM_KILLS says how many
are killed."""

import collections
import os
import random
import signal
import subprocess
import threading
import time
import unittest

import fixtures
from harness import SECONDS, BangerTest

CLIENTS = 4
NAMES = ["storm-%d" % number for number in range(5)]
RUNNING_MAX = 3
BATCH = 20
PROGRAMS = ("bangerd", "banger-vmm", "banger-worker", "qemu")
PAUSE_MAX = 0.8
# A client that gets no answer for so long hangs.
HANGS = SECONDS["busybox"] + SECONDS["stop"]
ENDED = ("done", "failed", "cancelled", "interrupted")


class StormTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.idle = cls.session.leftovers()

    def choose(self, rng):
        """A command that one of the clients runs next."""
        name = rng.choice(NAMES)
        quiet = [
            ["vm", "create", name, "--image", "tiny", "--memory", "128M", "--no-start"],
            ["vm", "delete", "--force", name],
            ["vm", "kill", name],
            ["vm", "stop", "--timeout", "2", name],
            ["vm", "set", name, "--label", "storm=%d" % rng.randrange(100)],
            ["vm", "exec", name, "--", "/bin/echo", "here"],
            ["vm", "pause", name],
            ["vm", "resume", name],
            ["image", "import", name, fixtures.busybox_tar()],
            ["image", "delete", name],
        ]
        loud = [
            ["vm", "create", name, "--image", "tiny", "--memory", "128M"],
            ["vm", "start", name],
            ["vm", "restart", "--timeout", "2", name],
        ]
        may_start = len(self.session.processes("qemu")) < RUNNING_MAX
        return rng.choice(quiet + (2 * loud if may_start else []))

    def client(self, seed, until):
        rng = random.Random(seed)
        while not until.is_set():
            command = self.choose(rng)
            try:
                self.session.run("banger", *command, timeout=HANGS)
                self.commands[" ".join(command[:2])] += 1
            except subprocess.TimeoutExpired:
                self.hung.append((" ".join(command), self.at_work(), self.states()))

    def kill_one(self, rng):
        """Kills one of our processes, of a program chosen first: there are more of some."""
        while True:
            program = rng.choice(PROGRAMS)
            pids = sorted(self.session.processes(program))
            if pids:
                try:
                    os.kill(rng.choice(pids), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.kills[program] += 1
                return
            time.sleep(0.01)

    def at_work(self):
        """Jobs that have not ended, and VMs that a stop goes on for which was cut short."""
        return ([job for job in self.session.managed("Job").values() if job["State"] not in ENDED]
                + [vm for vm in self.session.managed("VM").values() if vm["State"] == "stopping"])

    def settle(self):
        """Waits until nothing is left at work: bangerd may be started by this."""
        deadline = time.monotonic() + HANGS
        while self.at_work():
            self.assertLess(time.monotonic(), deadline, self.at_work())
            time.sleep(0.1)

    def states(self):
        return {vm["Name"]: vm["State"] for vm in self.session.managed("VM").values()}

    def check_batch(self):
        self.assertEqual(self.hung, [])
        self.settle()
        states = self.states()
        self.assertLessEqual(set(states.values()), {"running", "paused", "stopped", "failed"})
        running = [name for name, state in states.items() if state in ("running", "paused")]
        for program in ("banger-vmm", "qemu"):
            self.assertEqual(len(self.session.processes(program)), len(running), states)
        # The next bangerd sees the same.
        self.session.kill(self.session.service_pid())
        self.assertEqual(self.states(), states)
        for name in running:
            if states[name] == "paused":
                self.session.banger("vm", "resume", name)
            self.session.wait_for(name, "Health", "healthy", SECONDS["busybox"])
            self.assertEqual(self.session.guest(name, "/bin/echo", "here").stdout, "here\n")
        for name in states:
            self.session.banger("vm", "delete", "--force", name)
        for image in self.session.json("image", "list")["images"]:
            if image["name"] in NAMES:
                self.session.banger("image", "delete", image["name"])
        self.assertEqual(self.session.leftovers(), self.idle)

    def batch(self, rng, kills):
        until = threading.Event()
        clients = [threading.Thread(target=self.client, args=(rng.random(), until))
                   for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for _ in range(kills):
                time.sleep(rng.uniform(0, PAUSE_MAX))
                self.kill_one(rng)
        finally:
            until.set()
            for client in clients:
                client.join()

    def test_random_kills(self):
        seed = os.environ.get("BANGER_STORM_SEED") or str(random.SystemRandom().randrange(1 << 32))
        left = int(os.environ.get("BANGER_STORM_KILLS", "200"))
        print("# BANGER_STORM_SEED=%s" % seed, flush=True)
        rng = random.Random(seed)
        self.kills, self.commands = collections.Counter(), collections.Counter()
        self.hung = []
        while left > 0:
            self.batch(rng, min(BATCH, left))
            left -= BATCH
            self.check_batch()
        print("# killed: %s" % dict(self.kills))
        print("# ended commands: %s" % dict(self.commands))


if __name__ == "__main__":
    unittest.main()
