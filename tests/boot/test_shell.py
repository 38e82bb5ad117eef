# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shells and commands in a guest: on a terminal, which is a pty of the test's, and on pipes."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest

import fixtures
from harness import SECONDS, BangerTest
from leftovers import wait_for_end


class Terminal:
    """A command of the session on a terminal of its own, as its session leader."""

    def __init__(self, session, *argv, rows=30, columns=100):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.output = ""
        self.process = subprocess.Popen(
            [str(word) for word in argv], env=dict(session.env, TERM="xterm"), stdin=self.slave,
            stdout=self.slave, stderr=self.slave, preexec_fn=self.take_terminal)

    def take_terminal(self):
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def modes(self):
        """Whether lines are edited and signals made here: not while a guest has the keys."""
        return bool(termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ISIG))

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern, seconds=SECONDS["exec"]):
        """Reads until what was not matched yet has the pattern; what stands before it."""
        deadline = time.monotonic() + seconds
        while not (found := re.search(pattern, self.output)):
            ready = select.select([self.master], [], [], max(deadline - time.monotonic(), 0))[0]
            if not ready:
                raise AssertionError("no %r in %r" % (pattern, self.output))
            self.output += os.read(self.master, 65536).decode(errors="replace")
        before, self.output = self.output[:found.start()], self.output[found.end():]
        return found, before

    def end(self):
        """The status, once it has ended; what it still wrote is in output."""
        deadline = time.monotonic() + SECONDS["exec"]
        while not wait_for_end(self.process.pid, 0.05):
            self.drain()
            if time.monotonic() > deadline:
                raise AssertionError("it does not end: %r" % self.output)
        self.drain()
        return self.process.wait()

    def drain(self):
        while select.select([self.master], [], [], 0)[0]:
            self.output += os.read(self.master, 65536).decode(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


class ShellTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.session.banger("vm", "create", "box", "--image", "tiny", "--memory", "128M",
                           seconds=SECONDS["busybox"])

    def terminal(self, *argv, **more):
        return self.enterContext(Terminal(self.session, "banger", *argv, **more))

    if not hasattr(unittest.TestCase, "enterContext"):  # Python before 3.11
        def enterContext(self, manager):
            self.addCleanup(manager.__exit__, None, None, None)
            return manager.__enter__()

    def shell(self, *more, **size):
        terminal = self.terminal("shell", "box", *more, **size)
        terminal.expect("# ")
        return terminal

    def test_size_follows(self):
        shell = self.shell(rows=31, columns=101)
        shell.type("stty size\r")
        shell.expect("31 101\r\n")
        shell.resize(40, 132)
        # The size travels in the order of the keys: it has arrived when a later line is run.
        shell.type("stty size\r")
        shell.expect("40 132\r\n")
        shell.type("exit\r")
        self.assertEqual(shell.end(), 0)

    def test_exit_status_and_last_word(self):
        shell = self.shell()
        self.assertFalse(shell.modes())
        shell.type("exit 7\r")
        self.assertEqual(shell.end(), 7)
        self.assertIn("vm 'box' still runs; to stop it: banger stop box", shell.output)
        self.assertTrue(shell.modes())

    def test_last_word_is_for_the_last(self):
        first, second = self.shell(), self.shell()
        first.type("exit\r")
        self.assertEqual(first.end(), 0)
        self.assertNotIn("still runs", first.output)
        second.type("exit\r")
        self.assertEqual(second.end(), 0)
        self.assertIn("still runs", second.output)
        third = self.shell("-q")
        third.type("exit\r")
        self.assertEqual(third.end(), 0)
        self.assertNotIn("still runs", third.output)

    def test_interrupt_is_the_guests(self):
        shell = self.shell()
        shell.type("sh -c 'echo re\"\"ady; exec sleep 1000'\r")
        shell.expect("ready\r\n")
        shell.type("\x03")
        shell.expect("# ")
        shell.type("echo still $((40 + 2))\r")
        shell.expect("still 42\r\n")
        shell.type("exit\r")
        self.assertEqual(shell.end(), 0)

    def test_job_control_is_the_guests(self):
        shell = self.shell()
        # It says when it runs on: a key that comes before that would be the shell's.
        shell.type("sh -c 'trap \"echo on\"\"ward\" CONT; echo re\"\"ady; "
                   "while :; do sleep 0.2; done'\r")
        shell.expect("ready\r\n")
        shell.type("\x1a")
        shell.expect("Stopped")
        shell.expect("# ")
        shell.type("jobs\r")
        shell.expect("Stopped +sh -c")
        shell.expect("# ")
        shell.type("fg\r")
        shell.expect("onward\r\n")
        shell.type("\x03")
        shell.expect("# ")
        shell.type("exit 0\r")
        self.assertEqual(shell.end(), 0)

    def test_terminal_is_given_back(self):
        """Killed by a signal that asks, or that breaks off, and stopped by one."""
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(signal=number):
                shell = self.shell()
                self.assertFalse(shell.modes())
                shell.process.send_signal(number)
                self.assertEqual(shell.end(), -number)
                self.assertTrue(shell.modes())

    def test_stopped_from_outside(self):
        shell = self.shell()
        shell.process.send_signal(signal.SIGTSTP)
        pid, status = os.waitpid(shell.process.pid, os.WUNTRACED)
        self.assertEqual(pid, shell.process.pid)
        self.assertTrue(os.WIFSTOPPED(status))
        self.assertTrue(shell.modes())
        shell.resize(22, 77)
        shell.process.send_signal(signal.SIGCONT)
        shell.type("stty size\r")
        shell.expect("22 77\r\n")
        self.assertFalse(shell.modes())
        shell.type("exit\r")
        self.assertEqual(shell.end(), 0)

    def test_closing_ends_what_runs(self):
        shell = self.shell()
        shell.type("sleep 4321\r")
        shell.expect("sleep 4321\r\n")
        shell.process.kill()
        shell.process.wait()
        gone = self.session.guest(
            "box", "/bin/sh", "-c", "while pgrep -f 'sleep 432[1]'; do sleep 0.1; done")
        self.assertEqual(gone.returncode, 0)

    def test_shell_on_pipes(self):
        result = self.session.run("banger", "shell", "box", input="echo on a pipe; exit 3\n",
                                  stdin=None, timeout=SECONDS["exec"])
        self.assertEqual((result.returncode, result.stdout, result.stderr), (3, "on a pipe\n", ""))

    def test_shell_with_command(self):
        line = self.session.banger("shell", "box", "--", "echo one | tr a-z A-Z")
        self.assertEqual(line.stdout, "ONE\n")
        words = self.session.banger("shell", "box", "--", "echo", "two  words", "$HOME; x'y")
        self.assertEqual(words.stdout, "two  words $HOME; x'y\n")
        self.session.banger("shell", "box", "--", "exit 9", status=9)

    def test_whom_and_where(self):
        result = self.session.banger(
            "shell", "box", "--cwd", "/etc", "--env", "MINE=a b", "--user", "0", "--",
            "pwd; echo $MINE; id -u")
        self.assertEqual(result.stdout, "/etc\na b\n0\n")
        result = self.session.banger("shell", "box", "--user", "nobody-here", "--", "true",
                                     status=127)
        self.assertIn("cannot run", result.stderr)

    def test_detached(self):
        result = self.session.banger("exec", "--detach", "box", "--", "/bin/sh", "-c",
                                     "sleep 3333; true")
        pid = int(result.stdout)
        listed = self.session.guest("box", "/bin/cat", "/proc/%d/cmdline" % pid).stdout
        self.assertIn("sleep 3333", listed)
        self.session.guest("box", "/bin/kill", "-9", "-%d" % pid)
        self.session.banger("exec", "--detach", "box", "--", "/bin/not-there", status=127)

    def test_statuses(self):
        self.assertEqual(self.session.guest("box", "/bin/sh", "-c", "exit 42", status=42).stdout, "")
        self.session.guest("box", "/bin/sh", "-c", "kill -KILL $$", status=137)
        result = self.session.guest("box", "/bin/not-there", status=127)
        self.assertIn("cannot run '/bin/not-there'", result.stderr)
        self.session.guest("absent", "/bin/true", status=3)


if __name__ == "__main__":
    unittest.main()
