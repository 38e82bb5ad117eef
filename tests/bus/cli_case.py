# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of the command line share: a session, archives to import, nothing left over."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from harness import BUS_NAME, ROOT_PATH, SECONDS, BangerTest

# More than a pipe holds: a write of it ends only when somebody reads at the other end.
MUCH = 1 << 20


def archive(content=b"hello\n"):
    """A root file system of one file, as the bytes of a tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("etc/hostname")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def endless():
    """The start of an archive whose one file is far from its end."""
    info = tarfile.TarInfo("big")
    info.size = 1 << 33
    return info.tobuf() + bytes(MUCH)


class CliTest(BangerTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.tar = cls.session.base / "root.tar"
        cls.tar.write_bytes(archive())

    def setUp(self):
        self.addCleanup(self.empty)

    def one_vm(self, mode):
        """A service that is none of ours, ready (one-vm.c)."""
        program = Path(os.environ["BANGER_BUILD"]).parent / "tests/bus/one-vm"
        service = subprocess.Popen([program, mode], env=self.session.env, stdout=subprocess.PIPE,
                                   text=True)
        self.addCleanup(service.stdout.close)
        self.addCleanup(service.wait)
        self.addCleanup(service.kill)
        self.assertEqual(service.stdout.readline(), "ready\n")
        return service

    def running_jobs(self):
        return [j["id"] for j in self.session.json("job", "list")["jobs"]
                if j["state"] in ("running", "cancelling")]

    def wait_for_job(self, job):
        """Waits for signals until a job has ended."""
        watch = self.session.popen("gdbus", "monitor", "--session", "--dest", BUS_NAME,
                                   "--object-path", "%s/job/%s" % (ROOT_PATH, job))
        try:
            # The first line says that it listens; then no change is missed.
            for _ in watch.stdout:
                state = self.session.json("job", "show", job)["state"]
                if state not in ("running", "cancelling"):
                    return
        finally:
            watch.kill()
            watch.wait()
            watch.stdout.close()
        self.fail("job %s does not end" % job)

    def empty(self):
        """Every test ends with nothing left over."""
        for job in self.running_jobs():
            self.session.banger("job", "cancel", job, status=None)
            self.wait_for_job(job)
        for name in self.session.banger("image", "list", "-q").stdout.split():
            self.session.banger("image", "delete", name)
        self.assertEqual(self.session.leftovers(), {})

    def start_endless(self, *more, name="endless", **streams):
        """An import that reads for ever, already reading. Returns it and the pipe that feeds it."""
        read, write = os.pipe()
        streams.setdefault("stderr", subprocess.PIPE)
        process = subprocess.Popen(
            ["banger", *more, "image", "import", name, "-"], env=self.session.env, stdin=read,
            stdout=subprocess.PIPE, **streams)
        os.close(read)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        data = endless()
        while data:
            data = data[os.write(write, data):]
        return process, write
