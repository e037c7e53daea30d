"""Django's test client, except that it sends a form and reads a page as a browser does."""

import re
from typing import Any
from urllib.parse import urlencode

from django.test.client import Client as DjangoClient

URLENCODED = "application/x-www-form-urlencoded"
# Beside these, and at the end of a tag, a browser shows no white space.
BLOCKS = re.compile(r" ?(</?(?:d[dlt]|div|h\d|li|option|p|section|t[dhr]|ul)\b[^>]*>) ?")


class Client(DjangoClient):
    def post(  # type: ignore[override]
        self, path: str, data: Any = None, content_type: str = URLENCODED, **options: Any
    ) -> Any:
        if content_type == URLENCODED and not isinstance(data, (str, bytes)):
            data = urlencode(data or {}, doseq=True)
        return super().post(path, data, content_type, **options)

    def request(self, **request: Any) -> Any:
        response = super().request(**request)
        shown = response.get("Content-Type", "").startswith("text/html")
        if shown and not response.streaming and "Content-Encoding" not in response:
            # As shown, so that no test depends on where a line of a template ends.
            response.text = as_shown(response.text)
        return response


def as_shown(html: str) -> str:
    """The same page with each piece of white space as one space, or none where none is shown."""
    return BLOCKS.sub(r"\1", re.sub(r"\s+", " ", html).replace(" >", ">"))
