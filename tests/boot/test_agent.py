# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the agent does in real guests: commands, archives, what it tells, roots of either kind."""

import contextlib
import io
import os
import tarfile
import time
import unittest

import fixtures
from agent import EXIT, STARTED, STDIN, Stream
from harness import SECONDS, PropertyWatch
from life import VmTest

MIB = 1 << 20


def odd_tar(folder):
    """The small image, with links where the kernel's file systems belong, and fuller files."""
    path = os.path.join(folder, "odd.tar")
    with tarfile.open(fixtures.busybox_tar()) as old, tarfile.open(path, "w") as new:
        for member in old:
            if member.name not in ("./run", "./dev"):
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
        fixtures.add(new, "run", link="/var/run")
        fixtures.add(new, "dev", link="/var/devices")
        fixtures.add(new, "var/run")
        fixtures.add(new, "etc/machine-id", b"0123456789abcdef0123456789abcdef\n", mode=0o444)
        fixtures.add(new, "etc/fstab", b"UUID=1 / ext4 defaults 0 1\n", mode=0o644)
    return path


class AgentTest(VmTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_image("tiny-init", fixtures.busybox_tar(init=True))
        cls.session.import_image("odd", odd_tar(cls.session.base))
        cls.idle = cls.session.leftovers()

    def boot(self, name, image="tiny", *more):
        self.session.banger("vm", "create", name, "--image", image, "--memory", "128M", *more,
                            seconds=SECONDS["busybox"])

    def stream(self, name, **more):
        return Stream(self.session, name, **more)

    def send_port(self, name, port, path):
        """Has the guest send a file to whoever connects first."""
        with self.stream(name) as stream:
            stream.start("arg=sh", "arg=-c", "arg=nc -l -p %d < %s" % (port, path), "detach=1")
            self.assertEqual(stream.finish()[0], STARTED)
        with self.stream(name) as stream:
            stream.get("/ports?wait=%d" % port)

    def ask(self, name, script):
        return self.session.guest(name, "sh", "-c", script).stdout.strip()

    def test_what_it_tells(self):
        self.boot("told")
        with self.stream("told") as stream:
            stats = stream.get("/stats")
            self.assertGreater(stats["memory_total"], 64 * MIB)
            self.assertGreater(stats["root"]["total"], stats["root"]["free"])
            self.assertGreater(stats["work"]["total"], 0)
            processes = {p["pid"]: p for p in stream.get("/processes")["processes"]}
            self.assertEqual((processes[1]["ppid"], processes[1]["user"]), (0, "root"))
            self.assertEqual(processes[2]["command"], "[kthreadd]")
            self.assertEqual(stream.get("/ports"), {"ports": []})
            self.assertEqual(stream.request("POST /clock", b"1893456000.5")[0], 204)
            self.assertIn("2030-01-01", self.ask("told", "date +%F"))
            status, why = stream.request("POST /grow?disk=upper")
            self.assertEqual(status, 500)
            self.assertIn(b"is not larger than its file system", why)
            self.assertEqual(stream.request("POST /grow?disk=root")[0], 500)

    def test_ports(self):
        """Whoever waits for a port hears of it once something listens there."""
        self.boot("ports")
        with self.stream("ports") as waiting, self.stream("ports") as server:
            waiting.write(b"GET /ports?wait=8080 HTTP/1.1\r\nHost: x\r\n\r\n")
            server.start("arg=nc", "arg=-l", "arg=-p", "arg=8080", "arg=-e", "arg=/bin/cat")
            self.assertIn(b" 200 ", waiting.process.stdout.readline())
            with self.stream("ports") as stream:
                port, = stream.get("/ports")["ports"]
                self.assertEqual((port["port"], port["command"]), (8080, "nc"))
            with self.stream("ports", port=8080) as stream:
                stream.write(b"echo")
                self.assertEqual(stream.read(4), b"echo")
                with self.stream("ports") as other:
                    self.assertEqual(other.get("/stats")["streams"], 1)

    def test_commands(self):
        """A login shell on a terminal with its jobs; a detached command that outlives its stream."""
        self.boot("shell")
        with self.stream("shell") as stream:
            stream.start("shell=1", "tty=24x80")
            # What became of a job the shell says before its next prompt.
            for keys, shown, end in (
                    (b"", b"", b"~ # "), (b"echo in $0\n", b"in -sh\r\n", b"~ # "),
                    (b"sh -c 'echo re\"\"ady; exec sleep 60'\n", b"", b"ready\r\n"),
                    (b"\x1a", b"Stopped", b"~ # "),
                    (b"kill -9 %1; wait; echo go\"\"ne\n", b"gone\r\n", b"~ # ")):
                if keys:
                    stream.frame(STDIN, keys)
                said = stream.expect(end)
                self.assertIn(shown, said)
                self.assertEqual(b"Stopped" in said, keys == b"\x1a", said)
        with self.stream("shell") as stream:
            stream.start("arg=sleep", "arg=1000", "detach=1")
            kind, pid, _, _ = stream.finish()
            self.assertEqual(kind, STARTED)
        with self.stream("shell") as stream:
            found = [p for p in stream.get("/processes")["processes"] if p["pid"] == pid]
            self.assertEqual([p["command"] for p in found], ["sleep 1000"])
            self.ask("shell", "kill %d" % pid)
            while pid in [p["pid"] for p in stream.get("/processes")["processes"]]:
                time.sleep(0.05)

    def test_archives(self):
        """There and back; by root with owners, by another user as that user."""
        self.boot("files")
        self.ask("files", "echo joe:x:1000:1000::/tmp:/bin/sh >> /etc/passwd")
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w") as tar:
            top = tarfile.TarInfo("top")
            top.type, top.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(top)
            for uid, name in ((0, "top/of-root"), (1234, "top/of-other")):
                info = tarfile.TarInfo(name)
                info.uid, info.size, info.mode = uid, 5, 0o640
                tar.addfile(info, io.BytesIO(b"bytes"))
        for user, more, owners in (("root", ["owner=keep"], "0 1234"), ("root", [], "0 0"),
                                   ("joe", [], "1000 1000")):
            folder = "/tmp/%s%d" % (user, len(more))
            with self.stream("files") as stream:
                stream.start("builtin=unpack", "arg=" + folder, "mkdir=1", "rename=it",
                             "user=" + user, *more)
                stream.frame(STDIN, target.getvalue())
                stream.frame(STDIN)
                self.assertEqual(stream.finish(), (EXIT, 0, b"", b""))
            names = "%s/it/of-root %s/it/of-other" % (folder, folder)
            self.assertEqual(self.ask("files", "stat -c %%u %s | xargs echo" % names), owners)
        with self.stream("files") as stream:
            stream.start("builtin=pack", "arg=/tmp/root1/it", "arg=/proc/version", "user=joe")
            kind, status, packed, errors = stream.finish()
        self.assertEqual((kind, status), (EXIT, 1))
        self.assertEqual(sorted(errors.splitlines()), [b"/tmp/root1/it/of-other: Permission denied",
                                                       b"/tmp/root1/it/of-root: Permission denied"])
        with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
            self.assertEqual(tar.getnames(), ["it", "version"])
            self.assertIn(b"Linux version", tar.extractfile("version").read())

    def test_rates(self):
        """Archives are not much slower than bytes that nobody looks at."""
        self.boot("rates", "tiny", "--work", "1G")
        size = 96 * MIB
        self.ask("rates", "head -c %d /dev/urandom > /root/large" % size)
        seconds, counts = {}, {}
        self.send_port("rates", 9000, "/root/large")
        with self.stream("rates", port=9000, seconds=SECONDS["debian"]) as stream:
            started = time.monotonic()
            for _ in range(size // MIB):
                stream.read(MIB)
            seconds["port"] = time.monotonic() - started
        for what, records in (("cat", ["arg=cat", "arg=/root/large"]),
                              ("pack", ["builtin=pack", "arg=/root/large"])):
            with self.stream("rates", seconds=SECONDS["debian"]) as stream:
                counts[what] = 0

                def count(payload, what=what):
                    counts[what] += len(payload)

                started = time.monotonic()
                stream.start(*records)
                self.assertEqual(stream.finish(count)[:2], (EXIT, 0))
                seconds[what] = time.monotonic() - started
        self.assertEqual(counts["cat"], size)
        self.assertGreater(counts["pack"], size)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            info = tarfile.TarInfo("again")
            info.size = size
            tar.addfile(info, io.BytesIO(os.urandom(size)))
        for what, records in (("cat-in", ["arg=sh", "arg=-c", "arg=cat > /root/raw; rm /root/raw"]),
                              ("unpack", ["builtin=unpack", "arg=/root"])):
            with self.stream("rates", seconds=SECONDS["debian"]) as stream:
                started = time.monotonic()
                stream.start(*records)
                view = archive.getbuffer()
                for at in range(0, len(view), 65536):
                    stream.frame(STDIN, bytes(view[at:at + 65536]))
                stream.frame(STDIN)
                self.assertEqual(stream.finish()[:2], (EXIT, 0))
                seconds[what] = time.monotonic() - started
        print("# MB/s: " + ", ".join("%s %.0f" % (what, size / 1e6 / spent)
                                     for what, spent in seconds.items()))
        # Half of it here, where others have the processor too.
        self.assertLess(seconds["pack"], 2 * seconds["port"])
        self.assertLess(seconds["unpack"], 2 * seconds["cat-in"])

    def test_plain_root(self):
        """A root of the VM's own is a guest as any other."""
        ids = {}
        for name in ("plain-a", "plain-b"):
            self.boot(name, "odd", "--root", "clone")
            with self.stream(name) as stream:
                health = stream.get("/healthz")
            self.assertEqual((health["state"], health["problems"]), ("healthy", []))
            self.assertIn("/dev/vda / ext4 rw", self.ask(name, "grep ' / ' /proc/mounts"))
            self.assertEqual(self.ask(name, "cat /etc/hostname; hostname"), "%s\n%s" % (name, name))
            self.assertIn("127.0.1.1\t" + name, self.ask(name, "cat /etc/hosts"))
            self.assertTrue(self.ask(name, "cat /etc/fstab").startswith("# not in this VM: UUID=1"))
            ids[self.ask(name, "cat /etc/machine-id")] = name
        self.assertEqual(len(ids), 2)
        self.assertNotIn("0123456789abcdef0123456789abcdef", ids)
        self.ask("plain-b", "echo kept > /kept; sync")
        self.session.banger("vm", "stop", "plain-b", seconds=SECONDS["stop"])
        self.session.banger("vm", "start", "plain-b", seconds=SECONDS["busybox"])
        self.assertEqual(ids[self.ask("plain-b", "cat /etc/machine-id")], "plain-b")
        self.assertEqual(self.ask("plain-b", "cat /kept"), "kept")

    def test_edited_before_its_first_start(self):
        """Files that are put into a VM's disks before any guest began are there, and the guest is
        no less a new one."""
        name = "edited"
        self.session.banger("vm", "create", name, "--image", "odd", "--memory", "128M",
                            "--no-start")
        path = self.session.path_of_vm(name)
        steps = (("/etc/put", "1\n"), ("/root/put", "2\n"))
        words = [word for place, text in steps
                 for word in ("write", "2", "path", "s", place, "content", "ay", str(len(text)),
                              *(str(byte) for byte in text.encode()))]
        with PropertyWatch(self.session) as watch:
            job = self.session.call(path, "VM.EditFiles", "a(sa{sv})a{sv}", str(len(steps)), *words,
                                    "0")[0]
            self.assertEqual(watch.wait_for("State", "done", job), job)
        self.session.banger("vm", "start", name, seconds=SECONDS["busybox"])
        self.assertEqual(self.ask(name, "cat /etc/put /root/put"), "1\n2")
        self.assertNotEqual(self.ask(name, "cat /etc/machine-id"),
                            "0123456789abcdef0123456789abcdef")

    def test_folders_that_are_links(self):
        """Links are followed within the image; one that leads nowhere gives way to a folder."""
        self.boot("links", "odd")
        self.assertEqual(self.ask("links", "readlink /run"), "/var/run")
        self.assertIn("tmpfs /var/run tmpfs", self.ask("links", "cat /proc/mounts"))
        self.assertIn("null", self.ask("links", "ls /dev/").split())

    def test_the_button(self):
        """Where no init listens to it the agent does, also when nobody can speak with it."""
        for image in ("tiny", "tiny-init"):
            self.boot("pressed", image)
            path = self.find("VM", "pressed")
            with contextlib.ExitStack() as streams:
                refused = 0
                for _ in range(80):  # of which 64 have room, health probes among them
                    stream = streams.enter_context(self.stream("pressed"))
                    refused = 0 if stream.answers() else refused + 1
                    if refused == 3:  # one alone may have been late on a busy host
                        break
                else:
                    self.fail("there is no end of streams")
                self.assertEqual(self.finish(self.begin(path, "Stop"))["ended-by"], "button")
            self.session.banger("vm", "delete", "pressed")


if __name__ == "__main__":
    unittest.main()
