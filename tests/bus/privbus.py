#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private system bus with the real polkit, real users and what `meson install` installs.

privbus.py --build DIR [--program NAME] COMMAND…

Runs COMMAND as root in mount, process and IPC namespaces of its own. There the system bus is the
distribution's, with its setuid launch helper; polkit is started by it. The bus and polkit policy,
the rule and the activation file are those that an installation of the build puts in place; only
the folder of the programs differs. The machine's own files are not touched, and no process
outlives the namespaces. A user with sub-ids (/etc/subuid) needs no root for it.

--program: what is activated instead of bangerd, from the build's tests/bus.

Users: bangerd; alice and erin of group banger; bob and carol, whom nothing is granted; dave, whom
a rule denies everything. The administrator is root, whose password is in ROOT_PASSWORD."""

import argparse
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT_PASSWORD = "swordfish"
ROOT_HASH = ("$6$bangertest$HI75K4Xd8VACXXNPq0Mle51QsKbPPdOaIXbpuUwdmZwI6M"
             "uuRz.7puLE.Fx8xT3wcpbfVcaEL9zobrGANBkGN1")  # crypt(5) of it, made once
END_SECONDS = 60
UIDS = {"bangerd": 6000, "alice": 6001, "bob": 6002, "carol": 6003, "dave": 6004, "erin": 6005}
GROUPS = {"banger": (6010, ["alice", "erin"])}
POLKITD_FOLDERS = ("/usr/lib/polkit-1", "/usr/libexec", "/usr/lib/policykit-1")
SYSTEM_DIRS = {
    "system-services": "/usr/share/dbus-1/system-services",
    "system.d": "/usr/share/dbus-1/system.d",
    "actions": "/usr/share/polkit-1/actions",
    "rules.d": "/usr/share/polkit-1/rules.d",
    "etc-rules.d": "/etc/polkit-1/rules.d",
}
TEST_RULES = """polkit.addAdminRule(function (action, subject) { return ["unix-user:root"]; });
polkit.addRule(function (action, subject) {
    if (action.id.indexOf("org.banger.") == 0 && subject.user == "dave")
        return polkit.Result.NO;
    return polkit.Result.NOT_HANDLED;
});
"""


class Missing(Exception):
    """This machine cannot have a private bus."""


def run(*argv, **more):
    return subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, **more)


def namespace_argv():
    argv = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child",
            "--mount-proc", "--ipc"]
    return argv if os.getuid() == 0 else argv + ["--user", "--map-root-user", "--map-auto"]


def check_possible():
    for program in ("dbus-daemon", "unshare", "setpriv", "pkttyagent", "gdbus"):
        if not shutil.which(program):
            raise Missing("%s is not installed" % program)
    if not any(os.path.exists(f + "/polkitd") for f in POLKITD_FOLDERS):
        raise Missing("polkitd is not installed")
    for folder in SYSTEM_DIRS.values():
        if not os.path.isdir(folder):
            raise Missing("%s is not there" % folder)
    # As much of the real thing as may be forbidden: namespaces, other uids, mounts.
    probe = "mount -t tmpfs none /run && setpriv --reuid=6001 --regid=6001 --clear-groups true"
    result = subprocess.run([*namespace_argv(), "sh", "-c", probe], stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, check=False)
    if result.returncode:
        raise Missing("no namespaces here: %s" % (result.stderr.strip() or result.returncode))


def outside(build, program, command):
    """Installs into a folder of our own and enters the namespaces."""
    base = Path(tempfile.mkdtemp(prefix="privbus."))
    try:
        base.chmod(0o755)
        run("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", base / "stage")
        shutil.copytree(Path(build) / "tests/bus", base / "tests",
                        ignore=lambda folder, names: [n for n in names if n.endswith(".p")])
        run("chmod", "-R", "a+rX", base)
        with subprocess.Popen([*namespace_argv(), sys.executable, os.path.abspath(__file__),
                               "--inside", base, "--program", program, *command]) as child:
            # unshare dies with SIGTERM and takes all with it.
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, lambda *_: child.kill())
            return child.wait()
    finally:
        if os.getuid():
            subprocess.run(["unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", base],
                           check=False)
        shutil.rmtree(base, ignore_errors=True)


def staged(base, name):
    found = [p for p in (base / "stage").rglob(name) if p.is_file()]
    if len(found) != 1:
        raise RuntimeError("%s: the installation has %d of it" % (name, len(found)))
    return found[0]


def make_users(base):
    """Binds user databases with our users over the machine's."""
    passwd = Path("/etc/passwd").read_text(encoding="utf-8")
    group = Path("/etc/group").read_text(encoding="utf-8")
    ours = set(UIDS) | set(GROUPS)

    def keep(text):
        return "".join(l + "\n" for l in text.splitlines() if l.split(":")[0] not in ours)

    passwd = keep(passwd) + "".join("%s:x:%d:%d::/tmp:/bin/sh\n" % (n, u, u)
                                    for n, u in UIDS.items())
    group = keep(group) + "".join("%s:x:%d:\n" % (n, u) for n, u in UIDS.items())
    group += "".join("%s:x:%d:%s\n" % (n, g, ",".join(m)) for n, (g, m) in GROUPS.items())
    shadow = "root:%s:19000:0:99999:7:::\n" % ROOT_HASH
    shadow += "".join("%s:*:19000:0:99999:7:::\n" % n for n in UIDS)
    for name, text, mode in (("passwd", passwd, 0o644), ("group", group, 0o644),
                             ("shadow", shadow, 0o600)):
        path = base / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        run("mount", "--bind", path, "/etc/" + name)


def activation(base, program):
    """The installed activation file; its program is run from where it lies now, with the folders
    that systemd would give it."""
    lines = staged_activation(base).read_text(encoding="utf-8").splitlines()
    libexec = base / "libexec"
    libexec.mkdir()
    for path in (base / "stage").rglob("libexec/banger/*"):
        shutil.copy2(path, libexec)
    exec_line = next(l for l in lines if l.startswith("Exec="))
    name, _, arguments = exec_line.removeprefix("Exec=").partition(" ")
    program = str(base / "tests" / program) if program else str(libexec / Path(name).name)
    for folder in ("state", "runtime"):
        (base / folder).mkdir(mode=0o700)
        shutil.chown(base / folder, UIDS["bangerd"], UIDS["bangerd"])
    (base / "config").mkdir()
    env = {"STATE_DIRECTORY": base / "state", "RUNTIME_DIRECTORY": base / "runtime",
           "CONFIGURATION_DIRECTORY": base / "config",
           "BANGER_LIBEXECDIR": libexec}
    env.update((k, v) for k, v in os.environ.items() if k in ("G_DEBUG", "G_SLICE"))
    # For a build with sanitizers: what they find makes the run fail.
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
        env[name] = "log_path=%s/sanitizer/%s" % (base, name)
    words = ["/usr/bin/env", *("%s=%s" % item for item in env.items()), program, arguments]
    # No systemd runs here; the bus starts Exec itself.
    return "".join("%s\n" % ("Exec=" + " ".join(words) if l == exec_line else l)
                   for l in lines if not l.startswith("SystemdService="))


def staged_activation(base):
    found = list((base / "stage").rglob("system-services/org.banger.Banger1.service"))
    if len(found) != 1:
        raise RuntimeError("no activation file for the system bus was installed")
    return found[0]


def make_trees(base, program):
    """Binds folders with only our files and polkit's over those of the bus and of polkit."""
    trees = {name: base / name for name in SYSTEM_DIRS}
    for path in trees.values():
        path.mkdir()
    (trees["system-services"] / "org.banger.Banger1.service").write_text(
        activation(base, program), encoding="utf-8")
    shutil.copy(staged(base, "org.banger.Banger1.conf"), trees["system.d"])
    shutil.copy(staged(base, "org.banger.policy"), trees["actions"])
    shutil.copy(staged(base, "50-org.banger.rules"), trees["rules.d"])
    (trees["etc-rules.d"] / "10-test.rules").write_text(TEST_RULES, encoding="utf-8")
    for name, file in (("system-services", "org.freedesktop.PolicyKit1.service"),
                       ("system.d", "org.freedesktop.PolicyKit1.conf"),
                       ("actions", "org.freedesktop.policykit.policy")):
        for folder in (SYSTEM_DIRS[name], "/etc/dbus-1/system.d"):
            if os.path.exists(os.path.join(folder, file)):
                shutil.copy(os.path.join(folder, file), trees[name])
                break
    text = (trees["system-services"] / "org.freedesktop.PolicyKit1.service").read_text()
    (trees["system-services"] / "org.freedesktop.PolicyKit1.service").write_text(
        "".join(l + "\n" for l in text.splitlines() if not l.startswith("SystemdService=")))
    run("chmod", "-R", "a+rX", *trees.values())
    for name, path in trees.items():
        run("mount", "--bind", path, SYSTEM_DIRS[name])
    if os.path.isdir("/etc/dbus-1/system.d"):
        run("mount", "-t", "tmpfs", "-o", "mode=755", "none", "/etc/dbus-1/system.d")


def make_setuid_copies(base):
    """In a user namespace the machine's setuid programs belong to nobody: binds copies of ours."""
    for folder, name, group, mode in (
            ("/usr/lib/dbus-1.0", "dbus-daemon-launch-helper", "messagebus", 0o4750),
            ("/usr/lib/polkit-1", "polkit-agent-helper-1", "root", 0o4755)):
        copy = base / Path(folder).name
        shutil.copytree(folder, copy, symlinks=True)
        shutil.chown(copy / name, "root", group)
        (copy / name).chmod(mode)
        run("mount", "--bind", copy, folder)


def our_processes(base):
    """The service and what it started."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "exe").startswith(str(base)):
                    yield int(entry.name)
            except OSError:
                continue  # it has ended, or is the kernel's


def end_service(base):
    """Asks it to end, as a system does. What is wrong with how it ended, sanitizers included."""
    ends = [(pid, os.pidfd_open(pid)) for pid in our_processes(base)]
    for pid, _ in ends:
        os.kill(pid, signal.SIGTERM)
    problems = ["process %d did not end" % pid for pid, fd in ends
                if not select.select([fd], [], [], END_SECONDS)[0]]
    return problems + [p.read_text(errors="replace") for p in (base / "sanitizer").iterdir()]


def inside(base, program, command):
    """As the first process of the namespaces; all others end with it."""
    base = Path(base)
    (base / "sanitizer").mkdir()
    (base / "sanitizer").chmod(0o777)
    make_users(base)
    make_trees(base, program)
    if Path("/proc/self/uid_map").read_text(encoding="utf-8").split()[2] != "4294967295":
        make_setuid_copies(base)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "none", "/run")
    os.mkdir("/run/dbus", 0o755)
    for name in list(os.environ):
        if name.startswith("DBUS_"):
            del os.environ[name]
    env = dict(os.environ, PRIVBUS=str(base))
    with open(base / "bus.log", "wb") as log, subprocess.Popen(
            ["dbus-daemon", "--system", "--nofork", "--nopidfile", "--nosyslog",
             "--print-address=1"], stdout=subprocess.PIPE, stderr=log) as bus:
        if not bus.stdout.readline():
            raise RuntimeError("the bus did not start:\n" + (base / "bus.log").read_text())
        # A busy machine may take longer to start polkit than the service waits for it.
        run("gdbus", "wait", "--system", "--activate", "org.freedesktop.PolicyKit1",
            "--timeout", END_SECONDS, "org.freedesktop.PolicyKit1")
        with subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL) as child:
            # As the first process we are given the orphans of all others.
            while True:
                pid, status = os.wait()
                if pid == child.pid:
                    child.returncode = os.waitstatus_to_exitcode(status)
                    break
        problems = end_service(base)
        # The bus has no other end; leaving the namespace kills what is left.
        bus.kill()
    for problem in problems:
        sys.stderr.write(problem + "\n")
    child.returncode = child.returncode or bool(problems)
    if child.returncode:
        sys.stderr.write((base / "bus.log").read_text(encoding="utf-8", errors="replace"))
    return child.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=os.path.abspath)
    parser.add_argument("--program", default="")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if arguments.inside:
        return inside(arguments.inside, arguments.program, arguments.command)
    try:
        check_possible()
    except Missing as reason:
        print("1..0 # SKIP %s" % reason)
        return 0
    return outside(arguments.build, arguments.program, arguments.command)


if __name__ == "__main__":
    sys.exit(main())
