# SPDX-License-Identifier: LGPL-2.1-or-later
"""bangerd with one VM and with five hundred: memory, lists, properties, new records."""

from gates import spread
from measure import Bench, cpu_of, median

VMS = 500
ENDS = 20  # creations at either end that are compared, made one after another
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


def measure(report):
    with Bench() as session:
        first = [n for (n,) in session.client("create", 0, 1, 1)]
        report.gate("bangerd, idle, one VM: resident", session.resident(session.service_pid()),
                    "MiB", most=15)
        rates(session, report, "one VM")
        lists(session, report, None)
        first += [n for (n,) in session.client("create", 1, ENDS, 1)]
        middle = session.client("create", ENDS + 1, VMS - 2 * ENDS - 1, AT_ONCE)
        last = [n for (n,) in session.client("create", VMS - ENDS, ENDS, 1)]
        report.note("creations, ms, %d at once" % AT_ONCE, [n for (n,) in middle],
                    spread([n for (n,) in middle]))
        # The very first also starts what bangerd needs once.
        report.note("first creations, ms", first, spread(first[1:]))
        report.note("last creations, ms", last, spread(last))
        report.gate("creating VM %d to creating the first" % VMS, median(last) / median(first[1:]),
                    "x", most=1.2, note="medians of %d each" % ENDS)
        report.gate("bangerd, %d VMs: resident" % VMS, session.resident(session.service_pid()),
                    "MiB", most=30)
        lists(session, report, 60)
        rates(session, report, "%d VMs" % VMS)
