"""The code in a model card that runs an export, by format and kind.

It runs in the folder of the export, needs no taskbank, reads the list `inputs`, and leaves what it
found in the list `answers`. No text of a user is part of it.
"""

from __future__ import annotations

from taskbank.bank.records import AdapterRecord
from taskbank.kinds.abstention import abstention_of

TEXTS, PAIRS = '["a first text", "a second text"]', '[("one text", "another text")]'
WORDS = '[["Ada", "lives", "in", "Paris", "."]]'
QUESTIONS = '[("Who lives in Paris?", "Ada lives in Paris, and Bert in Rome.")]'


def reads_two_texts(record: AdapterRecord) -> bool:
    """Return whether an input of a task is two texts."""
    names = record.settings.get("inputs", ["text_a", "text_b"] if record.kind == "pair" else [])
    return len(names) == 2


def _example(record: AdapterRecord) -> str:
    """Return an example of the inputs of a task, as code."""
    examples = {"tagging": WORDS, "span": QUESTIONS}
    return examples.get(record.kind) or (PAIRS if reads_two_texts(record) else TEXTS)


# transformers


def transformers_usage(record: AdapterRecord) -> str:
    """Return the code that runs a folder of transformers."""
    if record.kind in ("tagging", "span"):
        code = TRANSFORMERS_TAGS if record.kind == "tagging" else TRANSFORMERS_SPANS
        return code.replace("INPUTS", _example(record))
    pairs = '[{"text": "one text", "text_pair": "another text"}]'
    return TRANSFORMERS_TEXTS.replace("INPUTS", pairs if reads_two_texts(record) else TEXTS)


TRANSFORMERS_TEXTS = """
from transformers import pipeline

inputs = INPUTS
run = pipeline("text-classification", model=".", top_k=None, truncation=True)
answers = run(inputs)
print(answers)
"""

TRANSFORMERS_TAGS = """
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

inputs = INPUTS
tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForTokenClassification.from_pretrained(".").eval()
answers = []
for words in inputs:
    tokens = tokenizer(
        " ".join(words), truncation=True, return_offsets_mapping=True, return_tensors="pt"
    )
    places = tokens.pop("offset_mapping")[0].tolist()
    with torch.inference_mode():
        shares = model(**tokens).logits[0].softmax(dim=-1)
    tags, start = [], 0
    for word in words:  # a word is read at its first token; one beyond the model's length has none
        inside = [n for n, (a, b) in enumerate(places) if a < start + len(word) and b > start]
        if inside:
            share, tag = shares[inside[0]].max(dim=-1)
            tags.append((word, model.config.id2label[int(tag)], float(share)))
        start += len(word) + 1
    answers.append(tags)
print(answers)
"""

TRANSFORMERS_SPANS = """
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

inputs = INPUTS
tokenizer = AutoTokenizer.from_pretrained(".")
model = AutoModelForQuestionAnswering.from_pretrained(".").eval()
settings = model.config.taskbank["settings"]
answers = []
for question, context in inputs:
    texts = {"text": question, "text_pair": context, "truncation": "only_second"}  # cuts contexts
    tokens = tokenizer(**texts, return_offsets_mapping=True, return_tensors="pt")
    places, parts = tokens.pop("offset_mapping")[0].tolist(), tokens.sequence_ids(0)
    with torch.inference_mode():
        found = model(**tokens)
    first, last = found.start_logits[0].tolist(), found.end_logits[0].tolist()
    inside = [n for n, part in enumerate(parts) if part == 1]
    spans = [(first[a] + last[b], a, b) for a in inside for b in inside if a <= b < a + 30]
    score, a, b = max(spans)
    none = settings["unanswerable"] and first[0] + last[0] - score > settings["null_threshold"]
    answers.append("" if none else context[places[a][0] : places[b][1]].strip())
print(answers)
"""

# sentence-transformers


def sentence_transformers_usage(record: AdapterRecord) -> str:
    """Return the code that runs a folder of sentence-transformers."""
    by_kind = {"multilabel": SENTENCE_LABELS, "regression": SENTENCE_NUMBERS}
    code = SENTENCES + by_kind.get(record.kind, SENTENCE_CLASSES)
    return code.replace("INPUTS", _example(record)) + "print(answers)\n"


SENTENCES = """
import numpy as np
from sentence_transformers import SentenceTransformer

inputs = INPUTS
model = SentenceTransformer(".")
names = model[0].auto_model.config.id2label
labels = [names[number] for number in range(len(names))]
scores = model.encode(inputs)
"""
SENTENCE_CLASSES = """\
shares = np.exp(scores - scores.max(axis=1, keepdims=True))
shares /= shares.sum(axis=1, keepdims=True)
answers = [dict(zip(labels, row)) for row in shares.tolist()]
"""
SENTENCE_LABELS = """\
answers = [dict(zip(labels, row)) for row in (1 / (1 + np.exp(-scores))).tolist()]
"""
SENTENCE_NUMBERS = """\
answers = scores[:, 0].tolist()
"""

# ONNX


def onnx_usage(record: AdapterRecord, *, split_special_tokens: bool = False) -> str:
    """Return the code that runs a model of ONNX with onnxruntime and tokenizers alone.

    Args:
        record: the adapter.
        split_special_tokens: whether a text that names a special token is read as letters.
    """
    by_kind = {
        "single": SOFTMAX + ONNX_CLASSES,
        "pair": SOFTMAX + ONNX_CLASSES,
        "multilabel": ONNX_LABELS,
        "regression": ONNX_NUMBERS,
        "tagging": SOFTMAX + ONNX_TAGS,
        "span": SOFTMAX + (ONNX_ANSWER_MASK if record.ensemble > 1 else "") + ONNX_SPANS,
    }
    special = "tokenizer.encode_special_tokens = True\n" if split_special_tokens else ""
    code = (ONNX + by_kind.get(record.kind, ONNX_OUTPUTS)).replace("INPUTS", _example(record))
    return code.replace("SPECIAL", special) + _withholding(record) + "print(answers)\n"


def _withholding(record: AdapterRecord) -> str:
    """Return the code that withholds answers; none for a version that always answers."""
    abstention = abstention_of(record.definition)
    if abstention is None:
        return ""
    if abstention.threshold is None:
        return "answers = [None] * len(inputs)  # no threshold keeps to the rule on validation\n"
    threshold = 'threshold = config["settings"]["abstain"]["threshold"]\n'
    sure = "score >= threshold"
    if abstention.rule == "alpha":
        threshold += "scores = (shares >= threshold).sum(axis=1)  # labels that may be right\n"
        sure = "score == 1"
    chosen = "answers = [a if SURE else None for a, score in zip(answers, scores)]\n"
    return threshold + chosen.replace("SURE", sure)


ONNX = """
import json
from operator import attrgetter
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

inputs = INPUTS
config = json.loads(Path("config.json").read_text(encoding="utf-8"))
tokenizer = Tokenizer.from_file("tokenizer.json")  # cuts inputs at the model's length, and pads
SPECIALmodel = onnxruntime.InferenceSession("model.onnx")
names = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
parts = {name: attrgetter(own) for name, own in names.items()}


def run(tokens):
    names = [one.name for one in model.get_inputs()]
    values = {name: [parts[name](one) for one in tokens] for name in names}
    return model.run(None, {name: np.array(values[name], np.int64) for name in names})[0]


"""
SOFTMAX = """\
def softmax(logits):
    shares = np.exp((logits - logits.max(axis=1, keepdims=True)) / config["temperature"])
    return shares / shares.sum(axis=1, keepdims=True)


"""
ONNX_CLASSES = """\
shares = softmax(run(tokenizer.encode_batch(inputs)))
scores = shares.max(axis=1)
answers = [dict(zip(config["labels"], row)) for row in shares.tolist()]
"""
ONNX_LABELS = """\
shares = 1 / (1 + np.exp(-run(tokenizer.encode_batch(inputs)) / config["temperature"]))
chosen = shares >= np.array(config["settings"]["thresholds"])
scores = np.where(chosen, shares, 1 - shares).prod(axis=1)
answers = [
    {label: share for label, share, yes in zip(config["labels"], *rows) if yes}
    for rows in zip(shares.tolist(), chosen.tolist())
]
"""
ONNX_NUMBERS = """\
outputs = run(tokenizer.encode_batch(inputs))[:, 0].astype(float)
answers = (outputs * config["settings"]["std"] + config["settings"]["mean"]).tolist()
"""
ONNX_OUTPUTS = """\
answers = run(tokenizer.encode_batch(inputs)).tolist()
"""
ONNX_TAGS = """\
answers, scores = [], []
for words in inputs:
    text = " ".join(words)
    whole = tokenizer.encode(text)
    windows = [whole, *whole.overflowing]
    starts = np.cumsum([0, *(len(word) + 1 for word in words)])[:-1]
    found = {}  # the outputs of each word's first token, where it has the most context
    for window, outputs in zip(windows, run(windows)):
        special = window.special_tokens_mask
        inside = [n for n, (a, b) in enumerate(window.offsets) if a < b and not special[n]]
        for n in inside:
            a, b = window.offsets[n]
            a += len(text[a:b]) - len(text[a:b].lstrip())  # some tokens begin with the space
            word = int(np.searchsorted(starts, a, side="right")) - 1
            rank = (a, -min(n - inside[0], inside[-1] - n))
            if a < b and rank < found.get(word, ((len(text),),))[0]:
                found[word] = rank, outputs[n]
    none = np.eye(len(config["labels"]))[config["labels"].index(config["outside"])]
    logits = np.array([found[n][1] if n in found else none for n in range(len(words))])
    best = softmax(logits).max(axis=1)
    tags = [config["labels"][n] for n in logits.argmax(axis=1)]
    scores.append(best.min())
    answers.append(list(zip(words, tags, best.tolist())))
"""
ONNX_ANSWER_MASK = """\
def answer_mask(window):  # tokens that may begin or end an answer, and the first for no answer
    tokens = enumerate(zip(window.offsets, window.sequence_ids))
    return [n == 0 or (part == 1 and a < b) for n, ((a, b), part) in tokens]


parts["answer_mask"] = answer_mask  # the model reads all windows of one question at once
"""
ONNX_SPANS = """\
settings, answers, scores = config["settings"], [], []
for question, context in inputs:
    places = tokenizer.encode(question, "", add_special_tokens=False).offsets
    question = question[: places[: config["question_tokens"]][-1][1]]
    whole = tokenizer.encode(question, context)
    windows = [whole, *whole.overflowing]
    spans, none = {}, np.inf
    for window, outputs in zip(windows, run(windows)):
        places, part = window.offsets, window.sequence_ids
        inside = [n for n, (a, b) in enumerate(places) if part[n] == 1 and a < b]
        first, last = (sorted(inside, key=lambda n: -outputs[n, side])[:20] for side in (0, 1))
        none = min(none, outputs[0].sum())
        for a, b in ((a, b) for a in first for b in last if a <= b < a + 30):
            place, score = (places[a][0], places[b][1]), outputs[a, 0] + outputs[b, 1]
            spans[place] = max(score, spans.get(place, -np.inf))
    best = sorted(spans.items(), key=lambda one: (-one[1], one[0]))[:10]
    if settings["unanswerable"]:
        best.append(((0, 0), none - settings["null_threshold"]))
    logits = np.array([[score for _, score in best]])
    a, b = best[logits.argmax()][0]
    scores.append(float(softmax(logits).max()))
    answers.append((context[a:b].strip(), scores[-1]))
"""
