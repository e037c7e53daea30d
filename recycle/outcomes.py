"""What is said of an action once it is over: what was done, what was left alone and why, and what
failed. The same in every edge that speaks to people.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext_lazy

from recycle import wording
from recycle.actions import Outcome, Refused
from recycle.http import page_of
from recycle.lifecycle import Action
from recycle.policy import Refusal

# Reasons named in one message.
REASONS = 10
BROKEN = gettext_lazy("The database rejected the change. Try again, or ask who runs the console.")

# The heads of the messages: of rows of any kind, and of instances.
LEFT = ngettext_lazy("%(n)d was left alone:", "%(n)d were left alone:", "n")
FAILED = ngettext_lazy("%(n)d failed:", "%(n)d failed:", "n")
INSTANCES_LEFT = ngettext_lazy(
    "%(n)d instance was left alone:", "%(n)d instances were left alone:", "n"
)
INSTANCES_FAILED = ngettext_lazy("%(n)d instance failed:", "%(n)d instances failed:", "n")


RELATIONSHIPS_LEFT = ngettext_lazy(
    "%(n)d relationship was left alone:", "%(n)d relationships were left alone:", "n"
)
NOT_UNDONE = gettext_lazy("Not everything could be undone:")
NOTHING_UNDONE = gettext_lazy("Nothing was undone:")

# Names, each with a reason.
Reasons = Sequence[tuple[str, Any]]


def say_outcome(
    request: HttpRequest,
    outcome: Outcome,
    done: str,
    *,
    left: Any = LEFT,
    failed: Any = FAILED,
    announced: Mapping[str, str] | None = None,
    errors: bool = False,
) -> None:
    """Say what was done, what was left alone, and what failed.

    `announced` is what a dialog said would be refused, by id; None where nothing was said. With
    `errors`, what the database said of a failure, for who runs the console.
    """
    if outcome.done:
        messages.success(request, done)
    say_left(request, left, [(each.name, _why(each, announced)) for each in outcome.refused])
    if outcome.failed:
        reasons = [(each.name, each.error if errors else BROKEN) for each in outcome.failed]
        messages.error(request, with_reasons(failed % {"n": len(reasons)}, reasons))


def what_was_done(outcome: Outcome) -> str:
    """A sentence for each thing that was done to instances: a delete may have meant two."""
    counts = Counter(Action(done.action) for done in outcome.done)
    sentences = [wording.done(action, n) for action, n in counts.items()]
    if Action.RELEASE in counts:
        sentences.append(_("What was released cannot be undone."))
    return " ".join(sentences)


def say_left(request: HttpRequest, head: Any, reasons: Reasons) -> None:
    """Say what was left alone, if anything was. `head` is one of the above."""
    if reasons:
        messages.warning(request, with_reasons(head % {"n": len(reasons)}, reasons))


def reasons_of(outcome: Outcome) -> list[tuple[str, Any]]:
    """The items that were not done, each with the reason."""
    refused = [(each.name, because(each)) for each in outcome.refused]
    return [*refused, *((each.name, BROKEN) for each in outcome.failed)]


def _why(refused: Refused, announced: Mapping[str, str] | None) -> SafeString:
    """The reason, and whether it is another one than the dialog gave."""
    told = announced is None or announced.get(str(refused.id)) == refused.refusal.value
    if told or refused.refusal is Refusal.CHANGED:
        return because(refused)
    return format_html("{} {}", because(refused), _("This has changed since the dialog was shown."))


def because(refused: Refused) -> SafeString:
    """Why something was left alone, with a link to what stands in the way."""
    if refused.blocker is None:
        return format_html("{}", refused.refusal.label)
    name, page = refused.blocker.name, page_of(refused.blocker)
    link = format_html('<a href="{}">{}</a>', page, name) if page else name
    return format_html("{} ({})", refused.refusal.label, link)


def with_reasons(sentence: str, reasons: Reasons) -> SafeString:
    """A sentence with a list of names under it, each with its reason when that is not empty."""
    shown = format_html_join(
        "", "<li>{}{}{}</li>", ((name, ": " if why else "", why) for name, why in reasons[:REASONS])
    )
    more = len(reasons) - REASONS
    rest = format_html("<li>{}</li>", _("and %(n)d more") % {"n": more}) if more > 0 else ""
    return format_html("{}<ul>{}{}</ul>", sentence, shown, rest)
