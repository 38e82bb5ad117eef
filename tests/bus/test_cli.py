# SPDX-License-Identifier: LGPL-2.1-or-later
"""The command line against a real bangerd: statuses, JSON, progress, Ctrl-C, completion."""

import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import tarfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/bus")]

from cli_case import MUCH, CliTest, archive
from harness import BUS_NAME, ROOT_PATH, SECONDS

class Statuses(CliTest):
    def status(self, *argv, **more):
        result = self.session.run("banger", *argv, timeout=SECONDS["command"], **more)
        if result.returncode:
            self.assertRegex(result.stderr, "(?m)^banger: ")
        return result

    def test_usage(self):
        for argv in (["vm", "lsit"], ["vm", "list", "--frobnicate"], ["vm", "show"],
                     ["vm", "create", "Not_A_Name"], ["vm", "create", "--memory", "lots"],
                     ["vm", "create", "--label", "novalue"], ["--session", "--system", "vm", "list"],
                     ["image", "import", "Not_A_Name", str(self.tar)],
                     ["kernel", "import", "k"], ["vm", "delete", "--progress", "fancy", "x"]):
            with self.subTest(argv=argv):
                self.assertEqual(self.status(*argv).returncode, 2)

    def test_failed(self):
        cut = self.session.base / "cut.tar"
        cut.write_bytes(archive(bytes(100000))[:50000])
        result = self.status("image", "import", "cut", cut)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"banger: image 'cut': .*\n  cause: .*\n  hint: ")

    def test_not_found(self):
        self.session.import_image("debian", self.tar)
        result = self.status("image", "show", "debain")
        self.assertEqual(result.returncode, 3)
        self.assertIn("  hint: did you mean 'debian'?\n", result.stderr)
        for argv in (["vm", "show", "nobody"], ["vm", "delete", "nobody"], ["kernel", "show", "x"],
                     ["job", "show", "x"], ["job", "cancel", "a2b"], ["vm", "exec", "x", "true"],
                     ["vm", "create", "--image", "debain"], ["image", "import", "x", "/nowhere"]):
            with self.subTest(argv=argv):
                self.assertEqual(self.status(*argv).returncode, 3)

    def test_conflict(self):
        self.session.import_image("twice", self.tar)
        result = self.status("image", "import", "twice", self.tar)
        self.assertEqual(result.returncode, 4)
        self.assertIn("image 'twice'", result.stderr)

    def test_unreachable(self):
        nowhere = dict(self.session.env, DBUS_SESSION_BUS_ADDRESS="unix:path=/nowhere/bus",
                       DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nowhere/bus")
        for bus in ("--session", "--system"):
            result = subprocess.run(["banger", bus, "vm", "list"], env=nowhere, check=False,
                                    capture_output=True, text=True)
            self.assertEqual(result.returncode, 6, result.stderr)
            self.assertIn("  hint: ", result.stderr)

    def test_never_another_bus(self):
        """Without a word about it the system bus is meant, also where a session bus has bangerd."""
        env = dict(self.session.env, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/nowhere/bus")
        del env["BANGER_BUS"]
        result = subprocess.run(["banger", "vm", "list"], env=env, check=False,
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 6)
        self.assertIn("system bus", result.stderr)
        env["BANGER_BUS"] = "both"
        result = subprocess.run(["banger", "vm", "list"], env=env, check=False,
                                capture_output=True, text=True)
        self.assertEqual(result.returncode, 2)
        self.assertIn("BANGER_BUS: 'both'", result.stderr)

    def test_doctor(self):
        result = self.session.run("banger", "doctor", "--json")
        report = json.loads(result.stdout)
        errors = [f for f in report["findings"] if f["status"] == "error"]
        self.assertEqual(report["errors"], len(errors))
        self.assertEqual(result.returncode, 8 if errors else 0)
        found = {f["id"]: f for f in report["findings"]}
        self.assertIn(found["kvm"]["accelerator"], ("kvm", "tcg", None))
        self.assertIsNone(found["landlock"]["accelerator"])
        self.assertIsNone(found["landlock"]["capabilities"])
        if found["qemu"]["status"] == "ok":
            self.assertRegex(found["qemu"]["version"], r"^\d+\.\d+")
            self.assertIsInstance(found["qemu"]["capabilities"], list)
            self.assertIn(found["kvm"]["accelerator"], ("kvm", "tcg"))

    def test_change_an_image(self):
        """Rename, share, unshare and promote: as they say, the service then has it."""
        self.session.import_image("one", self.tar)
        self.session.import_image("two", self.tar)
        show = lambda name, what: self.session.json("image", "show", name)[what]
        say = lambda *argv: self.session.banger("image", *argv).stdout
        self.assertEqual(say("rename", "two", "three"), "image 'two' is now called 'three'\n")
        self.assertEqual(self.status("image", "show", "two").returncode, 3)
        self.assertEqual(self.status("image", "rename", "three", "one").returncode, 4)
        self.assertEqual(self.status("image", "rename", "three", "Not a name").returncode, 2)
        self.assertIs(show("three", "default"), False)
        self.assertEqual(say("promote", "three"), "image 'three' is the default for new VMs now\n")
        self.assertIs(show("three", "default"), True)
        self.assertIs(show("one", "default"), False)
        self.assertIs(show("three", "shared"), False)
        self.assertEqual(say("share", "three"), "image 'three' is shared with everybody\n")
        self.assertIs(show("three", "shared"), True)
        self.assertEqual(say("unshare", "three"), "image 'three' is not shared any more\n")
        self.assertIs(show("three", "shared"), False)
        for noun in ("image", "kernel"):
            for argv in (["rename", "nobody", "x"], ["share", "nobody"], ["unshare", "nobody"],
                         ["promote", "nobody"]):
                with self.subTest(noun=noun, argv=argv):
                    result = self.status(noun, *argv)
                    self.assertEqual(result.returncode, 3)
                    self.assertIn("%s 'nobody'" % noun, result.stderr)

    def test_several_names(self):
        """One wrong name does not keep the others from being done."""
        self.session.import_image("one", self.tar)
        self.session.import_image("two", self.tar)
        result = self.status("image", "delete", "one", "nobody", "two")
        self.assertEqual(result.returncode, 3)
        self.assertEqual(self.session.json("image", "list")["images"], [])

    def test_closed_output(self):
        with open("/dev/full", "w") as full:
            result = subprocess.run(["banger", "help"], env=self.session.env, stdout=full,
                                    stderr=subprocess.PIPE, check=False, text=True)
        self.assertEqual(result.returncode, 1)
        self.assertIn("cause: " + os.strerror(errno.ENOSPC), result.stderr)

    def test_reader_leaves(self):
        """As in "banger vm list | true": ended by the signal, without a word."""
        read, write = os.pipe()
        os.close(read)
        result = subprocess.run(["banger", "vm", "list"], env=self.session.env, stdout=write,
                                stderr=subprocess.PIPE, check=False)
        os.close(write)
        self.assertEqual(result.returncode, -signal.SIGPIPE)
        self.assertEqual(result.stderr, b"")


class Json(CliTest):
    def test_documents(self):
        self.session.import_image("debian", self.tar)
        for argv, member in ((["vm", "list"], "vms"), (["image", "list"], "images"),
                             (["kernel", "list"], "kernels"), (["job", "list"], "jobs"),
                             (["doctor"], "findings")):
            with self.subTest(argv=argv):
                document = self.session.json(*argv, status=None)
                self.assertEqual(document["schema"], 1)
                self.assertIsInstance(document[member], list)
                for key in set().union(*document[member]):
                    self.assertRegex(key, "^[a-z][a-z0-9_]*$")
        self.assertEqual(self.session.json("version")["version"],
                         self.session.json("version")["service_version"])

    def test_image(self):
        made = self.session.json("image", "import", "debian", self.tar, "--default")
        shown = self.session.json("image", "show", "debian")
        self.assertEqual(made, shown)
        self.assertEqual(self.session.json("image", "list")["images"],
                         [{k: v for k, v in shown.items() if k != "schema"}])
        self.assertIs(shown["default"], True)
        self.assertEqual(shown["state"], "ready")
        self.assertIsInstance(shown["size_bytes"], int)
        self.assertRegex(shown["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertTrue(Path(shown["rootfs_path"]).is_file())

    def test_job(self):
        self.session.import_image("debian", self.tar)
        job = max(self.session.json("job", "list")["jobs"],
                  key=lambda j: j["timings"][0]["began_at"])
        shown = self.session.json("job", "show", job["id"])
        self.assertIn(shown["state"], ("done",))
        self.assertIsNone(shown["error"])
        stages = [t["stage"] for t in shown["timings"]]
        self.assertEqual(len(stages), len(set(stages)))
        for timing in shown["timings"]:
            self.assertIsInstance(timing["duration_us"], int)
            self.assertRegex(timing["began_at"], r"\.\d{6}Z$")

    def test_notes(self):
        """What an import leaves out is said: at its end, and by the job while it is there."""
        path = self.session.base / "odd.tar"
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for number in range(25):
                entry = tarfile.TarInfo("etc/odd\033%d" % number)
                entry.pax_headers = {"SCHILY.xattr.darwin.thing": "1"}
                tar.addfile(entry)
        result = self.session.import_image("odd", path)
        said = re.findall("(?m)^note: (.*)$", result.stderr)
        self.assertEqual(len(said), 20)
        self.assertRegex(said[0], r"^'.*etc/odd\\x1b0': an extended attribute .* was left out$")
        self.assertEqual(said[-1], "and 6 more")
        job = next(j for j in self.session.json("job", "list")["jobs"] if j["notes"])
        self.assertEqual(job["notes"], said)
        shown = self.session.banger("job", "show", job["id"]).stdout
        self.assertEqual(re.findall("(?m)^note: *(.*)$", shown), said)
        self.assertNotIn("\033", result.stderr + shown)

    def test_rows_of_an_error(self):
        """Its cause and hint, but no row that has nothing in it: who cancels needs neither."""
        process, write = self.start_endless()
        self.addCleanup(os.close, write)
        job, = self.running_jobs()
        self.session.banger("job", "cancel", job)
        process.wait()
        shown = self.session.banger("job", "show", job).stdout
        self.assertRegex(shown, "(?m)^error: +import-image: was cancelled$")
        self.assertRegex(shown, "(?m)^object: +image ")
        self.assertNotRegex(shown, "(?m)^(cause|hint):")
        self.assertNotRegex(shown, "(?m)^[a-z]+: *$")
        cut = self.session.base / "short.tar"
        cut.write_bytes(archive(bytes(100000))[:50000])
        self.session.banger("image", "import", "short", cut, status=1)
        job = next(j["id"] for j in self.session.json("job", "list")["jobs"]
                   if j["state"] == "failed")
        shown = self.session.banger("job", "show", job).stdout
        for row in ("error", "cause", "hint"):
            self.assertRegex(shown, "(?m)^%s: +[^ ]" % row)

    def test_errors(self):
        result = self.session.run("banger", "vm", "show", "nobody", "--json")
        error = json.loads(result.stdout)["error"]
        self.assertEqual(error["name"], BUS_NAME + ".Error.NotFound")
        self.assertIn("nobody", error["message"])
        # Once: nothing else is said anywhere, but to a person whose program reads the document.
        self.assertEqual(result.stderr, "")
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        for words in (["show", "nobody"], ["stop", "nobody", "none"]):
            result = subprocess.run(["banger", "vm", *words, "--json"], env=self.session.env,
                                    stdout=subprocess.PIPE, stderr=slave, check=False)
            self.assertIn(error["message"], result.stdout.decode())
            self.assertIn(b"banger: ", os.read(master, 4096))
        os.close(slave)

    def test_documents_of_verbs(self):
        for name in ("one", "two", "three"):
            self.session.import_image(name, self.tar)
        self.assertEqual(self.session.json("image", "rename", "one", "first")["name"], "first")
        self.assertIs(self.session.json("image", "share", "first")["shared"], True)
        self.assertIs(self.session.json("image", "unshare", "first")["shared"], False)
        self.assertIs(self.session.json("image", "promote", "first")["default"], True)
        said = self.session.banger("image", "share", "first", "--format", "yaml").stdout
        self.assertIn('name: "first"\n', said)
        result = self.session.banger("image", "delete", "first", "nobody", "two", "--json", status=3)
        self.assertEqual(result.stderr.count("banger:"), 0)
        first, nobody, two = json.loads(result.stdout)["images"]
        for image, name in ((first, "first"), (two, "two")):
            self.assertEqual((image["name"], image["state"], image["error"]), (name, None, None))
            self.assertGreater(image["duration_us"], 0)
            self.assertTrue(image["id"] and image["job"])
            self.assertNotIn("ended_by", image)
        self.assertEqual((nobody["name"], nobody["id"], nobody["job"]), ("nobody", None, None))
        self.assertEqual(nobody["error"]["name"], BUS_NAME + ".Error.NotFound")
        job, other = "a" * 12, "b" * 12
        result = self.session.banger("job", "cancel", job, other, "--json", status=3)
        self.assertEqual([(j["id"], j["state"], j["error"]["name"])
                          for j in json.loads(result.stdout)["jobs"]],
                         [(i, None, BUS_NAME + ".Error.NotFound") for i in (job, other)])

    def test_quiet(self):
        name = self.session.banger("image", "import", "-q", "debian", self.tar).stdout
        self.assertEqual(name, "debian\n")
        self.assertEqual(self.session.banger("image", "list", "-q").stdout, "debian\n")
        for words in (["image", "list", "-q", "--json"], ["help", "--tree", "--json"],
                      ["image", "list", "--progress", "foo"]):
            self.session.banger(*words, status=2)
        self.assertEqual(len(self.session.banger("image", "list", "--no-header").stdout.split("\n")),
                         2)


class Progress(CliTest):
    def on_terminal(self, *argv, **env):
        """What the command wrote to standard error, a terminal."""
        master, slave = pty.openpty()
        process = subprocess.Popen(
            ["banger", *map(str, argv)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=slave, env=dict(self.session.env, LC_ALL="C.UTF-8", TERM="xterm", **env))
        os.close(slave)
        text = b""
        while True:
            try:
                text += os.read(master, 65536)
            except OSError:  # EIO: nobody has the other end any more
                break
        os.close(master)
        process.stdout.close()
        self.assertEqual(process.wait(), 0)
        return text.decode()

    def test_plain(self):
        result = self.session.import_image("debian", self.tar)
        stages = re.findall(r"^image 'debian': (\w+) \d+\.\d+ s$", result.stderr, re.M)
        self.assertEqual(stages, ["receiving", "mkfs", "writing", "seed", "checking", "stored"])
        self.assertRegex(result.stdout, r"^image 'debian' is ready \(.* s\)\n$")
        self.assertNotIn("\033", result.stderr)

    def test_none(self):
        result = self.session.banger("image", "import", "debian", self.tar, "--progress", "none")
        self.assertEqual(result.stderr, "")

    def test_live(self):
        text = self.on_terminal("image", "import", "debian", self.tar)
        self.assertRegex(text, "✓ stored")
        self.assertIn("\033[2m", text)

    def test_name_that_is_made_up(self):
        """It is there before the end."""
        self.session.import_kernel()
        self.addCleanup(self.session.banger, "kernel", "delete", "cloud")
        self.session.import_image("debian", self.tar)
        text = self.on_terminal("vm", "create", "--image", "debian", "--no-start", "--no-ssh-key")
        name = self.session.banger("vm", "list", "-q").stdout.strip()
        self.assertTrue(text.startswith("vm '%s'\r\n" % name), text)
        self.session.banger("vm", "delete", name)

    def test_no_colour(self):
        text = self.on_terminal("image", "import", "debian", self.tar, NO_COLOR="1")
        self.assertRegex(text, "✓ stored")
        self.assertNotIn("\033[2m", text)

    def test_no_wait(self):
        result = self.session.banger("image", "import", "debian", self.tar, "--no-wait")
        self.assertEqual(result.stdout, "image 'debian' is being imported\n")
        for job in self.running_jobs():
            self.wait_for_job(job)
        self.assertEqual(self.session.json("image", "show", "debian")["state"], "ready")


class Interrupted(CliTest):
    def test_cancel(self):
        """Ctrl-C: the job is cancelled, all is undone, and it says so."""
        process, write = self.start_endless()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=SECONDS["command"])
        os.close(write)
        self.assertEqual(process.returncode, 9, err)
        self.assertEqual(out, b"")
        self.assertIn(b"Ctrl-C again leaves at once", err)
        self.assertIn(b"banger: image 'endless': cancelled: nothing of it is left", err)
        self.assertEqual(self.session.json("image", "list")["images"], [])
        self.assertEqual(self.session.leftovers(), {})

    def test_writer_is_told(self):
        """The archive's writer gets a broken pipe, it does not hang."""
        process, write = self.start_endless()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS["command"])
        with self.assertRaises(BrokenPipeError):
            os.write(write, bytes(MUCH))
        os.close(write)

    def test_leave(self):
        """A second Ctrl-C leaves at once, whatever the service does, and says what goes on."""
        process, write = self.start_endless()
        service = self.session.service_pid()
        job, = self.running_jobs()
        os.kill(service, signal.SIGSTOP)
        try:
            process.send_signal(signal.SIGINT)
            said = b""
            while not said.endswith(b"leaves at once\n"):
                line = process.stderr.readline()
                self.assertTrue(line, said)
                said += line
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=SECONDS["command"])
        finally:
            os.kill(service, signal.SIGCONT)
        self.assertEqual(process.returncode, 9, err)
        self.assertEqual(err.decode().splitlines()[-3:], [
            "banger: image 'endless': left",
            "  cause: the service has not answered yet; the job may go on",
            "  hint: banger job show " + job])
        os.close(write)

    def test_service_dies(self):
        """bangerd ends during a job: said at once, with a status of its own."""
        process, write = self.start_endless()
        self.session.kill(self.session.service_pid())
        _, err = process.communicate(timeout=SECONDS["command"])
        os.close(write)
        self.assertEqual(process.returncode, 6, err)
        self.assertIn(b"image 'endless': bangerd ended", err)

    def test_cancelled_by_another(self):
        process, write = self.start_endless()
        self.session.banger("job", "cancel", *self.running_jobs())
        _, err = process.communicate(timeout=SECONDS["command"])
        os.close(write)
        self.assertEqual(process.returncode, 9, err)


if __name__ == "__main__":
    unittest.main()
