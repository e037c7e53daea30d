"""Reading a whole inventory into the notes: all of it is known, and known to be sound, before
anything is written.
"""

from collections.abc import Iterator, Sequence

from recycle.inventory.answers import Listed, Source
from recycle.inventory.kinds import BY_KEY, Entry, Listing, built
from recycle.inventory.notes import Notes, Topic
from recycle.inventory.pages import AnswerPage
from recycle.inventory.place import Problem
from recycle.inventory.progress import Progress

KEYS = frozenset(BY_KEY)
# Items between two looks at how far it has come.
SHOWN_EVERY = 200
TOLD_TWICE = "told twice, and differently: the later one counts"


def gather(
    sources: Sequence[Source], notes: Notes, *, partial: bool, progress: Progress
) -> Iterator[Problem]:
    """Read every file once. Yields what cannot be taken as it is; `partial` takes what says it is
    incomplete.
    """
    sizes = [source.size for source in sources]
    known = [size for size in sizes if size is not None]
    with progress.begin(
        "Reading", sum(known) if len(known) == len(sizes) else None, in_bytes=True
    ) as bar:
        items = 0
        for source in sources:
            done = 0
            for read in source.read(KEYS):
                if isinstance(read, Problem):
                    yield read
                elif isinstance(read, AnswerPage):
                    yield from _take_page(read, notes)
                else:
                    yield from _take_item(read, notes)
                    items += 1
                if items % SHOWN_EVERY == 0 or isinstance(read, AnswerPage):
                    bar.advance(source.position - done, items)
                    done = source.position
            bar.advance(source.position - done, items)
    for gap in notes.gaps():
        if partial:
            notes.remark(
                Topic.NOTE,
                f"incomplete, taken all the same: {gap.key} {gap.sentence}",
                "",
                gap.place,
            )
        else:
            yield gap.problem()
    notes.ready()


def _take_page(page: AnswerPage, notes: Notes) -> Iterator[Problem]:
    try:
        notes.end_page(page)
    except ValueError as error:
        yield Problem(page.place, str(error))
    for path, things in page.unread.items():
        notes.remark(Topic.LEFT_OUT, path, "", page.place, things=things)


def _take_item(item: Listed, notes: Notes) -> Iterator[Problem]:
    for number, (kind, entry) in enumerate(built(BY_KEY[item.place.key], item.place, item.value)):
        if number == 0:
            # What is nested in it is not counted by the answer.
            notes.on_page(kind.key, kind.identity(entry))
        if entry.problems:
            yield from entry.problems
        else:
            _keep(kind, entry, notes)


def _keep(kind: Listing, entry: Entry, notes: Notes) -> None:
    place = str(entry.place)
    earlier = notes.keep(kind.key, kind.identity(entry), place, entry.packed())
    if earlier:
        label = f"{kind.nouns[1]} {TOLD_TWICE}"
        notes.remark(Topic.NOTE, label, entry.id, f"{place}; before that {earlier}")
    notes.note_instance(entry.id, entry.region, entry.interfaces, entry.disks)


def kept(kind: Listing, notes: Notes) -> Iterator[Entry]:
    for place, packed in notes.kept(kind.key):
        yield Entry.unpacked(place, packed)
