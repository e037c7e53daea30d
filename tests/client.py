"""Django's test client, except that it sends a form as a browser does."""

from typing import Any
from urllib.parse import urlencode

from django.test.client import Client as DjangoClient

URLENCODED = "application/x-www-form-urlencoded"


class Client(DjangoClient):
    def post(  # type: ignore[override]
        self, path: str, data: Any = None, content_type: str = URLENCODED, **options: Any
    ) -> Any:
        if content_type == URLENCODED and not isinstance(data, (str, bytes)):
            data = urlencode(data or {}, doseq=True)
        return super().post(path, data, content_type, **options)
