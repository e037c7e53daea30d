"""What a report of an error shows of a request."""

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter


class ReportFilter(SafeExceptionReporterFilter):
    """Hides what is marked as sensitive also with CONSOLE_DEBUG, where Django shows everything."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True
