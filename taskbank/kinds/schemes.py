"""Tagging schemes: how tags mark the words of an entity, and which scheme a data set uses.

A tag joins a *mark*, such as B for an entity's first word, to a type, such as PER. A *form* is the
spelling of such tags: `MARK-TYPE` for B-PER, `TYPE_MARK` for PER_B, `MARK` for tags without types,
`mark` for marks in small letters. A word outside of entities has the tag O.

    scheme   first  inside  last  only word
    IOB2     B      I       I     B
    IOB1     I      I       I     I          B if an entity of the same type ends just before
    BIOES    B      I       E     S
    BILOU    B      I       L     U
    BMES     B      M       E     S
    BMEWO    B      M       E     W
    IOE2     I      I       E     E
    IOE1     I      I       I     I          E if an entity of the same type begins just after

Tags in an order that the scheme does not allow are read as seqeval reads them by default: an
entity begins wherever the type changes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq

from taskbank.data.fields import preview
from taskbank.errors import DataError

SCHEMES = {
    "IOB2": "BIIB",
    "IOB1": "IIII",
    "BIOES": "BIES",
    "BILOU": "BILU",
    "BMES": "BMES",
    "BMEWO": "BMEW",
    "IOE2": "IIEE",
    "IOE1": "IIII",
}
BOUNDARY = {"IOB1": "B", "IOE1": "E"}  # the mark between adjacent entities of the same type
MARKS = {scheme: frozenset(marks + BOUNDARY.get(scheme, "")) for scheme, marks in SCHEMES.items()}
SEQEVAL_MARKS = {"M": "I", "L": "E", "U": "S", "W": "S"}  # seqeval has begin, inside, end, single
CAPITAL_FORMS = ("MARK-TYPE", "MARK_TYPE", "TYPE-MARK", "TYPE_MARK", "MARK")
FORMS = CAPITAL_FORMS + tuple(form.replace("MARK", "mark") for form in CAPITAL_FORMS)
NO_TYPE = "_"  # the type that seqeval gives to tags without one
SAMPLE = 10_000  # number of distinct sentences that decide which scheme a data set uses
COVERED = 0.9  # share of the words of entities whose marks a data set's scheme has

Entity = tuple[str, int, int]  # type, first word, last word


def _pattern(form: str) -> re.Pattern[str]:
    marks = {"MARK": "(?P<mark>[BIESLUMW])", "mark": "(?P<mark>[bieslumw])", "TYPE": "(?P<type>.+)"}
    parts = re.split("(MARK|mark|TYPE)", form)
    return re.compile("".join(marks.get(part, part) for part in parts), re.DOTALL)


PATTERNS = {form: _pattern(form) for form in FORMS}


@dataclass(frozen=True)
class Scheme:
    """A tagging scheme in one form.

    Attributes:
        name: the scheme's name, such as `IOB2`.
        form: the form of its tags, such as `MARK-TYPE`.
    """

    name: str
    form: str

    @property
    def outside(self) -> str:
        """The tag of a word outside of entities."""
        return _outside(self.form)

    def join(self, mark: str, type_name: str) -> str:
        """Return the tag of a mark, given as a capital, and a type."""
        if mark == "O":
            return self.outside
        form = self.form.replace("MARK", mark).replace("mark", mark.lower())
        return form.replace("TYPE", type_name)

    def seqeval_tag(self, tag: str) -> str | None:
        """Return a tag as seqeval writes it, such as `E-PER` for `L-PER`; None for another tag."""
        mark, type_name = split(tag, self.form) or ("", "")
        if mark == "O":
            return mark
        return _seqeval_tag(mark, type_name) if mark in MARKS[self.name] else None

    def write(self, entities: Iterable[Entity], words: int) -> list[str]:
        """Return the tags of a sentence.

        Args:
            entities: the sentence's entities, in order and without overlaps.
            words: number of words of the sentence.
        """
        return [self.join(*tag) for tag in _write(self.name, entities, words)]


def split(tag: str, form: str) -> tuple[str, str] | None:
    """Return a tag's mark, as a capital, and its type; None if the tag is not of the form.

    A word outside of entities has the mark `O` and the type "". Tags without types have `NO_TYPE`.
    """
    if tag == _outside(form):
        return "O", ""
    match = PATTERNS[form].fullmatch(tag)
    return match and (match["mark"].upper(), match.groupdict().get("type", NO_TYPE))


def find_form(counts: Mapping[str, int]) -> str | None:
    """Return the form of some tags; None if they do not mark entities, like parts of speech.

    Tags have the form that most of them share, if half of the different tags have it, or half of
    the tagged words. The few other tags of such data are probably errors.

    Args:
        counts: the number of words of each tag.
    """

    def words(form: str) -> int:
        return sum(count for tag, count in counts.items() if PATTERNS[form].fullmatch(tag))

    form = max(FORMS, key=words)
    marked = {tag for tag in counts if PATTERNS[form].fullmatch(tag)}
    others = counts.keys() - marked - {_outside(form)}
    if not {"B", "I"} & {mark for mark, _ in (split(tag, form) or ("", "") for tag in marked)}:
        return None
    if len(marked) >= len(others) or words(form) >= sum(counts[tag] for tag in others):
        return form
    return None


def find_scheme(sentences: Sequence[Sequence[str]], origin: str) -> Scheme | None:
    """Return the scheme of some sentences' tags; None if their tags do not mark entities.

    Of the schemes that have the marks of nearly all words, it is the one that would write the
    entities with the most tags as they are.

    Args:
        sentences: the tags of each sentence.
        origin: the source of the sentences, for errors.

    Raises:
        DataError: if a few tags are not of the scheme of the others, naming the first.
    """
    counts = Counter(tag for tags in sentences for tag in tags)
    form = find_form(counts)
    if form is None:
        return None
    parts = {tag: split(tag, form) or ("O", "") for tag in counts}
    marked = {tag for tag in counts if parts[tag][0] != "O"}
    distinct = dict.fromkeys(tuple(tags) for tags in sentences if not marked.isdisjoint(tags))
    votes = dict.fromkeys(SCHEMES, 0)
    for sentence in list(distinct)[:SAMPLE]:
        found = [parts[tag] for tag in sentence]
        entities = read_entities([_seqeval_tag(*part) for part in found])
        for name in SCHEMES:
            votes[name] += sum(map(eq, _write(name, entities, len(found)), found))
    words = sum(counts[tag] for tag in marked)

    def rank(name: str) -> tuple[bool, int]:
        covered = sum(counts[tag] for tag in marked if parts[tag][0] in MARKS[name])
        return covered >= COVERED * words, votes[name]

    scheme = Scheme(max(SCHEMES, key=rank), form)  # the first of equally good ones
    strays = {tag: counts[tag] for tag in counts if scheme.seqeval_tag(tag) is None}
    for row, tags in enumerate(sentences, start=1):
        if not strays.keys().isdisjoint(tags):
            raise _stray_tag(scheme, row, tags, strays, max(marked, key=counts.__getitem__), origin)
    return scheme


def irregular_rows(scheme: Scheme, sentences: Sequence[Sequence[str]]) -> list[int]:
    """Return the rows, from 1, whose tags are in an order that the scheme does not allow."""
    names_of = {tag: scheme.seqeval_tag(tag) or "O" for tag in {t for s in sentences for t in s}}
    regular: dict[tuple[str, ...], bool] = {}
    rows = []
    for row, tags in enumerate(map(tuple, sentences), start=1):
        if tags not in regular:
            names = [names_of[tag] for tag in tags]
            regular[tags] = tuple(scheme.write(read_entities(names), len(tags))) == tags
        if not regular[tags]:
            rows.append(row)
    return rows


def read_entities(tags: Sequence[str]) -> list[Entity]:
    """Return the entities of a sentence.

    Args:
        tags: the tags as seqeval writes them.
    """
    from seqeval.metrics.sequence_labeling import get_entities

    return list(get_entities(list(tags)))


def _write(scheme: str, entities: Iterable[Entity], words: int) -> list[tuple[str, str]]:
    """Return the mark and the type of each word of a sentence."""
    first_mark, inside, last_mark, single = list(SCHEMES[scheme])
    boundary = BOUNDARY.get(scheme)
    tags = [("O", "")] * words
    previous: Entity | None = None
    for type_name, first, last in entities:
        marks = (
            [first_mark, *[inside] * (last - first - 1), last_mark] if first < last else [single]
        )
        tags[first : last + 1] = [(mark, type_name) for mark in marks]
        if previous is not None and (previous[0], previous[2] + 1) == (type_name, first):
            if boundary == "B":
                tags[first] = (boundary, type_name)
            elif boundary == "E":
                tags[first - 1] = (boundary, type_name)
        previous = (type_name, first, last)
    return tags


def _outside(form: str) -> str:
    return "o" if "mark" in form else "O"


def _seqeval_tag(mark: str, type_name: str) -> str:
    return "O" if mark == "O" else f"{SEQEVAL_MARKS.get(mark, mark)}-{type_name}"


def _stray_tag(
    scheme: Scheme,
    row: int,
    tags: Sequence[str],
    strays: Mapping[str, int],
    example: str,
    origin: str,
) -> DataError:
    stray = next(tag for tag in tags if tag in strays)
    words = sum(strays.values())
    return DataError(
        f"row {row:,} of {origin} has the tag {preview(stray)}, but the other tags, such as "
        f"{preview(example)}, are of the scheme {scheme.name}: write a tag of that scheme, or "
        f"{scheme.outside!r} for a word outside of entities"
        + (f" ({words:,} words have tags outside of the scheme)" if words > 1 else "")
    )
