"""Runs one pytest file and says its results as TAP, for automake's TAP driver.

A skipped test is a failed test here: a test that cannot run because something is missing must not look fine.
"""
import os
import sys

import pytest


class Tap:
    def __init__(self, out):
        self.out = out
        self.count = 0
        self.broken = False

    def say(self, text):
        self.out.write(text + "\n")
        self.out.flush()

    def note(self, text):
        for line in str(text).splitlines():
            self.say("# " + line)

    def pytest_collectreport(self, report):
        if report.failed:
            self.broken = True
            self.note(report.longrepr)

    def pytest_collection_finish(self, session):
        if not self.broken:
            self.say(f"1..{len(session.items)}")

    def pytest_runtest_logreport(self, report):
        if report.when == "setup" and report.passed or report.when == "teardown" and report.passed:
            return
        name = report.nodeid.split("::", 1)[-1].replace("#", "")
        if report.when == "teardown":
            # Its test has been counted; the failure of its end still fails the file.
            self.note(f"teardown of {name} failed")
            self.note(report.longrepr)
            self.broken = True
            return
        self.count += 1
        if report.passed and not hasattr(report, "wasxfail"):
            self.say(f"ok {self.count} - {name} ({report.duration:.2f} s)")
            return
        self.say(f"not ok {self.count} - {name}")
        self.note(report.longrepr if report.longrepr else "expected to fail")
        for title, text in report.sections:
            self.note(f"---- {title}")
            self.note(text[-6000:])


def main():
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # pytest's own report; TAP is all that is wanted
    tap = Tap(out)
    result = pytest.main(["-q", "-p", "no:cacheprovider", "--tb=short"] + sys.argv[1:], plugins=[tap])
    if tap.broken or result not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        tap.say(f"Bail out! pytest ended with {int(result)}")
        return 1
    return 0  # a failed test has been said, and would be counted a second time


if __name__ == "__main__":
    sys.exit(main())
