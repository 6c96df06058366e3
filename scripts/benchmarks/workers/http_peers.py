"""Two ways in which people serve many classifiers today, each a FastAPI application of its own.

    python scripts/benchmarks/workers/http_peers.py JOB.json

- `set_adapter`: one encoder of `peft` with a low-rank update per task, activated by each request;
- `pipelines`: one pipeline of `transformers` per task, each with an encoder of its own.

Answers are those of taskbank's interface: `{"predictions": [{"label": …, "score": …}]}`.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Predict = Callable[[str, list[str]], list[tuple[str, float]]]


def set_adapter(job: dict[str, Any]) -> Predict:
    """Return how one encoder with many adapters predicts."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    base = AutoModelForSequenceClassification.from_pretrained(job["backbone"], num_labels=2)
    config = LoraConfig(task_type="SEQ_CLS", r=8, target_modules=["query", "value"])
    tasks = job["tasks"]
    model = get_peft_model(base, config, adapter_name=tasks[0])
    for name in tasks[1:]:
        model.add_adapter(name, config)
    model.eval()
    tokenizer = AutoTokenizer.from_pretrained(job["backbone"])
    lock = threading.Lock()

    def predict(task: str, texts: list[str]) -> list[tuple[str, float]]:
        batch = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=128)
        with lock, torch.inference_mode():
            model.set_adapter(task)
            best = torch.softmax(model(**batch).logits, dim=-1).max(dim=-1)
        labels = base.config.id2label
        return [
            (labels[int(index)], float(value))
            for index, value in zip(best.indices, best.values, strict=True)
        ]

    return predict


def pipelines(job: dict[str, Any]) -> Predict:
    """Return how many pipelines predict."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    tokenizer = AutoTokenizer.from_pretrained(job["backbone"])
    made = {
        name: pipeline(
            "text-classification",
            model=AutoModelForSequenceClassification.from_pretrained(job["backbone"], num_labels=2),
            tokenizer=tokenizer,
        )
        for name in job["tasks"]
    }
    lock = threading.Lock()  # without it, threads of many requests slow each other down

    def predict(task: str, texts: list[str]) -> list[tuple[str, float]]:
        with lock:
            return [(one["label"], one["score"]) for one in made[task](texts)]

    return predict


def main() -> None:
    """Serve until the process is ended."""
    import uvicorn
    from fastapi import Body, FastAPI

    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    torch.set_num_threads(job["threads"])
    predict = {"set_adapter": set_adapter, "pipelines": pipelines}[job["peer"]](job)
    app = FastAPI()

    # A function that is no coroutine runs in a thread, so that others can connect meanwhile.
    @app.post("/v1/tasks/{task}/predict")  # type: ignore[untyped-decorator]
    def answer(task: str, inputs: list[str] = Body(embed=True)) -> dict[str, Any]:  # noqa: B008
        found = predict(task, inputs)
        return {"predictions": [{"label": label, "score": score} for label, score in found]}

    app.get("/ready")(lambda: {"status": "ready"})
    uvicorn.run(app, host="127.0.0.1", port=job["port"], log_level="warning")


if __name__ == "__main__":
    main()
