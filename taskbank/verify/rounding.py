"""How far rounding can move outputs, without torch.

Other batch shapes and thread counts change the order of summation. How far that moves a task's
outputs on a machine is measured and called the *noise*. It has a limit, because rounding has one:
where outputs depend on the batch by more, an answer depends on the texts beside it, and the outputs
are *unstable*.
"""

from __future__ import annotations

import numpy as np

# A few examples in a few batch shapes do not show the largest possible move, and another processor
# may have computed the reference.
SAFETY_FACTOR = 10
# The measured batch shapes may move nothing although others would. In 200 verifications of six
# tasks in batches of all sizes (scripts/verification/false_alarms.py), outputs moved by at most an
# eighth of this minimum.
MINIMUM_RELATIVE_NOISE = 64 * float(np.finfo(np.float32).eps)
# The largest difference between batches that rounding explains, relative to the largest output: in
# float32, and with fewer bits (bfloat16, float16, or TF32 in place of float32).
# scripts/verification/rounding.py measures both; docs/measured/verification.md has the numbers.
LARGEST_DIFFERENCE = 1e-4
LARGEST_REDUCED_DIFFERENCE = 0.1
LARGEST_NOISE = float(np.finfo(np.float32).max)  # stands for infinity in what is stored


def noise_of(difference: float, scale: float, *, reduced_precision: bool) -> float:
    """Return the noise of a task's outputs, the largest move that rounding alone may explain.

    For unstable outputs it is more than `noise_limit`.

    Args:
        difference: the largest measured difference between batches; infinite if an output is a
            number in one batch only.
        scale: the largest output.
        reduced_precision: whether matrix products were computed with fewer bits than float32.
    """
    largest = LARGEST_REDUCED_DIFFERENCE if reduced_precision else LARGEST_DIFFERENCE
    if difference > largest * scale:
        return min(SAFETY_FACTOR * difference, LARGEST_NOISE)
    return min(max(SAFETY_FACTOR * difference, minimum_noise(scale)), noise_limit(scale))


def minimum_noise(scale: float) -> float:
    """Return the smallest noise to assume, even if no measured output moved.

    Args:
        scale: the largest output.
    """
    return MINIMUM_RELATIVE_NOISE * scale


def noise_limit(scale: float) -> float:
    """Return the largest noise that rounding in float32 explains.

    Args:
        scale: the largest output.
    """
    return SAFETY_FACTOR * LARGEST_DIFFERENCE * scale


def is_unstable(noise: float, scale: float) -> bool:
    """Return whether outputs depend on the batch by more than rounding explains.

    Args:
        noise: the noise that was measured.
        scale: the largest output.
    """
    return noise > noise_limit(scale) * (1 + 1e-6)


def describe_instability(noise: float, scale: float) -> str:
    """Return a description of unstable outputs, with what to do about them.

    Args:
        noise: the noise that was measured.
        scale: the largest output.
    """
    difference = noise / SAFETY_FACTOR
    found = f"differ by {difference:.3g}" if noise < LARGEST_NOISE else "are numbers or NaN"
    return (
        f"outputs of the same examples {found}, depending on the other examples in their batch; "
        f"rounding explains at most {noise_limit(scale) / SAFETY_FACTOR:.1g}. The predictions of "
        "this machine cannot be trusted, not even those that did not change: check its memory and "
        "its versions of torch and transformers, or use another machine"
    )
