# SPDX-License-Identifier: LGPL-2.1-or-later
"""A state that cannot be used: bangerd says so and what to do, and nothing of it is lost."""

import os
import signal
import unittest
from pathlib import Path
from unittest import mock

from harness import SECONDS, Banger
from leftovers import wait_for_end
from session import BUS_CONFIG
from test_session import make_tar

PAGE = 4096
# The command line's exit status (banger(1)).
UNREACHABLE = 6


def garble_header(path):
    with path.open("r+b") as file:
        file.write(b"no database at all, but sixteen bytes and more")


def garble_pages(path):
    size = path.stat().st_size
    with path.open("r+b") as file:
        for offset in range(PAGE, size, PAGE):
            file.seek(offset)
            file.write(b"\xa5" * (PAGE // 2))


def truncate(path):
    os.truncate(path, path.stat().st_size // PAGE // 2 * PAGE + 100)


DAMAGES = (garble_header, garble_pages, truncate)


class Waiting(Banger):
    """Of its service something goes on when it has ended."""

    def service_command(self):
        return ["/bin/sh", "-c", "'%s --session; exec sleep 1000'" % " ".join(super().service_command())]


class StateTest(unittest.TestCase):
    def setUp(self):
        self.session = Banger()
        self.session.__enter__()
        self.addCleanup(self.session.__exit__, None, None, None)
        self.state = self.session.state
        self.database = self.state / "state.db"
        self.left = self.session.runtime / "start-error"
        self.session.banger("vm", "list")

    def end_service(self, sign=signal.SIGTERM):
        """An orderly end leaves all in the database, a kill much of it in the log beside it."""
        pid = self.session.service_pid()
        os.kill(pid, sign)
        self.assertTrue(wait_for_end(pid, SECONDS["command"]))

    def contents(self):
        """{path: what it holds} of the state, but the lock and what SQLite makes beside it to read:
        an index and an empty log."""
        return {path.relative_to(self.state): path.read_bytes() if path.parent == self.state
                else path.stat().st_size
                for path in self.state.rglob("*") if path.is_file()
                and path.name not in ("lock", "state.db-shm")
                and (path.name != "state.db-wal" or path.stat().st_size)}

    def refused(self, *words):
        """bangerd does not start and changes nothing; returns what it said."""
        before = self.contents()
        result = self.session.run("bangerd", "--session", timeout=SECONDS["command"])
        self.assertEqual(result.returncode, 1, result.stderr)
        for word in (str(self.state), *words):
            self.assertIn(word, result.stderr)
        self.assertEqual(self.contents(), before)

    def import_image(self):
        self.session.banger("image", "import", "kept",
                            make_tar(self.session.base / "small.tar"))

    def test_damaged_with_something_in_it(self):
        """Nobody could say what belongs to whom: nothing is changed."""
        self.import_image()
        self.end_service()
        sound = self.database.read_bytes()
        for damage in DAMAGES:
            with self.subTest(damage=damage.__name__):
                damage(self.database)
                self.refused("state.db is damaged", "bangerd(8)")
                self.database.write_bytes(sound)
        self.assertEqual(self.session.json("image", "list")["images"][0]["name"], "kept")

    def test_damaged_with_a_log(self):
        """What the log beside it holds makes up for a damaged file, or nothing is changed."""
        self.import_image()
        self.end_service(signal.SIGKILL)
        log = self.state / "state.db-wal"
        self.assertGreater(log.stat().st_size, 10 * PAGE)
        sound = {path: path.read_bytes() for path in (self.database, log)}
        for damage in (garble_pages, truncate):
            with self.subTest(damage=damage.__name__):
                damage(self.database)
                self.assertEqual(self.session.json("image", "list")["images"][0]["name"], "kept")
                self.end_service(signal.SIGKILL)
                for path, data in sound.items():
                    path.write_bytes(data)

    def test_lost_log(self):
        """The database alone may be as good as empty: what is in the folders stays."""
        self.import_image()
        self.end_service(signal.SIGKILL)
        (self.state / "state.db-wal").unlink()
        self.refused("missing or empty", "hint: put the database back")

    def test_damaged_with_nothing_in_it(self):
        """Nothing can be lost: it is kept aside and bangerd goes on."""
        self.end_service()
        sound = self.database.read_bytes()
        for damage in DAMAGES:
            with self.subTest(damage=damage.__name__):
                damage(self.database)
                damaged = self.database.read_bytes()
                self.assertEqual(self.session.json("image", "list")["images"], [])
                aside, = self.state.glob("state.db.corrupt-*Z")
                self.assertEqual(aside.read_bytes(), damaged)
                self.assertIn(str(aside), self.session.bus_log())
                self.end_service()
                for path in self.state.glob("state.db.corrupt-*"):
                    path.unlink()
                self.database.write_bytes(sound)

    def test_read_only(self):
        self.end_service()
        home = str(self.session.home)
        alone = ["unshare", "--mount"]
        if os.geteuid() != 0:
            alone += ["--user", "--map-current-user", "--keep-caps"]
        result = self.session.run(
            *alone, "sh", "-c", 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && '
            'exec bangerd --session', home, timeout=SECONDS["command"])
        self.assertEqual(result.returncode, 1, result.stderr)
        for word in (str(self.state), "Read-only file system", "hint: mount it read-write"):
            self.assertIn(word, result.stderr)
        self.assertIn("Read-only file system", self.left.read_text())

    def client_is_told(self, session, *words):
        """The command line fails for want of a service; what it says has @words."""
        result = session.banger("vm", "list", status=UNREACHABLE)
        for word in words:
            self.assertIn(word, result.stderr)
        return result.stderr

    def test_client_is_told_of_damage(self):
        """All that the bus tells of it is an exit status."""
        self.import_image()
        self.end_service()
        sound = self.database.read_bytes()
        garble_header(self.database)
        self.client_is_told(
            self.session, "bangerd does not start: the state at %s cannot be used\n" % self.state,
            "cause: its database state.db is damaged: ", "hint: nothing was changed; see DAMAGED STATE")
        self.assertEqual(self.left.stat().st_mode & 0o7777, 0o600)
        self.database.write_bytes(sound)
        self.session.banger("image", "delete", "kept")
        self.assertFalse(self.left.exists())
        self.assertEqual(self.session.leftovers(), {})

    def test_client_is_told_of_another_service(self):
        used = {"XDG_STATE_HOME": str(self.session.home)}
        with Banger(service_env=used) as other:
            self.client_is_told(other, "bangerd does not start: %s cannot be taken\n" % self.state,
                                "cause: another bangerd runs with this state\n",
                                "hint: use the bus that it serves")
        self.session.banger("vm", "list")

    def test_client_is_told_where_the_bus_only_waits(self):
        """As where systemd starts the service, again and again: the bus then knows no exit status."""
        limit = '<limit name="service_start_timeout">2000</limit></busconfig>'
        with mock.patch("session.BUS_CONFIG", BUS_CONFIG.replace("</busconfig>", limit)), \
                Waiting(service_env={"XDG_STATE_HOME": str(self.session.home)}) as other:
            self.client_is_told(other, "bangerd does not start: %s cannot be taken\n" % self.state)

    def test_client_is_told_nothing_old(self):
        """What an earlier start failed for may long be mended."""
        elsewhere = self.session.base / "elsewhere"
        elsewhere.mkdir(mode=0o700)
        used = {"XDG_STATE_HOME": str(self.session.home), "XDG_RUNTIME_DIR": str(elsewhere)}
        with Banger(service_env=used) as other:
            other.runtime.mkdir(mode=0o700)
            old = other.runtime / "start-error"
            old.write_text("{'message': <'an old one'>}")
            os.utime(old, (1e9, 1e9))
            said = self.client_is_told(other, "cannot reach bangerd", "exited with status 1")
            self.assertNotIn("an old one", said)
            # The same words, just left, are shown: it is their age that counts.
            os.utime(old, (4e9, 4e9))
            self.client_is_told(other, "bangerd does not start: an old one\n")


if __name__ == "__main__":
    unittest.main()
