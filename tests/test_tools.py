# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tools that judge the tests are judged too: counting, skips, leftovers, the private session."""

import contextlib
import errno
import importlib.machinery
import importlib.util
import io
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import fixtures
import leftovers
import tap

TESTS = Path(__file__).resolve().parent
sys.path.insert(1, str(TESTS / "system"))
import host


def load(name, path):
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    # Beside the script no cache of it is wanted.
    with mock.patch.object(sys, "dont_write_bytecode", True):
        loader.exec_module(module)
    return module


runner = load("runner", TESTS / "run")
sys.path.insert(1, str(TESTS / "bench"))
bench = load("bench", TESTS / "bench/run")


def tally_of(result, stdout="", ci=False, allowed=()):
    env = {"CI": "true"} if ci else {}
    with mock.patch.dict(os.environ, env), contextlib.redirect_stdout(io.StringIO()):
        if not ci:
            os.environ.pop("CI", None)
        tally = runner.Tally()
        tally.allowed = [[pattern, "reason"] for pattern in allowed]
        runner.count(tally, {"name": "banger:unit / x", "result": result, "stdout": stdout}, "")
    return tally.passed, len(tally.failed), len(tally.skipped)


class CountTest(unittest.TestCase):
    def test_cases_of_tap(self):
        self.assertEqual(tally_of("OK", "TAP version 13\nok 1 /a\nok 2 /b\n1..2\n"), (2, 0, 0))
        self.assertEqual(tally_of("FAIL", "ok 1 /a\nnot ok 2 /b\n1..2\n"), (1, 1, 0))
        self.assertEqual(tally_of("OK", "ok 1 /a # SKIP no root\nok 2 /b\n"), (1, 0, 1))

    def test_a_program_that_dies_after_its_cases_fails(self):
        self.assertEqual(tally_of("ERROR", "ok 1 /a\n"), (1, 1, 0))
        self.assertEqual(tally_of("TIMEOUT", "ok 1 /a\n"), (1, 1, 0))

    def test_a_program_without_tap_is_one_case(self):
        self.assertEqual(tally_of("OK"), (1, 0, 0))
        self.assertEqual(tally_of("FAIL"), (0, 1, 0))
        self.assertEqual(tally_of("SKIP"), (0, 0, 1))

    def test_in_ci_an_unlisted_skip_fails(self):
        skip = "ok 1 /a # SKIP no root\n"
        self.assertEqual(tally_of("OK", skip, ci=True), (0, 1, 0))
        self.assertEqual(tally_of("OK", skip, ci=True, allowed=["x: a"]), (0, 0, 1))
        self.assertEqual(tally_of("OK", skip, ci=True, allowed=["y: *"]), (0, 1, 0))

    def test_a_check_of_lint_that_did_not_run_is_skipped(self):
        said = subprocess.CompletedProcess([], 0, "lint: xml: not checked: no xmllint\nlint: ok\n")
        with mock.patch.object(runner, "run", lambda *_: said), \
                mock.patch.dict(os.environ, {"CI": "true"}), \
                contextlib.redirect_stdout(io.StringIO()):
            tally = runner.Tally()
            runner.lint(tally)
            self.assertEqual((tally.passed, len(tally.failed), tally.skipped), (1, 1, []))
            tally.allowed = [["lint:*xml", "reason"]]
            runner.lint(tally)
            self.assertEqual(tally.skipped, ["lint: xml"])


class TapTest(unittest.TestCase):
    def test_a_reason_of_many_lines_is_one(self):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            tap.TapResult().addSkip(self, "mmdebstrap failed:\nE: one\nE: two")
        self.assertIn(" # SKIP mmdebstrap failed: E: one E: two\n", said.getvalue())


class KernelFixtureTest(unittest.TestCase):
    """Where apt knows of Debian's kernel only with Debian's archive for a source, as on Ubuntu."""

    APT = """#!/bin/sh
source=
for word; do
  case $word in Dir::Etc::SourceList=*) source=${word#*=} ;; esac
done
case $source:$* in
:*) echo 'E: No packages found' >&2; exit 100 ;;
*' update') grep -q 'signed-by=.*/debian ' "$source" && echo known >"${source%/*}/lists/known" ;;
*' depends '*) cat "${source%/*}/lists/known" && echo '  Depends: linux-image-1-cloud-amd64' ;;
*' download -q linux-image-1-cloud-amd64') echo kernel >linux-image.deb ;;
*) exit 1 ;;
esac
"""

    def test_kernel_of_another_distribution(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for program in ("apt-get", "apt-cache"):
                (folder / program).write_text(self.APT, encoding="utf-8")
                (folder / program).chmod(0o755)
            path = "%s:%s" % (folder, os.environ["PATH"])
            with mock.patch.dict(os.environ, {"PATH": path}), \
                 mock.patch.object(fixtures, "CACHE", folder / "cache"):
                kernel = fixtures.kernel_deb()
                self.assertEqual(kernel.read_text(encoding="utf-8"), "kernel\n")
                self.assertEqual([p.name for p in kernel.parent.iterdir() if p.is_dir()], [])


class HostTest(unittest.TestCase):
    """A host that powers off has proved nothing."""

    def test_judge(self):
        good, bad = "ok 1 a\n# 1 s\nok 2 b\n1..2\n", "ok 1 a\nnot ok 2 b\n1..2\n"
        success, failure = "success exited 0", "exit-code exited 1"
        self.assertIsNone(host.judge(good, success, True))
        self.assertIsNone(host.judge(bad, failure, True))
        for tap, result, in_time in (
                (good, success, False), (good, failure, True), (good, "", True), (bad, success, True),
                ("", success, True), ("1..0\n", success, True), ("ok 1 a\n", success, True),
                ("ok 1 a\n1..2\n", success, True), (bad, "signal killed 9", True)):
            with self.subTest(tap=tap, result=result, in_time=in_time):
                self.assertIsNotNone(host.judge(tap, result, in_time))

    def test_what_is_not_whole_fails(self):
        with tempfile.TemporaryDirectory() as name:
            out = Path(name)
            (out / "tap").write_text("ok 1 a\n1..1\n", encoding="utf-8")
            for result, passed, failed in (("success exited 0", 1, 0), ("", 1, 1)):
                (out / "result").write_text(result, encoding="utf-8")
                with contextlib.redirect_stdout(io.StringIO()) as said:
                    self.assertEqual(host.report(out, True), not failed)
                self.assertEqual(tally_of("FAIL" if failed else "OK", said.getvalue()),
                                 (passed, failed, 0))


class LeftoversTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="banger-test-")
        self.addCleanup(folder.cleanup)
        self.state = Path(folder.name).resolve() / "state"
        self.runtime = Path(folder.name).resolve() / "run"
        self.state.mkdir()
        self.runtime.mkdir()

    def count(self):
        return leftovers.count(self.state, self.runtime)

    def test_idle_service_has_nothing(self):
        for name in ("state.db", "lock"):
            (self.state / name).touch()
        (self.state / "vms").mkdir()
        self.assertEqual(self.count(), {})

    def test_files(self):
        (self.state / "vms/abc").mkdir(parents=True)
        self.assertEqual(self.count(), {"files": [str(self.state / "vms/abc")]})

    def test_rows(self):
        with contextlib.closing(sqlite3.connect(self.state / "state.db")) as db:
            db.execute("CREATE TABLE vms (id TEXT)")
            self.assertEqual(self.count(), {})
            db.execute("INSERT INTO vms VALUES ('abc')")
            db.commit()
        self.assertEqual(self.count(), {"rows": ["vms: 1"]})

    def test_sockets(self):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as server:
            server.bind(str(self.runtime / "control"))
            self.assertEqual(self.count()["sockets"], [str(self.runtime / "control")])

    def test_processes(self):
        """A process of ours that holds a file of the state, even one that is deleted."""
        program = self.state.parent / "banger-worker"
        shutil.copy(shutil.which("tail"), program)
        held = self.state / "held"
        held.write_text("held\n", encoding="utf-8")
        process = subprocess.Popen([program, "-f", held], stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL)
        try:
            self.assertEqual(process.stdout.readline(), b"held\n")
            held.unlink()
            self.assertEqual(list(leftovers.processes([str(self.state)])), [process.pid])
        finally:
            process.kill()
            process.communicate()
        self.assertEqual(self.count(), {})


@unittest.skipUnless(shutil.which("dbus-daemon"), "dbus-daemon is not installed")
class SessionTest(unittest.TestCase):
    def run_session(self, *argv):
        return subprocess.run([sys.executable, TESTS / "session.py", *argv], text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, check=False)

    def test_environment_and_status(self):
        result = self.run_session("sh", "-c", 'echo "$BANGER_BUS $XDG_STATE_HOME"; exit 7')
        self.assertEqual(result.returncode, 7, result.stderr)
        bus, home = result.stdout.split()
        self.assertEqual(bus, "session")
        self.assertFalse(Path(home).exists(), "what is to be thrown away is gone")

    def test_keep(self):
        with tempfile.TemporaryDirectory() as folder:
            self.run_session("--keep", folder + "/kept", "sh", "-c", 'echo x > "$XDG_STATE_HOME/x"')
            self.assertEqual(Path(folder, "kept/x").read_text(encoding="utf-8"), "x\n")
        result = self.run_session("--keep", "/proc/x", "true")
        self.assertEqual((result.returncode, result.stderr),
                         (1, "quickstart: /proc/x: %s\n" % os.strerror(errno.ENOENT)))

    def test_command_that_is_not_there(self):
        self.assertEqual(self.run_session("/no/such/command").returncode, 127)
        self.assertEqual(self.run_session().returncode, 2)


class BenchTest(unittest.TestCase):
    def make(self, measure):
        with contextlib.redirect_stdout(io.StringIO()):
            return bench.make("x", mock.Mock(measure=measure), {})

    def test_without_a_baseline_it_fails(self):
        missing = mock.Mock(side_effect=bench.gates.BaselineMissing("no nc"))
        self.assertEqual(self.make(missing), "baseline missing: no nc")
        self.assertIn("broken", self.make(lambda report: report.gate("g", 2, "x", most=1)))
        self.assertIsNone(self.make(lambda report: report.gate("g", 1, "x", most=1)))

    def raw(self, status, came, there):
        """What a raw stream is said to have carried, when nc ends so and the guest's file is so."""
        session = mock.Mock()
        session.client.return_value = [[2e6, came]]
        session.popen.return_value.returncode = status
        session.guest.return_value.stdout = "%d\n" % there
        return bench.streams.Raw(session).transfer("<")

    def test_a_raw_stream_that_breaks_is_no_baseline(self):
        self.assertEqual(self.raw(0, 4000, 4000), 2000)
        for status, came, there in ((1, 4000, 4000), (0, 3999, 4000), (0, 0, 0)):
            with self.assertRaises(bench.gates.BaselineMissing):
                self.raw(status, came, there)

    def test_size_of_copies(self):
        gib = 1 << 30
        self.assertEqual(bench.streams.choose_size(gib / 14), 1024)
        self.assertEqual(bench.streams.choose_size(gib / 16), 256)
        self.assertEqual(bench.streams.choose_size(1), 16)


if __name__ == "__main__":
    unittest.main()
