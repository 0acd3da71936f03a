"""What is raised."""

import builtins
import json
import os
import subprocess
from typing import Any, Dict, List, Optional


class SecludeError(OSError):
    """A container that could not be had, or an end that is not known; the step that failed, and why.

    It is also the builtin exception of its error number, so that ``except FileNotFoundError`` holds as with :mod:`subprocess`.
    """

    #: What kind of failure it was: "invalid", "not-found", "not-executable", "refused", "lost", "deadline", "cancelled".
    code: str
    #: The step that failed, such as "mount".
    step: str
    #: Which half of the start failed: "plan", "parent" or "child".
    side: str
    #: What the step was about to do.
    action: str
    #: The system call that was refused.
    syscall: Optional[str]
    #: What to do about it.
    hint: Optional[str]
    #: The limit that it is about, if it is about one.
    limit: Optional[str]
    #: What could not be undone.
    left_behind: List[str]
    #: The part of the request that it is about, as the caller wrote it: "container.limits.memory_max", "memory".
    field: Optional[str]
    #: What can be done, as data: {"set": "container.dns", "value": "none"}, {"leave": …} or {"host": "modprobe tun"}.
    remedies: List[Dict[str, Any]]

    _facts: Dict[str, Any]

    def __str__(self) -> str:
        return str(self._facts["message"])

    def __reduce__(self) -> Any:
        return _failure, (self._facts,)


class InvalidRequestError(SecludeError, ValueError):
    """A request that contradicts itself or has a value out of range, which only the whole of it could tell."""


def _classes() -> Dict[type, type]:
    """For each builtin exception of an error number one of ours that is both."""
    made: Dict[type, type] = {}
    for base in vars(builtins).values():
        if isinstance(base, type) and issubclass(base, OSError) and base is not OSError and base.__module__ == "builtins":
            # The rest of its name says what it is.
            name = "Seclude" + base.__name__
            made[base] = type(name, (SecludeError, base), {"__module__": __name__, "__doc__": base.__doc__})
    return made


_OF_ERRNO = _classes()


def _failure(facts: Dict[str, Any]) -> SecludeError:
    """The exception that the native module raises."""
    number, path = facts["errno"], facts["path"]
    if facts["code"] == "invalid":
        error: SecludeError = InvalidRequestError(facts["message"])
    elif number is None:
        error = SecludeError(facts["message"])
    else:
        strerror = os.strerror(number)
        made = _OF_ERRNO.get(type(OSError(number, strerror)), SecludeError)
        filename = None if path is None else os.fsdecode(path)
        error = made(number, strerror) if filename is None else made(number, strerror, filename)
    error._facts = facts
    error.remedies = json.loads(facts["remedies"])
    for name in ("code", "step", "side", "action", "syscall", "hint", "limit", "left_behind", "field"):
        setattr(error, name, facts[name])
    return error


class CalledProcessError(subprocess.CalledProcessError):
    """The command has failed, and it was asked to be checked."""

    #: How it ended, why, and what it has used.
    report: Optional[Dict[str, Any]] = None


class TimeoutExpired(subprocess.TimeoutExpired):
    """The time was over; of a ``run``, everything in the container was killed then."""

    #: How it ended, why, and what it has used; ``None`` if it runs yet, or never did.
    report: Optional[Dict[str, Any]] = None
