# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network `user`, in network namespaces of this test: a host that is the session's, and another one
behind a cable. Needs to be root for these."""

import ctypes
import os
import select
import socket
import subprocess
import tempfile
import threading
import unittest

import fixtures
from harness import ROOT_PATH, SECONDS, BangerTest, PropertyWatch

CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x00020000
HOST, OTHER, STUB = "10.77.0.2", "10.77.0.1", "127.0.0.53"
BOUNDED = 60
# By nc: busybox's wget, linked statically, looks up services and crashes. Its own side stays open:
# Debian 12's passt may forget the answer to who closes it at once (docs/internals.md).
ASK_OTHER = "(printf 'GET / HTTP/1.0\\r\\n\\r\\n'; sleep 2) | nc -w 5 %s 80" % OTHER
# By name, with what Debian's bash has for it.
FETCH = r'exec 3<>/dev/tcp/page.example/80; printf "GET / HTTP/1.0\r\n\r\n" >&3; cat <&3'


def unshare(what):
    """For this thread and what it starts."""
    if ctypes.CDLL(None, use_errno=True).unshare(what):
        raise OSError(ctypes.get_errno(), "unshare")


def run(*argv):
    subprocess.run(argv, check=True, timeout=BOUNDED)


def answer_names(address, asked):
    """A resolver in a thread: every name has the other host's address."""
    names = socket.socket(type=socket.SOCK_DGRAM)
    names.bind((address, 53))

    def serve():
        while True:
            query, client = names.recvfrom(512)
            end = query.index(b"\0", 12) + 5
            is_a = query[end - 4:end - 2] == b"\0\1"
            answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(OTHER) if is_a else b""
            asked.append(address)
            names.sendto(query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + bytes(4)
                         + query[12:end] + answer, client)
    threading.Thread(target=serve, daemon=True).start()


class Other:
    """The other host: a thread in a namespace of its own, which serves there."""

    def __init__(self):
        self.ready, self.cabled = threading.Event(), threading.Event()
        self.asked = []
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.thread.start()
        if not self.ready.wait(BOUNDED):
            raise RuntimeError("the other namespace was not made")

    def live(self):
        unshare(CLONE_NEWNET)
        self.tid = threading.get_native_id()
        self.ready.set()
        self.cabled.wait()
        run("ip", "addr", "add", OTHER + "/24", "dev", "other")
        run("ip", "link", "set", "other", "up")
        web = socket.socket()
        web.bind((OTHER, 80))
        web.listen(8)
        answer_names(OTHER, self.asked)
        self.ready.set()
        while True:
            client, _ = web.accept()
            client.recv(4096)
            client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nother\n")
            client.close()


def listen_on_loopback():
    """A server of the host that is for the host alone, and whom it saw."""
    seen = []
    server = socket.socket()
    server.bind(("127.0.0.1", 8088))
    server.listen(8)

    def serve():
        while True:
            client, peer = server.accept()
            seen.append(peer)
            client.close()
    threading.Thread(target=serve, daemon=True).start()
    return seen


@unittest.skipUnless(os.geteuid() == 0, "only root can make network namespaces here")
class NetworkTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        unshare(CLONE_NEWNET | CLONE_NEWNS)
        cls.resolv = tempfile.NamedTemporaryFile("w+")
        cls.addClassCleanup(cls.resolv.close)
        # As everywhere: passt, started by root, reads it as nobody.
        os.chmod(cls.resolv.name, 0o644)
        run("mount", "--make-rprivate", "/")
        run("mount", "--bind", cls.resolv.name, os.path.realpath("/etc/resolv.conf"))
        cls.other = Other()
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "other", "netns",
            str(cls.other.tid))
        run("ip", "addr", "add", HOST + "/24", "dev", "cable")
        run("ip", "link", "set", "cable", "up")
        run("ip", "route", "add", "default", "via", OTHER)
        cls.other.ready.clear()
        cls.other.cabled.set()
        if not cls.other.ready.wait(BOUNDED):
            raise RuntimeError("the other host does not serve")
        cls.seen = listen_on_loopback()
        super().setUpClass()
        passt = next(finding for finding in cls.session.json("doctor")["findings"]
                     if finding["id"] == "passt")
        if passt["status"] != "ok":
            raise unittest.SkipTest(passt["found"])
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.session.import_image("debian", fixtures.debian_tar())
        cls.idle = cls.session.leftovers()

    def tearDown(self):
        for vm in self.session.json("vm", "list")["vms"]:
            self.session.banger("vm", "delete", "--force", vm["name"], status=None)
        self.assertEqual(self.session.leftovers(), self.idle)
        self.assertEqual(self.passts(), [])

    def passts(self):
        """Those of this network namespace: others are not the test's."""
        ours, found = os.readlink("/proc/thread-self/ns/net"), []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/comm" % pid, encoding="utf-8") as comm:
                    if comm.read().startswith("passt") \
                            and os.readlink("/proc/%s/ns/net" % pid) == ours:
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def use_resolver(self, address):
        self.resolv.seek(0)
        self.resolv.truncate()
        self.resolv.write("nameserver %s\n" % address)
        self.resolv.flush()

    def create(self, name, network, image="tiny"):
        with PropertyWatch(self.session, SECONDS["debian"]) as watch:
            path, _ = self.session.call(
                ROOT_PATH, "Manager.CreateVM", "soa{sv}", name, self.image(image), "2", "memory-bytes",
                "t", str((256 if image == "debian" else 128) << 20), "network", "s", network)
            self.assertEqual(watch.wait_for("Health", "healthy", path), path)
        return path

    def image(self, name):
        return self.session.call(ROOT_PATH, "Manager.FindImage", "sa{sv}", name, "0")[0]

    def sh(self, name, script, status=0):
        return self.session.guest(name, "/bin/sh", "-c", script, status=status)

    def health(self, path):
        answer = self.session.call(path, "VM.GetHealth", "a{sv}", "0")[0]
        return {key: value["data"] for key, value in answer.items()}

    def test_reaches_out(self):
        path = self.create("out", "user")
        self.assertEqual(self.health(path)["health"], "healthy")
        self.assertEqual(self.health(path)["problems"], [])
        self.assertEqual(len(self.passts()), 1)
        shown = self.sh("out", "ip addr show eth0").stdout
        self.assertIn("192.0.0.2/29", shown)
        self.assertIn("mtu 65520", shown)
        self.assertIn("other\n", self.sh("out", ASK_OTHER).stdout)

    def test_names(self):
        """The host's resolver is the guest's, one that listens on the host's loopback too."""
        asked = []
        answer_names(STUB, asked)
        for name, resolver in (("far", OTHER), ("near", STUB)):
            with self.subTest(resolver=resolver):
                self.use_resolver(resolver)
                self.create(name, "user")
                self.assertEqual(self.sh(name, "cat /etc/resolv.conf").stdout,
                                 "nameserver 192.0.0.3\n")
                found = self.sh(name, "busybox nslookup some.example")
                self.assertIn("Address: %s\n" % OTHER, found.stdout)
        self.assertEqual(set(self.other.asked), {OTHER})
        self.assertEqual(set(asked), {STUB})

    def test_page(self):
        """What a distribution's own C library makes of it."""
        self.use_resolver(OTHER)
        self.create("reads", "user", "debian")
        self.assertIn(OTHER, self.sh("reads", "getent ahostsv4 some.example").stdout)
        self.assertIn("other\n", self.sh("reads", "bash -c '%s'" % FETCH).stdout)

    def test_host_stays_closed(self):
        """A guest that makes the host's loopback its own destination does not get there."""
        self.create("digs", "user")
        self.sh("digs", """
            echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
            ip addr del 127.0.0.1/8 dev lo
            ip route add 127.0.0.0/8 via 192.0.0.1 src 192.0.0.2""")
        for address in ("127.0.0.1", "192.0.0.1", "192.0.0.3", "0.0.0.0", HOST):
            self.sh("digs", "echo | nc -w 3 %s 8088" % address, status=None)
        self.assertIn("other\n", self.sh("digs", ASK_OTHER).stdout)
        # The host itself does, and is the only one.
        with socket.create_connection(("127.0.0.1", 8088), BOUNDED) as host:
            self.assertEqual(host.recv(1), b"")
            self.assertEqual(self.seen, [host.getsockname()])

    def test_none(self):
        path = self.create("alone", "none")
        self.assertEqual(self.passts(), [])
        self.assertEqual(self.health(path)["problems"], [])
        self.assertNotIn("eth0", self.sh("alone", "ip link").stdout)

    def test_passt_dies(self):
        """The guest goes on, and its health says what it lacks."""
        path = self.create("cut", "user")
        with PropertyWatch(self.session) as watch:
            os.kill(self.passts()[0], 9)
            self.assertEqual(watch.wait_for("Health", "degraded", path), path)
        self.assertEqual(self.health(path)["problems"], ["network"])
        self.assertNotIn("other", self.sh("cut", ASK_OTHER + "; echo on").stdout)

    def test_nothing_is_left(self):
        """Whoever is killed, passt goes with it."""
        for program in ("banger-vmm", "qemu"):
            with self.subTest(program=program):
                self.create("killed", "user")
                passt = os.pidfd_open(self.passts()[0])
                self.session.kill(next(iter(self.session.processes(program))))
                self.session.wait_for_state("killed", "failed")
                self.assertTrue(self.has_ended(passt))
                self.session.banger("vm", "delete", "killed")

    @staticmethod
    def has_ended(pidfd):
        try:
            return bool(select.select([pidfd], [], [], 5)[0])
        finally:
            os.close(pidfd)


if __name__ == "__main__":
    unittest.main()
