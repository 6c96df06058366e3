"""Entities of tagged words, scored by seqeval."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from taskbank.digests import Json
from taskbank.errors import MissingExtraError
from taskbank.kinds.definition import Definition
from taskbank.kinds.schemes import FORMS, NO_TYPE, SCHEMES, Entity, Scheme, read_entities

# Adapters without the setting `scoring` are older: all their labels are like this, or all words
# are scored.
OLD_ENTITY = re.compile(r"O|[BIESLU]-.+", re.DOTALL)
SCORING_SETTINGS = ("scoring", "scheme", "form")


def seqeval_metrics() -> Any:
    """Return seqeval's metrics.

    Raises:
        MissingExtraError: if seqeval is not installed.
    """
    try:
        from seqeval import metrics
    except ModuleNotFoundError:
        raise MissingExtraError(
            "a task of kind 'tagging' needs seqeval: install it with pip install "
            "'taskbank[tagging]'"
        ) from None
    return metrics


def scoring_settings(scheme: Scheme | None) -> dict[str, Json]:
    """Return the settings of a task whose tags have a scheme, or whose words are scored."""
    if scheme is None:
        return {"scoring": "words"}
    return {"scoring": "entities", "scheme": scheme.name, "form": scheme.form}


def scoring_checks(definition: Definition) -> dict[str, Callable[[Json], bool]]:
    """Return the checks of the settings that `scoring_settings` returns; see `check_settings`."""
    settings = definition.settings
    if settings.keys().isdisjoint(SCORING_SETTINGS):
        return {}
    words = settings.get("scoring") == "words"

    def is_scheme(value: Json) -> bool:
        return value is None if words else isinstance(value, str) and value in SCHEMES

    def is_form(value: Json) -> bool:
        if words or not isinstance(value, str) or value not in FORMS:
            return words and value is None
        scheme = Scheme(str(settings["scheme"]), value)
        return None not in map(scheme.seqeval_tag, definition.labels)

    return {
        "scoring": lambda value: value in ("entities", "words"),
        "scheme": is_scheme,
        "form": is_form,
    }


def describe_scoring(settings: Mapping[str, Json]) -> str | None:
    """Return what is scored in a tagging task, for people; None for other and older tasks."""
    if settings.get("scoring") == "entities":
        return f"entities, from tags of the scheme {settings['scheme']} ({settings['form']})"
    if settings.get("scoring") == "words":
        return "words, as the tags do not mark entities"
    return None


def seqeval_names(definition: Definition) -> dict[str, str]:
    """Return every label as seqeval writes it; where words are scored, each is one entity."""
    settings, labels = definition.settings, definition.labels
    if settings.get("scoring") == "entities":
        scheme = Scheme(settings["scheme"], settings["form"])
        return {label: scheme.seqeval_tag(label) or "O" for label in labels}
    if "scoring" not in settings and all(OLD_ENTITY.fullmatch(label) for label in labels):
        ends = {"L": "E", "U": "S"}
        return {label: ends.get(label[0], label[0]) + label[1:] for label in labels}
    return {label: label if label == "O" else f"S-{label}" for label in labels}


def entities_of(tags: Sequence[str], names: Mapping[str, str]) -> list[Entity]:
    """Return the entities of a sentence; an entity of tags without types has the type "".

    Args:
        tags: the sentence's tags.
        names: every label as seqeval writes it.
    """
    found = read_entities([names[tag] for tag in tags])
    return [("" if name == NO_TYPE else name, first, last) for name, first, last in found]
