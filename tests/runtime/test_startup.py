"""Left out of a process of the command line: what no command uses."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from taskbank.runtime.startup import collection_paused
from tests.helpers.backbones import make_backbone

UNUSED = ("torch._dynamo.convert_frame", "torch.distributed.tensor", "sympy", "scipy", "pandas")


def run(script: str, *arguments: object) -> str:
    """Return what a script prints in a process of its own."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


CLAIMED = "from taskbank.runtime.startup import claim_process; claim_process()\n"


@pytest.mark.process
def test_a_command_imports_no_compiler_and_no_mathematics(tmp_path: Path) -> None:
    """A claimed process loads a backbone and takes a training step without UNUSED."""
    folder = make_backbone(tmp_path / "backbone")
    script = f"""{CLAIMED}
import gc, sys
from taskbank.backbone.load import load_backbone
from taskbank.data.tokenization import encode
backbone = load_backbone(sys.argv[1])
encoded = encode(backbone.tokenizer, {{"text": ["good film"]}}, ["text"], 8)
import torch
weight = torch.nn.Parameter(torch.ones(2))
weight.grad = torch.ones(2)
torch.optim.AdamW([weight], lr=0.1).step()
print(*[name for name in {UNUSED} if name in sys.modules])
print(all(not tensor.is_meta for tensor in backbone.model.state_dict().values()))
print(gc.isenabled(), gc.get_freeze_count() > 0)
"""
    assert run(script, folder) == "\nTrue\nTrue True\n"


@pytest.mark.process
def test_a_program_keeps_its_libraries() -> None:
    """A process that is not claimed has the compiler, scipy and torch.distributed as ever."""
    script = """
import gc, sys
import taskbank
taskbank.Predictor
import torch, transformers.utils
print(type(sys.modules["torch._dynamo"]).__name__, "torch._dynamo.convert_frame" in sys.modules)
print(transformers.utils.is_scipy_available(), torch.distributed.is_available())
print(transformers.utils.is_torch_distributed_available(), gc.get_freeze_count())
"""
    assert run(script) == "module True\nTrue True\nTrue 0\n"


@pytest.mark.process
@pytest.mark.parametrize(
    "first", ["import torch._dynamo.eval_frame", "torch._dynamo.config", "pass"]
)
def test_the_compiler_is_imported_when_more_is_asked_of_it(first: str) -> None:
    """torch.compile works in a claimed process, whatever is asked of the compiler first."""
    script = f"""{CLAIMED}
import sys
import taskbank.backbone
import torch
{first}
print(torch.compile(lambda x: x * 2, backend="eager")(torch.ones(1)).item())
for name in ("torch._dynamo", "torch._dynamo.eval_frame", "torch._dynamo.config"):
    print(eval(name) is sys.modules[name])
print(torch._dynamo._trace_wrapped_higher_order_op.__name__, torch.distributed.is_available())
"""
    apart = "torch._dynamo._trace_wrapped_higher_order_op"
    assert run(script) == f"2.0\nTrue\nTrue\nTrue\n{apart} True\n"


@pytest.mark.process
def test_an_unknown_version_is_imported_as_ever() -> None:
    """Without the module that is imported by itself there is no stand-in, and models import."""
    script = f"""{CLAIMED}
from taskbank.runtime import startup
startup.APART = "not_there"
import taskbank.backbone.load
import torch
print(type(torch._dynamo).__name__, torch._dynamo.config.disable)
"""
    assert run(script) == "module False\n"


@pytest.mark.parametrize("enabled", [True, False])
def test_collection_goes_on_as_it_was(enabled: bool) -> None:
    """The collector is off within the pause, and afterwards as it was before."""
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with collection_paused():
            assert not gc.isenabled()
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if was else gc.disable)()
