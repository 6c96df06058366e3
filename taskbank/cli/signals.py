"""Interrupts: SIGINT (Ctrl-C), SIGTERM and SIGHUP end a command with one line and an exit code.

The first signal raises KeyboardInterrupt, so that transactions are rolled back and unfinished files
are removed on the way out. A second signal ends the process at once, which is as safe as any kill.
A signal that is ignored when the process starts, as `nohup` and `&` do, stays ignored.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType
    from typing import Any, NoReturn

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
TERMINATED = 128 + signal.SIGTERM
AGAIN = 0.05  # seconds after which an interrupt that was swallowed is raised again

_received: list[int] = []


def stop_on_signals() -> None:
    """Let signals end this process, which is the command line's own, in order."""
    for number in SIGNALS:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _stop)
    sys.unraisablehook = _raise_again


@contextmanager
def ended_by_termination() -> Iterator[None]:
    """Take SIGTERM as the orderly end of a server that is loading: the process ends at once.

    An exception would not do: raised inside a library that is being imported, it may become another
    error, or abort the process.
    """
    previous = signal.getsignal(signal.SIGTERM)
    if previous is not _stop:
        yield
        return
    signal.signal(signal.SIGTERM, lambda _number, _frame: os._exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def received() -> bool:
    """Return whether a signal was received."""
    return bool(_received)


def exit_code() -> int:
    """Return the exit code of an interrupted command: 128 and the number of the signal."""
    return 128 + (_received[0] if _received else signal.SIGINT)


def message() -> str:
    """Return the message of an interrupted command."""
    how = "interrupted" if exit_code() == 128 + signal.SIGINT else "terminated"
    return f"{how}: unfinished work was not recorded"


def exit_at_once(code: int) -> None:
    """Let signals end the process without a word from here on: its command has ended.

    Args:
        code: the exit code of the command.
    """

    def leave(_number: int, _frame: FrameType | None) -> NoReturn:
        os._exit(code)

    _received.clear()  # an interrupt that was swallowed would come too late to be raised again
    for number in SIGNALS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, leave)
    # `python -m` ends by SIGINT, whatever its exit code, if an interrupt passed through the code
    # that Python last ran from a string, as the import of a dataclass does. A named tuple runs such
    # code as well, and no interrupt passes through this one.
    namedtuple("Last", ())


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    _received.append(number)
    if len(_received) > 1:
        os.write(2, f"{message()}\n".encode())
        os._exit(exit_code())
    logging = sys.modules.get("logging")
    if logging is not None:  # libraries log what the interrupt breaks off, with a traceback
        logging.disable()
    raise KeyboardInterrupt


def _raise_again(unraisable: Any) -> None:
    """Raise an interrupt again that arrived where no exception can be raised, as in `__del__`."""
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    import threading

    timer = threading.Timer(AGAIN, _interrupt_again)
    timer.daemon = True
    timer.start()


def _interrupt_again() -> None:
    import threading

    if _received:  # the signal is for the main thread, so that it wakes up
        signal.pthread_kill(threading.main_thread().ident or 0, _received.pop())
