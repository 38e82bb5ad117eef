# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a benchmark says: numbers, and limits that some of them must keep."""

import json
import statistics


class BaselineMissing(Exception):
    """What a number is compared with cannot be measured, so nothing can be said."""


class Gate:
    def __init__(self, name, value, unit, most=None, least=None, goal=None, note=""):
        self.name, self.value, self.unit = name, value, unit
        self.most, self.least, self.goal, self.note = most, least, goal, note

    @property
    def held(self):
        return (self.most is None or self.value <= self.most) \
            and (self.least is None or self.value >= self.least)

    def line(self):
        """For people."""
        limit = "at most %g" % self.most if self.most is not None else "at least %g" % self.least
        goal = ", goal %g" % self.goal if self.goal is not None else ""
        return "%s %s: %.4g %s (%s%s)%s" % (
            "held  " if self.held else "BROKEN", self.name, self.value, self.unit, limit, goal,
            "; " + self.note if self.note else "")

    def facts(self):
        facts = {"value": self.value, "unit": self.unit, "most": self.most, "least": self.least,
                 "goal": self.goal, "held": self.held, "note": self.note}
        return {key: value for key, value in facts.items() if value not in (None, "")}


class Report:
    """Gates of one measurement, and the numbers behind them."""

    def __init__(self):
        self.gates, self.numbers = [], {}

    def gate(self, *arguments, **more):
        gate = Gate(*arguments, **more)
        self.gates.append(gate)
        print("  " + gate.line(), flush=True)

    def note(self, name, value, text=""):
        """A number that no gate is about."""
        self.numbers[name] = value
        if text:
            print("  %s: %s" % (name, text), flush=True)

    @property
    def held(self):
        return bool(self.gates) and all(gate.held for gate in self.gates)


def write(path, reports):
    """Machine-readable; @reports: {measurement: [Report of each time it was made]}."""
    path.parent.mkdir(exist_ok=True)
    document = {"schema": 1, "measurements": {
        name: [{"gates": {g.name: g.facts() for g in report.gates}, "numbers": report.numbers}
               for report in made] for name, made in reports.items()}}
    path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def spread(values):
    """Median and range, for people."""
    return "median %.4g (%.4g to %.4g of %d)" % (
        statistics.median(values), min(values), max(values), len(values))
