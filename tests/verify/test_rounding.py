"""Noise has a limit in proportion to the outputs, and beyond it outputs are unstable."""

from __future__ import annotations

import pytest

from taskbank.verify.rounding import (
    LARGEST_DIFFERENCE,
    LARGEST_NOISE,
    LARGEST_REDUCED_DIFFERENCE,
    describe_instability,
    is_unstable,
    minimum_noise,
    noise_limit,
    noise_of,
)


@pytest.mark.parametrize("scale", [1.0, 4.0, 3.7e5])
@pytest.mark.parametrize("reduced", [False, True])
def test_noise_is_bounded_by_the_scale_of_the_outputs(scale: float, reduced: bool) -> None:
    """Whatever is measured, noise lies between a minimum and a limit, or is unstable."""
    largest = LARGEST_REDUCED_DIFFERENCE if reduced else LARGEST_DIFFERENCE
    for share in (0.0, 1e-6, 0.01, 0.5, 0.999, 1.0):
        noise = noise_of(share * largest * scale, scale, reduced_precision=reduced)
        assert minimum_noise(scale) <= noise <= noise_limit(scale)
        # Splits of one task share the noise relative to their scale.
        assert not is_unstable(noise / scale * scale, scale)
    for share in (1.01, 3, 1e9, float("inf")):
        noise = noise_of(share * largest * scale, scale, reduced_precision=reduced)
        assert is_unstable(noise, scale)
        assert noise <= LARGEST_NOISE


def test_a_description_says_how_far_outputs_differ() -> None:
    """The measured difference stands beside the largest that rounding explains."""
    text = describe_instability(noise_of(0.5, 2.0, reduced_precision=False), 2.0)
    assert "differ by 0.5," in text
    assert "rounding explains at most 0.0002." in text
    broken = describe_instability(noise_of(float("inf"), 2.0, reduced_precision=False), 2.0)
    assert "numbers or NaN" in broken
