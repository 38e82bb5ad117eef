# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of VMs' lives share: VMs made by calls on the bus, and what is announced of them."""

import json
import sqlite3

import fixtures
from harness import BUS_NAME, ROOT_PATH, SECONDS, BangerTest, PropertyWatch


class Signals:
    """All that is announced on the bus, in the order in which it comes. A context manager."""

    def __init__(self, session):
        self.watch = PropertyWatch(session, 3 * SECONDS["busybox"])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return self.watch.__exit__(*exc)

    def changes(self, path):
        """Dictionaries of the properties of @path that changed, as they come."""
        for line in self.watch.process.stdout:
            message = json.loads(line)
            if message.get("member") == "PropertiesChanged" and message["path"] == path:
                yield {key: value["data"] for key, value in message["payload"]["data"][1].items()}

    def until(self, path, **wanted):
        """All changes of @path, as one, until the properties of @wanted have these values."""
        seen = {}
        for change in self.changes(path):
            seen.update(change)
            if all(seen.get(key) == value for key, value in wanted.items()):
                return seen
        raise AssertionError("not seen: %s; last: %s" % (wanted, seen))


class VmTest(BangerTest):
    """With an image and a kernel; each test leaves no VM and nothing else."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.session.import_kernel()
        cls.session.import_image("tiny", fixtures.busybox_tar())
        cls.image = cls.find("Image", "tiny")
        cls.idle = cls.session.leftovers()

    def tearDown(self):
        for vm in self.session.json("vm", "list")["vms"]:
            self.session.banger("vm", "delete", "--force", vm["name"], status=None)
        self.assertEqual(self.session.leftovers(), self.idle)

    @classmethod
    def find(cls, kind, name):
        return cls.session.call(ROOT_PATH, "Manager.Find" + kind, "sa{sv}", name, "0")[0]

    def get(self, path, name):
        return self.session.property(path, "VM", name)

    def begin(self, path, method, *options):
        """A method that answers with a job: the job's path."""
        return self.session.call(path, "VM." + method, "a{sv}", str(len(options) // 3),
                                 *options)[-1]

    def finish(self, job, state="done", seconds=SECONDS["busybox"]):
        """Waits until the job has ended, as @state; returns its result."""
        with PropertyWatch(self.session, seconds) as watch:
            now = self.session.property(job, "Job", "State")
            if now == "running":
                self.assertEqual(watch.wait_for("State", state, job), job)
        self.assertEqual(self.session.property(job, "Job", "State"), state,
                         self.session.property(job, "Job", "Error"))
        return {key: value["data"]
                for key, value in self.session.property(job, "Job", "Result").items()}

    def create(self, name, *options, start=True):
        """A VM that is healthy, or was not started; options as for busctl."""
        given = ["memory-bytes", "t", str(128 << 20), "start", "b", str(start).lower(), *options]
        path, job = self.session.call(ROOT_PATH, "Manager.CreateVM", "soa{sv}", name, self.image,
                                      str(len(given) // 3), *given)
        self.finish(job)
        return path

    def in_guest(self, path, command):
        """A shell command that may take its guest with it: nobody waits for its answer."""
        name = self.get(path, "Name")
        client = self.session.popen("banger", "vm", "exec", name, "--", "/bin/sh", "-c", command)
        self.addCleanup(client.stdout.close)
        self.addCleanup(client.wait)
        self.addCleanup(client.kill)

    def end_service(self):
        """As by a crash; the next call starts it again."""
        self.session.kill(self.session.service_pid())

    def rewrite(self, statement, *values):
        """What the store says, while no service runs."""
        with sqlite3.connect(self.session.state / "state.db") as db:
            db.execute(statement, values)
        db.close()

    def refused(self, name, path, member, *arguments):
        """The call, as gdbus takes it, fails with the error @name; returns its text."""
        interface, method = member.rsplit(".", 1)
        result = self.session.run("gdbus", "call", "--session", "--dest", BUS_NAME, "--object-path",
                                  path, "--method", "%s.%s.%s" % (BUS_NAME, interface, method),
                                  *arguments)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        self.assertIn("%s.Error.%s: " % (BUS_NAME, name), result.stderr)
        return result.stderr
