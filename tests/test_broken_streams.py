"""An answer that breaks off looks broken to whoever reads it, through the console's own server."""

import gzip
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException

import pytest
from django.contrib.auth.decorators import login_not_required
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, HttpRequest, StreamingHttpResponse
from django.urls import path

from console import web

PIECES, PIECE = 4, b"x" * 100_000


class Broken(Exception):
    pass


def _pieces(good: int) -> Iterator[bytes]:
    for number in range(PIECES):
        if number == good:
            raise Broken
        yield PIECE


@login_not_required
def whole(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(_pieces(PIECES))


@login_not_required
def long(request: HttpRequest) -> StreamingHttpResponse:
    """More than the buffers of two sockets hold."""
    return StreamingHttpResponse(PIECE for _ in range(300))


@login_not_required
def broken(request: HttpRequest, good: int) -> StreamingHttpResponse:
    return StreamingHttpResponse(_pieces(good))


class Disk:
    """A file that cannot be read to its end."""

    def __init__(self) -> None:
        self.reads = 0

    def read(self, size: int) -> bytes:
        self.reads += 1
        if self.reads > 2:
            raise OSError("the disk burns")
        return b"x" * min(size, 1000)

    def close(self) -> None:
        pass


@login_not_required
def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Disk(), headers={"Content-Length": "100000"})


urlpatterns = [
    path("whole", whole),
    path("long", long),
    path("broken/<int:good>", broken),
    path("file", file),
]


@pytest.fixture
def port(static_files, settings) -> Iterator[int]:
    """Of the console's web server with all that stands before a view, and these views."""
    settings.ROOT_URLCONF = __name__
    settings.WHITENOISE_AUTOREFRESH = True
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    listener = web.listen("127.0.0.1", 0)
    server = web.Server(WSGIHandler(), listener, lambda: None)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield listener.getsockname()[1]
    server.leave()
    thread.join()
    for lane in (server.lanes.pages, server.lanes.downloads, server.lanes.probes):
        lane.shutdown()
    server.trigger.close()
    server.close()
    listener.close()


def read_slowly(client: socket.socket) -> None:
    while client.recv(1000):
        threading.Event().wait(0.05)


def get(port: int, address: str, version: int, compressed: bool) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection._http_vsn = version  # type: ignore[attr-defined]
    connection._http_vsn_str = f"HTTP/{version / 10}"  # type: ignore[attr-defined]
    try:
        headers = {"Host": "127.0.0.1", "Accept-Encoding": "gzip" if compressed else "identity"}
        connection.request("GET", address, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        assert (answer.headers["Content-Encoding"] == "gzip") == compressed
        return answer.read()
    finally:
        connection.close()


each_way = [
    pytest.mark.parametrize("version", [10, 11], ids=["HTTP/1.0", "HTTP/1.1"]),
    pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"]),
]


@each_way[0]
@each_way[1]
def test_a_whole_stream_comes_to_its_end(port, version, compressed):
    body = get(port, "/whole", version, compressed)

    assert (gzip.decompress(body) if compressed else body) == PIECES * PIECE


@each_way[0]
@each_way[1]
@pytest.mark.parametrize("good", [1, PIECES - 1])
def test_a_stream_that_breaks_off_is_noticed(port, version, compressed, good):
    with pytest.raises((HTTPException, ConnectionError)):
        get(port, f"/broken/{good}", version, compressed)


def test_a_stream_that_breaks_before_it_begins_is_an_error(port):
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/broken/0")

    assert connection.getresponse().status == 500
    connection.close()


@each_way[0]
def test_a_file_that_breaks_off_is_noticed(port, version):
    with pytest.raises((HTTPException, ConnectionError)):
        get(port, "/file", version, compressed=False)


@each_way[0]
def test_who_is_too_slow_notices_that_the_answer_is_not_whole(port, version, monkeypatch):
    """The server makes room for others: it lets go of who has read for the longest time."""
    monkeypatch.setattr(web, "SPOOLED_BYTES", 1)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect(("127.0.0.1", port))
        client.sendall(f"GET /long HTTP/{version / 10}\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert client.recv(1) == b"H"

        # What the server still had to send is gone a second later.
        with pytest.raises(ConnectionError):
            read_slowly(client)
