"""What is written to the log, and how: plain lines for people at a terminal, JSON lines for
programs. What a request or a task is known by stands in each of its lines.
"""

import json
import logging
import os
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from structlog.types import Processor

# What may stand in a line beside its sentence. Other libraries add what it was about as a whole, a
# request with all that came in it, for example.
IN_THE_SENTENCE = {"method", "path", "status"}
FIELDS = {*IN_THE_SENTENCE, "view", "ms", "user", "address", "broken_off"}

Written = MutableMapping[str, Any]


def is_json(stream: TextIO) -> bool:
    """Whether lines for this stream are JSON: as CONSOLE_LOG_FORMAT says, else unless it is a
    terminal.
    """
    chosen = os.environ.get("CONSOLE_LOG_FORMAT", "").lower()
    return chosen == "json" if chosen in ("json", "plain") else not stream.isatty()


def make_formatter() -> logging.Formatter:
    """For the standard error, which LOGGING writes to."""
    as_json = is_json(sys.stderr)
    moment = structlog.processors.TimeStamper(
        fmt="iso" if as_json else "%Y-%m-%d %H:%M:%S", utc=as_json
    )
    known: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(FIELDS),
        moment,
    ]
    written: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        # Without the values of variables, any of which may be a secret.
        written += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        written += [
            for_people,
            structlog.dev.ConsoleRenderer(
                colors=False,
                sort_keys=False,
                pad_event_to=0,
                pad_level=False,
                exception_formatter=structlog.dev.plain_traceback,
            ),
        ]
    return structlog.stdlib.ProcessorFormatter(processors=written, foreign_pre_chain=known)


def for_people(logger: Any, method: str, line: Written) -> Written:
    """Say nothing twice, and write out what would begin another line or move the cursor: nobody
    forges what we say.
    """
    return {
        key: _shown(value) if isinstance(value, str) else value
        for key, value in line.items()
        if key not in IN_THE_SENTENCE
    }


def _shown(text: str) -> str:
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


# --- What `up` hears of its parts -----------------------------------------------------------------


def with_part(part: str, text: str) -> str:
    """A line of a part as JSON that says whose it is, whether it was JSON or not."""
    said = _parsed(text) or {
        "event": text,
        "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
    }
    return json.dumps({"part": part, **said})


def sentence_of(text: str) -> str:
    """What a line says, without what stands beside it."""
    return str((_parsed(text) or {}).get("event", text))


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        said = json.loads(text)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None
