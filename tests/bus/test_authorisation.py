# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may call what, on a private system bus with the real polkit and real users: every method of
every interface, as its documentation says. Runs in privbus.py, before auth-service."""

import os
import pty
import select
import shutil
import signal
import subprocess
import termios
import time
import unittest
from pathlib import Path

from callers import BUS, METHODS, NAME, ROOT, SECONDS, Caller, path_of, pid_of
from privbus import ROOT_PASSWORD, SYSTEM_DIRS, UIDS

POLKIT = "org.freedesktop.PolicyKit1"
POLKITD_ANSWERS_WITHIN = 20  # the service's own bound
ASKED_OF_GROUP = {"org.banger.vm.create", "org.banger.vm.use", "org.banger.vm.enter"}


def expected(method, user, owner, shared):
    """What @user gets, who has no polkit agent, for an object of @owner."""
    own = method.interface == "Manager" or user == owner
    if user == "root" or method.public or (method.owner_only and own):
        return "Allowed"
    if user == "dave":
        return "NotAuthorized"
    if method.always or not (own or (shared and method.or_shared)):
        return "NotAuthorizedCanObtain"
    granted = method.action in ASKED_OF_GROUP and user in ("alice", "erin")
    return "Allowed" if granted else "NotAuthorizedCanObtain"


class Case(unittest.TestCase):
    def caller(self, user, **more):
        caller = Caller(user, **more)
        self.addCleanup(caller.__exit__)
        return caller


class Matrix(Case):
    """Every method, for every kind of caller, on objects of its own, of another and shared."""

    def check(self, user, owner, shared=False):
        caller = self.caller(user)
        numbers = {}
        for label, method in METHODS.items():
            numbers[label] = caller.begin_call(path_of(method, owner, shared), label)
            # More at a time than this is Busy, which is another test.
            if len(numbers) % 8 == 0:
                caller.wait(caller.begin_call(ROOT, "Manager.Check"))
                for name, number in list(numbers.items()):
                    if isinstance(number, int):
                        numbers[name] = caller.wait(number)
        for label, number in numbers.items():
            answer = caller.wait(number) if isinstance(number, int) else number
            with self.subTest(method=label, user=user, owner=owner, shared=shared):
                self.assertEqual(answer.word,
                                 expected(METHODS[label], user, owner, shared), answer)

    def test_root(self):
        self.check("root", "alice")

    def test_owner_in_group(self):
        self.check("alice", "alice")

    def test_owner_not_in_group(self):
        self.check("carol", "carol")

    def test_other_in_group(self):
        self.check("erin", "alice")

    def test_other_in_group_shared(self):
        self.check("erin", "alice", shared=True)

    def test_other_not_in_group(self):
        self.check("bob", "alice")

    def test_other_not_in_group_shared(self):
        self.check("bob", "alice", shared=True)

    def test_denied_by_rule(self):
        self.check("dave", "alice")

    def test_owner_denied_by_rule(self):
        """Whatever a rule says, one can clean up one's own."""
        self.check("dave", "dave")

    def test_taking_back_is_the_owners(self):
        carol = self.caller("carol")
        for kind in ("Image", "Kernel"):
            path = path_of(METHODS[kind + ".Share"], "carol")
            answer = carol.call(path, kind + ".Share", "(false, @a{sv} {})")
            self.assertEqual(answer.word, "Allowed", answer)
            other = path_of(METHODS[kind + ".Share"], "alice", shared=True)
            answer = carol.call(other, kind + ".Share", "(false, @a{sv} {})")
            self.assertEqual(answer.word, "NotAuthorizedCanObtain", answer)

    def test_denials_say_what_to_do(self):
        answer = self.caller("bob").call(ROOT, "Manager.CreateVM")
        self.assertIn("org.banger.vm.create", answer.message)
        self.assertIn("group banger", answer.message)


class Agent(Case):
    """Callers with a polkit agent."""

    START = path_of(METHODS["VM.Start"], "carol")

    def tty_agent(self, caller):
        """polkit's own agent, which asks on a terminal: our end of that."""
        pid, tty = pty.fork()
        if pid == 0:
            os.initgroups(caller.user, caller.uid)
            os.setgid(caller.uid)
            os.setuid(caller.uid)
            os.execvp("pkttyagent", ["pkttyagent", "--process", str(caller.pid)])
        self.addCleanup(os.close, tty)
        self.addCleanup(os.waitpid, pid, 0)
        self.addCleanup(os.kill, pid, signal.SIGKILL)
        return tty

    def converse(self, caller, tty, password):
        """Calls, when the agent is ready, and answers its question. The answer, and what it
        wrote."""
        text, number, answered = b"", None, False
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            number = caller.begin_call(self.START, "VM.Start", interactive=True)
            # Until the agent is registered the answer is a challenge, at once.
            while time.monotonic() < deadline:
                readable, _, _ = select.select([tty], [], [], 0.05)
                if readable:
                    text += os.read(tty, 4096)
                # It drops what was typed before it had the terminal's echo off.
                if (not answered and b"assword:" in text
                        and not termios.tcgetattr(tty)[3] & termios.ECHO):
                    os.write(tty, password.encode() + b"\n")
                    answered = True
                try:
                    answer = caller.wait(number, 0.01)
                    break
                except TimeoutError:
                    continue
            if answered or answer.word != "NotAuthorizedCanObtain":
                return answer, text.decode(errors="replace")
        self.fail("the agent did not ask: %r" % text)

    def test_right_password(self):
        caller = self.caller("carol")
        answer, text = self.converse(caller, self.tty_agent(caller), ROOT_PASSWORD)
        self.assertEqual(answer.word, "Allowed", text)
        self.assertIn("org.banger.vm.use", text)
        # The row's own message, with the name of the object.
        self.assertIn("start the virtual machine u%d" % UIDS["carol"], text)

    def test_wrong_password(self):
        caller = self.caller("carol")
        answer, text = self.converse(caller, self.tty_agent(caller), "wrong")
        self.assertEqual(answer.word, "NotAuthorized", text)

    def test_not_asked_without_the_flag(self):
        """The message does not allow it: the agent is left alone."""
        caller, agent = self.caller("carol"), self.caller("carol")
        self.assertIsNone(agent.wait(agent.send("agent", "dismiss", str(caller.pid))).error)
        self.assertEqual(caller.call(self.START, "VM.Start").word, "NotAuthorizedCanObtain")
        self.assertTrue(agent.events.empty())

    def test_dismissed(self):
        caller, agent = self.caller("carol"), self.caller("carol")
        self.assertIsNone(agent.wait(agent.send("agent", "dismiss", str(caller.pid))).error)
        answer = caller.call(self.START, "VM.Start", interactive=True)
        self.assertEqual(answer.word, "NotAuthorizedDismissed", answer)
        self.assertEqual(agent.event()[:2], ["begin", "org.banger.vm.use"])

    def test_others_object_names_its_owner(self):
        caller, agent = self.caller("carol"), self.caller("carol")
        self.assertIsNone(agent.wait(agent.send("agent", "dismiss", str(caller.pid))).error)
        path = path_of(METHODS["VM.Start"], "alice")
        answer = caller.call(path, "VM.Start", interactive=True)
        self.assertEqual(answer.word, "NotAuthorizedDismissed", answer)
        event = agent.event()
        self.assertEqual(event[:2], ["begin", "org.banger.vm.manage-others"])
        self.assertIn("user %d" % UIDS["alice"], event[2])

    def test_caller_leaves_while_asked(self):
        """The question is taken away from the screen."""
        caller, agent = self.caller("carol"), self.caller("carol")
        self.assertIsNone(agent.wait(agent.send("agent", "hang", str(caller.pid))).error)
        caller.begin_call(self.START, "VM.Start", interactive=True)
        self.assertEqual(agent.event()[0], "begin")
        caller.kill()
        self.assertEqual(agent.event(), ["cancel"])
        self.assertEqual(agent.call(self.START, "VM.Stop").word, "Allowed")

    def test_too_many_questions(self):
        """One user's open questions are bounded, and are no one else's trouble."""
        caller, agent = self.caller("carol"), self.caller("carol")
        self.assertIsNone(agent.wait(agent.send("agent", "hang", str(caller.pid))).error)
        for _ in range(16):
            caller.begin_call(self.START, "VM.Start", interactive=True)
        self.assertEqual(agent.event()[0], "begin")
        # What one connection sent is taken in order: all of the questions are open after this.
        self.assertEqual(caller.call(ROOT, "Manager.Check").word, "Allowed")
        self.assertEqual(agent.call(self.START, "VM.Start").word, "Busy")
        self.assertEqual(agent.call(self.START, "VM.Stop").word, "Allowed")
        alice = self.caller("alice")
        self.assertEqual(alice.call(path_of(METHODS["VM.Start"], "alice"), "VM.Start").word,
                         "Allowed")


class WithoutPolkit(Case):
    """polkit killed, absent and hung: denied, and the service goes on."""

    def setUp(self):
        self.root, self.alice = self.caller("root"), self.caller("alice")
        self.assertEqual(self.start(), "Allowed")
        self.polkitd = pid_of(POLKIT, self.root)

    def start(self):
        return self.alice.call(path_of(METHODS["VM.Start"], "alice"), "VM.Start").word

    def check_what_needs_none(self):
        own = path_of(METHODS["VM.Stop"], "alice")
        self.assertEqual(self.alice.call(own, "VM.Stop").word, "Allowed")
        self.assertEqual(self.alice.call(ROOT, "Manager.Check").word, "Allowed")
        self.assertEqual(self.root.call(own, "VM.Start").word, "Allowed")

    def kill_polkitd(self):
        with_fd = os.pidfd_open(self.polkitd)
        os.kill(self.polkitd, signal.SIGKILL)
        select.select([with_fd], [], [], SECONDS)
        os.close(with_fd)
        deadline = time.monotonic() + SECONDS
        while pid_of(POLKIT, self.root) == self.polkitd and time.monotonic() < deadline:
            continue  # each is a round trip to the bus, which learns of it by the closed socket

    def test_killed(self):
        """The bus starts it again."""
        self.kill_polkitd()
        self.assertEqual(self.start(), "Allowed")
        self.assertNotEqual(pid_of(POLKIT, self.root), self.polkitd)

    def test_absent(self):
        file = Path(SYSTEM_DIRS["system-services"]) / (POLKIT + ".service")
        aside = Path(os.environ["PRIVBUS"]) / "polkit.service"
        shutil.move(file, aside)
        self.assertIsNone(self.root.call_to(*BUS, "ReloadConfig").error)
        self.kill_polkitd()
        try:
            self.assertEqual(self.start(), "NotAuthorized")
            self.check_what_needs_none()
        finally:
            shutil.move(aside, file)
            self.assertIsNone(self.root.call_to(*BUS, "ReloadConfig").error)
        self.assertEqual(self.start(), "Allowed")

    def test_hung(self):
        os.kill(self.polkitd, signal.SIGSTOP)
        try:
            started = time.monotonic()
            number = self.alice.begin_call(path_of(METHODS["VM.Start"], "alice"), "VM.Start",
                                           interactive=True)
            self.check_what_needs_none()
            self.assertLess(time.monotonic() - started, POLKITD_ANSWERS_WITHIN)
            answer = self.alice.wait(number, 5 * POLKITD_ANSWERS_WITHIN)
            self.assertEqual(answer.word, "NotAuthorized", answer)
            self.assertIn("polkit gave no answer", answer.message)
        finally:
            os.kill(self.polkitd, signal.SIGCONT)
        self.assertEqual(self.start(), "Allowed")


class BusPolicy(Case):
    """What the bus itself lets through."""

    DENIED = "org.freedesktop.DBus.Error.AccessDenied"

    def test_runs_as_its_user(self):
        root = self.caller("root")
        root.call(ROOT, "Manager.Check")
        pid = pid_of(NAME, root)
        status = Path("/proc/%d/status" % pid).read_text(encoding="utf-8")
        uids = next(l for l in status.splitlines() if l.startswith("Uid:")).split()[1:]
        self.assertEqual(set(uids), {str(UIDS["bangerd"])})

    def test_nobody_else_takes_the_name(self):
        for user in ("root", "alice"):
            for name in (NAME, NAME + ".Other"):
                answer = self.caller(user).call_to(*BUS, "RequestName", "('%s', uint32 0)" % name)
                self.assertEqual(answer.error, self.DENIED, answer)

    def test_interfaces(self):
        alice, properties = self.caller("alice"), "org.freedesktop.DBus.Properties"
        manager = NAME + ".Manager"
        for interface, method, arguments, allowed in (
                (properties, "GetAll", "('%s',)" % manager, True),
                (properties, "Get", "('%s', 'Version')" % manager, True),
                (properties, "Set", "('%s', 'Version', <'1'>)" % manager, False),
                ("org.freedesktop.DBus.Introspectable", "Introspect", "()", True),
                ("org.freedesktop.DBus.Peer", "Ping", "()", True),
                ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "()", True),
                ("org.banger.Banger1.Debug", "Anything", "()", False)):
            for user in (alice, self.caller("root")):
                answer = user.call_to(NAME, ROOT, interface, method, arguments)
                self.assertEqual(answer.error == self.DENIED, not allowed, (method, answer))


class SessionBus(Case):
    """On a session bus, even one that lets others connect, only its user is served."""

    CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
     "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
    <busconfig><type>session</type><listen>unix:path=%s</listen><auth>EXTERNAL</auth>
    <policy context="mandatory"><allow user="*"/><allow own="*"/>
    <allow send_destination="*"/><allow eavesdrop="true"/></policy></busconfig>"""

    def test_other_uid(self):
        base = Path(os.environ["PRIVBUS"])
        (base / "session.conf").write_text(self.CONFIG % "/run/session-bus", encoding="utf-8")
        bus = subprocess.Popen(["dbus-daemon", "--nofork", "--print-address=1", "--config-file",
                                str(base / "session.conf")], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL)
        self.addCleanup(bus.stdout.close)
        self.addCleanup(bus.wait)
        self.addCleanup(bus.kill)
        self.assertTrue(bus.stdout.readline())
        env = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/session-bus"}
        service = subprocess.Popen([str(base / "tests/auth-service"), "--session"],
                                   user=UIDS["alice"], group=UIDS["alice"], extra_groups=[],
                                   env=dict(os.environ, **env), stderr=subprocess.DEVNULL)
        self.addCleanup(service.wait)
        self.addCleanup(service.kill)
        subprocess.run(["gdbus", "wait", "--session", "--timeout", str(SECONDS), NAME],
                       env=dict(os.environ, **env), check=True)
        for user, word in (("alice", "Allowed"), ("bob", "NotAuthorized"),
                           ("root", "NotAuthorized")):
            caller = self.caller(user, bus="--session", env=env)
            for label in METHODS:
                with self.subTest(method=label, user=user):
                    path = path_of(METHODS[label], "bob")
                    self.assertEqual(caller.call(path, label).word, word)


if __name__ == "__main__":
    unittest.main()
