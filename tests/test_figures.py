"""`lint --figures`: what it counts."""

from console import figures

VIEWS = """
from recycle.models import Instance

MOST = 5
_own = 1

def index(request):
    return sorted(Instance.objects.all(), key=lambda row: row.pk)
"""
MODELS = """
MOST: int = 7
_own = 2


class Instance:
    def __str__(self):
        return "one"
"""


def test_a_checkout_is_measured(tmp_path):
    files = {
        "manage.py": "",
        "console/urls.py": "urlpatterns = []\n",
        "recycle/urls.py": "urlpatterns = []\n",
        "recycle/views/instances.py": VIEWS,
        "recycle/models/instance.py": MODELS,
        "recycle/migrations/0001_initial.py": "MOST = 1\n" * 1000,
        "tests/test_one.py": f"def test_one():\n    assert {'x' * 90}\n\n\n\n\n\n\n\n\n",
        "templates/index.html": f"<p>{'x' * 140}</p>\n<p></p>\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    assert list(figures.figures(tmp_path, verbose=True)) == [
        "file: median 4 lines, largest 8 (instances.py), 5 in all",
        "function: median 2 lines, largest 2 (index), 2 in all",
        "view function: median 2 lines, largest 2 (index), 1 in all",
        "lambdas per 1,000 lines: 55.6 (1)",
        "names that stand in two or more modules: 1",
        "  MOST: recycle/models/instance.py, recycle/views/instances.py",
        "Python lines over 100 columns: 1",
        "template lines over 140 columns: 1",
        "tests : source = 10 : 18 lines = 0.56; 1 test functions",
    ]


def test_long_lines_and_a_class_of_a_known_name_are_refused(tmp_path):
    files = {
        "manage.py": "",
        "console/web.py": "class Answer: ...\nLIMIT = 5\ndef start(): ...\n",
        "recycle/http.py": "class Answer: ...\nLIMIT = 5\ndef start(): ...\n",
        "recycle/migrations/0001_initial.py": f"{'x' * 101}\n",
        "recycle/migrations/0002_rules.py": f"{'x' * 100}\n{'x' * 101}\n",
        "templates/index.html": f"<p>\n{'x' * 140}\n{'x' * 141}\n</p>\n",
        "tests/test_one.py": f"\n\n{'x' * 101}  # noqa\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    assert list(figures.complaints(tmp_path)) == [
        "recycle/migrations/0002_rules.py:2: over 100 columns.",
        "tests/test_one.py:3: over 100 columns.",
        "templates/index.html:3: over 140 columns.",
        "Answer stands in two modules: one of them needs another name.",
    ]
