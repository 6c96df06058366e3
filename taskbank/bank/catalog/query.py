"""The query language: text to a tree (lark) to SQL; nothing is ever evaluated.

    metric.accuracy >= 0.9 and method = "houlsby" and not (tag.team in ("search", "ads"))

A field is a column of the adapter (`task`, `version`, `kind`, `method`, `score`, …),
`metric.NAME` on the adapter's own split or `metric.SPLIT.NAME`, `tag.KEY`,
`training.NAME` or `options.NAME`. A comparison with something that an adapter does not
have is false.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from lark import Lark, Token, Transformer, v_args
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

from taskbank.bank.catalog.tables import AdapterRow, BackboneRow, MetricRow, TagRow, TaskRow
from taskbank.bank.operators import OPERATIONS
from taskbank.errors import InputError

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

Test = Callable[[Any], Any]  # a column to a condition on it


def compile_query(query: str, dialect: str) -> ColumnElement[bool]:
    """Return the SQL condition that a query means.

    Args:
        query: a condition in the language above.
        dialect: `sqlite` or `postgresql`; they differ in how they look into JSON.

    Raises:
        InputError: if it does not parse, or names a field that adapters do not have.
    """
    if len(query) > MAX_LENGTH:
        raise InputError(
            f"the query has {len(query):,} characters, at most {MAX_LENGTH:,} are read"
        )
    try:
        condition: ColumnElement[bool] = _ToSql(dialect).transform(_parser().parse(query))
    except UnexpectedInput as error:
        where = " " * max(0, error.column - 1) + "^" if error.column > 0 else ""
        raise InputError(
            f"the query cannot be read at character {max(error.column, 1)}:\n  {query}\n  {where}\n"
            'write conditions such as metric.accuracy >= 0.9 and tag.team = "search", joined '
            "by and, or, not and parentheses"
        ) from None
    except VisitError as error:
        raise error.orig_exc from None
    except RecursionError:
        raise InputError(
            "the query is nested too deeply: write it with fewer parentheses"
        ) from None
    return condition


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr")


@v_args(inline=True)
class _ToSql(Transformer[Token, Any]):
    """Turns the parse tree into a SQL condition, leaves first."""

    def __init__(self, dialect: str) -> None:
        super().__init__()
        self.dialect = dialect

    def any_of(self, *terms: Any) -> Any:
        return or_(*terms)

    def all_of(self, *terms: Any) -> Any:
        return and_(*terms)

    def negation(self, term: Any) -> Any:
        return not_(term)

    def field(self, *parts: Token) -> tuple[str, ...]:
        return tuple(str(part) for part in parts)

    def value(self, token: Token) -> float | int | str:
        if token.type == "STRING":
            return _unquoted(token)
        number = float(token)
        return int(number) if number.is_integer() and abs(number) < 2**53 else number

    def compare(self, field: tuple[str, ...], symbol: Token, value: Any) -> Any:
        compared = OPERATIONS[str(symbol)]
        return self._condition(field, [value], lambda column: compared(column, _bound(value)))

    def one_of(self, field: tuple[str, ...], *values: Any) -> Any:
        bound = [_bound(value) for value in values]
        return self._condition(field, values, lambda column: column.in_(bound))

    def none_of(self, field: tuple[str, ...], *values: Any) -> Any:
        bound = [_bound(value) for value in values]
        return self._condition(field, values, lambda column: column.not_in(bound))

    def like(self, field: tuple[str, ...], pattern: Token) -> Any:
        text = _pattern(pattern)
        return self._condition(field, [text], lambda column: column.ilike(text, escape="\\"))

    def not_like(self, field: tuple[str, ...], pattern: Token) -> Any:
        text = _pattern(pattern)
        return self._condition(field, [text], lambda column: column.not_ilike(text, escape="\\"))

    def _condition(self, field: tuple[str, ...], values: Sequence[Any], test: Test) -> Any:
        name = ".".join(field)
        numbers = not any(isinstance(value, str) for value in values)
        if not numbers and not all(isinstance(value, str) for value in values):
            raise InputError(f"{name} is compared with numbers and text at once: use one of them")
        if field[0] == "metric" and len(field) in (2, 3):
            _check_type(name, values[0], numbers=numbers, wanted_number=True)
            split = field[1] if len(field) == 3 else AdapterRow.split
            return exists().where(
                MetricRow.adapter_id == AdapterRow.id,
                MetricRow.split == split,
                MetricRow.name == field[-1],
                test(MetricRow.value),
            )
        if field[0] == "tag" and len(field) > 1:
            _check_type(name, values[0], numbers=numbers, wanted_number=False)
            return self._tagged(TagRow.key == ".".join(field[1:]), test(TagRow.value))
        if field[0] in ("training", "options") and len(field) == 2:
            column = AdapterRow.training if field[0] == "training" else AdapterRow.options
            return self._in_json(column, field[1], test, numbers=numbers)
        if name not in FIELDS:
            raise InputError(
                f"adapters have no field {name!r}: use {', '.join(FIELDS)}, "
                f"or one of the groups {', '.join(f'{group}.NAME' for group in GROUPS)}"
            )
        _check_type(name, values[0], numbers=numbers, wanted_number=name in NUMBERS)
        return test(FIELDS[name])

    def _tagged(self, *conditions: ColumnElement[bool]) -> Any:
        # SQLite starts from the rows of an IN, but asks each adapter whether something EXISTS;
        # PostgreSQL starts where it likes with EXISTS, and has no good plan for NOT IN.
        if self.dialect == "sqlite":
            return AdapterRow.id.in_(select(TagRow.adapter_id).where(*conditions))
        return exists().where(TagRow.adapter_id == AdapterRow.id, *conditions)

    def _in_json(self, column: Any, key: str, test: Test, *, numbers: bool) -> Any:
        # The type is asked first: the databases differ in what they do with another one.
        if self.dialect == "sqlite":
            types = ("integer", "real") if numbers else ("text",)
            right_type: ColumnElement[bool] = func.json_type(column, f'$."{key}"').in_(types)
        else:
            right_type = func.json_typeof(column[key]) == ("number" if numbers else "string")
        item = column[key].as_float() if numbers else column[key].as_string()
        return case((right_type, test(item)), else_=false())


def _bound(value: Any) -> Any:
    # Bound with a type of its own: cast to the column's, 1.5 would become the integer 2.
    if isinstance(value, int):
        return literal(value, BigInteger())
    return literal(value, Float()) if isinstance(value, float) else value


def _check_type(name: str, value: Any, *, numbers: bool, wanted_number: bool) -> None:
    if numbers != wanted_number:
        wanted = "a number" if wanted_number else 'text, such as "…"'
        raise InputError(f"{name} is compared with {value!r}: it takes {wanted}")


def _pattern(token: Token) -> str:
    text = _unquoted(token)
    if (len(text) - len(text.rstrip("\\"))) % 2:
        raise InputError(f"the pattern {text!r} ends with a backslash, which escapes nothing")
    return text


def _unquoted(token: Token) -> str:
    body = token[1:-1]
    plain, escaped = [], False
    for character in body:
        if character == "\\" and not escaped:
            escaped = True
            continue
        plain.append(character)
        escaped = False
    return "".join(plain)
