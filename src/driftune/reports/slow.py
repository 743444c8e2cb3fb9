"""Slow clients: deadlines for whole requests and answers, not for each piece of them."""

import io
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class DeadlineError(TimeoutError):
    """A client took too long."""


@dataclass(frozen=True)
class Deadlines:
    """Seconds in which a request must have come in whole, and its answer be taken."""

    request: float
    answer: float


class Timed:
    """A connection that is read and written until its deadline; then ``DeadlineError``."""

    def __init__(self, connection: socket.socket, deadlines: Deadlines) -> None:
        self.connection = connection
        self.deadlines = deadlines
        self.until = 0.0
        self.expect_request()

    def expect_request(self) -> None:
        """A request begins, or is waited for."""
        self.until = time.monotonic() + self.deadlines.request

    def expect_answer(self) -> None:
        """An answer begins."""
        self.until = time.monotonic() + self.deadlines.answer

    def reader(self) -> io.BufferedReader:
        """What the client sends."""
        return io.BufferedReader(_Reader(self))

    def writer(self) -> io.BufferedIOBase:
        """What is sent to the client, at once."""
        return _Writer(self)

    def limited(self) -> socket.socket:
        """The connection, which waits until the deadline and no longer."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise DeadlineError
        self.connection.settimeout(left)
        return self.connection


class _Reader(io.RawIOBase):
    def __init__(self, timed: Timed) -> None:
        self.timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        return self.timed.limited().recv_into(buffer)


class _Writer(io.BufferedIOBase):
    def __init__(self, timed: Timed) -> None:
        self.timed = timed

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer") -> int:
        self.timed.limited().sendall(data)
        return memoryview(data).nbytes
