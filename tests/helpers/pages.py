"""Finds the code blocks of a Markdown page, runs them, and puts in the output that they gave.

A comment above a block says what becomes of it:

- `<!-- run -->`: it runs, and exits with 0. A `console` block has commands after `$ ` and shows
  what each printed; in what it shows, a line that is `…` stands for any number of lines.
- `<!-- run: exits with 1 -->`: the same, for a last command that is refused.
- `<!-- output -->`: what the block before it printed.
- `<!-- not run: REASON -->`: its commands are only checked to exist.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(
    r"(?:<!-- (?P<mark>[^>]*) -->\n+)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
EXIT = re.compile(r"run: exits with (\d+)")
BETWEEN = "\x1e"  # ASCII's record separator: between the outputs of two commands
ELLIPSIS = "…"


@dataclass(frozen=True)
class Block:
    """A code block of a page.

    Attributes:
        mark: the comment above it; empty where there is none.
        language: the word after the fence.
        code: its lines.
        start: where `code` starts in the page.
    """

    mark: str
    language: str
    code: str
    start: int


def blocks(page: str) -> list[Block]:
    """Return the code blocks of a page, in order."""
    return [
        Block((found["mark"] or "").strip(), found["language"], found["code"], found.start("code"))
        for found in BLOCK.finditer(page)
    ]


def run_page(
    page: str, name: str, folder: Path, environment: Mapping[str, str], *, fresh: bool = False
) -> str:
    """Run the blocks of a page, in order; return the page with the output that they gave.

    Args:
        page: its text.
        name: its name, for failures.
        folder: where the blocks run.
        environment: of the blocks; `taskbank` and `python` are found on its PATH.
        fresh: whether to put in output that differs from what the page shows only in what varies
            (see `varying`), which is left as it is otherwise.
    """
    shown: list[tuple[Block, str]] = []
    printed = ""
    for block in blocks(page):
        if block.mark.startswith("run"):
            expected = EXIT.fullmatch(block.mark)
            assert expected or block.mark == "run", f"{name}: what is {block.mark!r}?"
            code, printed = _run(block, folder, environment)
            line = page.count("\n", 0, block.start)
            assert code == int(expected[1] if expected else 0), f"{name}:{line}: {code}\n{printed}"
            if block.language == "console":
                shown.append((block, _console(block.code, printed, fresh=fresh)))
        elif block.mark == "output":
            shown.append((block, _as_shown(block.code, printed, fresh=fresh)))
    for block, text in reversed(shown):
        page = page[: block.start] + text + page[block.start + len(block.code) :]
    return page


def _run(block: Block, folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run one block; return its exit code and what it printed on both streams."""
    if block.language == "python":
        arguments = ["python", "-c", block.code]
    else:
        code = block.code
        if block.language == "console":
            separator = f"printf '{BETWEEN}'\n"
            code = separator.join(command for command, _ in _session(block.code))
        arguments = ["bash", "-euo", "pipefail", "-c", code]
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode, done.stdout


def _session(code: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block, and what is shown to be printed by it."""
    command = shown = ""
    for line in code.splitlines(keepends=True):
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:], ""
        elif command.endswith("\\\n") and not shown:
            command += line
        else:
            shown += line
    yield command, shown


def commands(block: Block) -> list[str]:
    """Return the lines of shell of a block, continued lines joined."""
    if block.language == "console":
        lines = [command for command, _ in _session(block.code)]
    else:
        lines = block.code.replace("\\\n", " ").splitlines()
    return [line.replace("\\\n", " ").strip() for line in lines]


def _console(code: str, printed: str, *, fresh: bool) -> str:
    """Return a console block with what its commands printed."""
    text = ""
    for (command, shown), output in zip(_session(code), printed.split(BETWEEN), strict=True):
        text += f"$ {command}" + _as_shown(shown, output, fresh=fresh)
    return text


def _as_shown(shown: str, printed: str, *, fresh: bool) -> str:
    """Return what is shown if it was printed but for what varies, otherwise what was printed.

    Args:
        shown: lines of a page.
        printed: lines of a command.
        fresh: whether to put in what was printed also where only what varies is different.
    """
    lines = [line.rstrip() for line in printed.splitlines()]
    aligned = _aligned(shown.splitlines(), lines)
    if aligned is not None and not fresh:
        return shown
    return "".join(f"{line}\n" for line in (lines if aligned is None else aligned))


def _aligned(shown: Sequence[str], printed: Sequence[str]) -> list[str] | None:
    """Return the printed lines that the shown ones stand for; none if others were printed."""
    if not shown:
        return None if printed else []
    if shown[0] == ELLIPSIS:
        rests = (_aligned(shown[1:], printed[start:]) for start in range(len(printed) + 1))
        return next(([ELLIPSIS, *rest] for rest in rests if rest is not None), None)
    if not printed or varying(shown[0]) != varying(printed[0]):
        return None
    rest = _aligned(shown[1:], printed[1:])
    return None if rest is None else [printed[0], *rest]


def varying(line: str) -> str:
    """Return a line without what varies from run to run and from machine to machine.

    Digests, dates, numbers with a fraction, and the width of columns vary. Words and whole
    numbers (of examples, parameters, versions, flips) do not.
    """
    line = re.sub(r"sha256:[0-9a-f]+", "DIGEST", line)
    line = re.sub(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:[\d.]+)?([+-]\d\d:\d\d)?)?", "DATE", line)
    line = re.sub(r"\d+\.\d+(e[+-]?\d+)?|\d+e[+-]?\d+", "NUMBER", line)
    return re.sub(r"\s{2,}", "  ", re.sub("─+", "─", line)).rstrip()
