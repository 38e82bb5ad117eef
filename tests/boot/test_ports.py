# SPDX-License-Identifier: LGPL-2.1-or-later
"""Published ports of a guest that has no network."""

import contextlib
import os
import select
import socket
import threading
import unittest

import fixtures
from harness import ROOT_PATH, SECONDS, BangerTest, PropertyWatch

SERVE = "nc -ll -p %d -e /bin/cat </dev/null >/dev/null 2>&1 &"
CONNECTIONS_MAX = 48


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def dial(port):
    return socket.create_connection(("127.0.0.1", port), SECONDS["exec"])


def read(connection, length):
    got = b""
    while len(got) < length:
        chunk = connection.recv(length - len(got))
        if not chunk:
            raise AssertionError("it ended after %r" % got)
        got += chunk
    return got


def echo(connection, data):
    """Sends @data and its end, and returns what comes back until its own."""
    def send():
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    sender = threading.Thread(target=send)
    sender.start()
    got = bytearray()
    while True:
        chunk = connection.recv(65536)
        if not chunk:
            break
        got += chunk
    sender.join()
    return bytes(got)


class PortsTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.idle = cls.session.leftovers()

    def tearDown(self):
        for vm in self.session.json("vm", "list")["vms"]:
            self.session.banger("vm", "delete", "--force", vm["name"], status=None)
        self.assertEqual(self.session.leftovers(), self.idle)

    def begin(self, name, *ports):
        image = self.session.call(ROOT_PATH, "Manager.FindImage", "sa{sv}", "tiny", "0")[0]
        return self.session.call(
            ROOT_PATH, "Manager.CreateVM", "soa{sv}", name, image, "3", "memory-bytes", "t",
            str(128 << 20), "network", "s", "none", "publish", "as", str(len(ports)), *ports)

    def create(self, name, *ports):
        with PropertyWatch(self.session) as watch:
            path, _ = self.begin(name, *ports)
            self.assertEqual(watch.wait_for("Health", "healthy", path), path)
        return path

    def serve(self, name):
        """An echo at the guest's port 7."""
        self.session.guest(name, "/bin/sh", "-c", SERVE % 7)
        self.session.banger("vm", "wait", name, "--for", "port:7")

    def publish(self, path, *ports):
        with PropertyWatch(self.session) as watch:
            _, job = self.session.call(path, "VM.Set", "a{sv}a{sv}", "1", "publish", "as",
                                       str(len(ports)), *ports, "0")
            self.assertEqual(watch.wait_for("State", "done", job), job)

    def test_ports(self):
        """Much both ways with its end, changes that leave what is there, and nothing after the end."""
        first, second = free_port(), free_port()
        path = self.create("ports", "127.0.0.1:%d:7" % first)
        # Nobody listens in the guest yet.
        with dial(first) as early, self.assertRaises(ConnectionResetError):
            early.sendall(b"x")
            if early.recv(1) == b"":
                raise ConnectionResetError
        self.serve("ports")
        data = os.urandom(1 << 20)
        with dial(first) as connection:
            self.assertEqual(echo(connection, data), data)
        with dial(first) as stays:
            stays.sendall(b"a")
            self.assertEqual(stays.recv(1), b"a")
            self.publish(path, "127.0.0.1:%d:7" % second)
            with self.assertRaises(ConnectionRefusedError):
                dial(first)
            with dial(second) as connection:
                self.assertEqual(echo(connection, b"new"), b"new")
            self.assertEqual(echo(stays, b"still"), b"still")
        with dial(second) as last:
            last.sendall(b"b")
            self.assertEqual(last.recv(1), b"b")
            self.session.banger("vm", "kill", "ports")
            self.assertEqual(last.recv(1), b"")
        with self.assertRaises(ConnectionRefusedError):
            dial(second)

    def test_many(self):
        """As many at once as there may be; one more waits until there is room."""
        port = free_port()
        self.create("many", "127.0.0.1:%d:7" % port)
        self.serve("many")
        with contextlib.ExitStack() as stack:
            there = []
            for number in range(CONNECTIONS_MAX):
                there.append(stack.enter_context(dial(port)))
                there[-1].sendall(b"%02d" % number)
            for number, connection in enumerate(there):
                self.assertEqual(read(connection, 2), b"%02d" % number)
            late = stack.enter_context(dial(port))
            late.sendall(b"late")
            self.assertEqual(select.select([late], [], [], 1)[0], [])
            # Commands find their way between them.
            self.assertEqual(self.session.guest("many", "/bin/echo", "hi").stdout, "hi\n")
            there[0].close()
            self.assertEqual(read(late, 4), b"late")
            self.assertEqual(echo(there[1], b"again"), b"again")

    def test_changes_that_fail(self):
        """A port that is taken later: nothing has changed."""
        port, free = free_port(), free_port()
        path = self.create("keeps", "127.0.0.1:%d:7" % port)
        self.serve("keeps")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen(1)
            place = "127.0.0.1:%d" % taken.getsockname()[1]
            result = self.session.banger("vm", "set", "keeps", "publish=127.0.0.1:%d:7,%s:7" % (
                free, place), status=None)
            self.assertNotEqual(result.returncode, 0)
            self.assertIn(place, result.stderr)
            self.assertIn("another program listens there", result.stderr)
        self.assertEqual(self.session.property(path, "VM", "Published"), ["127.0.0.1:%d:7" % port])
        with self.assertRaises(ConnectionRefusedError):
            dial(free)
        with dial(port) as connection:
            self.assertEqual(echo(connection, b"as before"), b"as before")

    def test_taken(self):
        """A port that somebody has is a clear error, and none of the VM is left."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen(1)
            port = "127.0.0.1:%d" % taken.getsockname()[1]
            with PropertyWatch(self.session) as watch:
                _, job = self.begin("late", port + ":80")
                self.assertEqual(watch.wait_for("State", "failed", job), job)
            error = self.session.property(job, "Job", "Error")
        self.assertTrue(error["name"]["data"].endswith(".Busy"), error)
        self.assertIn(port, error["message"]["data"])


if __name__ == "__main__":
    unittest.main()
