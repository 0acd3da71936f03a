"""Contained processes in asyncio: the pidfd and the pipes are watched by the loop, and there is no thread a process."""

import asyncio
import os
import signal
from typing import Any, Dict, List, Optional, Tuple

from ._process import Popen

# As asyncio has it.
_LIMIT = 2**16
# Seconds after which a descriptor may be had that could not be.
_SOON = 0.02


class _Watch:
    """A descriptor that is closed in any case."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd != -1:
            os.close(fd)

    __del__ = close


class Process:
    """What ``asyncio.subprocess.Process`` is, of a process in a container."""

    #: The streams, where they are pipes.
    stdin: Optional[asyncio.StreamWriter]
    stdout: Optional[asyncio.StreamReader]
    stderr: Optional[asyncio.StreamReader]

    def __init__(self, popen: Popen, loop: asyncio.AbstractEventLoop) -> None:
        self._popen = popen
        self._loop = loop
        self.pid: int = popen.pid
        self.stdin = self.stdout = self.stderr = None
        self._waiters: List["asyncio.Future[None]"] = []
        # What nobody was told yet.
        self._failure: Optional[OSError] = None
        self._timer: Optional[asyncio.TimerHandle] = None
        self._again: Optional[asyncio.TimerHandle] = None
        self._watch: Optional[_Watch] = None
        self._begin_watch()
        self._keep_deadline()

    def _begin_watch(self) -> None:
        """In the stead of the watch that there is, which stays if there can be no other."""
        watch = self._popen._running().watch()
        self._end_watch()
        self._watch = None if watch is None else _Watch(watch)
        if self._watch is not None:
            self._loop.add_reader(self._watch.fd, self._look)

    def _end_watch(self) -> None:
        if self._watch is not None:
            self._loop.remove_reader(self._watch.fd)
            self._watch.close()
            self._watch = None

    def _keep_deadline(self) -> None:
        left = self._popen._running().time_left()
        if left is not None:
            self._timer = self._loop.call_later(left, self._look)

    def _look(self) -> None:
        """There is more to know than that it runs, or its deadline has passed."""
        try:
            if self._popen.poll() is not None:
                self._over()
                return
        except OSError as error:
            self._over(error)
            return
        if self._timer is None or self._timer.when() <= self._loop.time():
            self._keep_deadline()
        # It may have ended, and what it wrote wait for its reader: that is told by another descriptor.
        try:
            self._begin_watch()
        except OSError:
            # No descriptor is left for it. Meanwhile the one that there is would be told of over and over.
            if self._watch is not None:
                self._loop.remove_reader(self._watch.fd)
            self._again = self._loop.call_later(_SOON, self._look)

    def _over(self, failure: Optional[OSError] = None) -> None:
        for timer in (self._timer, self._again):
            if timer is not None:
                timer.cancel()
        self._timer = self._again = None
        self._end_watch()
        waiters = [waiter for waiter in self._waiters if not waiter.done()]
        self._waiters.clear()
        for waiter in waiters:
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(failure)
        if not waiters:
            self._failure = failure

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pid}>"

    @property
    def returncode(self) -> Optional[int]:
        return self._popen.returncode

    @property
    def report(self) -> Optional[Dict[str, Any]]:
        """How it ended, why, and what it has used; ``None`` until its end is known."""
        return self._popen.report

    @property
    def terminal(self) -> Any:
        """Our end of its terminal, if the container has one: a raw file."""
        return self._popen.terminal

    async def wait(self) -> int:
        """Waits for its end. What keeps that from being known is told once; who waits then looks again."""
        if self.returncode is None and self._watch is None:
            if self._failure is None:
                self._look()
            failure, self._failure = self._failure, None
            if failure is not None:
                raise failure
        if self.returncode is None:
            waiter: "asyncio.Future[None]" = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.returncode is not None or not self._popen._running().signal(int(sig)):
            raise ProcessLookupError()

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def kill_tree(self) -> None:
        """Kills everything in the container."""
        self._popen.kill_tree()

    def pause(self) -> None:
        self._popen.pause()

    def resume(self) -> None:
        self._popen.resume()

    def stats(self) -> Dict[str, Any]:
        return self._popen.stats()

    def denials(self) -> List[Dict[str, Any]]:
        return self._popen.denials()

    async def _feed(self, input: Optional[bytes]) -> None:
        assert self.stdin is not None
        try:
            if input is not None:
                self.stdin.write(input)
            await self.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            # As subprocess: whoever does not read it need not.
            pass
        self.stdin.close()

    async def communicate(self, input: Optional[bytes] = None) -> Tuple[Optional[bytes], Optional[bytes]]:
        """Writes ``input``, reads what it says, and waits for its end."""

        async def nothing() -> None:
            return None

        feed = self._feed(input) if self.stdin is not None else nothing()
        out = self.stdout.read() if self.stdout is not None else nothing()
        err = self.stderr.read() if self.stderr is not None else nothing()
        _, stdout, stderr, typed = await asyncio.gather(feed, out, err, self._read_terminal())
        await self.wait()
        return typed if self.stdout is None else stdout, stderr

    async def _read_terminal(self) -> Optional[bytes]:
        """What it says at its terminal, to the end of that: it would wait for who reads it."""
        terminal = self.terminal
        if terminal is None or terminal.closed:
            return None
        fd: int = terminal.fileno()
        said: List[bytes] = []
        over: "asyncio.Future[None]" = self._loop.create_future()

        def read() -> None:
            try:
                chunk = os.read(fd, _LIMIT)
            except BlockingIOError:
                return
            except OSError:
                # EIO: nobody has its other end open.
                chunk = b""
            if chunk:
                said.append(chunk)
            elif not over.done():
                over.set_result(None)

        os.set_blocking(fd, False)
        self._loop.add_reader(fd, read)
        try:
            await over
        finally:
            self._loop.remove_reader(fd)
        terminal.close()
        return b"".join(said)


async def create_subprocess_exec(
    program: Any,
    *args: Any,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = _LIMIT,
    **options: Any,
) -> Process:
    """Starts a command in a container; the keywords are those of :class:`seclude.Popen`, without text.

    The start itself is made on the loop's thread, as asyncio's own is.
    """
    for name in ("universal_newlines", "text", "encoding", "errors", "shell"):
        if options.get(name):
            raise ValueError(f"{name} is not supported: the streams are bytes")
        options.pop(name, None)
    if options.pop("bufsize", 0) != 0:
        raise ValueError("bufsize must be 0")
    return await _start((program, *args), False, stdin, stdout, stderr, limit, options)


async def create_subprocess_shell(
    cmd: Any,
    stdin: Any = None,
    stdout: Any = None,
    stderr: Any = None,
    limit: int = _LIMIT,
    **options: Any,
) -> Process:
    """The same of a line for the container's /bin/sh."""
    if not isinstance(cmd, (bytes, str)):
        raise ValueError("cmd must be a string")
    for name in ("universal_newlines", "text", "encoding", "errors"):
        if options.get(name):
            raise ValueError(f"{name} is not supported: the streams are bytes")
        options.pop(name, None)
    if options.pop("bufsize", 0) != 0:
        raise ValueError("bufsize must be 0")
    if not options.pop("shell", True):
        raise ValueError("shell must be True")
    return await _start(cmd, True, stdin, stdout, stderr, limit, options)


async def _start(
    args: Any, shell: bool, stdin: Any, stdout: Any, stderr: Any, limit: int, options: Dict[str, Any]
) -> Process:
    loop = asyncio.get_running_loop()
    popen = Popen(args, 0, stdin=stdin, stdout=stdout, stderr=stderr, shell=shell, **options)
    process = None
    try:
        process = Process(popen, loop)
        # Whoever cancels the task that starts it hears of that here, as from asyncio's own: once it is done, nobody could.
        await asyncio.sleep(0)
        if popen.stdin is not None:
            process.stdin = await _writer(loop, popen.stdin)
        if popen.stdout is not None:
            process.stdout = await _reader(loop, popen.stdout, limit)
        if popen.stderr is not None:
            process.stderr = await _reader(loop, popen.stderr, limit)
    except BaseException as error:
        popen.kill_tree()
        if process is not None and not isinstance(error, (KeyboardInterrupt, SystemExit)):
            # Nothing of it is left when that is heard of.
            await process.wait()
        raise
    return process


async def _reader(loop: asyncio.AbstractEventLoop, pipe: Any, limit: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader, loop=loop), pipe)
    return reader


async def _writer(loop: asyncio.AbstractEventLoop, pipe: Any) -> asyncio.StreamWriter:
    # Nothing is ever read by it: it is there for its flow control.
    protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader(loop=loop), loop=loop)
    transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
    return asyncio.StreamWriter(transport, protocol, None, loop)
