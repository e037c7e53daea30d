"""Where the console listens, and by which address it is asked whether it is ready."""

import errno
import http.client
import socket

from console.bootstrap import WINDOWS
from console.supervisor.saying import CannotStart


def numeric_address(host: str, port: int) -> str:
    """The numeric address to listen on for a name or an address: one that this machine has, with a
    free port.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    # One address is listened on, and localhost is both ::1 and 127.0.0.1: the one that is
    # everywhere goes first.
    for family, kind, protocol, _, address in sorted(
        found, key=lambda one: one[0] != socket.AF_INET
    ):
        try:
            with socket.socket(family, kind, protocol) as probe:
                if not WINDOWS:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except PermissionError:
            raise CannotStart(
                f"Port {port} needs more rights than you have: choose one above 1023 with --port."
            ) from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise CannotStart(
                    f"Port {port} on {host} is taken: stop what uses it or choose another with "
                    "--port."
                ) from None
        else:
            return str(address[0])
    raise CannotStart(
        f"{host or 'An empty name'} is no address of this machine: choose another with --host."
    )


def is_ready(address: str, port: int, allowed_hosts: str, probe: str = "/readyz") -> bool:
    """Whether the probe says that every part it asks about does its work.

    Its status alone counts: what else it says depends on who asks.
    """
    connection = http.client.HTTPConnection(reachable(address), port, timeout=5)
    try:
        connection.request("GET", probe, headers={"Host": _an_allowed_host(allowed_hosts, address)})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _an_allowed_host(allowed_hosts: str, address: str) -> str:
    host = allowed_hosts.partition(",")[0].strip()
    # A leading dot stands for a domain with all names in it, and * for every name.
    return in_url(reachable(address)) if host == "*" else host.removeprefix(".")


def reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to ask, not to bind


def in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def url_of(host: str, port: int) -> str:
    return f"http://{in_url(reachable(host))}:{port}/"
