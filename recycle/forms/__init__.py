"""All input, one file per subject."""

from recycle.forms.again import AgainForm
from recycle.forms.audit import AuditFilter
from recycle.forms.create import CreateForm
from recycle.forms.lists import (
    BinFilter,
    ExpiredFilter,
    InstanceFilter,
    InstanceListForm,
    ListForm,
    LogFilter,
)
from recycle.forms.login import EndSessionForm, LoginForm, PasswordForm
from recycle.forms.named import MAX_NAMED, BackForm, NamedForm
from recycle.forms.page import OverviewForm, PageForm, PlanPage
from recycle.forms.places import dialog_link, own_address
from recycle.forms.preferences import ColumnsForm, ThemeForm, TipForm
from recycle.forms.retention import ConfirmedForm, KeepForField, KeepForm, RuleForm
from recycle.forms.selection import (
    LISTS,
    MAX_SELECTED,
    ExtendForm,
    HoldForm,
    RenewForm,
    RestoreForm,
    SelectionForm,
    StopForm,
)
from recycle.forms.undo import UndoForm

__all__ = [
    "LISTS",
    "MAX_NAMED",
    "MAX_SELECTED",
    "AgainForm",
    "AuditFilter",
    "BackForm",
    "BinFilter",
    "ColumnsForm",
    "ConfirmedForm",
    "CreateForm",
    "EndSessionForm",
    "ExpiredFilter",
    "ExtendForm",
    "HoldForm",
    "InstanceFilter",
    "InstanceListForm",
    "KeepForField",
    "KeepForm",
    "ListForm",
    "LogFilter",
    "LoginForm",
    "NamedForm",
    "OverviewForm",
    "PageForm",
    "PasswordForm",
    "PlanPage",
    "RenewForm",
    "RestoreForm",
    "RuleForm",
    "SelectionForm",
    "StopForm",
    "ThemeForm",
    "TipForm",
    "UndoForm",
    "dialog_link",
    "own_address",
]
