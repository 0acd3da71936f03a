"""What a contained process costs beside subprocess.run, from a process with a heap: `cargo xtask python --bench`."""

import os
import statistics
import subprocess
import sys
import time

import seclude

COMMAND = ["/bin/true"]
TURNS = 200


def fork():
    """As subprocess did without vfork: preexec_fn makes it fork."""
    subprocess.run(COMMAND, preexec_fn=int)


def vfork():
    # It vforks unless it changes ids or has a preexec_fn; where it finds no vfork it forks.
    subprocess.run(COMMAND)


def sandbox():
    seclude.run(COMMAND)


def bare():
    seclude.run(COMMAND, preset="bare")


def explain():
    seclude.explain(COMMAND)


def median(call, turns):
    for _ in range(5):
        call()
    times = []
    for _ in range(turns):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main():
    heap = bytearray(512 << 20)
    # Every page is touched, so that a fork has to copy the tables of all.
    for page in range(0, len(heap), 4096):
        heap[page] = 1
    print(f"Python {sys.version.split()[0]}, Linux {os.uname().release}, a heap of 512 MiB, median of {TURNS}")
    times = {call.__name__: median(call, TURNS) for call in (vfork, fork, bare, sandbox, explain)}
    for name, seconds in times.items():
        print(f"{name:>8} {seconds * 1e3:8.3f} ms")
    print(f"sandbox: {times['sandbox'] / times['vfork']:.2f} times vfork, {times['sandbox'] / times['fork']:.2f} times fork")


if __name__ == "__main__":
    main()
