"""The code in a model card that loads an adapter with peft or with the library adapters alone.

It runs in the folder of the export, and prints the outputs for one text. Of what users wrote, it
has the name or the folder of the base, as a literal.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from taskbank.bank.records import AdapterRecord
from taskbank.interchange.base_names import base_of
from taskbank.interchange.checkpoint import HEAD
from taskbank.interchange.stock_heads import StockHead
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind


def peft_usage(
    record: AdapterRecord, kind: Kind, backbone: BackboneIdentity, head: StockHead | None
) -> str:
    """Return the code that loads an adapter with peft.

    Args:
        record: the adapter.
        kind: its kind.
        backbone: the identity of its backbone.
        head: the head of transformers that it has; None if it is in a file of its own.
    """
    if head is None:
        return _filled(PEFT_WITHOUT_HEAD + OWN_HEAD, record, kind, backbone)
    span = head.model == "QuestionAnswering"
    labels = "" if span else f", num_labels={max(len(record.labels), 1)}"
    own = {"model": head.model, "labels": labels, "outputs": "" if span else ".logits"}
    return _filled(PEFT_WITH_HEAD, record, kind, backbone, **own)


def adapterhub_usage(
    record: AdapterRecord, kind: Kind, backbone: BackboneIdentity, *, own_head: bool
) -> str:
    """Return the code that loads an adapter with the library adapters.

    Args:
        record: the adapter.
        kind: its kind.
        backbone: the identity of its backbone.
        own_head: whether the head is in a file of taskbank's own.
    """
    code = ADAPTERS_WITHOUT_HEAD + OWN_HEAD if own_head else ADAPTERS_WITH_HEAD
    return _filled(code, record, kind, backbone)


def _filled(
    code: str, record: AdapterRecord, kind: Kind, backbone: BackboneIdentity, **own: Any
) -> str:
    base, revision = base_of(backbone.spec)
    return (NOTE + code).format(
        base=json.dumps(base, ensure_ascii=False),
        revision="" if revision is None else f", revision={json.dumps(revision)}",
        length=record.training["max_length"],
        head=HEAD,
        vectors=VECTORS["tokens" if kind.per_token else backbone.pooling],
        **own,
    )


VECTORS = {
    "first": "vectors = output.last_hidden_state[:, 0]",
    "pooler": "vectors = output.pooler_output",
    "mean": 'mask = inputs["attention_mask"][..., None]\n'
    "vectors = (output.last_hidden_state * mask).sum(1) / mask.sum(1)",
    "tokens": "vectors = output.last_hidden_state",
}
NOTE = """\
# task.json has the labels in the order of the outputs, and settings: thresholds, the temperature of
# probabilities, or the mean and the deviation that turn an output into a number.
"""
PEFT_WITH_HEAD = """\
from peft import PeftModel
from transformers import AutoModelFor{model}, AutoTokenizer

folder, base = ".", {base}
tokenizer = AutoTokenizer.from_pretrained(base{revision})
model = AutoModelFor{model}.from_pretrained(base{revision}{labels})
model = PeftModel.from_pretrained(model, folder).eval()
inputs = tokenizer(["A text."], truncation=True, max_length={length}, return_tensors="pt")
print(model(**inputs){outputs})
"""
PEFT_WITHOUT_HEAD = """\
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

folder, base = ".", {base}
tokenizer = AutoTokenizer.from_pretrained(base{revision})
model = PeftModel.from_pretrained(AutoModel.from_pretrained(base{revision}), folder)
"""
ADAPTERS_WITH_HEAD = """\
from adapters import AutoAdapterModel
from transformers import AutoTokenizer

folder, base = ".", {base}
tokenizer = AutoTokenizer.from_pretrained(base{revision})
model = AutoAdapterModel.from_pretrained(base{revision}).eval()
model.load_adapter(folder, use_safetensors=True, set_active=True)  # there is no pickle
inputs = tokenizer(["A text."], truncation=True, max_length={length}, return_tensors="pt")
print(model(**inputs))
"""
ADAPTERS_WITHOUT_HEAD = """\
import adapters
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

folder, base = ".", {base}
tokenizer = AutoTokenizer.from_pretrained(base{revision})
model = AutoModel.from_pretrained(base{revision})
adapters.init(model)
model.load_adapter(folder, use_safetensors=True, set_active=True)  # there is no pickle
"""
OWN_HEAD = """\
head = load_file(f"{{folder}}/{head}")
inputs = tokenizer(["A text."], truncation=True, max_length={length}, return_tensors="pt")
output = model.eval()(**inputs)
{vectors}
print(vectors @ head["weight"].T + head["bias"])
"""
