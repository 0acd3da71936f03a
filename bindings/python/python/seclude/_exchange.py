"""What ``communicate`` carries to a command and from it."""

import contextlib
import errno
import io
import os
import select
from typing import IO, Any, Dict, Iterator, List, Optional, Union

# What a pipe holds, by default.
_CHUNK = 1 << 16


class Reader(io.BufferedReader):
    """What a text stream reads from. What was read past it is given back: the text stream alone knows what it has of a letter."""

    rest: Optional[bytes] = None

    def read(self, *size: Any) -> bytes:
        if self.rest is None:
            return super().read(*size)
        rest, self.rest = self.rest, None
        return rest


class Exchange:
    """The command's input, and what it says, as long as that takes.

    No read and no write blocks: what poll(2) has told of may be gone, as a command can read and write the other ends of its pipes
    too, and then nobody would look at the time.
    """

    def __init__(self, stdin: Optional[IO[Any]], outputs: List[Optional[IO[Any]]], input: Any) -> None:
        self._stdin = stdin
        self._input = memoryview(input or b"").cast("B")
        self._is_flushed = False
        self._said: Dict[IO[Any], List[bytes]] = {}
        self._open: List[IO[Any]] = []
        for stream in outputs:
            if stream is not None:
                self._said[stream] = []
                if not stream.closed:
                    self._open.append(stream)
        self._texts: Dict[IO[Any], str] = {}
        self._has_begun = False

    def begin(self) -> None:
        """Takes what was left to be written and read by the streams themselves."""
        if self._has_begun:
            return
        self._has_begun = True
        for stream in self._open:
            reader = _below(stream)
            # With nothing in its buffer it looks into the pipe.
            if isinstance(reader, io.BufferedReader) and reader.peek():
                self._said[stream].append(reader.read(len(reader.peek())))
        if self._stdin is not None and not self._input:
            self._write()

    @contextlib.contextmanager
    def without_blocking(self) -> Iterator[None]:
        """What is carried here is carried without blocking; to others the streams are as they were."""
        changed = []
        try:
            for stream in [*self._open, self._stdin]:
                if stream is not None and not stream.closed and os.get_blocking(stream.fileno()):
                    os.set_blocking(stream.fileno(), False)
                    changed.append(stream)
            yield
        finally:
            for stream in changed:
                if not stream.closed:
                    os.set_blocking(stream.fileno(), True)

    def goes_on(self) -> bool:
        """Whether there is something to read or to write yet."""
        return bool(self._open) or self._stdin is not None

    def step(self, milliseconds: Optional[int]) -> bool:
        """Carries what can be, after so long at most; whether there was something."""
        poller = select.poll()
        for stream in self._open:
            poller.register(stream, select.POLLIN)
        if self._stdin is not None:
            poller.register(self._stdin, select.POLLOUT)
        ready = {fd for fd, _ in poller.poll(milliseconds)}
        if self._stdin is not None and self._stdin.fileno() in ready:
            self._write()
        for stream in [stream for stream in self._open if stream.fileno() in ready]:
            self._read(stream)
        return bool(ready)

    def _write(self) -> None:
        assert self._stdin is not None
        try:
            if not self._is_flushed:
                # What was written to the stream itself, and is in its buffer.
                self._stdin.flush()
                self._is_flushed = True
            if self._input:
                self._input = self._input[os.write(self._stdin.fileno(), self._input[:_CHUNK]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            # As subprocess: whoever does not read it need not.
            self._input = self._input[:0]
        if not self._input:
            stdin, self._stdin = self._stdin, None
            with contextlib.suppress(BrokenPipeError):
                stdin.close()

    def _read(self, stream: IO[Any]) -> None:
        try:
            said = os.read(stream.fileno(), _CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            # Of a terminal that is its end: nobody has its other end open.
            if error.errno != errno.EIO:
                raise
            said = b""
        if said:
            self._said[stream].append(said)
            return
        self._open.remove(stream)
        if not isinstance(_below(stream), Reader):
            stream.close()

    def whole(self, stream: Optional[IO[Any]]) -> Union[str, bytes, None]:
        """All that it has said there, as the stream has it."""
        said = self.said(stream)
        if stream is None or said is None or not isinstance(stream, io.TextIOWrapper):
            return said
        if stream not in self._texts:
            reader = stream.buffer
            if isinstance(reader, Reader) and not stream.closed:
                reader.rest = said
                try:
                    self._texts[stream] = stream.read()
                finally:
                    stream.close()
            else:
                text = said.decode(stream.encoding, stream.errors or "strict")
                self._texts[stream] = text.replace("\r\n", "\n").replace("\r", "\n")
        return self._texts[stream]

    def said(self, stream: Optional[IO[Any]]) -> Optional[bytes]:
        """What it has said there so far."""
        return None if stream is None or stream not in self._said else b"".join(self._said[stream])


def _below(stream: IO[Any]) -> Any:
    return stream.buffer if isinstance(stream, io.TextIOWrapper) else stream
