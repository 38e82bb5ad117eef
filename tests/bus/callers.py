# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of the private bus, as any of its users, and what the interfaces' documentation says."""

import os
import queue
import re
import subprocess
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import privbus

NAME = "org.banger.Banger1"
ROOT = "/org/banger/Banger1"
BUS = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus")
SOURCE = Path(__file__).resolve().parent.parent.parent
ERROR = NAME + ".Error."
ALLOWED = "org.banger.Test.Allowed"
SECONDS = 60  # for what takes milliseconds


class Answer:
    """Of a call: its value as text, or the name and message of an error."""

    def __init__(self, words):
        self.error = words[1] if words[0] == "error" else None
        self.message = words[2] if words[0] == "error" else None
        self.value = words[1] if words[0] == "ok" else None

    @property
    def word(self):
        """`Allowed`, the last part of an error of ours, `ok`, or another error's full name."""
        if self.error is None:
            return "ok"
        if self.error == ALLOWED:
            return "Allowed"
        return self.error.removeprefix(ERROR)

    def __repr__(self):
        return "%s: %s" % (self.error or "ok", self.message or self.value)


class Caller:
    """A connection to the bus, as user @user. Use as a context manager."""

    def __init__(self, user, bus="--system", env=None):
        self.user = user
        self.uid = 0 if user == "root" else privbus.UIDS[user]
        more = {} if user == "root" else dict(
            user=self.uid, group=self.uid,
            extra_groups=[g for g, members in privbus.GROUPS.values() if user in members])
        self.process = subprocess.Popen(
            [os.path.join(os.environ["PRIVBUS"], "tests/bus-caller"), bus], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=dict(os.environ, **(env or {})), **more)
        self.number = 0
        self.events = queue.Queue()
        self._answers = {}
        self._ended = False
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()
        self.name = self.wait(0).value

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        self.process.stdin.close()
        self.process.stdout.close()

    @property
    def pid(self):
        return self.process.pid

    def kill(self):
        self.process.kill()
        self.process.wait()

    def _read(self):
        try:
            for line in self.process.stdout:
                words = line.rstrip("\n").split("\t")
                if words[0] == "event":
                    self.events.put(words[1:])
                    continue
                with self._changed:
                    self._answers[int(words[0])] = Answer(words[1:])
                    self._changed.notify_all()
        except ValueError:  # closed
            pass
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def send(self, *words):
        self.number += 1
        self.process.stdin.write("\t".join(words) + "\n")
        self.process.stdin.flush()
        return self.number

    def wait(self, number, seconds=SECONDS):
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._answers or self._ended, seconds):
                raise TimeoutError("no answer in %.2g s" % seconds)
            if number not in self._answers:
                raise RuntimeError("the caller ended")
            return self._answers.pop(number)

    def begin(self, destination, path, interface, method, arguments="()", interactive=False,
              files=()):
        return self.send("call", destination, path, interface, method,
                         "interactive" if interactive else "plain", arguments,
                         " ".join(map(str, files)))

    def call_to(self, *words, **more):
        return self.wait(self.begin(*words, **more))

    def call(self, path, method, arguments=None, **more):
        """@method: `VM.Start`; @arguments: the emptiest of its type, if none."""
        interface, name = method.split(".")
        if arguments is None:
            arguments = METHODS[method].arguments
        return self.call_to(NAME, path, "%s.%s" % (NAME, interface), name, arguments, **more)

    def begin_call(self, path, method, **more):
        interface, name = method.split(".")
        return self.begin(NAME, path, "%s.%s" % (NAME, interface), name,
                          METHODS[method].arguments, **more)

    def event(self):
        return self.events.get(timeout=SECONDS)


EMPTY = {"s": "''", "o": "objectpath '/'", "b": "true", "u": "uint32 0", "h": "handle 0",
         "as": "@as []", "a(sa{sv})": "@a(sa{sv}) []", "a{sv}": "@a{sv} {}", "a{sh}": "@a{sh} {}"}


class Method:
    """One method, as the comment above it documents who may call it."""

    def __init__(self, interface, element, text):
        self.interface = interface
        self.name = element.get("name")
        self.label = "%s.%s" % (interface, self.name)
        types = [a.get("type") for a in element.findall("arg") if a.get("direction") != "out"]
        self.arguments = "(%s%s)" % (", ".join(EMPTY[t] for t in types), "," * (len(types) == 1))
        action = re.search(r"Action:\s+`([\w.-]+)`(.*)", text, re.DOTALL)
        self.action = action.group(1) if action else None
        self.or_shared = bool(action) and "or a shared one" in action.group(2)
        self.always = bool(action) and "always" in action.group(2)
        self.public = "Public." in text
        self.owner_only = not action and "no question asked" in text
        if self.public + self.owner_only + bool(action) != 1:
            raise ValueError("%s: its documentation does not say who may call it" % self.label)


def read_methods():
    methods = {}
    for path in sorted((SOURCE / "data/dbus").glob("*.xml")):
        text = path.read_text(encoding="utf-8")
        element = ElementTree.fromstring(text).find("interface")
        interface = element.get("name").removeprefix(NAME + ".")
        for child in element.findall("method"):
            end = text.index('<method name="%s">' % child.get("name"))
            start = text.rindex("<!--", 0, end)
            method = Method(interface, child, " ".join(text[start:end].split()))
            methods[method.label] = method
    return methods


METHODS = read_methods()


def path_of(method, owner, shared=False):
    """Of an object of auth-service that user @owner owns, of the kind that @method is for."""
    if method.interface == "Manager":
        return ROOT
    return "%s/%s/%s%d" % (ROOT, method.interface.lower(), "s" if shared else "u",
                           privbus.UIDS[owner])


def pid_of(name, caller):
    """The process that owns @name, as the bus knows it; None without one."""
    answer = caller.call_to(*BUS, "GetConnectionUnixProcessID", "('%s',)" % name)
    return int(answer.value.strip("(),").split()[-1]) if answer.error is None else None
