"""The JSON of requests and answers, by the function that handles them, as JSON Schemas.

Answers may have further keys: clients must ignore those that they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from taskbank.digests import Json
from taskbank.serve.http import admin, health, huggingface, native, open_inference, tei, vllm
from taskbank.serve.http.native import LARGEST_PAGE
from taskbank.serve.http.routes import Handler

Schema = dict[str, Json]


@dataclass(frozen=True)
class Operation:
    """What a handler takes and answers.

    Attributes:
        answer: the schema of its answer.
        request: the schema of the body of a request; None if it has none.
        query: the schemas of the parameters of its query.
        answer_type: the media type of its answer.
    """

    answer: Schema
    request: Schema | None = None
    query: Mapping[str, Schema] = field(default_factory=dict)
    answer_type: str = "application/json"


def strict(required: Mapping[str, Schema], further: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of an object that has no other keys: that of a request."""
    return answer(required, further) | {"additionalProperties": False}


def answer(required: Mapping[str, Schema], further: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of an object that has some keys at least: that of an answer."""
    properties = {**required, **(further or {})}
    return {"type": "object", "required": list(required), "properties": properties}


def array(items: Schema, **limits: Json) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items, **limits}


def one_of(*schemas: Schema) -> Schema:
    """Return the schema of a value that fits at least one of several schemas."""
    return {"anyOf": list(schemas)}


def optional(**properties: Schema) -> dict[str, Schema]:
    """Return the schemas of keys that may be missing, or null, which means the same."""
    return {name: one_of(schema, {"type": "null"}) for name, schema in properties.items()}


def ref(name: str) -> Schema:
    """Return a reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Schema = {"type": "string"}
NONBLANK: Schema = {"type": "string", "pattern": r"\w"}
NUMBER: Schema = {"type": "number"}
WHOLE: Schema = {"type": "integer"}
POSITION: Schema = {"type": "integer", "minimum": 0}
YES_NO: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
NAMED = {"task": TEXT, "version": {"type": "integer", "minimum": 1}, "digest": TEXT}
TEXTS = array(NONBLANK, minItems=1)
ONE_OR_TWO = array(NONBLANK, minItems=1, maxItems=2)
SCORED = answer({"label": TEXT, "score": NUMBER})
CLASSES = array(SCORED)

SCHEMAS: dict[str, Schema] = {
    "Problem": answer({"type": TEXT, "title": TEXT, "status": WHOLE, "detail": TEXT}),
    "Task": {
        "type": "string",
        "description": "a task's NAME, NAME@VERSION or NAME@ALIAS",
        "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}(@[A-Za-z0-9][A-Za-z0-9._-]{0,99})?$",
    },
    "Name": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
    "Alias": {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"},
    "Input": one_of(
        NONBLANK,
        TEXTS | {"description": "two texts, or the words of a text"},
        {
            "type": "object",
            "description": "the texts by the names of the task's fields",
            "minProperties": 1,
            "additionalProperties": one_of(NONBLANK, TEXTS),
        },
    ),
    "Prediction": answer(
        {
            "text": one_of(TEXT, array(TEXT)),
            "label": {"type": ["string", "null"]},
            "score": NUMBER,
            "truncated": YES_NO,
        },
        {
            "text_pair": TEXT,
            "candidates": array(answer({"label": TEXT, "probability": NUMBER})),
            "probabilities": {"type": "object", "additionalProperties": NUMBER},
            "labels": array(TEXT),
            "value": NUMBER,
            "answer": TEXT,
            "start": {"type": ["integer", "null"]},
            "end": {"type": ["integer", "null"]},
            "entities": array(
                answer({"text": TEXT, "type": TEXT, "start": WHOLE, "end": WHOLE, "score": NUMBER})
            ),
            "words": array(TEXT),
            "tags": array(TEXT),
        },
    ),
    "Version": answer(
        NAMED
        | {
            "kind": TEXT,
            "metric": TEXT,
            "score": NUMBER,
            "inputs": array(answer({"name": TEXT, "type": TEXT})),
            "labels": array(TEXT),
            "created_at": {"type": "string", "format": "date-time"},
        }
    ),
    "InputTensor": answer(
        {
            "name": TEXT | {"description": "`text`, or the name of one of the task's two fields"},
            "datatype": {"const": "BYTES"},
            "shape": array({"type": "integer", "minimum": 1}, minItems=1, maxItems=2),
        },
        {
            "data": one_of(TEXTS, array(array(NONBLANK, minItems=1, maxItems=1), minItems=1)),
            "parameters": OBJECT,
        },
    ),
    "Tensor": answer(
        {"name": TEXT, "datatype": TEXT, "shape": array(WHOLE)},
        {"data": array({}), "parameters": OBJECT},
    ),
    "Model": answer({"id": TEXT, "object": {"const": "model"}, "created": WHOLE, "owned_by": TEXT}),
}
PREDICTIONS = answer(NAMED | {"predictions": array(ref("Prediction"))})
SKIPPED = array(answer({"task": TEXT, "problem": ref("Problem")}))
INPUTS = array(ref("Input"), minItems=1)
TENSOR_METADATA = array(answer({"name": TEXT, "datatype": TEXT, "shape": array(WHOLE)}))

# The JSON of an error, by the name of the interface; the others have that of RFC 9457.
ERRORS: dict[str, Schema] = {
    "Hugging Face": answer({"error": TEXT}),
    "text-embeddings-inference": answer({"error": TEXT, "error_type": TEXT}),
    "vLLM": answer({"error": answer({"message": TEXT, "type": TEXT, "code": TEXT})}),
    "Open Inference Protocol": answer({"error": TEXT}),
}

OPERATIONS: dict[Handler, Operation] = {
    native.list_tasks: Operation(
        answer({"tasks": array(ref("Version")), "next": {"type": ["integer", "null"]}}),
        query={
            "query": TEXT | {"description": "a condition, such as metric.accuracy >= 0.9"},
            "limit": {"type": "integer", "minimum": 1, "maximum": LARGEST_PAGE},
            "after": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
        },
    ),
    native.show_task: Operation(ref("Version")),
    native.compare_live: Operation(answer({"task": TEXT, "comparisons": array(OBJECT)})),
    native.predict_task: Operation(PREDICTIONS, strict({"inputs": INPUTS})),
    native.predict_many: Operation(
        one_of(
            answer({"predictions": array(ref("Prediction"))}),
            answer({"results": array(PREDICTIONS), "skipped": SKIPPED}),
        ),
        one_of(
            strict(
                {"rows": array(strict({"task": ref("Task"), "input": ref("Input")}), minItems=1)}
            ),
            strict({"inputs": INPUTS, "tasks": array(ref("Task"), minItems=1)}),
        ),
    ),
    health.live: Operation(answer({"status": TEXT})),
    health.ready: Operation(answer({"status": TEXT})),
    health.info: Operation(
        answer({"taskbank": TEXT, "backbone": OBJECT, "limits": OBJECT, "waiting_rows": WHOLE})
    ),
    health.metrics: Operation(TEXT, answer_type="text/plain"),
    admin.move_alias: Operation(
        answer(NAMED | {"alias": TEXT}),
        strict({"version": {"type": "integer", "minimum": 1, "maximum": 10**9 - 1}}),
    ),
    admin.drop_alias: Operation(answer({"task": TEXT, "alias": TEXT})),
    huggingface.predict: Operation(
        one_of(
            array(CLASSES),
            array(
                answer({"entity_group": TEXT, "score": NUMBER, "word": TEXT})
                | {"description": "the entities of one text; a list of such lists for many"}
            ),
            answer({"answer": TEXT, "score": NUMBER, "start": WHOLE, "end": WHOLE}),
            array(OBJECT),
            array(array(OBJECT)),
        ),
        strict(
            {"inputs": one_of(ref("Input"), INPUTS)},
            optional(
                parameters=strict(
                    {},
                    optional(
                        top_k={"type": "integer", "minimum": 1},
                        function_to_apply={"enum": list(huggingface.FUNCTIONS)},
                        aggregation_strategy={"enum": list(huggingface.STRATEGIES)},
                        ignore_labels=array(TEXT),
                    ),
                ),
                options={},
            ),
        ),
    ),
    tei.predict: Operation(
        one_of(CLASSES, array(CLASSES)),
        strict(
            {"inputs": one_of(NONBLANK, ONE_OR_TWO, array(ONE_OR_TWO, minItems=1))},
            optional(
                raw_scores=YES_NO,
                truncate=YES_NO,
                truncation_direction={"enum": ["Left", "Right", "left", "right"]},
            ),
        ),
    ),
    vllm.list_models: Operation(answer({"object": {"const": "list"}, "data": array(ref("Model"))})),
    vllm.show_model: Operation(ref("Model")),
    vllm.classify: Operation(
        answer(
            {
                "id": TEXT,
                "object": {"const": "list"},
                "created": WHOLE,
                "model": TEXT,
                "data": array(
                    answer(
                        {
                            "index": WHOLE,
                            "label": TEXT,
                            "probs": array(NUMBER),
                            "num_classes": WHOLE,
                        }
                    )
                ),
                "usage": answer({"prompt_tokens": WHOLE, "total_tokens": WHOLE}),
            }
        ),
        strict({"model": ref("Task"), "input": one_of(NONBLANK, INPUTS)}, {"user": {}}),
    ),
    open_inference.server: Operation(
        answer({"name": TEXT, "version": TEXT, "extensions": array(TEXT)})
    ),
    open_inference.live: Operation(answer({"live": YES_NO})),
    open_inference.ready: Operation(answer({"ready": YES_NO})),
    open_inference.model_ready: Operation(answer({"name": TEXT, "ready": YES_NO})),
    open_inference.model: Operation(
        answer(
            {
                "name": TEXT,
                "versions": array(TEXT),
                "platform": TEXT,
                "inputs": TENSOR_METADATA,
                "outputs": TENSOR_METADATA,
            }
        )
    ),
    open_inference.infer: Operation(
        answer(
            {"model_name": TEXT, "model_version": TEXT, "outputs": array(ref("Tensor"))},
            {"id": TEXT},
        ),
        strict(
            {
                "inputs": array(ref("InputTensor"), minItems=1),
            },
            {
                **optional(id=TEXT, outputs=array(answer({"name": TEXT}, {"parameters": OBJECT}))),
                "parameters": OBJECT,
            },
        ),
    ),
}
