"""Recognises, in the errors of any library, that the computer lacks memory, space or files."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from taskbank.errors import InputError, ResourceError, TaskbankError

MEMORY = (
    "the memory is too small: end other programs, use shorter texts or, for a training, a smaller "
    "--batch-size (ulimit -v shows a limit)"
)
HANDLES = "too many files are open: end other programs, or raise the limit with ulimit -n"
THREADS = "no more threads can be started: end other programs, or raise the limit with ulimit -u"
SPACE = "the disk is full: free some space, then run the command again"
SIZE = "a file became larger than allowed: raise the limit with ulimit -f"
DISK = "the disk reported an error while it was read or written: check the disk"

BY_NUMBER = {
    errno.ENOMEM: MEMORY,
    errno.EMFILE: HANDLES,
    errno.ENFILE: HANDLES,
    errno.ENOSPC: SPACE,
    errno.EDQUOT: SPACE,
    errno.EFBIG: SIZE,
    errno.EIO: DISK,
}
# What libraries say that raise other errors than MemoryError and OSError, in lower case.
BY_WORDS = {
    "can't allocate memory": MEMORY,
    "cannot allocate memory": MEMORY,
    "failed to map segment": MEMORY,
    "out of memory": MEMORY,
    "bad_alloc": MEMORY,
    "too many open files": HANDLES,
    "can't start new thread": THREADS,
    "resource temporarily unavailable": THREADS,
    "no space left on device": SPACE,
    "disk is full": SPACE,
    "disk quota exceeded": SPACE,
    "file too large": SIZE,
    "input/output error": DISK,
    "disk i/o error": DISK,
}


def resource_error(error: BaseException) -> TaskbankError | None:
    """Return the error to report instead of one that the surroundings caused; else None.

    Args:
        error: an error that nothing else has handled.
    """
    for each in _chain(error):
        reason = lacking(each)
        if reason is not None:
            place = getattr(each, "filename", None)
            return ResourceError(f"{place}: {reason}" if place else reason)
    if isinstance(error, OSError) and error.filename is not None:
        return InputError(f"{error.filename}: {error.strerror}")
    return None


@contextmanager
def translate_lack() -> Iterator[None]:
    """Raise a ResourceError in place of an error of any library that says that something ran out.

    Raises:
        ResourceError: if memory, space, files or threads ran out.
    """
    try:
        yield
    except TaskbankError:
        raise
    except Exception as error:
        known = resource_error(error)
        if isinstance(known, ResourceError):
            raise known from error
        raise


def lacking(error: BaseException) -> str | None:
    """Return what an error says that the computer lacks, and what to do; None if nothing."""
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, OSError) and error.errno is not None:
        return BY_NUMBER.get(error.errno)
    if isinstance(error, (RuntimeError, ImportError, SystemError)):
        return lacking_by_words(str(error))
    return None


def lacking_by_words(text: str) -> str | None:
    """Return what the message of a library says that the computer lacks; None if nothing."""
    text = text.lower()
    return next((reason for words, reason in BY_WORDS.items() if words in text), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, the one that caused it, and so on."""
    seen: set[int] = set()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:
        seen.add(id(following))
        yield following
        following = following.__cause__ or following.__context__
