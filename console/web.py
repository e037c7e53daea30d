"""The web server: one process of it, and what `python -m console.web` does on a node of its own.

Pages are made by very few threads, so no client may ever hold one. Waitress reads a request to its
end before a thread hears of it, and takes an answer off the thread's hands at once, whatever the
client's speed. What it lacks is added here: limits on what strangers may pile up, lanes, a
heartbeat and an orderly end.
"""

import argparse
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import BadRequest, Error

from console.bootstrap import leave_the_link
from console.limits import BODY_LIMIT, NO_UPLOADS, TOO_LARGE

# Threads that make pages. More of them wait for each other's Python: processes are what fills the
# cores.
PAGE_THREADS = 2
# What strangers may pile up in one process before the slowest of them have to go.
CONNECTIONS = 1_000
ARRIVING_BYTES = 64 * 1024 * 1024
# Answers that wait for slow readers. Beyond 256 kB each waits in an unnamed temporary file.
SPOOLED_BYTES = 512 * 1024 * 1024
# Seconds in which a request has to have arrived, and a connection on which nothing happens is kept.
ARRIVAL, IDLE = 60, 75
HEADER_LIMIT = 32 * 1024
# What an encoding in chunks may say beside the chunks; Waitress itself knows no limit.
CHUNK_LINE_LIMIT = 1024
# When every thread has been busy with one and the same request for this long while others wait,
# they are lost.
STUCK_AFTER = 300
# Of a socket: not to linger over what is unsent, but to say that it is lost.
RESET = struct.pack("hh", 1, 0) if sys.platform == "win32" else struct.pack("ii", 1, 0)
# Seconds in which answers are still delivered after SIGTERM; on Ctrl-C `up` waits for less.
DRAIN = 30


# --- Requests -------------------------------------------------------------------------------------


class NotHttp1(Error):
    code = 505
    reason = "HTTP Version Not Supported"


class NoUploads(Error):
    code = 415
    reason = "Unsupported Media Type"


# What a refused client reads. Waitress's own words quote settings.
SENTENCES = {
    400: "This is no request that can be understood.",
    413: TOO_LARGE,
    415: NO_UPLOADS,
    431: "The header of this request is too large: the console takes at most 32 kB.",
    500: "Something went wrong on our side.",
    501: "Of transfer encodings, the console understands `chunked`.",
    505: "The console speaks HTTP/1.1.",
}


class Parser(HTTPRequestParser):
    """Refuses, before the body is read, what no page takes."""

    error: Error | None = None

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.version not in ("1.0", "1.1"):
            self.error = NotHttp1("")
        elif self.headers.get("CONTENT_TYPE", "").strip().lower().startswith("multipart/"):
            self.error = NoUploads("")
        if self.error:
            self.completed = True
            # Nothing of the body is wanted.
            self.body_rcv = None
            self.content_length = 0

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        line = getattr(self.body_rcv, "control_line", b""), getattr(self.body_rcv, "trailer", b"")
        if max(map(len, line)) > CHUNK_LINE_LIMIT:
            self.error = BadRequest("")
            self.completed = True
        if self.error:
            # Or the client would be asked to send what is refused already.
            self.expect_continue = False
        return consumed


class RefusedRequest(ErrorTask):
    """The sentence alone, as text."""

    def execute(self) -> None:
        error = self.request.error
        body = f"{SENTENCES[error.code]}\n".encode()
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class AnswerTask(WSGITask):
    """Sends no body after HEAD, whatever the application hands over, and no end of an answer that
    breaks off.
    """

    def execute(self) -> None:
        try:
            super().execute()
        except Exception:
            self.channel.is_broken = self.wrote_header
            raise

    def write(self, data: bytes) -> None:
        super().write(b"" if self.request.command == "HEAD" else data)

    def finish(self) -> None:
        if self.request.command == "HEAD":
            self.chunked_response = False
        super().finish()


class Channel(HTTPChannel):
    """A connection."""

    parser_class = Parser
    task_class = AnswerTask
    error_task_class = RefusedRequest
    lane: "Lane"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Since when it has been as it is now: idle, receiving a request, or delivering an answer.
        self.since = time.monotonic()
        # Whether an answer has begun that will not come to its end.
        self.is_broken = False
        super().__init__(*arguments, **options)

    @property
    def arriving(self) -> int | None:
        """Bytes of a request that is not complete; None when there is none."""
        request = self.request
        if request is None:
            return None
        return len(request.header_plus) + (
            len(request.body_rcv) if request.body_rcv is not None else 0
        )

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self.since = time.monotonic()
        return bool(super().received(data))

    def service(self) -> None:
        try:
            super().service()
        finally:
            self.since = self.lane.moved_at = time.monotonic()

    def handle_close(self) -> None:
        """Close the connection, and reset it when not everything has been sent: to who speaks
        HTTP/1.0, as many proxies do, an orderly end is the end of the answer.
        """
        if self.connected and (self.is_broken or self.requests or self.total_outbufs_len):
            with suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        super().handle_close()


# --- Threads --------------------------------------------------------------------------------------


class Lane(ThreadedTaskDispatcher):
    """Threads of their own for one kind of request, and a queue."""

    def __init__(self, threads: int) -> None:
        super().__init__()
        # The last time that something was finished, or had to wait for nothing.
        self.moved_at = time.monotonic()
        self.set_thread_count(threads)

    def add_task(self, task: Channel) -> None:
        if not self.queue:
            self.moved_at = time.monotonic()
        task.lane = self
        super().add_task(task)

    @property
    def is_stuck(self) -> bool:
        return bool(self.queue) and time.monotonic() - self.moved_at > STUCK_AFTER


class Lanes:
    """A file of all rows takes minutes where a page takes moments: the one must not stand in line
    before the other.
    """

    def __init__(self) -> None:
        self.pages = Lane(PAGE_THREADS)
        self.downloads = Lane(1)
        self.probes = Lane(1)

    def add_task(self, channel: Channel) -> None:
        self.lane_of(channel.requests[0]).add_task(channel)

    def lane_of(self, request: HTTPRequestParser) -> Lane:
        path = getattr(request, "path", "")  # what could not be parsed has none
        if path == "/healthz":
            return self.probes
        return self.downloads if path.endswith(".csv") else self.pages


# --- The server -----------------------------------------------------------------------------------


class Server(TcpWSGIServer):
    channel_class = Channel
    active_channels: dict[int, Channel]

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        listener: socket.socket,
        beat: Callable[[], None],
    ):
        adjustments = Adjustments(
            sockets=[listener],
            connection_limit=_room_for_connections(),
            backlog=1024,
            cleanup_interval=1,
            channel_timeout=IDLE,
            max_request_header_size=HEADER_LIMIT,
            # Waitress refuses what reaches its limit.
            max_request_body_size=BODY_LIMIT + 1,
            # Nothing of a request ever goes to disk.
            inbuf_overflow=BODY_LIMIT + 1,
            outbuf_overflow=256 * 1024,
            outbuf_high_watermark=SPOOLED_BYTES,
            asyncore_use_poll=True,
            log_socket_errors=False,
            # Whether to believe them is Django's to decide: see CONSOLE_HTTPS.
            clear_untrusted_proxy_headers=False,
            ident="",
        )
        family, kind, protocol = listener.family, listener.type, listener.proto
        self.lanes = Lanes()
        self.beat = beat
        self.leaving_at = 0.0
        super().__init__(
            application,
            {},
            _sock=listener,
            dispatcher=self.lanes,
            adj=adjustments,
            sockinfo=(family, kind, protocol, listener.getsockname()),
            bind_socket=False,
        )

    def run(self) -> None:
        """Serve until `leave`, and then until everything that was asked has been answered."""
        while not self.leaving_at or (
            self._finishing() and time.monotonic() < self.leaving_at + DRAIN
        ):
            wasyncore.loop(timeout=1, use_poll=True, map=self._map, count=1)
        for channel in list(self.active_channels.values()):
            channel.handle_close()

    def leave(self) -> None:
        self.leaving_at = self.leaving_at or time.monotonic()
        self.accepting = False
        self.pull_trigger()

    def _finishing(self) -> bool:
        """Close what has nothing to wait for any more; whether anything is left."""
        left = False
        for channel in list(self.active_channels.values()):
            if channel.requests or channel.total_outbufs_len:
                left = True
            else:
                channel.will_close = True
        return left

    def maintenance(self, now: float) -> None:
        """Every second: say that it lives, and let go of what takes too long.

        While there is room, nobody is cut off for being slow; when there is not, who has taken
        longest goes first.
        """
        if not self.lanes.pages.is_stuck:
            self.beat()
        super().maintenance(now)
        channels = [channel for channel in self.active_channels.values() if not channel.will_close]
        late = time.monotonic() - ARRIVAL
        for channel in channels:
            if channel.arriving is not None and not channel.requests and channel.since < late:
                channel.will_close = True
        waiting = sorted((channel for channel in channels if not channel.requests), key=_patience)
        self._make_room(
            waiting, lambda channel: 1, len(channels), self.adj.connection_limit * 9 // 10
        )
        self._make_room(
            waiting, _arriving_bytes, sum(map(_arriving_bytes, channels)), ARRIVING_BYTES
        )
        sending = sorted(channels, key=lambda channel: channel.since)
        self._make_room(sending, _spooled_bytes, sum(map(_spooled_bytes, channels)), SPOOLED_BYTES)
        for channel in channels:
            # Not when there is something to write to: who has stopped reading never lets us.
            if channel.will_close:
                channel.handle_close()

    def _make_room(
        self, channels: list[Channel], size: Callable[[Channel], int], total: int, limit: int
    ) -> None:
        for channel in channels:
            if total <= limit:
                break
            if taken := size(channel):
                channel.will_close = True
                total -= taken


def _patience(channel: Channel) -> tuple[bool, float]:
    """Whoever reads an answer goes last, and the newest comer after the oldest."""
    return channel.total_outbufs_len > 0, channel.since


def _arriving_bytes(channel: Channel) -> int:
    return channel.arriving or 0


def _spooled_bytes(channel: Channel) -> int:
    return int(channel.total_outbufs_len)


def _room_for_connections() -> int:
    """As many connections as there may be open files for: each needs one, and another for a long
    answer.
    """
    if sys.platform == "win32":
        return CONNECTIONS // 2
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS + 200
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(CONNECTIONS, max((soft - 200) // 2, 50))


# --- The program ----------------------------------------------------------------------------------


def listen(host: str, port: int) -> socket.socket:
    """A socket for all processes of a node: who has time takes the next connection, and who is
    replaced loses none.
    """
    family, kind, protocol, _name, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def serve(listener: socket.socket, heartbeat: int | None = None) -> None:
    """Serve on a listening socket until SIGTERM. A byte goes into the pipe `heartbeat` every
    second.
    """
    from console.wsgi import application

    def beat() -> None:
        if heartbeat is not None:
            # A full pipe has beats enough in it.
            with suppress(BlockingIOError):
                os.write(heartbeat, b".")

    server = Server(application, listener, beat)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.leave())
    server.run()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m console.web", description="Serve the console over HTTP."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (%(default)s)")
    # How the processes are started.
    parser.add_argument("--listener", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--heartbeat", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.listener is not None:
        serve(socket.socket(fileno=options.listener), options.heartbeat)
        return 0
    if sys.platform == "win32":  # where a process inherits no socket
        serve(listen(options.host, options.port))
        return 0
    from console import supervisor

    return supervisor.keep_web(options.host, options.port)


if __name__ == "__main__":
    leave_the_link()
    sys.exit(main(sys.argv[1:]))
