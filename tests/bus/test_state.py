# SPDX-License-Identifier: LGPL-2.1-or-later
"""A state that cannot be used: bangerd says so and what to do, and nothing of it is lost."""

import os
import signal
import unittest

from harness import SECONDS, Banger
from leftovers import wait_for_end
from test_session import make_tar

PAGE = 4096


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


class StateTest(unittest.TestCase):
    def setUp(self):
        self.session = Banger()
        self.session.__enter__()
        self.addCleanup(self.session.__exit__, None, None, None)
        self.state = self.session.state
        self.database = self.state / "state.db"
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


if __name__ == "__main__":
    unittest.main()
