# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that is started without banger: the baseline of what banger adds.

Its VMM has the arguments and the files of one that banger started (read from /proc/PID), with its
own sockets and its own fresh disks. Who it is that asks its agent is plain Python after
docs/agent-protocol.md and src/wire: no code of banger's runs on the host."""

import fcntl
import hashlib
import hmac
import json
import os
import re
import secrets
import select
import socket
import struct
import time
import zlib

MAGIC = 0x314D4742
KNOCK, HELLO, WELCOME, OPEN, ACCEPT, RESET, DATA, END, CREDIT = range(1, 10)
HEADER = struct.Struct("<IQIBBHI")
AGENT_PORT = 1024
EXIT, START = 3, 5
SECONDS = 120
# QEMU keeps duplicates of the descriptors of disks: which is which their names say.
DISKS = {"root": ("rootfs.ext4", "root.ext4"), "upper": ("upper.ext4",), "work": ("work.ext4",),
         "modules": ("modules.ext4",)}


class HandError(Exception):
    pass


class Recipe:
    """What a VMM was started with: taken while it runs, used once it is gone."""

    def __init__(self, pid):
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            self.argv = file.read().decode().split("\0")[:-1]
        self.files, self.sockets, self.memory = {}, {}, {}
        text = " ".join(self.argv)
        for name, number in re.findall(r"socket,id=([a-z]+),fd=(\d+)", text):
            self.sockets[name] = int(number)
        self.vsock = re.search(r"guest-cid=(\d+),vhostfd=(\d+)", text)
        for number in re.findall(r"/proc/self/fd/(\d+)", text):
            self.take(pid, int(number))
        opened = {os.readlink(entry.path) for entry in os.scandir("/proc/%d/fd" % pid)}
        for name, number in re.findall(r"node-name=([a-z]+)-file,filename=/dev/fdset/(\d+)", text):
            found = [path for path in opened if os.path.basename(path) in DISKS.get(name, ())]
            if len(found) != 1:
                raise HandError("disk %s of the VMM: found %s" % (name, found))
            self.files[int(number)] = found[0]
        if not {"qmp", "serial"} <= set(self.sockets):
            raise HandError("the VMM's arguments name no QMP or serial socket: %s" % text)
        boot = next((m for m in self.memory.values() if b"\nkey=" in m), None)
        if boot is None:
            raise HandError("the VMM has no initramfs with a boot configuration")
        self.key = bytes.fromhex(re.search(rb"\nkey=([0-9a-f]{64})\n", boot).group(1).decode())
        doorbell = re.search(rb"\ndoorbell=(\d+)\n", boot)
        self.doorbell = int(doorbell.group(1)) if doorbell else None

    def take(self, pid, number):
        link = "/proc/%d/fd/%d" % (pid, number)
        target = os.readlink(link)
        if target.startswith("/memfd:"):
            with open(link, "rb") as file:
                self.memory[number] = file.read()
        else:
            self.files[number] = target


def memory_file(data):
    fd = os.memfd_create("initramfs", os.MFD_CLOEXEC)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


class Line:
    """Host's end of the mux with one stream at a time: what src/wire/mux.h says."""

    def __init__(self, sock):
        self.sock, self.buffer, self.session, self.got = sock, b"", 0, b""
        self.channel, self.open = 1, False

    def frame(self, kind, channel, payload=b""):
        head = HEADER.pack(MAGIC, self.session, channel, kind, 0, len(payload), 0)[:-4]
        self.sock.sendall(head + struct.pack("<I", zlib.crc32(head + payload)) + payload)

    def send(self, data):
        self.frame(DATA, self.channel, data)

    def again(self):
        """Leaves the stream for a new one."""
        self.frame(RESET, self.channel)
        self.channel, self.open, self.got = self.channel + 1, False, b""
        self.frame(OPEN, self.channel, struct.pack("<I", AGENT_PORT))

    def feed(self):
        """Takes what has come; True if the stream has opened or more of it has come."""
        data = self.sock.recv(65536)
        if not data:
            raise HandError("the line to the guest has closed")
        self.buffer += data
        news = False
        while True:
            self.buffer = self.buffer.lstrip(b"\0")
            if len(self.buffer) < HEADER.size:
                return news
            magic, session, channel, kind, _, length, _ = HEADER.unpack_from(self.buffer)
            if magic != MAGIC:
                raise HandError("the guest wrote no frame")
            if len(self.buffer) < HEADER.size + length:
                return news
            payload = self.buffer[HEADER.size:HEADER.size + length]
            self.buffer = self.buffer[HEADER.size + length:]
            if channel in (0, self.channel):
                news |= self.take(kind, session, payload)

    def take(self, kind, session, payload):
        if kind == KNOCK and self.session == 0:
            self.session = secrets.randbits(63) | 1
            self.frame(HELLO, 0)
        elif session != self.session:
            return False
        elif kind == WELCOME:
            self.frame(OPEN, self.channel, struct.pack("<I", AGENT_PORT))
        elif kind == ACCEPT:
            self.open = True
            return True
        elif kind == DATA:
            self.got += payload
            self.frame(CREDIT, self.channel, struct.pack("<I", len(payload)))
            return True
        elif kind == RESET:
            raise HandError("the agent broke the stream off")
        return False  # an END without the answer shows as silence


class VsockLine:
    """The same over vhost-vsock: the guest rings, then we connect."""

    def __init__(self, cid, doorbell):
        self.cid, self.got, self.open = cid, b"", False
        self.sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        self.sock.bind((socket.VMADDR_CID_ANY, doorbell))
        self.sock.listen()
        self.rung = False

    def send(self, data):
        self.sock.sendall(data)

    def again(self):
        self.sock.close()
        self.sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        self.sock.connect((self.cid, AGENT_PORT))
        self.rung, self.open, self.got = True, True, b""

    def feed(self):
        if not self.rung:
            self.sock.accept()[0].close()
            self.again()
            return True
        data = self.sock.recv(65536)
        if not data:
            raise HandError("the agent broke the stream off")
        self.got += data
        return True


class Asker:
    """Shakes hands and asks for the health until it is good: one step after another."""

    def __init__(self, line, key):
        self.line, self.key, self.step = line, key, self.hello
        self.nonce, self.done = secrets.token_bytes(32), False

    def proof(self, who, guest_nonce):
        text = who + struct.pack(">I", AGENT_PORT) + self.nonce + guest_nonce
        return hmac.new(self.key, text, hashlib.sha256).digest()

    def news(self):
        while not self.done and self.step():
            pass

    def cut(self, length):
        got, self.line.got = self.line.got[:length], self.line.got[length:]
        return got

    def hello(self):
        if not self.line.open:
            return False
        self.line.send(b"BANGER/1 %08x %s\n" % (AGENT_PORT, self.nonce.hex().encode()))
        self.step = self.prove
        return True

    def prove(self):
        if len(self.line.got) < 139:
            return False
        words = self.cut(139).split()
        guest_nonce = bytes.fromhex(words[1].decode())
        if bytes.fromhex(words[2].decode()) != self.proof(b"banger guest", guest_nonce):
            raise HandError("the agent's proof is wrong")
        self.line.send(self.proof(b"banger host", guest_nonce).hex().encode() + b"\n")
        self.step = self.accepted
        return True

    def accepted(self):
        if len(self.line.got) < 3:
            return False
        if self.cut(3) != b"OK\n":
            raise HandError("the agent did not accept us")
        self.ask("/healthz")
        return True

    def ask(self, path):
        self.line.send(("GET %s HTTP/1.1\r\nHost: guest\r\n\r\n" % path).encode())
        self.step = self.answered

    def answered(self):
        head, gap, body = self.line.got.partition(b"\r\n\r\n")
        if not gap:
            return False
        length = int(re.search(rb"(?i)content-length: *(\d+)", head).group(1))
        if len(body) < length:
            return False
        self.cut(len(head) + 4 + length)
        health = json.loads(body[:length])
        if health["state"] in ("healthy", "degraded"):
            self.done = True
        else:
            self.ask("/healthz?wait=1&after=%d" % health["serial"])
        return True


class Runner(Asker):
    """Runs /bin/true, as src/wire/exec.h says."""

    def accepted(self):
        if len(self.line.got) < 3:
            return False
        self.cut(3)
        self.line.send(b"POST /exec HTTP/1.1\r\nHost: guest\r\nConnection: Upgrade\r\n"
                       b"Upgrade: banger-exec\r\nContent-Length: 0\r\n\r\n")
        self.step = self.switched
        return True

    def switched(self):
        head, gap, _ = self.line.got.partition(b"\r\n\r\n")
        if not gap:
            return False
        if not head.startswith(b"HTTP/1.1 101 "):
            raise HandError("the agent takes no command: %s" % head[:80])
        self.cut(len(head) + 4)
        start = b"arg=/bin/true\0"
        self.line.send(struct.pack(">B3xI", START, len(start)) + start)
        self.step = self.ended
        return True

    def ended(self):
        if len(self.line.got) < 12:
            return False
        kind, length, status = struct.unpack(">B3xII", self.cut(12))
        if (kind, length, status) != (EXIT, 4, 0):
            raise HandError("the command did not end well: %s" % ((kind, length, status),))
        self.done = True
        return True


class Guest:
    """One start by hand. @disks: {number of a descriptor: a fresh file in place of the recipe's}."""

    def __init__(self, recipe, disks):
        self.recipe, self.argv = recipe, list(recipe.argv)
        self.ends, wanted = {}, {}
        for number, data in recipe.memory.items():
            wanted[number] = memory_file(data)
        for number, path in recipe.files.items():
            flags = os.O_RDWR if number in disks else os.O_RDONLY
            wanted[number] = os.open(disks.get(number, path), flags)
        for name, number in recipe.sockets.items():
            self.ends[name], theirs = socket.socketpair()
            wanted[number] = theirs.detach()
        if recipe.vsock:
            wanted[int(recipe.vsock.group(2))] = os.open("/dev/vhost-vsock", os.O_RDWR)
            self.line = VsockLine(int(recipe.vsock.group(1)), recipe.doorbell)
        else:
            self.line = Line(self.ends.pop("agent"))
        # Out of the way of the numbers that the VMM is to get.
        self.wanted = {}
        for number, fd in wanted.items():
            self.wanted[number] = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100)
            os.close(fd)
        self.seconds, self.qmp_text, self.qmp_asked = {}, b"", []

    def boot(self):
        """Seconds from the VMM's start until the agent says healthy; self.seconds has the steps."""
        asker, started = Asker(self.line, self.recipe.key), time.monotonic()
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in self.wanted.items()]
        self.pid = os.posix_spawnp(self.argv[0], self.argv, os.environ, file_actions=actions)
        for fd in self.wanted.values():
            os.close(fd)
        while not asker.done:
            left = started + SECONDS - time.monotonic()
            ready = select.select([self.line.sock, *self.ends.values()], [], [], max(0, left))[0]
            if not ready:
                raise HandError("the guest was not healthy within %d s" % SECONDS)
            if self.ends["qmp"] in ready and self.command():
                self.seconds["cpus"] = time.monotonic() - started
            if self.ends["serial"] in ready and not self.ends["serial"].recv(65536):
                raise HandError("the VMM ended")
            if self.line.sock in ready and self.line.feed():
                self.seconds.setdefault("agent", time.monotonic() - started)
                asker.news()
        self.seconds["healthy"] = time.monotonic() - started
        return self.seconds["healthy"]

    def run_true(self):
        """Seconds from opening a stream to the end of /bin/true."""
        runner, started = Runner(self.line, self.recipe.key), time.monotonic()
        self.line.again()
        runner.news()
        while not runner.done:
            if not select.select([self.line.sock], [], [], SECONDS)[0]:
                raise HandError("the command did not end within %d s" % SECONDS)
            if self.line.feed():
                runner.news()
        return time.monotonic() - started

    def command(self):
        """Lets the CPUs run. True once they do."""
        data = self.ends["qmp"].recv(65536)
        if not data:
            raise HandError("the VMM ended")
        self.qmp_text += data
        *lines, self.qmp_text = self.qmp_text.split(b"\n")
        runs = False
        for line in map(json.loads, lines):
            if "error" in line:
                raise HandError("QMP: %s" % line["error"])
            if "QMP" in line:
                self.ends["qmp"].sendall(b'{"execute":"qmp_capabilities"}\n{"execute":"cont"}\n')
            runs |= line.get("event") == "RESUME"
        return runs

    def end(self):
        """As banger ends it: QMP's quit. Seconds until the process is gone."""
        started = time.monotonic()
        self.ends["qmp"].sendall(b'{"execute":"quit"}\n')
        os.waitpid(self.pid, 0)
        seconds = time.monotonic() - started
        for sock in (self.line.sock, *self.ends.values()):
            sock.close()
        return seconds
