# SPDX-License-Identifier: LGPL-2.1-or-later
"""bangerd with one VM and with five hundred: memory, lists, properties, new records."""

from gates import spread
from measure import Bench, cpu_of, median

VMS = 500
ENDS = 20  # creations at either end that are compared
AT_ONCE = 4
LISTS = 7
# The rates are taken in rounds of both, one after the other, so that a busy host slows both down.
ROUNDS, CALLS = 40, 250


def rates(session, report, when):
    """Over calls one at a time, as clients make them, and many in flight, as a busy bus sees them."""
    path, rounds = session.vm_path("bench-0"), {}
    for in_flight in (1, 50):
        label = "%s, %s" % (when, "one at a time" if in_flight == 1 else "50 in flight")
        rounds[in_flight] = session.client("rate", path, ROUNDS, CALLS, in_flight)
        for index, what in enumerate(("Ping", "GetAll")):
            took = median([r[index] for r in rounds[in_flight]])
            report.note("%s a second, %s" % (what, label), CALLS * 1e6 / took,
                        "%.0f" % (CALLS * 1e6 / took))
        ratios = [ping / get_all for ping, get_all in rounds[in_flight]]
        report.note("GetAll to Ping, %s" % label, ratios, spread(ratios))
    ratios = [(one[0] + many[0]) / (one[1] + many[1]) for one, many in zip(rounds[1], rounds[50])]
    report.gate("GetAll to Ping, %s" % when, median(ratios), "x", least=0.6,
                note="%s; as many calls one at a time as 50 in flight" % spread(ratios))


def lists(session, report, most):
    """CPU of the command line and, beside it, of bangerd."""
    service, before = session.service_pid(), session.cpu_seconds(session.service_pid())
    taken = [cpu_of(session, "banger", "vm", "list") for _ in range(LISTS)]
    own = 1000 * (session.cpu_seconds(service) - before) / LISTS
    count = len(session.json("vm", "list")["vms"])
    report.note("vm list of %d: ms of bangerd's CPU" % count, own, "%.1f" % own)
    if most:
        report.gate("vm list of %d VMs: CPU of the command line" % count, median(taken), "ms",
                    most=most, note=spread(taken))


def drop_jobs(session):
    """They stay for a minute, and a list of all objects has them too; a new service has none."""
    session.kill(session.service_pid())
    if session.banger("job", "list", "-q").stdout:
        raise AssertionError("there are jobs after a new start")


def creations(session, report):
    """The last ones in turn with the first ones of a service that has none: a host that is busy now
    and then is so for both."""
    pairs = []
    with Bench() as other:
        other.client("create", 0, 1, 1)  # also starts what bangerd needs once
        for number in range(ENDS):
            first = other.client("create", 1 + number, 1, 1)[0][0]
            pairs.append((session.client("create", VMS - ENDS + number, 1, 1)[0][0], first))
    for index, name in enumerate(("last", "first")):
        taken = [pair[index] for pair in pairs]
        report.note("%s creations, ms" % name, taken, spread(taken))
    ratios = [last / first for last, first in pairs]
    report.gate("creating VM %d to creating the first" % VMS, median(ratios), "x", most=1.2,
                note=spread(ratios))


def measure(report):
    with Bench() as session:
        session.client("create", 0, 1, 1)
        report.gate("bangerd, idle, one VM: resident", session.resident(session.service_pid()),
                    "MiB", most=15)
        rates(session, report, "one VM")
        lists(session, report, None)
        middle = [n for (n,) in session.client("create", 1, VMS - ENDS - 1, AT_ONCE)]
        report.note("creations, ms, %d at once" % AT_ONCE, middle, spread(middle))
        creations(session, report)
        report.gate("bangerd, %d VMs: resident" % VMS, session.resident(session.service_pid()),
                    "MiB", most=30)
        rates(session, report, "%d VMs" % VMS)
        drop_jobs(session)
        lists(session, report, 60)
