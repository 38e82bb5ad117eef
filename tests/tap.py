# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs a unittest file and writes TAP, so that each case counts: tap.py FILE [CASE…]"""

import importlib.util
import signal
import sys
import time
import traceback
import unittest
from pathlib import Path


class TapResult(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.count = 0
        self._failed_subtests = []

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        self._failed_subtests = []

    def _line(self, word, test, remark=""):
        self.count += 1
        print("%s %d %s%s" % (word, self.count, test.id(), remark))
        print("# %.1f s" % (time.monotonic() - self.started), flush=True)

    def _not_ok(self, test, error):
        if not hasattr(self, "started"):
            self.started = time.monotonic()
        self._line("not ok", test)
        for line in "".join(traceback.format_exception(*error)).splitlines():
            print("# " + line)
        sys.stdout.flush()

    def addSuccess(self, test):
        super().addSuccess(test)
        if not self._failed_subtests:
            self._line("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._not_ok(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._not_ok(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._failed_subtests.append(subtest)
            self._not_ok(subtest, err)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.started = getattr(self, "started", time.monotonic())
        self._line("ok", test, " # SKIP " + " ".join(reason.split()))


def main():
    # A shell that runs us in the background, or nohup, ignores these, and so would what is tested.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    path = Path(sys.argv[1]).resolve()
    sys.path[:0] = [str(path.parent), str(Path(__file__).resolve().parent)]
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    loader = unittest.TestLoader()
    if len(sys.argv) > 2:
        suite = loader.loadTestsFromNames(sys.argv[2:], module)
    else:
        suite = loader.loadTestsFromModule(module)
    print("TAP version 13")
    result = TapResult()
    suite.run(result)
    print("1..%d" % result.count)
    return 0 if result.wasSuccessful() and result.count else 1


if __name__ == "__main__":
    sys.exit(main())
