"""All input, one file per subject."""

from recycle.forms.again import AgainForm
from recycle.forms.audit import AuditFilter
from recycle.forms.create import CreateForm, filled_in
from recycle.forms.dialog import DialogForm, SelectionDialogForm
from recycle.forms.filters import OverviewForm, PlanFilter
from recycle.forms.jobs import JobFilter, ResultFilter
from recycle.forms.lists import (
    BinFilter,
    ExpiredFilter,
    InstanceFilter,
    InstanceListForm,
    ListForm,
    LogFilter,
    QuarantineFilter,
)
from recycle.forms.login import EndSessionForm, LoginForm, PasswordForm
from recycle.forms.named import MAX_NAMED, NamedForm
from recycle.forms.offer import offered
from recycle.forms.places import FilteredPage, dialog_link, named_path, own_address
from recycle.forms.preferences import ColumnsForm, ThemeForm, TipForm
from recycle.forms.retention import ConfirmedForm, KeepForField, KeepForm, RuleForm
from recycle.forms.scope import Scope, WholeScope
from recycle.forms.selection import LISTS, SelectionForm, ShownList
from recycle.forms.undo import UndoForm
from recycle.forms.verbs import VERBS

__all__ = [
    "LISTS",
    "MAX_NAMED",
    "VERBS",
    "AgainForm",
    "AuditFilter",
    "BinFilter",
    "ColumnsForm",
    "ConfirmedForm",
    "CreateForm",
    "DialogForm",
    "EndSessionForm",
    "ExpiredFilter",
    "FilteredPage",
    "InstanceFilter",
    "InstanceListForm",
    "JobFilter",
    "KeepForField",
    "KeepForm",
    "ListForm",
    "LogFilter",
    "LoginForm",
    "NamedForm",
    "OverviewForm",
    "PasswordForm",
    "PlanFilter",
    "QuarantineFilter",
    "ResultFilter",
    "RuleForm",
    "Scope",
    "SelectionDialogForm",
    "SelectionForm",
    "ShownList",
    "ThemeForm",
    "TipForm",
    "UndoForm",
    "WholeScope",
    "dialog_link",
    "filled_in",
    "named_path",
    "offered",
    "own_address",
]
