"""The query language: lark parses the text, and the tree becomes SQL; no text is evaluated.

    metric.accuracy >= 0.9 and method = "houlsby" and not (tag.team in ("search", "ads"))

A field is a column of the adapter (`task`, `version`, `kind`, `method`, `score`, …),
`metric.NAME` on the adapter's scored split or `metric.SPLIT.NAME`, `tag.KEY`,
`training.NAME` or `options.NAME`. A comparison with a field that an adapter lacks is false.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, Tree, v_args
from lark.exceptions import UnexpectedInput, VisitError
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    and_,
    case,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.sql.elements import Grouping

from taskbank.bank.catalog.tables import (
    AdapterRow,
    BackboneRow,
    MetricRow,
    ScoredSplitRow,
    TagRow,
    TaskRow,
)
from taskbank.bank.new_records import OWN_SPLITS
from taskbank.bank.operators import OPERATIONS
from taskbank.checks import check_text
from taskbank.errors import InputError
from taskbank.runtime.visible_text import is_visible, visible

GRAMMAR = r"""
    ?start: either
    ?either: both ("or"i both)*          -> any_of
    ?both: term ("and"i term)*           -> all_of
    ?term: "not"i term                   -> negation
         | "(" either ")"
         | comparison
    comparison: field OPERATOR value     -> compare
              | field "in"i "(" value ("," value)* ")"          -> one_of
              | field "not"i "in"i "(" value ("," value)* ")"   -> none_of
              | field "like"i STRING     -> like
              | field "not"i "like"i STRING -> not_like
    field: NAME ("." PART)*
    value: NUMBER | STRING
    OPERATOR: "<=" | ">=" | "!=" | "<>" | "==" | "=" | "<" | ">"
    NAME: /(?!(?:and|or|not|in|like)\b)[A-Za-z_][A-Za-z0-9_]*/i
    PART: /[A-Za-z0-9_-]+/
    NUMBER: /[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?/
    STRING: /"(?:[^"\\]|\\.)*"/ | /'(?:[^'\\]|\\.)*'/
    %ignore /\s+/
"""

FIELDS: dict[str, Any] = {
    "task": TaskRow.name,
    "version": AdapterRow.version,
    "kind": TaskRow.kind,
    "method": AdapterRow.method,
    "metric": AdapterRow.metric,
    "score": AdapterRow.score,
    "split": AdapterRow.split,
    "parameters": AdapterRow.parameters,
    "bytes": AdapterRow.bytes,
    "digest": AdapterRow.digest,
    "backbone": BackboneRow.fingerprint,
    "description": AdapterRow.description,
    "created_at": AdapterRow.created_at,
}
NUMBERS = ("version", "score", "parameters", "bytes")
GROUPS = ("metric", "tag", "training", "options")
MAX_LENGTH = 10_000
MAX_NESTING = 20  # SQLite's parser has room for a little more
MAX_FLAT = 30  # conditions in one group

Predicate = Callable[[Any], Any]  # maps a column to a condition on it


def compile_query(query: str, dialect: str) -> ColumnElement[bool]:
    """Return the SQL condition for a query.

    Args:
        query: a condition in the language above.
        dialect: `sqlite` or `postgresql`, which read JSON values differently.

    Raises:
        InputError: if the query does not parse or names an unknown field.
    """
    if len(query) > MAX_LENGTH:
        raise InputError(
            f"the query has {len(query):,} characters, more than the maximum of "
            f"{MAX_LENGTH:,}: shorten it"
        )
    check_text(query, "query")
    try:
        tree = _parser().parse(query)
        _check_nesting(tree)
        condition: ColumnElement[bool] = _ToSql(dialect).transform(tree)
    except UnexpectedInput as error:
        raise InputError(_syntax_error(query, error.pos_in_stream)) from None
    except VisitError as error:
        raise error.orig_exc from None
    return condition


def _syntax_error(query: str, position: int | None) -> str:
    """Return the message for a query that does not parse, with an arrow to the place.

    Args:
        query: the query.
        position: of the first character that cannot stand there; None or less at the end.
    """
    where = max(position or 0, 0)
    if is_visible(query[where : where + 1]):
        what = "a syntax error"
        advice = (
            'write conditions such as metric.accuracy >= 0.9 and tag.team = "search", joined '
            "by and, or, not and parentheses"
        )
    else:
        what, advice = "a character that cannot be seen", "remove it, or write it within quotes"
    # In one line, and as wide as it is shown, or the arrow would point elsewhere.
    shown, before = (visible(text, lines=False) for text in (query, query[:where]))
    arrow = " " * len(before) + "^" if position is not None and position >= 0 else ""
    return f"the query has {what} at character {where + 1}:\n  {shown}\n  {arrow}\n{advice}"


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", propagate_positions=True)


def _check_nesting(tree: Tree[Token]) -> None:
    """Raise if parentheses and `not` are nested more deeply than every database can read."""
    pending = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > MAX_NESTING:
            raise InputError(
                f"the query is nested too deeply at character {node.meta.column}: parentheses and "
                f"not may be {MAX_NESTING} deep, so write it with fewer"
            )
        # Every pair of parentheses holds one `any_of`, and the whole query is one.
        below = depth + (node.data in ("any_of", "negation"))
        pending += [(child, below) for child in node.children if isinstance(child, Tree)]


def _joined(join: Callable[..., Any], terms: Sequence[Any]) -> Any:
    """Join conditions; many become a tree, as databases limit the depth of a flat list."""
    if len(terms) <= MAX_FLAT:
        return join(*terms)
    groups = [terms[start : start + MAX_FLAT] for start in range(0, len(terms), MAX_FLAT)]
    return _joined(join, [_Parentheses(join(*group)) for group in groups])


class _Parentheses(Grouping[bool]):
    """A condition in parentheses; without an operator it is not merged into a list around it."""

    inherit_cache = True
    operator = None


@v_args(inline=True)
class _ToSql(Transformer[Token, Any]):
    """Turns a parse tree into a SQL condition, from the leaves up."""

    def __init__(self, dialect: str) -> None:
        super().__init__()
        self.dialect = dialect

    def any_of(self, *terms: Any) -> Any:
        return _joined(or_, terms)

    def all_of(self, *terms: Any) -> Any:
        return _joined(and_, terms)

    def negation(self, term: Any) -> Any:
        return not_(term)

    def field(self, *parts: Token) -> tuple[str, ...]:
        return tuple(str(part) for part in parts)

    def value(self, token: Token) -> float | int | str:
        if token.type == "STRING":
            return _unquote(token)
        number = float(token)
        return int(number) if number.is_integer() and abs(number) < 2**53 else number

    def compare(self, field: tuple[str, ...], symbol: Token, value: Any) -> Any:
        operation = OPERATIONS[str(symbol)]
        return self._condition(
            field, [value], lambda column: operation(column, _typed_literal(value))
        )

    def one_of(self, field: tuple[str, ...], *values: Any) -> Any:
        literals = [_typed_literal(value) for value in values]
        return self._condition(field, values, lambda column: column.in_(literals))

    def none_of(self, field: tuple[str, ...], *values: Any) -> Any:
        literals = [_typed_literal(value) for value in values]
        return self._condition(field, values, lambda column: column.not_in(literals))

    def like(self, field: tuple[str, ...], pattern: Token) -> Any:
        text = _pattern(pattern)
        return self._condition(field, [text], lambda column: column.ilike(text, escape="\\"))

    def not_like(self, field: tuple[str, ...], pattern: Token) -> Any:
        text = _pattern(pattern)
        return self._condition(field, [text], lambda column: column.not_ilike(text, escape="\\"))

    def _condition(self, field: tuple[str, ...], values: Sequence[Any], test: Predicate) -> Any:
        name = ".".join(field)
        numbers = not any(isinstance(value, str) for value in values)
        if not numbers and not all(isinstance(value, str) for value in values):
            raise InputError(f"{name} is compared with both numbers and text: use one type")
        if field[0] == "metric" and len(field) in (2, 3):
            _check_type(name, values[0], numbers=numbers, expects_number=True)
            split = field[1] if len(field) == 3 else AdapterRow.split
            if len(field) == 3 and split not in OWN_SPLITS:
                return exists().where(
                    ScoredSplitRow.adapter_id == AdapterRow.id,
                    ScoredSplitRow.split == split,
                    test(ScoredSplitRow.metrics[(field[2], "value")].as_float()),
                )
            return exists().where(
                MetricRow.adapter_id == AdapterRow.id,
                MetricRow.split == split,
                MetricRow.name == field[-1],
                test(MetricRow.value),
            )
        if field[0] == "tag" and len(field) > 1:
            _check_type(name, values[0], numbers=numbers, expects_number=False)
            return self._tag_condition(TagRow.key == ".".join(field[1:]), test(TagRow.value))
        if field[0] in ("training", "options") and len(field) == 2:
            column = AdapterRow.training if field[0] == "training" else AdapterRow.options
            return self._json_condition(column, field[1], test, numbers=numbers)
        if name not in FIELDS:
            raise InputError(
                f"adapters have no field {name!r}: use {', '.join(FIELDS)}, "
                f"or one of the groups {', '.join(f'{group}.NAME' for group in GROUPS)}"
            )
        _check_type(name, values[0], numbers=numbers, expects_number=name in NUMBERS)
        return test(FIELDS[name])

    def _tag_condition(self, *conditions: ColumnElement[bool]) -> Any:
        # SQLite starts from the rows of an IN, but evaluates EXISTS for each adapter. PostgreSQL
        # chooses where to start with EXISTS, and has no good plan for NOT IN.
        if self.dialect == "sqlite":
            return AdapterRow.id.in_(select(TagRow.adapter_id).where(*conditions))
        return exists().where(TagRow.adapter_id == AdapterRow.id, *conditions)

    def _json_condition(self, column: Any, key: str, test: Predicate, *, numbers: bool) -> Any:
        # The type is checked first because the databases treat other types differently.
        if self.dialect == "sqlite":
            types = ("integer", "real") if numbers else ("text",)
            right_type: ColumnElement[bool] = func.json_type(column, f'$."{key}"').in_(types)
        else:
            right_type = func.json_typeof(column[key]) == ("number" if numbers else "string")
        item = column[key].as_float() if numbers else column[key].as_string()
        return case((right_type, test(item)), else_=false())


def _typed_literal(value: Any) -> Any:
    # The literal keeps its own type: cast to the column's type, 1.5 would become the integer 2.
    if isinstance(value, int):
        return literal(value, BigInteger())
    return literal(value, Float()) if isinstance(value, float) else value


def _check_type(name: str, value: Any, *, numbers: bool, expects_number: bool) -> None:
    if numbers != expects_number:
        expected = "a number" if expects_number else 'text, such as "…"'
        raise InputError(f"{name} is compared with {value!r}: it takes {expected}")


def _pattern(token: Token) -> str:
    text = _unquote(token)
    if (len(text) - len(text.rstrip("\\"))) % 2:
        raise InputError(f"the pattern {text!r} ends with a backslash, which escapes nothing")
    return text


def _unquote(token: Token) -> str:
    body = token[1:-1]
    characters, escaped = [], False
    for character in body:
        if character == "\\" and not escaped:
            escaped = True
            continue
        characters.append(character)
        escaped = False
    return "".join(characters)
