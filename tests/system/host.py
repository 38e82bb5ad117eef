#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Boots the host of machine.py with banger's installed tree, runs inside.py there and gives its TAP.

host.py TREE OUT: TREE is what `meson install --destdir TREE` of a build with --prefix /usr made; OUT
gets the host's journal, its console and what the tests wrote. Status 77: it cannot be done here."""

import json
import re
import shutil
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))

import fixtures
import machine

SECONDS = 900  # five times what it takes on two idle processors
TAIL = 15


def read(path):
    return path.read_text(errors="replace") if path.exists() else ""


def judge(tap, result, in_time):
    """Why the tests that ran cannot be trusted to be all, or None. Off is not done: only a whole TAP
    and the service's own result say so."""
    cases = re.findall(r"^(not )?ok\b", tap, re.MULTILINE)
    plan = re.search(r"^1\.\.(\d+)$", tap, re.MULTILINE)
    if not in_time:
        return "it was not off after %d s" % SECONDS
    if not cases or not plan or int(plan.group(1)) != len(cases):
        return "the tests did not come to their end (%s)" % (result or "no result")
    if result != ("exit-code exited 1" if any(cases) else "success exited 0"):
        return "the tests ended with: %s" % (result or "no result")
    return None


def report(out, in_time):
    """Prints the TAP from inside, and one failure more where it is not whole. True if all is well."""
    tap = read(out / "tap")
    reason = judge(tap, read(out / "result").strip(), in_time)
    if reason:
        # A plan that does not hold would hide what is missing.
        tap = re.sub(r"^1\.\..*\n", "", tap, flags=re.MULTILINE)
        number = 1 + len(re.findall(r"^(?:not )?ok\b", tap, re.MULTILINE))
        tap = "%s\nnot ok %d the-host-itself\n# %s\n" % (tap.rstrip("\n"), number, reason)
        for name in ("errors", "serial", "serial.errors", "journal"):
            tap += "".join("# %s: %s\n" % (name, line) for line in read(out / name).splitlines()[-TAIL:])
        tap += "1..%d\n" % number
    print(tap, end="")
    return not reason and "\nnot ok" not in tap


def main():
    tree, out = (Path(argument).resolve() for argument in sys.argv[1:])
    why = machine.missing()
    if why:
        print(why)
        return 77
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    files = {"debian": fixtures.debian_tar(), "tiny": fixtures.busybox_tar(),
             "kernel": fixtures.kernel_deb()}
    (out / "files.json").write_text(json.dumps(
        {key: "/mnt/cache/" + path.name for key, path in files.items()}), encoding="utf-8")
    in_time = machine.boot({"tests": TESTS, "root": tree, "cache": fixtures.CACHE, "out": out},
                           out / "serial", SECONDS)
    return 0 if report(out, in_time) else 1


if __name__ == "__main__":
    sys.exit(main())
