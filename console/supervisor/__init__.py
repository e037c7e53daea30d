"""`manage.py up`: starts the broker, the web server, the worker and the beat, and keeps them
running.
"""

from console.supervisor.addresses import is_ready, numeric_address, url_of
from console.supervisor.command import keep_web, main
from console.supervisor.parts import answers, broker, socket_path
from console.supervisor.preparing import environment
from console.supervisor.saying import CannotStart
from console.supervisor.watching import Heart, Part, Supervisor

__all__ = [
    "CannotStart",
    "Heart",
    "Part",
    "Supervisor",
    "answers",
    "broker",
    "environment",
    "is_ready",
    "keep_web",
    "main",
    "numeric_address",
    "socket_path",
    "url_of",
]
