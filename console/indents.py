"""Templates without their indents, which people read and no browser: a thirtieth of a page."""

import re

from django.template import Origin
from django.template.loaders import filesystem

_INDENT = re.compile(r"^[ \t]+", re.MULTILINE)


class Loader(filesystem.Loader):
    """Nothing of ours that keeps its spaces goes over more than one line."""

    def get_contents(self, origin: Origin) -> str:
        return _INDENT.sub("", str(super().get_contents(origin)))
