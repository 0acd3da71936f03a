"""Runs CPython's own tests of subprocess and of asyncio's subprocesses with seclude in their place.

    python3 shim.py bare test.test_subprocess
    python3 shim.py sandbox test.test_asyncio.test_subprocess

With "bare" the processes have no container, with "sandbox" that of the preset. What deviates is listed in expected.py, with the reason; anything else that fails
is a failure, and so is what passes though it is listed.
"""

import asyncio
import importlib
import subprocess
import sys
import unittest
import warnings

import seclude
from expected import EITHER, EXPECTED, SANDBOXED

ORIGINAL = subprocess.Popen
#: What every process is born in, as the arguments say; it goes on when its parent has ended.
CONTAINER = {"die_with_parent": False}


class Popen(seclude.Popen):
    """subprocess.Popen in seclude's clothes."""

    def __init__(self, *args, **options):
        options.setdefault("container", CONTAINER)
        super().__init__(*args, **options)


def contained(create):
    def create_contained(*args, **options):
        return create(*args, container=CONTAINER, **options)

    return create_contained


def replace():
    subprocess.Popen = Popen
    for name in ("create_subprocess_exec", "create_subprocess_shell"):
        made = contained(getattr(seclude, name))
        setattr(asyncio, name, made)
        setattr(asyncio.subprocess, name, made)


class Result(unittest.TextTestResult):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.passed = []

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed.append(test.id())


def name_of(test):
    """Class and method, of a test or of one of its subtests."""
    return ".".join(getattr(test, "test_case", test).id().split(".")[-2:])


def main():
    preset, module_name, *chosen = sys.argv[1:]
    CONTAINER["preset"] = preset
    replace()
    module = importlib.import_module(module_name)
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(chosen, module) if chosen else loader.loadTestsFromModule(module)
    runner = unittest.TextTestRunner(resultclass=Result, verbosity=1)
    with warnings.catch_warnings():
        result = runner.run(suite)
    expected = dict(EXPECTED.get(module_name, {}))
    if preset == "sandbox":
        expected.update(SANDBOXED.get(module_name, {}))
    failed = {name_of(test) for test, _ in result.failures + result.errors}
    passed = {".".join(name.split(".")[-2:]) for name in result.passed} - failed
    unexpected = sorted(failed - set(expected) - EITHER)
    recovered = sorted(name for name in expected if name in passed)
    print(
        f"{module_name} ({preset}): {len(passed)} passed, {len(result.skipped)} skipped, "
        f"{len(failed) - len(unexpected)} deviate as listed, {len(unexpected)} do not as they should"
    )
    for name in unexpected:
        print(f"  fails: {name}")
    for name in recovered:
        print(f"  is listed, but passes: {name}")
    return 1 if unexpected or recovered else 0


if __name__ == "__main__":
    sys.exit(main())
