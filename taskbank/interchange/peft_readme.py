"""The README of an adapter in peft's format: how to load it, with peft alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from taskbank.bank.records import AdapterRecord
from taskbank.interchange.base_names import base_of
from taskbank.interchange.checkpoint import HEAD
from taskbank.interchange.stock_heads import StockHead
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

WITH_HEAD = """\
from peft import PeftModel
from transformers import AutoModelFor{model}, AutoTokenizer

folder, base = ".", {base}
tokenizer = AutoTokenizer.from_pretrained(base{revision})
model = AutoModelFor{model}.from_pretrained(base{revision}{labels})
model = PeftModel.from_pretrained(model, folder).eval()
inputs = tokenizer(["A text."], truncation=True, max_length={length}, return_tensors="pt")
print(model(**inputs){outputs})
"""
WITHOUT_HEAD = """\
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

folder, base = ".", {base}
tokenizer = AutoTokenizer.from_pretrained(base{revision})
model = PeftModel.from_pretrained(AutoModel.from_pretrained(base{revision}), folder).eval()
head = load_file(f"{{folder}}/{head}")
inputs = tokenizer(["A text."], truncation=True, max_length={length}, return_tensors="pt")
output = model(**inputs)
{vectors}
print(vectors @ head["weight"].T + head["bias"])
"""
VECTORS = {
    "first": "vectors = output.last_hidden_state[:, 0]",
    "pooler": "vectors = output.pooler_output",
    "mean": 'mask = inputs["attention_mask"][..., None]\n'
    "vectors = (output.last_hidden_state * mask).sum(1) / mask.sum(1)",
    "tokens": "vectors = output.last_hidden_state",
}
TEXT = """\
---
library_name: peft
base_model: {base}
---

# {ref}

{description}The method `{method}` on `{base}`, exported by taskbank. `task.json` has the kind
(`{kind}`), the labels in the order of the outputs, and settings: thresholds, the temperature of
probabilities, or the mean and the deviation that turn an output into a number.

```python
{code}```
"""


def readme(
    record: AdapterRecord, kind: Kind, backbone: BackboneIdentity, head: StockHead | None
) -> str:
    """Return the text of the README.

    Args:
        record: the adapter.
        kind: its kind.
        backbone: the identity of its backbone.
        head: the head of transformers that it has; None if it is in a file of its own.
    """
    base, revision = base_of(backbone.spec)
    common = {
        "base": json.dumps(base, ensure_ascii=False),
        "revision": "" if revision is None else f", revision={json.dumps(revision)}",
        "length": record.training["max_length"],
    }
    if head is None:
        vectors = VECTORS["tokens" if kind.per_token else backbone.pooling]
        code = WITHOUT_HEAD.format(**common, head=HEAD, vectors=vectors)
    else:
        span = head.module == "qa_outputs"
        outputs = "" if span else ".logits"
        labels = "" if span else f", num_labels={max(len(record.labels), 1)}"
        code = WITH_HEAD.format(**common, model=head.model, labels=labels, outputs=outputs)
    described = f"{record.description}\n\n" if record.description else ""
    return TEXT.format(
        base=base,
        ref=record.ref,
        description=described,
        method=record.method,
        kind=record.kind,
        code=code,
    )
