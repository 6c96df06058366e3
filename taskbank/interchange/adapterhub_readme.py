"""The README of an adapter in AdapterHub's format: how to load it, with the library alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from taskbank.bank.records import AdapterRecord
from taskbank.interchange.base_names import base_of
from taskbank.interchange.checkpoint import HEAD
from taskbank.interchange.peft_readme import VECTORS
from taskbank.specs import BackboneIdentity

if TYPE_CHECKING:
    from taskbank.kinds.kind import Kind

WITH_HEAD = """\
from adapters import AutoAdapterModel
from transformers import AutoTokenizer

folder, base = ".", {base}
tokenizer = AutoTokenizer.from_pretrained(base{revision})
model = AutoAdapterModel.from_pretrained(base{revision}).eval()
model.load_adapter(folder, use_safetensors=True, set_active=True)
inputs = tokenizer(["A text."], truncation=True, max_length={length}, return_tensors="pt")
print(model(**inputs))
"""
WITHOUT_HEAD = """\
import adapters
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

folder, base = ".", {base}
tokenizer = AutoTokenizer.from_pretrained(base{revision})
model = AutoModel.from_pretrained(base{revision})
adapters.init(model)
model.load_adapter(folder, use_safetensors=True, set_active=True)
head = load_file(f"{{folder}}/{head}")
inputs = tokenizer(["A text."], truncation=True, max_length={length}, return_tensors="pt")
output = model.eval()(**inputs)
{vectors}
print(vectors @ head["weight"].T + head["bias"])
"""
TEXT = """\
---
library_name: adapters
base_model: {base}
---

# {ref}

{description}The method `{method}` on `{base}`, exported by taskbank. `task.json` has the kind
(`{kind}`), the labels in the order of the outputs, and settings: thresholds, the temperature of
probabilities, or the mean and the deviation that turn an output into a number.

The weights are safetensors, and there is no pickle: `load_adapter` needs `use_safetensors=True`.

```python
{code}```
"""


def readme(record: AdapterRecord, kind: Kind, backbone: BackboneIdentity, *, own_head: bool) -> str:
    """Return the text of the README.

    Args:
        record: the adapter.
        kind: its kind.
        backbone: the identity of its backbone.
        own_head: whether the head is in a file of taskbank's own.
    """
    base, revision = base_of(backbone.spec)
    code = (WITHOUT_HEAD if own_head else WITH_HEAD).format(
        base=json.dumps(base, ensure_ascii=False),
        revision="" if revision is None else f", revision={json.dumps(revision)}",
        length=record.training["max_length"],
        head=HEAD,
        vectors=VECTORS["tokens" if kind.per_token else backbone.pooling],
    )
    return TEXT.format(
        base=base,
        ref=record.ref,
        description=f"{record.description}\n\n" if record.description else "",
        method=record.method,
        kind=record.kind,
        code=code,
    )
