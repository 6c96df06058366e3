"""Runs `taskbank` commands in forks of one process that has imported everything already.

A new process takes seconds to import torch and transformers. A fork of a process that has them
takes milliseconds, and is otherwise the same: its own memory, folder, environment, streams and
exit code. `ForkServer` puts a small program called `taskbank` first on PATH that hands its
arguments, folder, environment and streams to the server, so a real shell does the quoting, the
pipes and the heredocs.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from pathlib import Path

HEADER = 8  # bytes of a request's length, and of the number of the process that answers it
CRASHED = 70


class ForkServer:
    """A running server, and the folder of the program that asks it.

    Args:
        folder: where its socket and the program go; it must exist.
        settings: environment variables that libraries read when they are imported.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self._socket = folder / "socket"
        self.programs = folder / "programs"
        self.programs.mkdir()
        ask = f'exec "{sys.executable}" -IS "{__file__}" ask "{self._socket}"'
        for name in ("taskbank", "python"):
            program = self.programs / name
            program.write_text(f'#!/bin/sh\n{ask} {name} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
        self._process = subprocess.Popen(
            [sys.executable, __file__, "serve", str(self._socket)],
            stdout=subprocess.PIPE,
            env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | settings,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the fork server did not start"

    def close(self) -> None:
        """Stop the server."""
        self._process.terminate()
        self._process.communicate()


def serve(path: str) -> None:
    """Answer each request at a socket in a fork of this process, until it is terminated."""
    _import_everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _answer(connection)
            connection.close()


def _import_everything() -> None:
    """Import what any command may need. Nothing here may start a thread: forks lose them."""
    import pkgutil
    from importlib import import_module

    import taskbank

    for module in pkgutil.walk_packages(taskbank.__path__, "taskbank."):
        # The router is imported by Ray's processes only, and with it Ray.
        if module.name not in ("taskbank.__main__", "taskbank.serve.ray_router"):
            import_module(module.name)
    for name in ("transformers.models.bert.modeling_bert", "pandas", "matplotlib.pyplot"):
        import_module(name)


def _answer(connection: socket.socket) -> None:
    """Run what one request asks for, send back its exit code, and end this fork."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = CRASHED
    try:
        connection.sendall(os.getpid().to_bytes(HEADER, "big"))
        header, streams, _, _ = socket.recv_fds(connection, HEADER, 3)
        with connection.makefile("rb") as body:
            request = json.loads(body.read(int.from_bytes(header, "big")))
        for number, given in enumerate(streams):
            os.dup2(given, number)
            os.close(given)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        code = _run(request["program"], request["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        connection.sendall(bytes([code]))
        os._exit(0)


def _run(program: str, arguments: list[str]) -> int:
    sys.argv = [program, *arguments]
    if program == "taskbank":
        from taskbank.cli.main import run

        return run(arguments)
    flag, code = arguments
    assert flag == "-c", "the fork server runs `python -c CODE` only"
    sys.path.insert(0, "")
    exec(compile(code, "<the block>", "exec"), {"__name__": "__main__"})  # noqa: S102
    return 0


def ask(path: str, program: str, arguments: list[str]) -> int:
    """Let the server run a program with this process's streams; return its exit code."""
    request = {
        "program": program,
        "arguments": arguments,
        "folder": str(Path.cwd()),
        "environment": dict(os.environ),
    }
    body = json.dumps(request).encode()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [len(body).to_bytes(HEADER, "big")], [0, 1, 2])
        connection.sendall(body)
        fork = int.from_bytes(connection.recv(HEADER, socket.MSG_WAITALL), "big")
        # Who ends this program means what it stands for, such as a server.
        signal.signal(signal.SIGTERM, lambda *_: os.kill(fork, signal.SIGTERM))
        answer = connection.recv(1)
    return answer[0] if answer else CRASHED


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        sys.path.pop(0)  # the folder of this file is no place to import from
        serve(sys.argv[2])
    else:
        sys.exit(ask(sys.argv[2], sys.argv[3], sys.argv[4:]))
