"""The language of ListJobs' filter, a subset of AIP-160: text to a tree of comparisons whose values fit their fields.

    expression   sequence {AND sequence}
    sequence     factor {factor}               the same as AND
    factor       term {OR term}                OR binds closer than AND, as AIP-160 has it
    term         [NOT | -] (comparison | "(" expression ")")
    comparison   field operator value

Pure; expressions.py makes SQL of the tree.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from gradwire.services.errors import InvalidRequestError, Violation
from gradwire.services.states import JobState

__all__ = ["PRESENT", "And", "Compare", "Kind", "Node", "Not", "Or", "parse"]

LENGTH_LIMIT = 4096
COMPARISONS_LIMIT = 100
DEPTH_LIMIT = 32
PRESENT = "*"
"""The value of a comparison with `:*`, which asks whether there is any."""

_OPERATOR = re.compile(r"<=|>=|!=|<|>|=|:")
_WORD = re.compile(r"[^\s()\"'<>=!:]+")
_BARE_VALUE = re.compile(r"[^\s()\"']+")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)\Z")
_NUMBER = re.compile(r"-?\d{1,18}\Z")
_STATE_PREFIX = "JOB_STATE_"


class Kind(Enum):
    """What a field holds."""

    TEXT = auto()
    STATE = auto()
    NUMBER = auto()
    TIME = auto()
    LABEL = auto()


FIELDS = {
    **dict.fromkeys(("id", "name", "owner", "device"), Kind.TEXT),
    "state": Kind.STATE,
    **dict.fromkeys(("priority", "workers", "step"), Kind.NUMBER),
    **dict.fromkeys(("create_time", "end_time"), Kind.TIME),
    "labels": Kind.LABEL,
}
_ORDER = ("=", "!=", "<", "<=", ">", ">=")
_OPERATORS = {
    Kind.TEXT: ("=", "!=", ":"),
    Kind.STATE: ("=", "!=", ":"),
    Kind.NUMBER: _ORDER,
    Kind.TIME: (*_ORDER, ":"),
    Kind.LABEL: ("=", "!=", ":"),
}


@dataclass(frozen=True, slots=True)
class Compare:
    """One comparison. `key`: of labels. `value`: text, state or number; an aware time; PRESENT with ":"."""

    field: str
    kind: Kind
    key: str
    operator: str
    value: "str | int | datetime"
    any_value: bool = False
    """True for `field:*`: whether it is set at all."""


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class And:
    """All of them."""

    parts: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """One of them at least."""

    parts: "tuple[Node, ...]"


Node = Compare | Not | And | Or


def parse(text: str) -> Node | None:
    """The tree of a filter, None of an empty one. Raises InvalidRequestError that names the place of what is wrong."""
    if len(text) > LENGTH_LIMIT:
        raise InvalidRequestError(
            [Violation("filter", f"expected at most {LENGTH_LIMIT} characters, got {len(text)}")]
        )
    if not text.strip():
        return None
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._comparisons = 0

    def whole(self) -> Node:
        node = self._expression(0)
        if self._at < len(self._text):
            raise self._wrong("a closing parenthesis without an opening one")
        return node

    def _wrong(self, what: str, at: int | None = None) -> InvalidRequestError:
        place = (self._at if at is None else at) + 1
        return InvalidRequestError([Violation("filter", f"at character {place}: {what}")])

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _ends(self) -> bool:
        self._skip()
        return self._at == len(self._text) or self._text[self._at] == ")"

    def _keyword(self, word: str) -> bool:
        """Takes the word where it is next."""
        self._skip()
        found = _WORD.match(self._text, self._at)
        if found is None or found.group() != word:
            return False
        self._at = found.end()
        return True

    def _expression(self, depth: int) -> Node:
        if depth > DEPTH_LIMIT:
            raise self._wrong(f"more than {DEPTH_LIMIT} levels of parentheses")
        parts = [self._factor(depth)]
        while not self._ends():
            self._keyword("AND")
            parts.append(self._factor(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _factor(self, depth: int) -> Node:
        parts = [self._term(depth)]
        while not self._ends() and self._keyword("OR"):
            parts.append(self._term(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _term(self, depth: int) -> Node:
        if self._ends():
            raise self._wrong("expected a comparison, like state = RUNNING")
        if self._keyword("NOT"):
            return Not(self._simple(depth))
        if self._text[self._at] == "-":
            self._at += 1
            return Not(self._simple(depth))
        return self._simple(depth)

    def _simple(self, depth: int) -> Node:
        if self._ends():
            raise self._wrong("expected a comparison, like state = RUNNING")
        if self._text[self._at] != "(":
            return self._comparison()
        opened = self._at
        self._at += 1
        node = self._expression(depth + 1)
        self._skip()
        if self._at == len(self._text):
            raise self._wrong("this parenthesis is not closed", opened)
        self._at += 1
        return node

    def _comparison(self) -> Node:
        self._comparisons += 1
        if self._comparisons > COMPARISONS_LIMIT:
            raise self._wrong(f"more than {COMPARISONS_LIMIT} comparisons")
        began = self._at
        found = _WORD.match(self._text, self._at)
        if found is None:
            raise self._wrong("expected the name of a field, like state")
        if found.group() in ("AND", "OR", "NOT"):
            raise self._wrong(f"expected a comparison, like state = RUNNING, not {found.group()}")
        self._at = found.end()
        name, dot, key = found.group().partition(".")
        if dot and not key and self._at < len(self._text) and self._text[self._at] in "\"'":
            key = self._quoted()
        kind = FIELDS.get(name)
        if kind is None or (dot and kind != Kind.LABEL):
            known = ", ".join(field for field in FIELDS if field != "labels")
            raise self._wrong(f"no field {found.group()[:80]!r}: expected one of {known}, labels.KEY", began)
        if dot and not key:
            raise self._wrong("expected the key of a label after 'labels.'", began)
        self._skip()
        operator_at = self._at
        sign = _OPERATOR.match(self._text, self._at)
        if sign is None:
            raise self._wrong(f"expected one of {' '.join(_OPERATORS[kind])} after {found.group()[:80]!r}")
        operator = sign.group()
        if operator not in _OPERATORS[kind] or (kind == Kind.LABEL and not dot and operator != ":"):
            fitting = ":" if kind == Kind.LABEL and not dot else " ".join(_OPERATORS[kind])
            raise self._wrong(
                f"{name} can't be compared by {operator}: expected one of {fitting}", operator_at
            )
        self._at = sign.end()
        self._skip()
        value_at = self._at
        value, quoted = self._value()
        if kind == Kind.LABEL and not dot:
            return Compare(name, kind, value, operator, PRESENT, True)
        any_value = operator == ":" and value == PRESENT and not quoted
        return Compare(name, kind, key, operator, self._typed(kind, value, any_value, value_at), any_value)

    def _typed(self, kind: Kind, value: str, any_value: bool, at: int) -> str | int | datetime:
        match kind:
            case _ if any_value:
                return PRESENT
            case Kind.STATE:
                try:
                    return int(JobState[value.removeprefix(_STATE_PREFIX)])
                except KeyError:
                    known = ", ".join(state.name for state in JobState)
                    raise self._wrong(f"no state {value[:80]!r}: expected one of {known}", at) from None
            case Kind.NUMBER:
                if not _NUMBER.match(value):
                    raise self._wrong(f"expected a whole number, not {value[:80]!r}", at)
                return int(value)
            case Kind.TIME:
                try:
                    if _TIME.match(value):
                        return datetime.fromisoformat(value.upper())
                except ValueError:
                    pass
                raise self._wrong(f"expected a time like 2026-01-31T12:00:00Z, not {value[:80]!r}", at)
        return value

    def _value(self) -> tuple[str, bool]:
        if self._ends():
            raise self._wrong("expected a value")
        if self._text[self._at] in "\"'":
            return self._quoted(), True
        found = _BARE_VALUE.match(self._text, self._at)
        if found is None:
            raise self._wrong("expected a value")
        self._at = found.end()
        return found.group(), False

    def _quoted(self) -> str:
        """The text between quotes; a backslash takes the next character as it is."""
        opened = self._at
        quote = self._text[opened]
        taken: list[str] = []
        self._at += 1
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character == quote:
                if "\0" in taken:
                    raise self._wrong("a text can't have a NUL", opened)
                return "".join(taken)
            if character == "\\" and self._at < len(self._text):
                character = self._text[self._at]
                self._at += 1
            taken.append(character)
        raise self._wrong("this quote is not closed", opened)
