"""The structure of the code and of its tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "taskbank"
UNSAFE = {"eval", "exec", "compile", "torch.load", "numpy.load", "np.load", "os.system"}

COMMAND = "a thin command: cli/test_main.py runs it, and the function it calls has its own tests"
METHOD = "methods/test_method.py holds every method to one contract"
COPIED = "bank/test_copy.py copies rows of every table"
RECORDS = "plain data: bank/test_bank.py puts and gets every field"
CHECKPOINTS = "interchange/test_peft_import.py and test_adapterhub_import.py, right and hostile"

# Modules without a test file of their name, and what proves them instead.
NO_FILE = {
    "__main__": "one call; cli/test_main.py runs the command",
    "version": "one constant; cli/test_main.py prints it",
    "backbone/adaptation": "plain data; backbone/test_hooks.py computes with it",
    "backbone/backbone": "plain data; backbone/test_load.py and test_architectures.py load it",
    "bank/blobs/sql": "bank/test_bank.py runs over every blob store",
    "bank/catalog/acceptances": "bank/test_verification_log.py accepts; verify/test_verdict.py "
    "sets tolerances",
    "bank/catalog/bank_row": "bank/test_open.py reads it from a new bank",
    "bank/catalog/chain_copies": "bank/test_copy.py reads where rows were copied from",
    "bank/catalog/copying/decisions": COPIED,
    "bank/catalog/copying/part": COPIED,
    "bank/catalog/copying/parts": COPIED,
    "bank/catalog/copying/selection": COPIED,
    "bank/catalog/copying/verifications": COPIED,
    "bank/catalog/copying/versions": COPIED,
    "bank/catalog/stored_rows": "verify/test_integrity.py damages every column that it reads",
    "bank/catalog/rows": "bank/test_bank.py writes and reads rows of every table",
    "bank/catalog/runs": "verify/test_journal.py interrupts and resumes runs",
    "bank/catalog/seals": "verify/test_integrity.py damages every sealed column",
    "bank/catalog/tables": "bank/catalog/test_migrate.py compares the tables with the migrations",
    "bank/catalog/verification_pages": "pages/test_verification.py turns them on every database",
    "bank/catalog/verifications": "bank/test_verification_log.py and history/ read them",
    "bank/new_records": RECORDS,
    "bank/operators": "bank/catalog/test_query.py and promotion/test_requirements.py use each",
    "bank/raw_rows": "verify/test_integrity.py damages every column that it reads",
    "cli/accept": COMMAND,
    "cli/add_tasks": COMMAND,
    "cli/alias": COMMAND,
    "cli/backup": COMMAND,
    "cli/copied": "cli/test_copy.py reads what it prints",
    "cli/commands": "cli/test_main.py runs every command",
    "cli/db": COMMAND,
    "cli/export": COMMAND,
    "cli/format_option": "interchange/test_export.py and test_hub.py choose formats",
    "cli/forget": "pipeline/test_forget.py runs the command",
    "cli/gc": COMMAND,
    "cli/import_": COMMAND,
    "cli/init": COMMAND,
    "cli/push": "interchange/test_hub.py runs the command",
    "cli/query": COMMAND,
    "cli/remove": COMMAND,
    "cli/restore": "cli/test_copy.py restores a bank",
    "cli/update": "pipeline/test_update.py runs the command",
    "cli/settings": "cli/test_main.py gives the global options in every place",
    "data/formats/typed": "data/formats/test_parquet.py and test_arrow.py read typed columns",
    "data/remarks": "data/formats/test_tsv_quotes.py and test_dialect.py hear remarks",
    "data/words": "kinds/test_words.py finds the words of texts",
    "interchange/usage": "interchange/test_onnx_folder.py and the tests of the other formats run "
    "the code for every kind",
    "interchange/adapterhub_names": "interchange/test_adapterhub_export.py compares every name",
    "interchange/checkpoint": CHECKPOINTS,
    "interchange/import_options": "interchange/test_import_.py gives options that do not apply",
    "interchange/peft_names": "interchange/test_peft_export.py loads every name with peft",
    "interchange/adapter_usage": "interchange/test_peft_export.py runs the code, and "
    "test_adapterhub_export.py reads it",
    "interchange/sources": "interchange/test_hub.py and test_mlflow_model.py import from each",
    "interchange/stock_heads": "interchange/test_peft_export.py and test_transformers_folder.py "
    "compare every head",
    "interchange/task_file": CHECKPOINTS,
    "interchange/tensors": CHECKPOINTS,
    "kinds/pair": "an instance of kinds/classification.py",
    "kinds/resampling": "the tests of four kinds compare its errors with a plain bootstrap",
    "kinds/single": "an instance of kinds/classification.py",
    "kinds/squad": "kinds/test_span.py compares it with the official rules",
    "kinds/text": "kinds/test_kind.py parses the inputs of every kind",
    "methods/copies": METHOD,
    "methods/ia3": f"{METHOD}; methods/test_peft.py compares it with peft",
    "methods/layernorm": METHOD,
    "cli/prediction_source": "serve/test_client.py predicts with both sources",
    "methods/lora": f"{METHOD}; methods/test_peft.py compares it with peft",
    "methods/parallel": METHOD,
    "methods/pfeiffer": METHOD,
    "model/stored_model": "model/test_task_model.py and test_ensemble.py load, adopt and release",
    "model/load": "serve/ loads stored adapters; pipeline/test_opening.py refuses backbones",
    "pages/error": "serve/http/test_pages.py asks for what there is not",
    "pages/opened": "serve/http/test_one_time_link.py opens pages with a link",
    "pages/scores": "pages/test_bank.py and test_task.py compare scores with intervals",
    "pages/score_matrix": "pages/test_history.py draws small and large matrices",
    "pages/scores_over_time": "pages/test_history.py draws lines",
    "pages/verdict": "pages/test_verification.py reads verdicts of every sort",
    "pages/verifications": "pages/test_verification.py turns its pages",
    "pages/sign_in": "serve/http/test_pages.py signs in",
    "pipeline/import_adapter": CHECKPOINTS,
    "pipeline/init": "cli/test_main.py makes its bank with it",
    "pipeline/train_and_store": "pipeline/test_add_task.py and test_suite.py train and store",
    "pipeline/training_job": "pipeline/test_suite.py and test_train_on_workers.py run such jobs",
    "runtime/clock": "one call of the standard library",
    "serve/http/openapi_schemas": "serve/http/test_openapi.py makes requests of them",
    "training/defaults": "scripts/test_paper.py measures them; training/test_plan.py uses them",
    "training/prepared": "training/test_loop.py trains with it",
    "verify/contents": "interchange/test_untrusted.py and verify/test_integrity.py feed it damage",
    "verify/flips": "verify/test_compare.py and promotion/test_diff.py count flips",
    "verify/terms": "plain data; verify/test_observer.py predicts under it",
    "verify/report": "plain data; pages/test_verification.py and verify/test_junit.py write it",
}
# Tests of what no single module does.
OTHER_FILES = {
    "backbone/test_changed_folders": "changes of a backbone's folder, and every use of it",
    "bank/blobs/test_object_stores": "stores that fail and writers that are killed",
    "bank/catalog/test_query_plans": "the plans of the queries of several modules",
    "bank/catalog/test_read_only_server": "a database that takes no writes",
    "bank/test_training_rows": "training rows through the catalog, blobs, exports and checks",
    "pages/test_browser": "all pages, in a browser",
    "methods/test_peft": "three methods against another library",
    "serve/test_deployment": "the examples of deployments",
    "test_concurrency": "many processes on one bank",
    "test_docs": "the documentation",
    "test_every_kind": "each kind through the whole of taskbank",
    "test_failures": "servers, stores and memory that fail in the middle of a command",
    "test_previous_version": "files of an earlier version",
    "test_public_names": "the names that `taskbank` exports",
    "test_structure": "the structure of the code",
    "test_wheel": "the built wheel",
    "workers/test_two_machines": "a cluster whose machines die",
    "verify/test_faults": "faults of the machine through a whole verification",
}


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """Return the functions and methods that a file defines."""
    found = ast.walk(ast.parse(path.read_text()))
    return (node for node in found if isinstance(node, ast.FunctionDef))


def files_with_tests() -> Iterator[Path]:
    """Return the files with tests."""
    return TESTS.rglob("test_*.py")


def name_of(path: Path, folder: Path) -> str:
    """Return a file's path inside a folder, without its ending."""
    return path.relative_to(folder).with_suffix("").as_posix()


def test_nothing_unsafe_is_called() -> None:
    """No code of the package unpickles, evaluates text or runs a model repository's code."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "dill", "joblib", "cloudpickle"}, path.name
            elif isinstance(node, ast.Call):
                assert ast.unparse(node.func) not in UNSAFE, path.name
                for keyword in node.keywords:
                    if keyword.arg == "trust_remote_code":
                        assert ast.unparse(keyword.value) == "False", path.name


def test_every_public_function_has_a_return_type() -> None:
    """Every public function of the package says what it returns."""
    for path in PACKAGE.rglob("*.py"):
        for node in functions(path):
            if not node.name.startswith("_"):
                assert node.returns is not None, f"{path.name}: {node.name}"


def test_every_test_says_what_it_proves() -> None:
    """Each test has a sentence."""
    for path in files_with_tests():
        for node in functions(path):
            if node.name.startswith("test_"):
                said = ast.get_docstring(node) or ""
                assert said.endswith("."), f"{path.name}: {node.name}"


def test_no_test_imports_a_test() -> None:
    """What tests share stands in tests/helpers or in a conftest.py, so each file runs alone."""
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "tests":
                assert str(node.module).startswith("tests.helpers."), path.name


def test_tests_mirror_the_package() -> None:
    """Every module has a test file of its name or a reason, and every test file a module."""
    modules = {name_of(path, PACKAGE) for path in PACKAGE.rglob("*.py")}
    modules = {name for name in modules if not name.endswith("__init__")}
    files = {name_of(path, TESTS) for path in files_with_tests()}
    named = {name.replace("test_", "") for name in files - OTHER_FILES.keys()}
    named = {name for name in named if not name.startswith("scripts/")}
    assert modules - named == NO_FILE.keys()
    assert named - modules == set()
    assert OTHER_FILES.keys() <= files
