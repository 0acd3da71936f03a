"""``run`` and ``Popen``."""

import errno
import inspect
import io
import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Any, Dict, Iterable, List, Optional, Sequence, Type, Union

from . import _native
from ._container import keywords, read
from ._errors import CalledProcessError, SecludeError, TimeoutExpired
from ._exchange import Exchange, Reader

if TYPE_CHECKING:
    from ._container import AnyContainer, AnyMount, AnyNetwork, StrOrBytesPath

__all__ = ["CompletedProcess", "Popen", "run"]

# The names of what subprocess hands to the one method of its own that starts something. They differ from version to version.
_PARAMETERS = tuple(inspect.signature(subprocess.Popen._execute_child).parameters)[1:]  # type: ignore[attr-defined]
# What Python ignores for itself, of which subprocess gives each command the default again. (Signal N is bit N-1.)
_RESTORED = 1 << (signal.SIGPIPE - 1) | 1 << (signal.SIGXFSZ - 1)
# The longest that poll(2) waits at a time, in milliseconds.
_LONG = 1_000_000_000
# How often somebody who was killed is looked for, in milliseconds.
_SOON = 20


class CompletedProcess(subprocess.CompletedProcess):  # type: ignore[type-arg]
    """A process that has run to its end."""

    #: How it ended, why, and what it has used; docs/report.schema.json.
    report: Dict[str, Any]

    def __init__(self, args: Any, returncode: int, stdout: Any = None, stderr: Any = None, report: Any = None) -> None:
        super().__init__(args, returncode, stdout, stderr)
        self.report = report

    def check_returncode(self) -> None:
        if self.returncode:
            error = CalledProcessError(self.returncode, self.args, self.stdout, self.stderr)
            error.report = self.report
            raise error


class Popen(subprocess.Popen):  # type: ignore[type-arg]
    """``subprocess.Popen``, but the process is born in a container.

    ``pid`` is that of the container's first process: with an init that is the init, and the command is its child.
    """

    #: Our end of its terminal, if the container has one. ``communicate`` reads it, and answers it as stdout where nothing else is.
    terminal: Optional[IO[bytes]] = None

    _process: Optional[_native.Process] = None
    _report: Optional[str] = None
    # When it is killed for its deadline, as time.monotonic() has it.
    _ends: Optional[float] = None
    _exchange: Optional[Exchange] = None

    def __init__(
        self,
        args: "Union[StrOrBytesPath, Sequence[StrOrBytesPath]]",
        bufsize: int = -1,
        executable: "Optional[StrOrBytesPath]" = None,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        preexec_fn: None = None,
        close_fds: bool = True,
        shell: bool = False,
        cwd: "Optional[StrOrBytesPath]" = None,
        env: Any = None,
        universal_newlines: Optional[bool] = None,
        startupinfo: None = None,
        creationflags: int = 0,
        restore_signals: bool = True,
        start_new_session: bool = False,
        pass_fds: Sequence[int] = (),
        *,
        container: "Optional[AnyContainer]" = None,
        preset: Optional[str] = None,
        memory: Union[int, str, None] = None,
        cpus: Optional[float] = None,
        pids: Optional[int] = None,
        network: "Optional[AnyNetwork]" = None,
        mounts: "Optional[Iterable[AnyMount]]" = None,
        encoding: Optional[str] = None,
        errors: Optional[str] = None,
        text: Optional[bool] = None,
        user: Union[str, int, None] = None,
        group: Union[str, int, None] = None,
        extra_groups: Optional[Iterable[Union[str, int]]] = None,
        umask: int = -1,
        _timeout: Optional[float] = None,
        **further: Any,
    ) -> None:
        if preexec_fn is not None:
            raise ValueError("preexec_fn is not supported: nothing of Python runs in the child")
        if further.get("process_group") not in (None, -1):
            raise ValueError("process_group is not supported; start_new_session gives it a group of its own")
        self._container = read(container)
        self._keywords = keywords(preset, memory, cpus, pids, network, mounts)
        self._timeout = _timeout
        super().__init__(
            args,
            bufsize,
            executable,
            stdin,
            stdout,
            stderr,
            None,
            close_fds,
            shell,
            cwd,
            env,
            universal_newlines,
            startupinfo,
            creationflags,
            restore_signals,
            start_new_session,
            pass_fds,
            encoding=encoding,
            errors=errors,
            text=text,
            user=user,
            group=group,
            extra_groups=extra_groups,
            umask=umask,
            **further,
        )
        self.stdout, self.stderr = _given_back(self.stdout), _given_back(self.stderr)

    # The start, which subprocess's own __init__ calls when it has made the pipes.
    def _execute_child(self, *values: Any) -> None:
        given = dict(zip(_PARAMETERS, values))
        try:
            self._start(given)
            self._child_created = True
        finally:
            # The child's ends, as subprocess closes them.
            devnull = getattr(self, "_devnull", None)
            for ours, theirs in (("p2cwrite", "p2cread"), ("c2pread", "c2pwrite"), ("errread", "errwrite")):
                if given[ours] != -1 and given[theirs] not in (-1, devnull):
                    os.close(given[theirs])
            if devnull is not None:
                os.close(devnull)
            self._closed_child_pipe_fds = True

    def _start(self, given: Dict[str, Any]) -> None:
        args, executable, shell = given["args"], given["executable"], given["shell"]
        if isinstance(args, (str, bytes)):
            args = [args]
        elif isinstance(args, os.PathLike):
            if shell:
                raise TypeError("path-like args is not allowed when shell is true")
            args = [args]
        else:
            args = list(args)
        if shell:
            args = ["/bin/sh", "-c", *args]
            if executable:
                args[0] = executable
        if executable is None:
            executable = args[0]
        env, cwd = given["env"], given["cwd"]
        if cwd is not None and not os.fspath(cwd):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fsdecode(cwd))
        sys.audit("subprocess.Popen", executable, args, cwd, env)
        words = [os.fsencode(word) for word in args]
        program = os.fsencode(executable)
        groups = given.get("gids")
        launch = {
            "arg0": words[0] if words[0] != program else None,
            "cwd": None if cwd is None else os.fsdecode(cwd),
            "env": None if env is None else [_variable(name, value) for name, value in env.items()],
            "stdio": [given["p2cread"], given["c2pwrite"], given["errwrite"]],
            "fds": _further(given["pass_fds"], given["close_fds"]),
            "new_session": bool(given["start_new_session"]),
            "reset": _RESTORED if given["restore_signals"] else 0,
            "umask": given["umask"] if given["umask"] >= 0 else None,
            "uid": _id(given["uid"]),
            "gid": _id(given["gid"]),
            "groups": None if groups is None else [_id(group, ValueError) for group in groups],
            "timeout": self._timeout,
        }
        self._process = process = _native.spawn([program, *words[1:]], self._container, self._keywords, launch)
        self.pid = process.pid
        left = process.time_left()
        if left is not None:
            self._ends = time.monotonic() + left
        terminal = process.take_terminal()
        if terminal is not None:
            self.terminal = open(terminal, "r+b", buffering=0)

    def _reap(self) -> None:
        """Takes its end, if it has ended; whoever calls holds the lock."""
        assert self._process is not None
        ended = self._process.poll()
        if ended is not None:
            code, killer, self._report = ended
            self.returncode = code if code is not None else -(killer or 0)

    def _internal_poll(self, _deadstate: Optional[int] = None, *_: Any, **__: Any) -> Optional[int]:
        if self.returncode is None and self._waitpid_lock.acquire(False):  # type: ignore[attr-defined]
            try:
                if self.returncode is None:
                    self._reap()
            except OSError:
                if _deadstate is None:
                    raise
                self.returncode = _deadstate
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode

    def _wait(self, timeout: Optional[float]) -> int:
        end = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            assert self._process is not None
            waits = [self._process.time_left()]
            if end is not None:
                waits.append(end - time.monotonic())
            self._look(min((max(left, 0) for left in waits if left is not None), default=None))
            with self._waitpid_lock:  # type: ignore[attr-defined]
                if self.returncode is None:
                    self._reap()
            if self.returncode is None and end is not None and end <= time.monotonic():
                assert timeout is not None
                raise TimeoutExpired(self.args, timeout)
        return self.returncode

    def _look(self, seconds: Optional[float]) -> None:
        """Waits for the end, or so long; handlers of signals run meanwhile."""
        assert self._process is not None
        milliseconds = _LONG if seconds is None else _milliseconds(seconds)
        try:
            watch = self._process.watch()
        except ChildProcessError:
            raise
        except OSError:
            # No descriptor is left for it.
            time.sleep(min(milliseconds, 20) / 1000)
            return
        if watch is None:
            return
        try:
            poller = select.poll()
            poller.register(watch, select.POLLIN)
            poller.poll(milliseconds)
        finally:
            os.close(watch)

    def communicate(self, input: Any = None, timeout: Optional[float] = None) -> Any:
        # Where it knows of no time subprocess blocks in a read, and somebody has to keep the deadline, and to read the terminal.
        is_needed = self._ends is not None or self.terminal is not None
        limit = math.inf if timeout is None and is_needed else timeout
        try:
            return super().communicate(input, limit)
        except subprocess.TimeoutExpired:
            assert timeout is not None
            raise self._expired(timeout) from None

    def _communicate(self, input: Any, endtime: Optional[float], orig_timeout: Optional[float]) -> Any:
        if self._exchange is None:
            if isinstance(input, str) and isinstance(self.stdin, io.TextIOWrapper):
                input = input.encode(self.stdin.encoding, self.stdin.errors or "strict")
            self._exchange = Exchange(self.stdin, [self.stdout, self.stderr, self.terminal], input)
        with self._exchange.without_blocking():
            self._carry(self._exchange, endtime, orig_timeout)
        self.wait(timeout=self._remaining_time(endtime))  # type: ignore[attr-defined]
        try:
            stdout, stderr = self._exchange.whole(self.stdout), self._exchange.whole(self.stderr)
            return self._typed(self._exchange) if self.stdout is None else stdout, stderr
        except UnicodeDecodeError:
            for stream in (self.stdout, self.stderr):
                if stream is not None:
                    stream.close()
            raise

    def _typed(self, exchange: Exchange) -> Any:
        """What it has said at its terminal, which is its stdout where nothing else is."""
        said = exchange.said(self.terminal)
        if said is None or not self.text_mode:  # type: ignore[attr-defined]
            return said
        encoding, errors = self.encoding, self.errors  # type: ignore[attr-defined]
        return io.TextIOWrapper(io.BytesIO(said), encoding=encoding, errors=errors).read()

    def _carry(self, exchange: Exchange, end: Optional[float], timeout: Optional[float]) -> None:
        """To the end of its pipes, or of the time."""
        exchange.begin()
        while exchange.goes_on():
            now = time.monotonic()
            if end is not None and end < now:
                raise TimeoutExpired(self.args, timeout or 0)
            is_late = self._ends is not None and self._ends <= now
            if is_late and self.poll() is not None and not self._running().timed:
                # Whoever else has its pipes may keep them for ever. What they held is read.
                exchange.step(0)
                return
            times = [_milliseconds(at - now) for at in (end, None if is_late else self._ends) if at is not None]
            exchange.step(min(times + [_SOON] * is_late, default=None))

    def _expired(self, timeout: float) -> TimeoutExpired:
        streams = (self.terminal if self.stdout is None else self.stdout, self.stderr)
        said = [None if self._exchange is None else self._exchange.said(stream) for stream in streams]
        raised = TimeoutExpired(self.args, timeout, output=said[0] or None, stderr=said[1] or None)
        raised.report = self.report
        return raised

    def send_signal(self, sig: int) -> None:
        """Sends a signal to the container's first process; an init hands it on to the command, those of job control (SIGSTOP and
        SIGCONT among them) to all of its process group, where the command leads one."""
        self.poll()
        if self.returncode is None and self._process is not None:
            self._process.signal(int(sig))

    def kill_tree(self) -> None:
        """Kills everything in the container, where it has a pid namespace or a cgroup of its own; else the process alone."""
        if self.returncode is None and self._process is not None:
            self._process.kill()

    def pause(self) -> None:
        """Stops every process of the container; it needs a cgroup of its own."""
        self._running().pause()

    def resume(self) -> None:
        """Lets them go on."""
        self._running().resume()

    def stats(self) -> Dict[str, Any]:
        """What the container uses now and has used so far; it needs a cgroup of its own."""
        stats: Dict[str, Any] = json.loads(self._running().stats())
        return stats

    def denials(self) -> List[Dict[str, Any]]:
        """What its filter of system calls has refused so far, as ``report["denials"]`` has it at the end."""
        denials: List[Dict[str, Any]] = json.loads(self._running().denials())
        return denials

    def _running(self) -> _native.Process:
        if self._process is None:
            raise ProcessLookupError("the process was not started")
        return self._process

    @property
    def report(self) -> Optional[Dict[str, Any]]:
        """How it ended, why, and what it has used, docs/report.schema.json; ``None`` until its end is known."""
        if self._report is None:
            return None
        report: Dict[str, Any] = json.loads(self._report)
        return report

    @property
    def made(self) -> Dict[str, Any]:
        """How it was made, and what that cost."""
        made: Dict[str, Any] = json.loads(self._running().made())
        return made

    def __exit__(self, *raised: Any) -> None:
        if self.terminal is not None:
            self.terminal.close()
        super().__exit__(*raised)


def _milliseconds(seconds: float) -> int:
    """As poll(2) takes them."""
    return math.ceil(min(max(seconds, 0) * 1000, _LONG))


def _given_back(stream: Any) -> Any:
    """A text stream that can be given back what was read past it."""
    if not isinstance(stream, io.TextIOWrapper) or type(stream.buffer) is not io.BufferedReader:
        return stream
    encoding, errors = stream.encoding, stream.errors
    return io.TextIOWrapper(Reader(stream.detach().detach()), encoding=encoding, errors=errors)


def _variable(name: Any, value: Any) -> Any:
    name, value = os.fsencode(name), os.fsencode(value)
    if not name or b"=" in name:
        raise ValueError("illegal environment variable name")
    if b"\0" in name or b"\0" in value:
        raise ValueError("embedded null byte")
    return name, value


def _id(number: Optional[int], wrong: Type[Exception] = OverflowError) -> Optional[int]:
    if number is not None and number > 0xFFFFFFFE:
        raise wrong(f"{number} is no id")
    return number


def _further(pass_fds: Iterable[Any], close_fds: bool) -> List[int]:
    """The descriptors above 2 that were asked for."""
    fds = {int(fd) for fd in pass_fds}
    if any(fd < 0 for fd in fds):
        raise ValueError("bad value(s) in fds_to_keep")
    if not close_fds:
        for name in os.listdir("/proc/self/fd"):
            try:
                if os.get_inheritable(int(name)):
                    fds.add(int(name))
            except OSError:
                # The one that has read the directory.
                pass
    return sorted(fd for fd in fds if fd > 2)


def run(
    args: "Union[StrOrBytesPath, Sequence[StrOrBytesPath]]",
    *,
    container: "Optional[AnyContainer]" = None,
    preset: Optional[str] = None,
    timeout: Optional[float] = None,
    memory: Union[int, str, None] = None,
    cpus: Optional[float] = None,
    pids: Optional[int] = None,
    network: "Optional[AnyNetwork]" = None,
    mounts: "Optional[Iterable[AnyMount]]" = None,
    input: Any = None,
    capture_output: bool = False,
    check: bool = False,
    **options: Any,
) -> CompletedProcess:
    """Runs a command in a container to its end; the other keywords are those of :class:`Popen`.

    ``timeout`` holds for the start as well; when it is over, everything in the container is killed.
    """
    if input is not None:
        if options.get("stdin") is not None:
            raise ValueError("stdin and input arguments may not both be used.")
        options["stdin"] = subprocess.PIPE
    if capture_output:
        if options.get("stdout") is not None or options.get("stderr") is not None:
            raise ValueError("stdout and stderr arguments may not be used with capture_output.")
        options["stdout"] = options["stderr"] = subprocess.PIPE
    try:
        process = Popen(
            args,
            container=container,
            preset=preset,
            memory=memory,
            cpus=cpus,
            pids=pids,
            network=network,
            mounts=mounts,
            _timeout=timeout,
            **options,
        )
    except SecludeError as error:
        if timeout is not None and error.code == "deadline" and error.field == "timeout":
            raise TimeoutExpired(args, timeout) from error
        raise
    with process:
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except subprocess.TimeoutExpired:
            assert timeout is not None
            # Its deadline has passed, and it is killed for that.
            process.poll()
            process.kill_tree()
            process.wait()
            raise process._expired(timeout) from None
        except BaseException:
            process.kill_tree()
            raise
        report = process.report or {}
        if timeout is not None and process._running().timed and report.get("cause") == "deadline":
            raise process._expired(timeout)
    done = CompletedProcess(process.args, process.returncode, stdout, stderr, report)
    if check:
        done.check_returncode()
    return done
