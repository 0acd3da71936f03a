"""Processes born inside Linux containers, in the shape of :mod:`subprocess`.

    >>> import seclude
    >>> seclude.run(["id", "-u"], capture_output=True, text=True).stdout
    '0\\n'

``run``, ``Popen`` and ``create_subprocess_exec`` are what they are in :mod:`subprocess` and :mod:`asyncio`, but that the process is
born in a container: the sandbox, unless ``container=`` or ``preset=`` says otherwise. One that cannot be had is an error, never a
plain process.
"""

from subprocess import DEVNULL, PIPE, STDOUT

from . import types
from ._asyncio import Process, create_subprocess_exec, create_subprocess_shell
from ._container import Explanation, doctor, explain, load
from ._errors import CalledProcessError, InvalidRequestError, SecludeError, TimeoutExpired
from ._process import CompletedProcess, Popen, run

__all__ = [
    "DEVNULL",
    "PIPE",
    "STDOUT",
    "CalledProcessError",
    "CompletedProcess",
    "Explanation",
    "InvalidRequestError",
    "Popen",
    "Process",
    "SecludeError",
    "TimeoutExpired",
    "create_subprocess_exec",
    "create_subprocess_shell",
    "doctor",
    "explain",
    "load",
    "run",
    "types",
]
