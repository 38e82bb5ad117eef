# SPDX-License-Identifier: LGPL-2.1-or-later
"""Archives into images, beside what does the same by hand: tar and mke2fs, and gzip's own reading."""

import os
import shutil
import subprocess
import time

import fixtures.guests
from gates import BaselineMissing, spread
from harness import Banger
from measure import Bench, median, timed

ROUNDS = 5
# The disk is quiet before each, as far as that can be known: where a host discards what was deleted,
# tar is several times as slow for a while. Each side removes what it has made before the other's
# turn, so that both find the disk as it is where such work is done again and again.
SETTLE, SETTLE_DELETED = 0.3, 5
TAR = ("tar", "-xp", "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner")
MKE2FS = ("mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^has_journal", "-d")


class Imports(Bench):
    """A session without a guest."""

    def __enter__(self):
        Banger.__enter__(self)
        self.scratch = self.base / "by-hand"
        self.scratch.mkdir()
        return self

    def job(self, name, archive):
        """Seconds from the call to the end of the job."""
        settle()
        taken = self.client("import", name, archive)[0][0] / 1000
        self.banger("image", "delete", name)
        return taken

    def command(self, name, archive):
        settle()
        taken = timed(self.import_image, name, archive)
        self.banger("image", "delete", name)
        return taken

    def image_bytes(self, archive):
        self.import_image("size", archive)
        size = max(path.stat().st_size for path in (self.state / "images").glob("*/rootfs.ext4"))
        self.banger("image", "delete", "size")
        return size

    def by_hand(self, number, archive, size, *filters):
        """Seconds of tar into a new folder and of that into an image, on the disk at last."""
        folder, image = self.scratch / str(number), self.scratch / ("%d.ext4" % number)
        folder.mkdir()
        settle()
        started = time.monotonic()
        check(*TAR, *filters, "-f", archive, "-C", folder)
        check(*MKE2FS, folder, image, "%dk" % (size // 1024))
        with image.open("rb+") as file:
            os.fsync(file.fileno())
        taken = time.monotonic() - started
        shutil.rmtree(folder)
        image.unlink()
        return taken


def settle(seconds=SETTLE):
    os.sync()
    time.sleep(seconds)


def check(*argv, **more):
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, check=False,
                          stderr=subprocess.PIPE, **{"stdout": subprocess.DEVNULL, **more})
    if done.returncode:
        raise AssertionError("%s: %s" % (argv[0], done.stderr.decode(errors="replace")))


def pack(archive, packed, *argv):
    with packed.open("wb") as out:
        check(*argv, archive, stdout=out)
    return packed


def against_tar(session, report, what, archive, least, goal, *filters):
    """In turn, so that a host that is busy for a while is so for both."""
    imports, commands, by_hand = [], [], []
    size = session.image_bytes(archive)
    session.by_hand(ROUNDS, archive, size, *filters)
    for number in range(ROUNDS):
        imports.append(session.job("job-%d" % number, archive))
        by_hand.append(session.by_hand(number, archive, size, *filters))
        commands.append(session.command("line-%d" % number, archive))
    report.note("%s: job, s" % what, imports, spread(imports))
    report.note("%s: command line, s" % what, commands, spread(commands))
    report.note("%s: by hand, s" % what, by_hand, spread(by_hand))
    report.gate("%s: tar and mke2fs to the job" % what, median(by_hand) / median(imports), "x",
                least=least, goal=goal, note="medians of %d; the command line %.1f x" % (
                    ROUNDS, median(by_hand) / median(commands)))


def against_gzip(session, report, archive):
    imports, reads = [], []
    session.job("warm", archive)
    for number in range(ROUNDS):
        imports.append(session.job("job-%d" % number, archive))
        settle()
        reads.append(timed(check, "gzip", "-dc", archive))
    report.note("gzip: job, s", imports, spread(imports))
    report.note("gzip: 'gzip -dc' to nowhere, s", reads, spread(reads))
    report.gate("gzip: the job to 'gzip -dc' alone", median(imports) / median(reads), "x",
                most=1.15, note="medians of %d" % ROUNDS)


def measure(report):
    for program in ("tar", "mke2fs", "gzip", "zstd"):
        if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            raise BaselineMissing("%s is not installed" % program)
    archive = fixtures.guests.bench_tar()
    report.note("host", {"cpus": os.cpu_count(), "load": os.getloadavg()[0]},
                "%d CPUs, load %.1f before" % (os.cpu_count(), os.getloadavg()[0]))
    report.note("archive, bytes", os.path.getsize(archive), "%.0f MB" % (os.path.getsize(archive) / 1e6))
    with Imports() as session:
        packed = session.base / "packed"
        packed.mkdir()
        zstd = pack(archive, packed / "root.tar.zst", "zstd", "-qc")
        gzip = pack(archive, packed / "root.tar.gz", "gzip", "-c")
        settle(SETTLE_DELETED)  # of what was measured before
        against_tar(session, report, "plain", archive, 4, 6)
        against_tar(session, report, "zstd", zstd, 3, None, "--zstd")
        against_gzip(session, report, gzip)
