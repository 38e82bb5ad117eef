# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several people at one console, each on a terminal of their own."""

import os
import signal
import threading
import unittest

from harness import SECONDS
from life import VmTest
from test_shell import Terminal

WATCHERS_MAX = 8
# Answers to what is typed; the terminal's own echo is off, so that nothing else is seen of it.
ANSWER = """stty -F /dev/console -echo
exec </dev/console >/dev/console
echo who is there
while read -r line; do echo "heard <$line>"; done"""
# More than a watcher that does not read has room for.
LINES, WORDS = 8000, "the quick brown fox jumps over the lazy dog, and twice"
FLOOD = """i=0; while [ $i -lt %d ]; do printf '%%05d %s\\n' $i; i=$((i+1)); done > /dev/console""" % (
    LINES, WORDS)


class ConsoleTest(VmTest):
    def setUp(self):
        self.path = self.create("box", "network", "s", "none")

    def watch(self, *more):
        terminal = Terminal(self.session, "banger", "vm", "console", "box", *more)
        self.addCleanup(terminal.__exit__)
        return terminal

    def sh(self, script):
        return self.session.guest("box", "/bin/sh", "-c", script)

    def say(self, text):
        self.sh("echo '%s' > /dev/console" % text)

    def answer(self):
        self.session.banger("vm", "exec", "--detach", "box", "--", "/bin/sh", "-c", ANSWER)

    def test_two_at_once(self):
        """Both see the same, whoever types; one that leaves takes nothing from the other."""
        one, other = self.watch(), self.watch("--escape", "^a")
        self.answer()
        for terminal in (one, other):
            terminal.expect("who is there\r\n")
        for typist, word in ((one, "first"), (other, "second")):
            typist.type(word + "\r")
            for terminal in (one, other):
                terminal.expect("heard <%s>\r\n" % word)
        # What was typed at once before the key is for the guest.
        other.type("farewell\r\x01")
        self.assertEqual(other.end(), 0)
        self.assertTrue(other.modes())
        one.expect("heard <farewell>\r\n")
        # That is no key of this one, nor does the guest get the one that is.
        one.type("\x01stays\r")
        one.expect("heard <\x01stays>\r\n")
        one.type("\x1d")
        self.assertEqual(one.end(), 0)
        self.assertIn("left", one.output)

    def pipe(self, *argv):
        process = self.session.popen("banger", "vm", *argv)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_tail(self):
        self.say("long ago")
        self.say("0123456789")
        pipe = self.pipe("console", "box", "--tail", "7")
        self.assertEqual(pipe.stdout.readline(), b"56789\r\n")
        _, before = self.watch("--tail", "64").expect("0123456789\r\n")
        self.assertIn("long ago\r\n", before)
        fresh = self.watch("--tail", "0")
        fresh.expect("leaves it")
        self.say("from now on")
        _, before = fresh.expect("from now on\r\n")
        self.assertNotIn("0123456789", before)

    def test_one_does_not_read(self):
        """It loses what it missed; neither the guest nor the other waits for it."""
        self.say("before")
        stuck, other = self.watch(), self.pipe("console", "box", "--tail", "8")
        stuck.expect("before\r\n")
        self.assertEqual(other.stdout.readline(), b"before\r\n")
        os.kill(stuck.process.pid, signal.SIGSTOP)
        writer = self.pipe("exec", "box", "--", "/bin/sh", "-c", FLOOD)
        over = threading.Event()
        ending = threading.Thread(target=self.end_flood, args=[writer, over, other])
        ending.start()
        seen = []
        for line in other.stdout:
            if line.endswith(b"the end\r\n"):
                break
            seen.append(line)
        over.set()
        ending.join()
        self.assertEqual(writer.returncode, 0)
        # Nor does it miss more than it was late itself.
        self.assertGreater(len(seen), LINES / 2)
        os.kill(stuck.process.pid, signal.SIGCONT)
        stuck.expect("00000 " + WORDS)
        self.say("and on it goes")
        _, before = stuck.expect("and on it goes\r\n", SECONDS["busybox"])
        self.assertLess(before.count(WORDS), LINES / 2)

    def end_flood(self, writer, over, reader):
        """Says so until it is seen: it may be lost as all else."""
        writer.wait(SECONDS["busybox"])
        for _ in range(SECONDS["command"]):
            self.say("the end")
            if over.wait(1):
                return
        reader.kill()

    def test_ends_with_the_vm(self):
        self.say("up")
        terminal = self.watch("--tail", "4")
        terminal.expect("up\r\n")
        self.assertFalse(terminal.modes())
        self.finish(self.begin(self.path, "Kill"))
        self.assertEqual(terminal.end(), 0)
        self.assertIn("its console has ended", terminal.output)
        self.assertTrue(terminal.modes())
        result = self.session.banger("vm", "console", "box", status=None)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("box", result.stderr)

    def test_too_many(self):
        self.say("come in")
        watchers = [self.watch() for _ in range(WATCHERS_MAX)]
        for watcher in watchers:
            watcher.expect("come in\r\n")
        result = self.session.banger("vm", "console", "box", status=None)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("as often as it can be", result.stderr)
        watchers[0].type("\x1d")
        self.assertEqual(watchers[0].end(), 0)
        self.watch().expect("come in\r\n")


if __name__ == "__main__":
    unittest.main()
