"""What the tests share."""

import gc
import os
import socket
import sys
import time
import unittest

import seclude

ROOT = os.geteuid() == 0
#: As the child of a test runs Python of the host's, which the sandbox shows.
PYTHON = sys.executable


def limits_work():
    """Whether a container can have a cgroup of its own here: as root, or in a delegated one."""
    try:
        return seclude.run(["true"], pids=64).returncode == 0
    except seclude.SecludeError:
        return False


needs_cgroup = unittest.skipUnless(limits_work(), "no cgroup can be made here")


def open_descriptors():
    # What other tests have left to be collected.
    gc.collect()
    return sorted(name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}"))


def descendants():
    """The pids of what this process has started, and has not reaped."""
    with open("/proc/thread-self/children") as children:
        return children.read().split()


def out(args, **options):
    """What a command in a container says."""
    return seclude.run(args, capture_output=True, text=True, check=True, **options).stdout


def full_connection():
    """Two ends of one; the second is full. What is relayed to it waits for its reader when the command has ended."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    held = 0
    try:
        while True:
            held += theirs.send(bytes(4096))
    except BlockingIOError:
        theirs.setblocking(True)
    return ours, theirs, held


def eventually(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
