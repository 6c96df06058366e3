"""Conditions of a verification: those of always, and what is tried out."""

from __future__ import annotations

import pytest

from taskbank.bank.bank import Bank
from taskbank.digests import digest_json
from taskbank.errors import InputError
from taskbank.runtime import environment as environment_module
from taskbank.verify.verify import verify_all


@pytest.mark.slow
@pytest.mark.parametrize("what", ["numerics", "version", "backbone"])
def test_whatever_a_result_depends_on_calls_for_a_new_prediction(
    mood: Bank, predicted: list[int], monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Another version of taskbank's own numerics or of a library is another circumstance."""
    verify_all(mood, level="changed")
    predicted.clear()
    if what == "numerics":
        monkeypatch.setattr(environment_module, "NUMERICS", -1)
    elif what == "version":
        monkeypatch.setattr(
            environment_module, "version", lambda name: "99" if name == "torch" else "1"
        )
    else:
        from taskbank.verify import conditions

        monkeypatch.setattr(
            conditions,
            "digest_json",
            lambda values: digest_json({**values, "backbone": "another"}),
        )
    report = verify_all(mood, level="changed")
    assert (report.confirmed, sum(predicted)) == (0, 96)


# what if


@pytest.mark.slow
def test_what_is_tried_out_leaves_no_trace(mood: Bank) -> None:
    """Products in bfloat16 move the outputs, and the bank does not know that it was asked."""
    before = len(mood.verification_log.verifications())
    report = verify_all(mood, what_if={"dtype": "bfloat16", "threads": "1", "device": "cpu"})
    assert report.tasks[0].shift > 1e-4
    assert report.tasks[0].noise < 1e-4  # of the reference: what is asked about is no noise
    assert report.tasks[0].status == "changed"
    assert (report.id, report.unrecorded) == (None, None)
    assert report.to_json()["what_if"]["dtype"] == "bfloat16"
    assert len(mood.verification_log.verifications()) == before
    assert mood.verification_log.unfinished_runs() == ()
    # Nor does it vouch for anything.
    assert verify_all(mood, level="changed", what_if={"dtype": "bfloat16"}).confirmed == 0
    assert verify_all(mood, level="changed").confirmed == 0


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"colour": "red"}, "backbone, dtype, device, threads"),
        ({"dtype": "int3"}, "float32, bfloat16, float16"),
        ({"threads": "0"}, "threads=0 is not a number of threads: use a number from 1 to 1024"),
        ({"threads": "many"}, "threads=many is not a number of threads"),
        ({"device": "tpu"}, "device 'tpu'"),
    ],
)
def test_what_cannot_be_tried_out_is_said_before_anything_is_loaded(
    mood: Bank, asked: dict[str, str], says: str
) -> None:
    """A question that has no answer is an error that lists those that have."""
    with pytest.raises(InputError, match=says):
        verify_all(mood, what_if=asked)
    with pytest.raises(InputError, match="level integrity"):
        verify_all(mood, level="integrity", what_if={"threads": "1"})
    with pytest.raises(InputError, match="give one of them"):
        verify_all(mood, what_if={"device": "cpu"}, device="cpu")
