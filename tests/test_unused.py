"""`lint` names what nobody uses."""

import pytest

from console.bootstrap import PROJECT
from console.unused import unused

TAGS = """
from django import template

register = template.Library()

@register.filter
def shout(text):
    return text.upper()
"""
PAGE = """
<p class="note {% if urgent %}now{% endif %}">{{ title|shout }} {{ row.size }}</p>
<svg><use href="{% static 'icons.svg' %}#disk"/></svg>
"""
CODE = """
class Row:
    size = 5

def show(row):
    return row.pages["wanted"]

def wanted():
    return show(Row())
"""
CSS = "/* .gone { } */ .note, .now:hover { & b { color: red } } @media print { .htmx-request {} }"
FILES = {
    "manage.py": "",
    "recycle/rows.py": CODE,
    "recycle/templatetags/words.py": TAGS,
    "templates/page.html": PAGE,
    "static/icons.svg": '<symbol id="disk"></symbol>',
    "static/css/console.css": CSS,
}


@pytest.mark.parametrize(
    ("file", "more", "said"),
    [
        ("recycle/rows.py", "", []),
        (
            "recycle/rows.py",
            "def idle():\n    pass\n",
            ["recycle/rows.py:9: nothing uses the function idle."],
        ),
        (
            "recycle/templatetags/words.py",
            "\n@register.simple_tag\ndef whisper():\n    return ''\n",
            [
                "recycle/templatetags/words.py:9: nothing uses the function whisper.",
                "No template uses the tag or filter whisper.",
            ],
        ),
        ("static/icons.svg", '<symbol id="note"></symbol>', ["Nothing shows the icon note."]),
        ("static/css/console.css", ".note { & .old {} }", ["Nothing has the class old."]),
    ],
)
def test_what_nobody_uses_is_named(tmp_path, file, more, said):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip() + (more if name == file else ""))

    assert list(unused(tmp_path)) == said


@pytest.mark.slow
def test_here_everything_is_used():
    assert list(unused(PROJECT)) == []
