"""One field of a job as one option: name, help, type and range all come from the field, the default stays with it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, get_args, get_origin

import click

from tunesmith.spec.errors import BadValue
from tunesmith.spec.wrong_values import bare, wanted

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from pydantic.fields import FieldInfo

METAVARS: Final[dict[Any, str]] = {int: "N", float: "X", str: "TEXT", list: "A,B,...", dict: "NAME=VALUE,..."}


class FieldType(click.ParamType[Any]):
    """Converts text as pydantic would in a file, by the field's own type and range."""

    def __init__(self, field: FieldInfo, *, metavar: str | None = None, entry: bool = False) -> None:
        self.field = field
        self.annotation: Any = get_args(bare(field.annotation))[0] if entry else field.annotation
        self.kind = bare(self.annotation)
        self.name = metavar or METAVARS.get(get_origin(self.kind) or self.kind, "VALUE")

    def choices(self) -> list[str]:
        """Return the values that an enumeration allows, or those that the field names; empty where any may do."""
        extra = self.field.json_schema_extra
        named = extra.get("choices") if isinstance(extra, dict) else None
        if isinstance(named, list):
            return [str(value) for value in named]
        if isinstance(self.kind, type) and issubclass(self.kind, Enum):
            return [str(member.value) for member in self.kind]
        return [str(value) for value in get_args(self.kind)] if get_origin(self.kind) is Literal else []

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """Show the choices, or the kind of value."""
        return "|".join(self.choices()) or self.name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Check one value.

        Raises:
            BadValue: it has another type or is out of range; the message names the flag.
        """
        from pydantic import ConfigDict, TypeAdapter, ValidationError

        flag = param.opts[0] if param else "value"
        parsed = self._parsed(flag, value)
        marks = tuple(self.field.metadata) if self.annotation is self.field.annotation else ()
        annotation: Any = Annotated[(self.annotation, *marks)] if marks else self.annotation
        checked: TypeAdapter[Any] = TypeAdapter(annotation, config=ConfigDict(allow_inf_nan=False))
        try:
            found = checked.validate_python(parsed)
            return parsed if found is None else found  # "auto" is kept: it may have to beat what a file says
        except ValidationError as error:
            raise BadValue(flag, value, wanted(self.field)) from error

    def _parsed(self, flag: str, value: Any) -> Any:
        """Split a comma list, or name=value pairs, where the field is a list or a map."""
        kind = get_origin(self.kind)
        if kind not in (list, dict) or not isinstance(value, str):
            return value
        entries = [entry.strip() for entry in value.split(",") if entry.strip()]
        if kind is list:
            return entries
        pairs = [entry.partition("=") for entry in entries]
        if not pairs or not all(name and sign and text for name, sign, text in pairs):
            raise BadValue(flag, value, "NAME=VALUE, or several with commas between")
        return {name.strip(): text.strip() for name, _, text in pairs}

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the choices, or files."""
        from click.shell_completion import CompletionItem

        if choices := self.choices():
            return [CompletionItem(choice) for choice in choices if choice.startswith(incomplete)]
        return [CompletionItem(incomplete, type="file")] if self.kind is str else []


class FieldOption(click.Option):
    """An option that knows the section of the help it stands in."""

    def __init__(self, declarations: list[str], *, section: str, **attributes: Any) -> None:
        super().__init__(declarations, **attributes)
        self.section = section


def field_option(path: str, field: FieldInfo, names: list[str], section: str, text: str | None = None) -> FieldOption:
    """Make the option of the field that stands at ``path`` in the job."""
    kind = bare(field.annotation)
    variable = path.replace(".", "__")
    help_text = text or _help(field)
    if repeats(field):
        entry = FieldType(field, entry=True)
        return FieldOption([variable, *names], section=section, multiple=True, help=help_text, type=entry)
    if kind is bool:
        pair = f"{names[0]}/--no-{names[0].removeprefix('--')}"
        return FieldOption([variable, pair, *names[1:]], section=section, default=None, help=help_text)
    return FieldOption([variable, *names], section=section, default=None, help=help_text, type=FieldType(field))


def repeats(field: FieldInfo) -> bool:
    """Whether the flag is given once for each entry of a list, because an entry may hold commas."""
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("repeats"))


def flag_name(name: str, field: FieldInfo) -> str:
    """Return the flag that the field names, or its own name with dashes."""
    extra = field.json_schema_extra
    flag = extra.get("flag") if isinstance(extra, dict) else None
    return str(flag) if flag else "--" + name.replace("_", "-")


def _help(field: FieldInfo) -> str:
    text = " ".join((field.description or "").split())
    default = field.get_default()
    if field.is_required() or default is None or isinstance(default, (list, dict)):
        return text
    shown = ("yes" if default else "no") if isinstance(default, bool) else default
    return f"{text} [default: {shown}]"
