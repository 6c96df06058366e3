"""Asks random and hostile queries of a bank, and counts what it says.

    python -m scripts.verification.attacks.queries [--number 135000] [--seed 0] [--every 20]

Queries are made by the grammar, made by the grammar and then spoiled, made of random words of the
language and of any bytes, or nested and repeated beyond any sense. Each must be compiled or refused
as invalid input that says where. Every so many of the valid ones are asked, too: a query and its
negation must select every adapter once between them.
"""

from __future__ import annotations

import random
import string
import sys
import tempfile

import taskbank
from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from taskbank.bank.bank import Bank
from taskbank.errors import InputError
from tests.helpers.adapters import new_adapter

NUMBERS = ("version", "score", "parameters", "bytes", "metric.accuracy", "metric.test.f1")
TEXTS = (
    "task",
    "kind",
    "method",
    "metric",
    "split",
    "digest",
    "backbone",
    "description",
    "tag.team",
)
EITHER = ("training.epochs", "options.size", "training.precision", "options.a-b")
WORDS = [
    *NUMBERS, *TEXTS, *EITHER, "and", "or", "not", "in", "like", "(", ")", ",", "=", "<=", "<>",
    "==", ">", "'x'", '"y"', "1", "-2.5", "1e400", ".5", "'", '"', "\\", "%", "\x00", "\udcff",
    "\u202e", "\x1b[2J", "\n", ";", "--", "/*", "é", "0" * 400, "nan", "None", "True",
]  # fmt: skip
OPERATORS = ("=", "==", "!=", "<>", "<", "<=", ">", ">=")


def main() -> int:
    """Run the attack and return the exit code."""
    parser = script_parser(__doc__)
    parser.add_argument("--number", type=int, default=135_000, help="number of queries")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=20, help="ask one in so many valid queries")
    arguments = parser.parse_args()
    generator = random.Random(arguments.seed)
    outcomes = Outcomes()
    with (
        tempfile.TemporaryDirectory() as folder,
        taskbank.create(f"sqlite:///{folder}/bank.db") as bank,
    ):
        for number, task in enumerate(("alpha", "beta", "gamma")):
            bank.put(new_adapter(task, seed=number))
        kinds = [valid, spoiled, shuffled, noise]
        for number in range(arguments.number):
            if number % 10_000 == 9_999:
                print(f"{number + 1:,} queries, {len(outcomes.broken)} broken", flush=True)
            if number % 500 == 0:
                query = hostile(generator)
            else:
                query = generator.choices(kinds, (2, 2, 3, 3))[0](generator)
            ask(bank, query, outcomes, counted=number % arguments.every == 0)
    return outcomes.finish()


def ask(bank: Bank, query: str, outcomes: Outcomes, *, counted: bool) -> None:
    """Compile one query, maybe ask it, and record what happened."""
    try:
        bank.check_query(query)
        if not counted or len(query) > 4000 or query.count("(") > 8:
            outcomes.add("compiled", query)
            return
        found = len(bank.query(query)) + len(bank.query(f"not ({query})"))
        outcomes.add("asked", f"{query!r}: {found} of 3", broken=found != 3)
    except InputError as error:
        outcomes.add("refused", repr(query[:200]), broken=not str(error).strip())
    except Exception as error:
        outcomes.add(f"defect: {type(error).__name__}", repr(query[:200]), broken=True)


def valid(generator: random.Random, depth: int = 2) -> str:
    """Return a query that the grammar makes."""
    if depth == 0 or generator.random() < 0.4:
        return comparison(generator)
    parts = [valid(generator, depth - 1) for _ in range(generator.randint(1, 3))]
    joined = f" {generator.choice(('and', 'or', 'AND', 'Or'))} ".join(parts)
    return generator.choice(("{}", "({})", "not ({})", "not not ({})")).format(joined)


def comparison(generator: random.Random) -> str:
    """Return one comparison."""
    is_number = generator.random() < 0.5
    field = generator.choice(EITHER + (NUMBERS if is_number else TEXTS))

    def value() -> str:
        if is_number:
            return repr(generator.choice((0, 1, -3, 0.5, 2**70, 1e300, generator.random())))
        return repr("".join(generator.choices("abX%_é \\'\"", k=generator.randint(0, 6))))

    how = generator.randrange(4)
    if how == 0:
        values = ", ".join(value() for _ in range(generator.randint(1, 4)))
        return f"{field} {generator.choice(('in', 'not in'))} ({values})"
    if how == 1 and not is_number:
        return f"{field} {generator.choice(('like', 'not like'))} 'a%_'"
    return f"{field} {generator.choice(OPERATORS)} {value()}"


def spoiled(generator: random.Random) -> str:
    """Return a query with one character or word changed, left out or put in."""
    query = valid(generator)
    place = generator.randrange(len(query) + 1)
    rest = query[place + generator.randint(0, 3) :]
    return query[:place] + generator.choice(["", *WORDS]) + rest


def shuffled(generator: random.Random) -> str:
    """Return random words of the language."""
    return " ".join(generator.choices(WORDS, k=generator.randint(0, 12)))


def noise(generator: random.Random) -> str:
    """Return random characters, of which some are in no text."""
    signs = string.printable + "\x00\x1b\udc80\u202eé日\U0010ffff"
    return "".join(generator.choices(signs, k=generator.randint(0, 60)))


def hostile(generator: random.Random) -> str:
    """Return a query that is nested or repeated beyond any sense."""
    count = generator.choice((10, 19, 20, 21, 50, 100, 400, 998, 2000))
    one = generator.choice(("score>1", "tag.a='x'", "metric.a>1", "options.a=1", "task in ('a')"))
    nested = one
    for level in range(min(count, 400)):
        nested = f"({one} {('and', 'or')[level % 2]} {nested})"
    return generator.choice(
        (
            "(" * count + one + ")" * count,
            "not " * count + one,
            "not(" * count + one + ")" * count,
            "(" * count,
            "or ".join([one] * count),
            " and ".join([f"({one})"] * count),
            nested,
            f"score in ({','.join(['1'] * count)})",
            "tag." + "a." * count + "a = 'x'",
            "task = '" + "\\" * count + "'",
            f"version = {'9' * count}",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
