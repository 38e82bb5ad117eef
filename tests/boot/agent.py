# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of the agent's protocol, as docs/agent-protocol.md has it."""

import json
import os
import re
import struct
import subprocess
import threading

from harness import ROOT_PATH, SECONDS

STDIN, STDOUT, STDERR, EXIT, RESIZE, START, ERROR, SIGNAL, STARTED = range(9)


class Stream:
    """A stream to a port of the VM's guest. Use as a context manager."""

    def __init__(self, session, vm, port=1024, seconds=SECONDS["exec"]):
        path = session.call(ROOT_PATH, "Manager.FindVM", "sa{sv}", vm, "0")[0]
        self.process = subprocess.Popen(
            [os.environ["BANGER_OPEN_AGENT"], path, str(port)], env=session.env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1 << 18)
        self.deadline = threading.Timer(seconds, self.process.kill)
        self.deadline.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.deadline.cancel()
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def read(self, length):
        data = self.process.stdout.read(length)
        if len(data) < length:
            raise AssertionError("the stream ended early, after %r" % data[-200:])
        return data

    def request(self, line, body=b"", head=""):
        """(status, body) of one request."""
        self.write(("%s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n" % (
            line, len(body), head)).encode() + body)
        status = int(self.process.stdout.readline().split()[1])
        length = 0
        while header := self.process.stdout.readline().strip():
            name, value = header.split(b":", 1)
            if name.lower() == b"content-length":
                length = int(value)
        return status, self.read(length)

    def get(self, path):
        status, body = self.request("GET " + path)
        if status != 200:
            raise AssertionError("GET %s: %d %r" % (path, status, body))
        return json.loads(body)

    def answers(self):
        """False if it could not be opened."""
        self.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return bool(self.process.stdout.readline())

    def frame(self, kind, payload=b""):
        self.write(struct.pack(">B3xI", kind, len(payload)) + payload)

    def start(self, *records):
        """POST /exec: records such as "arg=ls"."""
        status, _ = self.request("POST /exec",
                                 head="Connection: Upgrade\r\nUpgrade: banger-exec\r\n")
        if status != 101:
            raise AssertionError("POST /exec: %d" % status)
        self.frame(START, b"".join(r.encode() + b"\0" for r in records))

    def next_frame(self):
        kind, length = struct.unpack(">B3xI", self.read(8))
        return kind, self.read(length)

    def expect(self, text):
        """Reads what a terminal shows until it ends with @text; returns it."""
        said = b""
        while not said.endswith(text):
            try:
                kind, payload = self.next_frame()
            except AssertionError as error:
                raise AssertionError("%r did not come: %r" % (text, said)) from error
            if kind != STDOUT:
                raise AssertionError("ended by %r after %r" % (payload, said))
            # busybox edits lines, and asks where its cursor is.
            said = re.sub(rb"\x1b\[[0-9;]*[A-Za-z]", b"", said + payload)
        return said

    def finish(self, sink=None):
        """(what ended it, its payload as a number or text, output, errors). @sink takes output."""
        output, errors = [], []
        while True:
            kind, payload = self.next_frame()
            if kind == STDOUT:
                (sink or output.append)(payload)
            elif kind == STDERR:
                errors.append(payload)
            else:
                word = payload.decode() if kind == ERROR else int.from_bytes(payload, "big")
                return kind, word, b"".join(output), b"".join(errors)
