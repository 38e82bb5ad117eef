# SPDX-License-Identifier: LGPL-2.1-or-later
"""bangerd on a session bus: names, errors, images and their jobs, restarts and crashes. No guest
runs here; what needs a kernel is in tests/boot."""

import io
import os
import re
import resource
import signal
import sqlite3
import sys
import tarfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import BUS_NAME, ROOT_PATH, Banger, CommandFailed
from leftovers import wait_for_end

NOWHERE = ROOT_PATH + "/image/aaaaaaaaaaaa"


def make_tar(path, files=1, size=100):
    with tarfile.open(path, "w") as tar:
        for name in ("etc", "root", "bin"):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            entry.mode = 0o755
            tar.addfile(entry)
        for number in range(files):
            entry = tarfile.TarInfo("root/file%d" % number)
            entry.size = size
            tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return path


class SessionTest(unittest.TestCase):
    def setUp(self):
        self.session = Banger()
        self.session.__enter__()
        self.addCleanup(self.session.__exit__, None, None, None)
        self.tar = make_tar(self.session.base / "small.tar")

    def manager(self, method, *arguments):
        return self.session.call(ROOT_PATH, "Manager." + method, *arguments)

    def refused(self, name, path, member, *arguments):
        """The call fails with the error @name; returns its text."""
        interface, method = member.rsplit(".", 1)
        result = self.session.run("gdbus", "call", "--session", "--dest", BUS_NAME, "--object-path",
                                  path, "--method", "%s.%s.%s" % (BUS_NAME, interface, method),
                                  *arguments)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        self.assertIn("%s.Error.%s: " % (BUS_NAME, name), result.stderr)
        return result.stderr

    def import_image(self, name, path=None, **more):
        self.session.banger("image", "import", name, path or self.tar, **more)

    def path_of(self, name, kind="Image"):
        return self.manager("Find" + kind, "sa{sv}", name, "0")[0]

    def restart(self, sign=signal.SIGTERM):
        pid = self.session.service_pid()
        os.kill(pid, sign)
        self.assertTrue(wait_for_end(pid, 20))

    # What it says of itself

    def test_properties(self):
        get = lambda name: self.session.property(ROOT_PATH, "Manager", name)
        self.assertRegex(get("Version"), r"^\d+\.\d+\.\d+$")
        self.assertIn("edit-files", get("Features"))
        self.assertEqual(get("DefaultImage"), "/")
        self.assertEqual(get("DefaultKernel"), "/")

    def test_no_property_can_be_written(self):
        result = self.session.run("busctl", "--user", "set-property", BUS_NAME, ROOT_PATH,
                                  BUS_NAME + ".Manager", "DefaultImage", "o", "/")
        self.assertNotEqual(result.returncode, 0)

    def test_capacity(self):
        capacity = {k: v["data"] for k, v in self.manager("GetCapacity", "a{sv}", "0")[0].items()}
        self.assertEqual(capacity["cpus"], os.cpu_count())
        self.assertEqual(capacity["vms-running"], 0)
        self.assertEqual(capacity["memory-used-by-vms-bytes"], 0)
        self.assertGreater(capacity["memory-total-bytes"], capacity["memory-available-bytes"])
        self.assertGreaterEqual(capacity["disk-total-bytes"], capacity["disk-available-bytes"])

    def test_stages_are_those_of_the_documentation(self):
        listed = {}
        for line in self.session.run("bangerd", "--list-stages").stdout.splitlines():
            kind, stage = line.split()
            listed.setdefault(kind, []).append(stage)
        documents = Path(__file__).resolve().parents[2] / "data/dbus"
        kinds = re.search(r"What it does: `([^`]*)`",
                          (documents / "org.banger.Banger1.Job.xml").read_text()).group(1).split()
        self.assertEqual(sorted(listed), sorted(kinds))
        self.assertEqual(listed["import-image"],
                         "receiving mkfs writing seed checking stored".split())
        self.assertEqual(listed["create"],
                         "admitted disks kernel monitor vmm booting agent healthy".split())

    def test_descriptors(self):
        """It takes all that it may have, however little a login gives at first."""
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
        with Banger() as session:
            session.call(ROOT_PATH, "Manager.GetCapacity", "a{sv}", "0")
            text = Path("/proc/%d/limits" % session.service_pid()).read_text(encoding="utf-8")
        self.assertRegex(text, r"\nMax open files +%d +%d " % (limits[1], limits[1]))

    # What it refuses

    def test_not_found(self):
        self.refused("NotFound", ROOT_PATH, "Manager.FindVM", "foo", "{}")
        self.refused("NotFound", ROOT_PATH, "Manager.FindImage", "foo", "{}")
        self.refused("NotFound", ROOT_PATH, "Manager.FindKernel", "foo", "{}")
        text = self.refused("NotFound", ROOT_PATH, "Manager.CreateVM", "foo", "/", "{}")
        self.assertIn("hint: ", text)
        self.refused("NotFound", ROOT_PATH, "Manager.CreateVM", "foo", NOWHERE, "{}")

    def test_unknown_options_are_named(self):
        for method, arguments in (("FindVM", ["foo"]), ("Check", []), ("GetCapacity", []),
                                  ("CreateVM", ["foo", "/"])):
            text = self.refused("InvalidArgument", ROOT_PATH, "Manager." + method, *arguments,
                                "{'frobnicate': <1>}")
            self.assertIn("frobnicate", text)

    def test_options_have_types(self):
        text = self.refused("InvalidArgument", ROOT_PATH, "Manager.CreateVM", "foo", "/",
                            "{'vcpus': <'two'>}")
        self.assertIn("vcpus", text)

    def test_create_checks_every_option(self):
        self.import_image("small")
        image = self.path_of("small")
        for option in ("'vcpus': <uint32 0>", "'vcpus': <uint32 100000>",
                       "'memory-bytes': <uint64 1048576>", "'memory-bytes': <uint64 134217729>",
                       "'disk-bytes': <uint64 0>", "'disk-bytes': <uint64 274878955520>", "'work-bytes': <uint64 1>",
                       "'labels': <{'': 'x'}>", "'labels': <{'a\\u001b[m': 'x'}>",
                       "'labels': <{'a': 'x\\u001b[2J'}>", "'labels': <{'a': 'x\\ny'}>",
                       "'labels': <{'a': '%s'}>" % ("x" * 257), "'root': <'snapshot'>",
                       "'network': <'bridge'>", "'restart': <'sometimes'>", "'publish': <['80']>",
                       "'publish': <['0.0.0.0:80:80']>", "'publish': <['80:80', '80:81']>",
                       "'authorized-keys': <'a\u0007'>"):
            with self.subTest(option=option):
                text = self.refused("InvalidArgument", ROOT_PATH, "Manager.CreateVM", "foo", image,
                                    "{%s}" % option)
                self.assertIn(option.split("'")[1], text)
        self.refused("NotSupported", ROOT_PATH, "Manager.CreateVM", "foo", image,
                     "{'backend': <'firecracker'>}")
        self.refused("InvalidArgument", ROOT_PATH, "Manager.CreateVM", "Foo", image, "{}")
        # All is well but that there is no kernel.
        self.assertIn("kernel", self.refused("NotFound", ROOT_PATH, "Manager.CreateVM", "foo", image,
                                             "{}"))
        self.assertEqual(self.session.property(image, "Image", "State"), "ready")

    def configure(self, text):
        folder = self.session.base / "config" / "banger"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "banger.conf").write_text(text)
        return folder / "banger.conf"

    def test_bad_configuration(self):
        path = self.configure("[limits]\n\nvms=none\n")
        for arguments in (["--session"], ["--session", "--check-configuration"]):
            result = self.session.run("bangerd", *arguments)
            self.assertEqual(result.returncode, 1)
            self.assertIn("bangerd: %s:3: key 'vms' of group [limits] must be a number" % path,
                          result.stderr)
        # Nobody waits for a service that cannot come.
        result = self.session.run("busctl", "--user", "--timeout=50", "call", BUS_NAME, ROOT_PATH,
                                  BUS_NAME + ".Manager", "GetCapacity", "a{sv}", "0")
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("exited with status 1", result.stderr)
        self.assertIn("%s:3:" % path, self.session.bus_log())

    def test_check_configuration(self):
        self.configure("[defaults]\nmemory=1G\nroot=clone\n")
        result = self.session.run("bangerd", "--session", "--check-configuration")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("[defaults]\nvcpus=1\nmemory=1G\n", result.stdout)
        self.assertIn("root=clone\n", result.stdout)

    def test_not_supported(self):
        self.refused("NotSupported", ROOT_PATH, "Manager.PullImage", "docker.io/library/debian", "{}")

    def test_kernel_needs_whole_input(self):
        self.refused("InvalidArgument", ROOT_PATH, "Manager.ImportKernel", "k", "@a{sh} {}", "{}")

    # Images

    def test_import_and_delete(self):
        self.import_image("small")
        path = self.path_of("small")
        get = lambda name: self.session.property(path, "Image", name)
        self.assertEqual(get("State"), "ready")
        self.assertEqual(get("OwnerUid"), os.getuid())
        self.assertRegex(get("Digest"), "^sha256:[0-9a-f]{64}$")
        rootfs = Path(get("RootfsPath"))
        self.assertEqual(rootfs.stat().st_size, get("SizeBytes"))
        self.assertGreater(get("AllocatedBytes"), 0)
        self.assertEqual(self.session.run("e2fsck", "-fn", rootfs).returncode, 0)
        self.assertEqual(self.session.property(ROOT_PATH, "Manager", "DefaultImage"), path)
        self.assertEqual(self.path_of(get("Id")), path)
        self.session.banger("image", "delete", "small")
        self.assertEqual(self.session.property(ROOT_PATH, "Manager", "DefaultImage"), "/")
        self.assertEqual(self.session.leftovers(), {})

    def test_names(self):
        self.import_image("small")
        result = self.session.banger("image", "import", "small", self.tar, status=None)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("small", result.stderr)
        self.import_image("other")
        path = self.path_of("other")
        self.refused("Exists", path, "Image.Rename", "small", "{}")
        self.refused("InvalidArgument", path, "Image.Rename", "Not a name", "{}")
        self.session.call(path, "Image.Rename", "sa{sv}", "third", "0")
        self.assertEqual(self.path_of("third"), path)
        self.refused("NotFound", ROOT_PATH, "Manager.FindImage", "other", "{}")

    def test_promote_and_share(self):
        self.import_image("first")
        self.import_image("second")
        first, second = self.path_of("first"), self.path_of("second")
        default = lambda: self.session.property(ROOT_PATH, "Manager", "DefaultImage")
        self.assertEqual(default(), first)
        self.session.call(second, "Image.Promote", "a{sv}", "0")
        self.assertEqual(default(), second)
        self.session.call(second, "Image.Share", "ba{sv}", "true", "0")
        self.assertTrue(self.session.property(second, "Image", "Shared"))
        self.restart()
        self.assertEqual(default(), second)
        self.assertTrue(self.session.property(second, "Image", "Shared"))

    def test_bad_archives_leave_nothing(self):
        text = self.session.base / "text.tar"
        text.write_text("this is no archive\n" * 1000)
        cut = self.session.base / "cut.tar"
        whole = make_tar(self.session.base / "whole.tar", files=50, size=10000).read_bytes()
        cut.write_bytes(whole[:len(whole) // 2 + 77])
        for path in (text, cut, "/dev/null"):
            with self.subTest(path=path):
                result = self.session.banger("image", "import", "bad", path, status=None)
                self.assertNotEqual(result.returncode, 0)
                self.refused("NotFound", ROOT_PATH, "Manager.FindImage", "bad", "{}")
                self.assertEqual(self.session.leftovers(), {})

    def test_undo_that_fails(self):
        """What the import failed for is what is told, and Delete can be tried again."""
        self.manager("GetCapacity", "a{sv}", "0")
        with sqlite3.connect(self.session.state / "state.db") as db:
            db.execute("CREATE TRIGGER keeps BEFORE DELETE ON images"
                       " BEGIN SELECT RAISE(ABORT, 'it is kept'); END")
        result = self.session.banger("image", "import", "bad", "/dev/null", status=None)
        self.assertNotEqual(result.returncode, 0)
        error = self.session.property(self.job_path(), "Job", "Error")
        self.assertEqual(error["name"]["data"], BUS_NAME + ".Error.BadImage")
        with sqlite3.connect(self.session.state / "state.db") as db:
            db.execute("DROP TRIGGER keeps")
        self.session.banger("image", "delete", "bad")
        self.assertEqual(self.session.leftovers(), {})

    # Jobs

    def begin_import(self):
        """An import whose archive never ends, once its worker reads it: client and job path."""
        archive = make_tar(self.session.base / "endless.tar", size=1 << 20)
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        client = self.session.popen("banger", "image", "import", "endless", "-", stdin=reader)
        os.close(reader)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)
        self.addCleanup(client.stdout.close)
        # More than a pipe holds: it is written once somebody reads.
        os.write(writer, archive.read_bytes()[:1 << 19])
        job = self.job_path()
        self.assertEqual(self.session.property(job, "Job", "Stage"), "receiving")
        return client, job

    def jobs(self):
        tree = self.session.run("busctl", "--user", "--list", "tree", BUS_NAME).stdout.split()
        return [p for p in tree if p.startswith(ROOT_PATH + "/job/")]

    def job_path(self):
        return self.jobs()[0]

    def test_cancel_undoes_the_import(self):
        self.manager("GetCapacity", "a{sv}", "0")
        client, job = self.begin_import()
        get = lambda name: self.session.property(job, "Job", name)
        self.assertTrue(get("Cancelable"))
        self.assertEqual(get("State"), "running")
        self.assertEqual(len(self.session.processes("banger-worker")), 1)
        self.session.call(job, "Job.Cancel", "a{sv}", "0")
        self.assertNotEqual(client.wait(30), 0)
        self.assertEqual(get("State"), "cancelled")
        self.assertEqual(get("Error")["name"]["data"], BUS_NAME + ".Error.Cancelled")
        self.assertFalse(get("Cancelable"))
        self.refused("WrongState", job, "Job.Cancel", "{}")
        self.assertEqual(self.session.leftovers(), {})

    def test_busy_while_importing(self):
        self.manager("GetCapacity", "a{sv}", "0")
        _, job = self.begin_import()
        image = self.path_of("endless")
        self.refused("WrongState", image, "Image.Delete", "{}")
        self.refused("WrongState", ROOT_PATH, "Manager.CreateVM", "foo", image, "{}")
        self.session.call(job, "Job.Cancel", "a{sv}", "0")

    # Its own end

    def test_state_outlives_a_restart(self):
        self.import_image("small")
        before = self.path_of("small")
        self.restart()
        self.assertEqual(self.path_of("small"), before)
        self.assertEqual(self.session.property(ROOT_PATH, "Manager", "DefaultImage"), before)

    def test_killed_import_is_undone(self):
        self.manager("GetCapacity", "a{sv}", "0")
        client, job = self.begin_import()
        worker = next(iter(self.session.processes("banger-worker")))
        self.restart(signal.SIGKILL)
        self.assertTrue(wait_for_end(worker, 20), "the worker outlives bangerd")
        self.assertNotEqual(client.wait(30), 0)
        self.refused("NotFound", ROOT_PATH, "Manager.FindImage", "endless", "{}")
        self.assertEqual(self.session.property(job, "Job", "State"), "interrupted")
        self.assertEqual(self.session.property(job, "Job", "Error")["name"]["data"],
                         BUS_NAME + ".Error.Interrupted")
        self.assertEqual(self.session.leftovers(), {})

    def test_killed_worker_fails_the_job(self):
        self.manager("GetCapacity", "a{sv}", "0")
        client, job = self.begin_import()
        os.kill(next(iter(self.session.processes("banger-worker"))), signal.SIGKILL)
        self.assertNotEqual(client.wait(30), 0)
        self.assertEqual(self.session.property(job, "Job", "State"), "failed")
        self.assertIn("signal 9", self.session.property(job, "Job", "Error")["cause"]["data"])
        self.assertEqual(self.session.leftovers(), {})

    def test_strays_are_removed(self):
        self.import_image("small")
        self.restart()
        for folder in ("images/aaaaaaaaaaaa", "vms/bbbbbbbbbbbb", "kernels/cccccccccccc"):
            (self.session.state / folder).mkdir()
            (self.session.state / folder / "file").write_text("left over")
        self.assertEqual(self.session.property(self.path_of("small"), "Image", "State"), "ready")
        self.session.banger("image", "delete", "small")
        self.assertEqual(self.session.leftovers(), {})

    def test_state_is_never_shared(self):
        self.manager("GetCapacity", "a{sv}", "0")
        result = self.session.run("bangerd", "--session", timeout=20)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("another bangerd", result.stderr)

    def test_newer_state_is_refused(self):
        import sqlite3
        self.manager("GetCapacity", "a{sv}", "0")
        self.restart()
        with sqlite3.connect(self.session.state / "state.db") as db:
            db.execute("PRAGMA user_version = 1000")
        db.close()
        result = self.session.run("bangerd", "--session", timeout=20)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("newer version", result.stderr)
        with self.assertRaises(CommandFailed):
            self.manager("GetCapacity", "a{sv}", "0")

    def test_lost_database_removes_nothing(self):
        self.import_image("small")
        path = self.path_of("small")
        self.restart()
        database, aside = self.session.state / "state.db", self.session.base / "aside"
        database.rename(aside)
        for present in (False, True):
            with self.subTest(empty_file=present):
                if present:
                    database.touch()
                before = sorted(self.session.state.rglob("*"))
                result = self.session.run("bangerd", "--session", timeout=20)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(str(self.session.state), result.stderr)
                self.assertIn("state.db", result.stderr)
                self.assertIn("hint: put the database back", result.stderr)
                self.assertEqual(sorted(self.session.state.rglob("*")), before)
        aside.rename(database)
        self.assertEqual(self.session.property(path, "Image", "State"), "ready")

    def test_command_line(self):
        self.assertNotEqual(self.session.run("bangerd", timeout=20).returncode, 0)
        self.assertNotEqual(self.session.run("bangerd", "--frobnicate", timeout=20).returncode, 0)


if __name__ == "__main__":
    unittest.main()
