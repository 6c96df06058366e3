"""Changes of a backbone's folder, one key of one file at a time."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Keys that a folder's files may lack and a user may add, with values that differ from the default.
ADDED: dict[str, dict[str, Any]] = {
    "tokenizer_config.json": {
        "truncation_side": "left",
        "padding_side": "left",
        "model_input_names": ["input_ids", "attention_mask"],
        "model_max_length": 24,
        "split_special_tokens": True,
        "clean_up_tokenization_spaces": True,
        "do_lower_case": False,
        "strip_accents": True,
        "tokenize_chinese_chars": False,
        "add_prefix_space": True,
        "add_bos_token": True,
        "add_eos_token": True,
        "pad_token": "[MASK]",
        "cls_token": "[SEP]",
        "unk_token": "a",
        "extra_special_tokens": ["film"],
        "additional_special_tokens": ["film"],
        "tokenizer_class": "BertTokenizer",
        "max_len": 24,
        "stride": 3,
        "max_length": 16,
        "truncation": True,
        "pad_to_multiple_of": 8,
        "chat_template": "{{ messages }}",
    },
    "config.json": {
        "layer_norm_eps": 0.1,
        "hidden_act": "relu",
        "hidden_dropout_prob": 0.5,
        "position_embedding_type": "relative_key",
        "pad_token_id": 5,
        "is_decoder": True,
        "type_vocab_size": 1,
        "dtype": "bfloat16",
        "torch_dtype": "float16",
        "architectures": ["BertForMaskedLM"],
        "attn_implementation": "eager",
        "_attn_implementation": "eager",
        "classifier_pooling": "mean",
        "tie_word_embeddings": False,
        "use_cache": False,
        "id2label": {"0": "x", "1": "y", "2": "z"},
        "transformers_version": "4.0.0",
        "auto_map": {"AutoModel": "modeling.Model"},
        "quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    },
    "special_tokens_map.json": {"pad_token": "[MASK]", "cls_token": "[SEP]", "unk_token": "a"},
    "added_tokens.json": {"film": 7},
    "generation_config.json": {"max_length": 5, "pad_token_id": 3},
    "sentence_bert_config.json": {"max_seq_length": 8, "do_lower_case": True},
    "modules.json": {"0": "pooling"},
    "1_Pooling/config.json": {"pooling_mode_cls_token": True, "pooling_mode": "cls"},
    "preprocessor_config.json": {"do_normalize": True},
    "adapter_config.json": {"peft_type": "LORA"},
}
MOST = 4  # changed entries of a long list or object, such as a vocabulary


@dataclass(frozen=True)
class FolderChange:
    """A change of one file of a folder.

    Attributes:
        description: the file, the key and what is done to it.
        apply: makes the change in a folder.
    """

    description: str
    apply: Callable[[Path], None]


def folder_changes(folder: Path, generator: random.Random) -> Iterator[FolderChange]:
    """Yield changes of every key of every file in a folder, and keys and files that it lacks.

    Args:
        folder: a backbone's folder.
        generator: chooses the changed entries of long lists and objects.
    """
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.suffix == ".json":
            yield from _json_changes(name, json.loads(path.read_text()), generator)
        elif path.suffix == ".txt":
            yield from _line_changes(name, path.read_text().splitlines(), generator)
        elif path.suffix == ".safetensors":
            yield from _header_changes(name, path, generator)
    for name, keys in ADDED.items():
        present = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
        for key, value in keys.items():
            if isinstance(present, dict) and present.get(key) != value:
                yield _set(name, (key,), value, "set")


def _json_changes(name: str, content: Any, generator: random.Random) -> Iterator[FolderChange]:
    for keys, value in _leaves(content, generator):
        for other in _other_values(value):
            yield _set(name, keys, other, "set")
        yield _set(name, keys, _REMOVED, "removed")


def _leaves(
    content: Any, generator: random.Random, keys: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(content, dict | list) and content:
        inner: list[tuple[str | int, Any]] = (
            list(content.items()) if isinstance(content, dict) else list(enumerate(content))
        )
        if len(inner) > 40:
            inner = sorted(generator.sample(inner, MOST), key=str)
        for key, value in inner:
            yield from _leaves(value, generator, (*keys, key))
    elif keys:
        yield keys, content


def _other_values(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value + 1]
    if isinstance(value, float):
        return [value * 1.5 + 1]
    if isinstance(value, str):
        return {"right": ["left"], "Right": ["Left"], "left": ["right"]}.get(value, [value + "x"])
    return ["x"] if value is None else [["x"]]


_REMOVED = object()


def _set(name: str, keys: tuple[str | int, ...], value: Any, verb: str) -> FolderChange:
    def apply(folder: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text()) if path.exists() else {}
        place = content
        for key in keys[:-1]:
            place = place[key]
        if value is _REMOVED:
            del place[keys[-1]]
        else:
            place[keys[-1]] = value
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))

    shown = "" if value is _REMOVED else f" to {value!r}"
    return FolderChange(f"{name}: {'.'.join(map(str, keys))} {verb}{shown}", apply)


def _line_changes(name: str, lines: list[str], generator: random.Random) -> Iterator[FolderChange]:
    for number in sorted(generator.sample(range(len(lines) - 1), min(MOST, len(lines) - 1))):

        def swap(folder: Path, number: int = number) -> None:
            changed = [*lines]
            changed[number], changed[number + 1] = changed[number + 1], changed[number]
            (folder / name).write_text("\n".join(changed) + "\n")

        yield FolderChange(f"{name}: lines {number + 1} and {number + 2} swapped", swap)


def _header_changes(name: str, path: Path, generator: random.Random) -> Iterator[FolderChange]:
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])

    def rewrite(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
        def apply(folder: Path) -> None:
            changed = json.loads(json.dumps(header))
            change(changed)
            text = json.dumps(changed).encode()
            (folder / name).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])

        return apply

    names = sorted(key for key in header if key != "__metadata__")
    for tensor in generator.sample(names, min(MOST, len(names))):
        yield FolderChange(
            f"{name}: {tensor} renamed",
            rewrite(lambda h, t=tensor: h.update({t + "x": h.pop(t)})),  # type: ignore[misc]
        )
        yield FolderChange(
            f"{name}: {tensor} as I32",
            rewrite(lambda h, t=tensor: h[t].update(dtype="I32")),  # type: ignore[misc]
        )
        yield FolderChange(
            f"{name}: {tensor} reshaped",
            rewrite(lambda h, t=tensor: h[t].update(shape=h[t]["shape"][::-1])),  # type: ignore[misc]
        )
    yield FolderChange(f"{name}: metadata removed", rewrite(lambda h: h.pop("__metadata__", None)))
    yield FolderChange(
        f"{name}: metadata changed", rewrite(lambda h: h.update(__metadata__={"format": "np"}))
    )
    middle = 8 + size + generator.randrange(len(data) - 8 - size)

    def flip(folder: Path) -> None:
        changed = bytearray(data)
        changed[middle] ^= 1
        (folder / name).write_bytes(bytes(changed))

    yield FolderChange(f"{name}: bit {middle} flipped", flip)
