"""Reading labelled text: every format, every way it can be wrong."""

from __future__ import annotations

import csv
import inspect
import json
import sys
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from pyarrow import feather, ipc, parquet

from taskbank import plugins
from taskbank.data.examples import Examples
from taskbank.data.sources import read_examples, read_inputs
from taskbank.data.splits import hold_out
from taskbank.digests import Json
from taskbank.errors import DataError
from taskbank.kinds.kind import Kind
from taskbank.kinds.multilabel import MULTILABEL
from taskbank.kinds.pair import PAIR
from taskbank.kinds.regression import REGRESSION
from taskbank.kinds.single import SINGLE
from taskbank.kinds.span import SPAN
from taskbank.kinds.tagging import TAGGING
from tests.helpers.tiny import ROWS as ROWS_OF

ROWS = [
    {"text": "007 is a name", "label": "film"},
    {"text": "NA", "label": "data"},
    {"text": 'she said "no",\nand left', "label": "book"},
    {"text": "ünïcödé ✓", "label": "null"},
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    """Write rows in the format of a path's ending and return the path as text."""
    table = pa.Table.from_pylist(rows)
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            plain: dict[str, Any] = {
                "delimiter": "\t",
                "quoting": csv.QUOTE_NONE,
                "quotechar": None,
            }
            writer = csv.DictWriter(file, list(rows[0]), **(plain if path.suffix == ".tsv" else {}))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix in (".jsonl", ".json"):
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        parquet.write_table(table, path)
    elif path.suffix == ".feather":
        feather.write_feather(table, path)
    elif path.suffix == ".arrow":
        with ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table)
    else:
        datasets.Dataset.from_list(rows).save_to_disk(path)
    return str(path)


def read(source: str, kind: Kind = SINGLE, **columns: str) -> Examples:
    """Read the labelled examples of a kind."""
    return read_examples(source, kind.inputs, kind.label, **columns)


def read_texts(source: str, kind: Kind = SINGLE, **columns: str) -> list[tuple[Json, ...]]:
    """Read the inputs of a kind."""
    return read_inputs(source, kind.inputs[0], **columns)


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "a.jsonl", "a.json", "a.parquet", "a.arrow", "a.feather", "saved"]
)
def test_every_format_gives_the_same_examples_and_digest(tmp_path: Path, name: str) -> None:
    """Texts come out letter for letter as they went in, whatever the format."""
    rows = [row for row in ROWS if "\n" not in row["text"]] if name == "a.tsv" else ROWS
    examples = read(write(tmp_path / name, rows))
    assert list(examples.rows()) == rows
    same = read(write(tmp_path / "same.jsonl", rows))
    assert examples.digest == same.digest


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.arrow", "saved"])
@pytest.mark.parametrize("kind", plugins.names("kinds"))
def test_every_format_holds_the_examples_of_every_kind(
    tmp_path: Path, kind: str, name: str
) -> None:
    """Numbers, lists and answers come out alike from typed columns and, as JSON, from text."""
    rows = ROWS_OF[kind](8)
    written = rows
    if name in ("a.csv", "a.tsv"):
        written = [{column: _as_text(value) for column, value in row.items()} for row in rows]
    examples = read(write(tmp_path / name, written), plugins.load("kinds", kind))
    assert list(examples.rows()) == rows


def _as_text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def test_an_arrow_file_reads_as_an_arrow_stream_does(tmp_path: Path) -> None:
    """Both shapes of Arrow data are read."""
    table = pa.Table.from_pylist(ROWS)
    with ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    assert list(read(str(tmp_path / "a.arrow")).rows()) == ROWS


def test_a_tsv_has_no_quotes(tmp_path: Path) -> None:
    """A text that begins with a quote does not swallow the rows after it."""
    (tmp_path / "a.tsv").write_text('text\tlabel\n"open\tx\nnext\ty\n')
    assert read(str(tmp_path / "a.tsv")).columns["text"] == ('"open', "next")


def test_a_byte_order_mark_is_no_part_of_a_column_name(tmp_path: Path) -> None:
    """A CSV file saved by a spreadsheet reads as any other."""
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbftext,label\nx,a\ny,b\n")
    assert read(str(tmp_path / "a.csv")).columns["label"] == ("a", "b")


@pytest.mark.parametrize(
    ("values", "expected"),
    [([3, 1], ("3", "1")), ([True, False], ("true", "false"))],
)
def test_labels_of_other_types_become_their_names(
    tmp_path: Path, values: list[Any], expected: tuple[str, ...]
) -> None:
    """Whole numbers and truth values are classes by name."""
    rows = [{"text": "x", "label": value} for value in values]
    assert read(write(tmp_path / "a.parquet", rows)).columns["label"] == expected


def test_class_labels_of_a_saved_data_set_are_read_by_name(tmp_path: Path) -> None:
    """A ClassLabel column gives its names, and its -1 of an unlabelled split is refused."""
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])}
    )
    saved = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    saved.save_to_disk(tmp_path / "saved")
    assert read(str(tmp_path / "saved")).columns["label"] == ("yes", "no")
    hidden = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [-1, -1]}, features=features)
    hidden.save_to_disk(tmp_path / "hidden")
    with pytest.raises(DataError, match="not labelled"):
        read(str(tmp_path / "hidden"))
    assert read_texts(str(tmp_path / "hidden")) == [("a",), ("b",)]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_class_labels_are_read_by_name_from_a_file_too(tmp_path: Path, name: str) -> None:
    """The same data gives the same labels from a file as from a saved folder."""
    names = datasets.ClassLabel(names=["no", "yes"])
    features = datasets.Features({"text": datasets.Value("string"), "label": names})

    def saved(numbers: list[int]) -> str:
        table = pa.table({"text": ["x"] * len(numbers), "label": numbers})
        table = table.replace_schema_metadata(features.arrow_schema.metadata)
        if name == "a.parquet":
            parquet.write_table(table, tmp_path / name)
        else:
            with ipc.new_stream(tmp_path / name, table.schema) as stream:
                stream.write_table(table)
        return str(tmp_path / name)

    assert read(saved([1, 0])).columns["label"] == ("yes", "no")
    with pytest.raises(DataError, match=r"1 rows have -1 .* row 2"):
        read(saved([0, -1]))
    with pytest.raises(DataError, match=r"row 3 .* class 2 .* only 2 classes"):
        read(saved([0, 1, 2]))


def test_a_split_of_a_saved_data_set_is_chosen_after_a_colon(tmp_path: Path) -> None:
    """`FOLDER:SPLIT` names a split, `train` is the default, and a wrong one lists them."""
    one, two = (datasets.Dataset.from_list([{"text": t, "label": t}] * 2) for t in "ab")
    datasets.DatasetDict({"train": one, "dev": two}).save_to_disk(tmp_path / "saved")
    assert read(f"{tmp_path}/saved").columns["text"] == ("a", "a")
    assert read(f"{tmp_path}/saved:dev").columns["text"] == ("b", "b")
    with pytest.raises(DataError, match="one of train, dev"):
        read(f"{tmp_path}/saved:test")


def test_other_columns_are_named_by_options(tmp_path: Path) -> None:
    """Columns of any name become the canonical ones."""
    path = write(tmp_path / "a.csv", [{"q1": "a", "q2": "b", "same": "1"}] * 2)
    examples = read(path, PAIR, text="q1", text_pair="q2", label_column="same")
    assert next(examples.rows()) == {"text_a": "a", "text_b": "b", "label": "1"}


@pytest.mark.parametrize(
    ("columns", "options", "expected"),
    [
        ({"text": "x"}, {}, {"text": "x"}),
        ({"text_a": "x", "text_b": "y"}, {}, {"text_a": "x", "text_b": "y"}),
        ({"text": "t", "text_a": "x", "text_b": "y"}, {}, {"text": "t"}),
        ({"body": "x"}, {"text": "body"}, {"text": "x"}),
        ({"text_a": "x", "two": "y"}, {"text_pair": "two"}, {"text_a": "x", "text_b": "y"}),
        (
            {"one": "x", "two": "y"},
            {"text": "one", "text_pair": "two"},
            {"text_a": "x", "text_b": "y"},
        ),
    ],
)
def test_a_kind_of_one_text_or_two_takes_what_is_there(
    tmp_path: Path, columns: dict[str, str], options: dict[str, str], expected: dict[str, str]
) -> None:
    """Options say how many texts make an input; without them, the columns do."""
    path = write(tmp_path / "a.csv", [columns | {"label": "0.5"}])
    assert next(read(path, REGRESSION, **options).rows()) == expected | {"label": 0.5}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is not there|cannot be read"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"text,label\n", "has no rows"),
        (b"text,class\nx,a\n", "no column 'label'; its columns are text, class.*--label"),
        (b"body,label\nx,a\n", "no column 'text'.*--text"),
        (b"text,label\nx,a\n,b\n  ,c\n", "2 rows .* have no text .*row 2, 3"),
        (b"text,label\nx,a\ny,\n", "1 rows .* have no label .*row 2"),
        (b"text,label\nx,a\nlonely\n", "row 2 .* has 1 values and the header 2.*'lonely'"),
        (b"text,label\nx,a,too,many\n", "row 1 .* has 4 values and the header 2"),
        (b'text,label\nx,a\n"y\nz",b\nu,"open\nv,c\n', "never closed.* line 5"),
        (b'text,label\n"a"b,x\n', "begins on line 2"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"one\x1b[31m,label\nx,a\n", r"its columns are 'one\\x1b\[31m', label"),
        (b"word " * 999 + b",label\nx,a\n", "its columns are '[word ]{40}'…, label"),
        (b"text,text,label\nx,y,a\n", "more than one column 'text'"),
        (b"text,label\n\xe9t\xe9,a\n", "not UTF-8"),
        (b"text,label\na\x00b,a\n", "NUL"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not UTF-8"),
    ],
)
def test_a_csv_file_that_is_not_usable_says_why(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    """Each defect of a CSV file is an error that names the file, the place and the way out."""
    path = tmp_path / "a.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=says) as caught:
        read(str(path))
    assert "a.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('{"text": "x", "label": "a"}\n[1]\n', "line 2 .* one object a line"),
        ('{"text": "x", "label": "a"}\n{"text": \n', "line 2 .* is not JSON"),
        ("[" * 100_000 + "\n", "is not JSON"),
        ('{"text": "x", "label": 0.5}\n', "holds fractions"),
        ('{"text": "x", "label": NaN}\n', "holds fractions"),
        ('{"text": 5, "label": "a"}\n', "not text"),
        ('{"text": "x", "label": ["a"]}\n', "not one class a row"),
        ('{"text": "x", "label": "a"}\n{"text": "y", "label": 1}\n', "one type in every row"),
        ('{"text": "x"}\n{"label": "a"}\n', "have no text"),
        ('{"text": "\\ud800", "label": "a"}\n', "row 1 .* half a surrogate"),
        ('{"text": null, "label": "a"}\n', "have no text"),
        ('{"text": "x", "text": "y", "label": "a"}\n', "line 1 .* 'text' twice"),
        ('{"text": "x", "label": "a\\u0000"}\n', "row 1 .* NUL"),
        (f'{{"text": "x", "label": {2**70}}}\n', f"row 1 .* {2**70} in 'label', .*cannot be read"),
        (
            '{"text": "x", "label": "a"}\n{"text": "y", "label": ["\\udc00"]}\n',
            "row 2 .* surrogate",
        ),
    ],
)
def test_json_lines_that_are_not_usable_say_why(tmp_path: Path, lines: str, says: str) -> None:
    """Each defect of a JSON Lines file is an error that names the line or row."""
    (tmp_path / "a.jsonl").write_text(lines)
    with pytest.raises(DataError, match=says):
        read(str(tmp_path / "a.jsonl"))


def test_values_nested_to_any_depth_are_no_traceback(tmp_path: Path) -> None:
    """What Python can just about read, but neither write nor show, is an error like any other."""
    usual = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 150)  # Arrow takes its time with deeper ones
    try:
        for depth in range(2, 160):
            nested = "[" * depth + "]" * depth
            (tmp_path / "a.jsonl").write_text(f'{{"text": "x", "labels": {nested}}}')
            with pytest.raises(DataError, match=r"a\.jsonl"):
                read(str(tmp_path / "a.jsonl"), MULTILABEL)
    finally:
        sys.setrecursionlimit(usual)


def test_columns_that_are_not_asked_for_may_hold_anything(tmp_path: Path) -> None:
    """A column of mixed types, huge numbers or broken text does not stop its neighbours."""
    others = ["1", "0.5", str(2**70), '{"k": "\\ud800"}', '[1, "a"]']
    lines = [f'{{"text": "x", "label": "a", "o": {o}, "\\udc00": 1}}\n' for o in others]
    (tmp_path / "a.jsonl").write_text("".join(lines))
    assert len(read(str(tmp_path / "a.jsonl"))) == len(others)


def test_a_blank_line_is_a_missing_text_only_where_a_row_is_one_value(tmp_path: Path) -> None:
    """No text to predict is lost without a word, and blank lines between rows do no harm."""
    (tmp_path / "two.csv").write_text("\ntext,label\nx,a\n\ny,b\n\n")
    assert read(str(tmp_path / "two.csv")).columns["text"] == ("x", "y")
    (tmp_path / "one.csv").write_text("text\nx\n\ny\n")
    with pytest.raises(DataError, match="row 2"):
        read_texts(str(tmp_path / "one.csv"))


def test_a_value_of_any_length_is_read(tmp_path: Path) -> None:
    """A text longer than Python's usual limit for CSV is read, and the limit is as before."""
    usual = csv.field_size_limit()
    path = write(tmp_path / "a.csv", [{"text": "word " * 40_000, "label": "a"}])
    assert len(read(path).columns["text"][0]) == 200_000
    assert csv.field_size_limit() == usual


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_values_that_are_not_utf8_are_found_in_typed_files(tmp_path: Path, name: str) -> None:
    """Arrow itself does not look, so a damaged text would otherwise surface later."""
    offsets = pa.array([0, 1, 2], pa.int32()).buffers()[1]
    texts = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    table = pa.table({"text": texts, "label": ["a", "b"]})
    if name == "a.parquet":
        parquet.write_table(table, tmp_path / name)
    else:
        with ipc.new_file(tmp_path / name, table.schema) as file:
            file.write_table(table)
    with pytest.raises(DataError, match=f"column 'text' of .*{name} is damaged"):
        read(str(tmp_path / name))


def test_a_column_name_that_is_not_utf8_is_found(tmp_path: Path) -> None:
    """A name that cannot be shown is an error of the file, not of the program."""
    path = tmp_path / "a.arrow"
    write(path, [{"more": "x", "text": "y", "label": "a"}])
    path.write_bytes(path.read_bytes().replace(b"more", b"mo\xff\xfe"))
    with pytest.raises(DataError, match=r"a.arrow cannot be read as .arrow"):
        read(str(path))


def test_an_arrow_dictionary_that_points_outside_is_found(tmp_path: Path) -> None:
    """Labels by number into a list of names are checked against the list."""
    labels = pa.DictionaryArray.from_arrays(
        pa.array([0, 9], pa.int32()), pa.array(["a", "b"]), safe=False
    )
    table = pa.table({"text": ["x", "y"], "label": labels})
    with ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    with pytest.raises(DataError, match=r"column 'label' of .* is damaged"):
        read(str(tmp_path / "a.arrow"))


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.feather", "a.jsonl", "a.csv"])
@pytest.mark.parametrize("spoil", ["rubbish", "truncated"])
def test_rubbish_in_any_format_is_no_traceback(tmp_path: Path, name: str, spoil: str) -> None:
    """Random bytes and files cut in the middle give one clear error."""
    path = tmp_path / name
    write(path, [{"text": "word " * 50, "label": "a"}] * 50)
    whole = path.read_bytes()
    path.write_bytes(bytes(range(256)) * 8 if spoil == "rubbish" else whole[: len(whole) // 2 - 5])
    with pytest.raises(DataError, match=name):
        read(str(path))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("a.xlsx", "is not there"),
        ("notes.md", r"ending '.md'"),
        ("hf:", "write hf:NAME"),
        ("hf:a/b/c/d", "write hf:NAME"),
        ("hf:csv", "names a file format"),
        ("x" * 5000 + ".csv", "cannot be read"),
        ("a\x00.csv", "cannot be read"),
        ("hf:no-such-data-set-here", "cannot be loaded from the hub"),
        ("empty-folder", "save_to_disk"),
    ],
)
def test_other_sources_that_are_not_usable_say_why(tmp_path: Path, source: str, says: str) -> None:
    """An unknown ending, a folder of something else and a wrong hub name are named."""
    (tmp_path / "notes.md").write_text("x")
    (tmp_path / "empty-folder").mkdir()
    with pytest.raises(DataError, match=says):
        read(source)


@pytest.mark.parametrize("source", ["hf:reviews", "hf:reviews/plain:test", "hf:../here/reviews"])
def test_a_hub_name_never_reads_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """A folder of the same name is not taken for the hub's data set."""
    (tmp_path / "here" / "reviews" / "plain").mkdir(parents=True)
    write(tmp_path / "here" / "reviews" / "train.csv", ROWS)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError, match="also here"):
        read(source)


def test_a_pair_option_for_a_single_text_is_refused(tmp_path: Path) -> None:
    """Second texts are not silently ignored."""
    path = write(tmp_path / "a.jsonl", ROWS)
    with pytest.raises(DataError, match="--kind pair"):
        read(path, text_pair="label")


def test_texts_to_predict_come_from_lines_or_columns(tmp_path: Path) -> None:
    """A .txt file gives a text a line, every other format its text column without labels."""
    (tmp_path / "a.txt").write_text("first\nsecond\n")
    assert read_texts(str(tmp_path / "a.txt")) == [("first",), ("second",)]
    path = write(tmp_path / "a.csv", [{"text": "x"}, {"text": "y"}])
    assert read_texts(path) == [("x",), ("y",)]
    (tmp_path / "gap.txt").write_text("first\n\nthird\n")
    with pytest.raises(DataError, match="row 2"):
        read_texts(str(tmp_path / "gap.txt"))


def test_inputs_of_every_shape_come_from_columns(tmp_path: Path) -> None:
    """Questions with contexts, and lists of words or lines of text, are read without labels."""
    path = write(tmp_path / "a.csv", [{"q": "who?", "context": "Ada", "answers": "rubbish"}])
    assert read_texts(path, SPAN, text="q") == [("who?", "Ada")]
    words = write(tmp_path / "w.jsonl", [{"words": ["Ada", "lives"]}])
    assert read_texts(words, TAGGING) == [(["Ada", "lives"],)]
    (tmp_path / "a.txt").write_text("Ada lives here")
    assert read_texts(str(tmp_path / "a.txt"), TAGGING) == [("Ada lives here",)]
    with pytest.raises(DataError, match="--text-pair 'q' names second texts"):
        read_texts(words, TAGGING, text_pair="q")


def test_lines_of_text_are_only_that(tmp_path: Path) -> None:
    """A .txt file keeps what is in a line, and is refused where columns are needed."""
    path = tmp_path / "a.TXT"
    path.write_bytes(b"\xef\xbb\xbffirst\tone\r\nsecond\xe2\x80\xa8line")
    assert read_texts(str(path)) == [("first\tone",), ("second\u2028line",)]
    with pytest.raises(DataError, match="leave out --text 'body'"):
        read_texts(str(path), text="body")
    with pytest.raises(DataError, match="columns text_a, text_b"):
        read_texts(str(path), PAIR)
    path.write_text("\n")
    with pytest.raises(DataError, match="is empty"):
        read_texts(str(path))


def test_held_out_examples_are_stratified_seeded_and_disjoint(tmp_path: Path) -> None:
    """A tenth of each class is held out, the same for the same seed, and nothing is lost."""
    rows = [{"text": f"t{i}", "label": "abc"[min(i // 50, 2)]} for i in range(200)]
    rows.append({"text": "alone", "label": "rare"})
    examples = read(write(tmp_path / "a.jsonl", rows))
    train, validation = hold_out(examples, examples.columns["label"], 0.1, seed=0)
    assert sorted([*train.columns["text"], *validation.columns["text"]]) == sorted(
        examples.columns["text"]
    )
    assert [validation.columns["label"].count(name) for name in ("a", "b", "c", "rare")] == [
        5,
        5,
        10,
        0,
    ]
    again, other = (hold_out(examples, examples.columns["label"], 0.1, seed)[1] for seed in (0, 1))
    assert again == validation != other
    assert "10% held out, seed 0" in validation.origin


def test_a_sample_keeps_an_example_of_every_class(tmp_path: Path) -> None:
    """However much is held out, the smaller part has all classes, in their shares."""
    rows = [{"text": f"t{i}", "label": "abc"[(i > 4) + (i > 40)]} for i in range(400)]
    examples = read(write(tmp_path / "a.jsonl", rows))
    sample, _ = hold_out(examples, examples.columns["label"], 0.9, seed=0)
    counts = [sample.columns["label"].count(name) for name in "abc"]
    assert sum(counts) == 40
    assert counts[0] >= 1
    assert counts[1:] == pytest.approx([3.6, 35.9], abs=1)


def test_too_few_examples_to_hold_out_are_refused(tmp_path: Path) -> None:
    """Where each class has one example, nothing can be held out, and that is said."""
    examples = read(write(tmp_path / "a.jsonl", ROWS))
    with pytest.raises(DataError, match="--validation"):
        hold_out(examples, examples.columns["label"], 0.1, seed=0)
