# SPDX-License-Identifier: LGPL-2.1-or-later
"""What banger holds on this host, by what the kernel says and not by banger's own books."""

import os
import select
import sqlite3
import time
from pathlib import Path

# Files that a service with nothing in it keeps.
STATE_FILES = {"state.db", "state.db-wal", "state.db-shm", "lock"}
# The gateway of each guest (src/vmm/network.h).
CARD = "52:54:00:12:34:55"
# For a program to see that whom it works for has gone.
END_SECONDS = 10
ALL_PROGRAMS = ("bangerd", "banger-vmm", "banger-worker", "qemu")


def _links(pid):
    """Paths that a process has open or runs."""
    for name in ("exe", "cwd"):
        try:
            yield os.readlink("/proc/%s/%s" % (pid, name))
        except OSError:
            pass
    try:
        for fd in os.listdir("/proc/%s/fd" % pid):
            try:
                yield os.readlink("/proc/%s/fd/%s" % (pid, fd))
            except OSError:
                pass
    except OSError:
        pass


def _below(path, folders):
    return any(path == f or path.startswith(f + "/") for f in folders)


def command_of(pid):
    try:
        raw = Path("/proc/%s/cmdline" % pid).read_bytes()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip()


def _parent(pid):
    try:
        stat = Path("/proc/%d/stat" % pid).read_text(encoding="utf-8")
    except OSError:
        return 0
    return int(stat.rsplit(")", 1)[1].split()[1])


def _is_look(pid):
    """What the host can do is looked at now and then, by a program that ends by itself. In the moment
    that it begins or ends it has no command line."""
    deadline = time.monotonic() + END_SECONDS
    while os.path.exists("/proc/%d" % pid):
        command = command_of(pid)
        if command or time.monotonic() > deadline:
            return "--" in command
        time.sleep(0.01)
    return True


def processes(folders, programs=ALL_PROGRAMS):
    """{pid: command} of processes that run one of @programs and have something open or are run from
    below @folders, and of their children that do not have it yet. Zombies are included: nobody
    reaped them."""
    found, others = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        try:
            name = Path("/proc/%s/comm" % pid).read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if not any(name.startswith(p[:15]) for p in ALL_PROGRAMS):
            continue
        mine = any(_below(path, folders) for path in _links(pid))
        (found if mine else others)[int(pid)] = name
    found.update({pid: name for pid, name in others.items()
                  if _parent(pid) in found and not _is_look(pid)})
    return {pid: command_of(pid) or name for pid, name in found.items()
            if any(name.startswith(p[:15]) for p in programs)}


def stray_networks():
    """As processes, of each passt of ours whose monitor is no more. Nothing about it tells of what
    state that was. It ends when it reads that the monitor has gone, which is waited for."""
    found = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        command = command_of(pid)
        if "passt" in command and CARD in command \
                and "banger-vmm" not in command_of(_parent(pid)) and not wait_for_end(pid, END_SECONDS):
            found[pid] = command
    return found


def wait_for_end(pid, seconds):
    """True once the process has ended, also if it is not our child."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], seconds)[0])
    finally:
        os.close(fd)


def status_kib(pid, field):
    """A size of proc_pid_status(5), as VmRSS or VmHWM; a plain number for what is none."""
    for line in Path("/proc/%d/status" % pid).read_text(encoding="utf-8").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise KeyError(field)


def mounts(folders):
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    points = [line.split(" ")[4] for line in lines if any(_below(f, folders) for f in line.split())]
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            path = backing.read_text(encoding="utf-8").strip()
        except OSError:
            continue
        if _below(path, folders):
            points.append("%s on %s" % (path, backing.parts[3]))
    return points


def sockets(folders):
    """Names of unix sockets that are bound below @folders."""
    rows = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]
    fields = (row.split(None, 7) for row in rows)
    return sorted({f[7] for f in fields if len(f) == 8 and _below(f[7], folders)})


def files(state, runtime):
    """Files and folders below that belong to an object: all but an empty service's own."""
    found = []
    for top, own in ((Path(state), STATE_FILES), (Path(runtime), {"lock"})):
        for folder, folders, names in os.walk(top):
            here = Path(folder)
            # images, kernels and vms are empty folders; what is in them belongs to an object.
            found += [str(here / n) for n in names if not (here == top and n in own)]
            found += [str(here / n) for n in folders if here != top]
    return found


def rows(state):
    """Rows of objects and intents in the store: {table: n}, tables without any left out."""
    path = Path(state) / "state.db"
    if not path.exists():
        return {}
    # immutable would not see the log; a plain read does, and needs write access for its index.
    with sqlite3.connect(path, timeout=10) as db:
        tables = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        counts = {t: db.execute('SELECT count(*) FROM "%s"' % t).fetchone()[0]
                  for t in tables if t in ("vms", "images", "kernels", "intents")}
    return {t: n for t, n in counts.items() if n}


def count(state, runtime, *more):
    """All of the above, as {what: [names]}; empty lists left out."""
    folders = [os.path.realpath(p) for p in (state, runtime)]
    running = processes(folders + [os.path.realpath(m) for m in more])
    found = {
        "processes": ["%d %s" % p for p in {**running, **stray_networks()}.items()],
        "mounts": mounts(folders),
        "sockets": sockets(folders),
        "files": files(state, runtime),
        "rows": ["%s: %d" % r for r in rows(state).items()],
    }
    return {what: names for what, names in found.items() if names}
