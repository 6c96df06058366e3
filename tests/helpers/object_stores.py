"""Object stores that run in the process of the tests: S3 by moto, Google's by its emulator.

The S3 server can be told to fail: to refuse requests, to drop connections, and to cut or change
what goes over them.
"""

from __future__ import annotations

import io
import os
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4
from zlib import crc32

import pytest

Environ = dict[str, Any]  # of WSGI
Fault = Callable[[Environ, Callable[[], "Answer"]], "Answer | None"]  # None: no answer
BUCKET = "tests"
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIATESTSTESTSTESTS1",
    "AWS_SECRET_ACCESS_KEY": "this-must-never-be-shown",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",  # botocore would wait for seconds itself
}


class Answer:
    """What a server answers: a status, headers and the body."""

    def __init__(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body


class S3:
    """A running server that speaks S3.

    Attributes:
        url: its URL.
        seen: the requests that it has got, such as `PUT /tests/x`.
        watch: is called before each request is handled.
    """

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log(self, *_given: Any) -> None:
                pass

        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=Quiet)
        self._faults: list[tuple[str, Fault]] = []
        self.seen: list[str] = []
        self.watch: Callable[[], None] = lambda: None
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def failing(self, method: str, fault: Fault, times: int = 1) -> Iterator[None]:
        """Let the next requests with an HTTP method fail; at the end, let none fail."""
        self._faults = [(method, fault)] * times
        self.seen.clear()
        try:
            yield
        finally:
            self._faults = []

    def count(self, method: str) -> int:
        """Return the number of requests with an HTTP method since the last `failing`."""
        return sum(request.startswith(method) for request in self.seen)

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a request, as a WSGI application."""
        method = environ["REQUEST_METHOD"]
        self.seen.append(f"{method} {environ['PATH_INFO']}")
        self.watch()

        def answer() -> Answer:
            got: list[Any] = []
            body = b"".join(self._app(environ, lambda *given: got.extend(given[:2])))
            return Answer(got[0], got[1], body)

        if self._faults and method == self._faults[0][0]:
            found = self._faults.pop(0)[1](environ, answer)
        else:
            found = answer()
        if found is None:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            return []
        start_response(found.status, found.headers)
        return [found.body]


def refused(status: str, code: str) -> Fault:
    """Return the fault that a request is answered with an error, which quotes the secret key."""
    message = f"<Message>{code}: {KEYS['AWS_SECRET_ACCESS_KEY']}</Message>"
    body = f"<Error><Code>{code}</Code>{message}</Error>".encode()
    headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]

    def refuse(environ: Environ, _answer: Callable[[], Answer]) -> Answer:
        _body(environ)
        return Answer(status, headers, b"" if environ["REQUEST_METHOD"] == "HEAD" else body)

    return refuse


def no_conditions(environ: Environ, answer: Callable[[], Answer]) -> Answer:
    """Refuse a request on a condition, as servers do that know none."""
    if "HTTP_IF_NONE_MATCH" in environ:
        return refused("501 Not Implemented", "NotImplemented")(environ, answer)
    return answer()


def dropped(_environ: Environ, _answer: Callable[[], Answer]) -> None:
    """Close the connection instead of handling the request."""


def lost(_environ: Environ, answer: Callable[[], Answer]) -> None:
    """Handle the request, and close the connection instead of answering."""
    answer()


def cut(_environ: Environ, answer: Callable[[], Answer]) -> Answer:
    """Send all but the last bytes of the body, and close the connection."""
    whole = answer()
    headers = [*whole.headers, ("Connection", "close")]
    return Answer(whole.status, headers, whole.body[:-3])


def shortened(_environ: Environ, answer: Callable[[], Answer]) -> Answer:
    """Send a shorter body as if it were the whole."""
    whole = answer()
    headers = [(key, value) for key, value in whole.headers if key.lower() != "content-length"]
    body = whole.body[:-3]
    return Answer(whole.status, [*headers, ("Content-Length", str(len(body)))], body)


def flipped(_environ: Environ, answer: Callable[[], Answer]) -> Answer:
    """Change one bit of the body."""
    whole = answer()
    return Answer(whole.status, whole.headers, bytes([whole.body[0] ^ 1]) + whole.body[1:])


def flipped_upload(environ: Environ, answer: Callable[[], Answer]) -> Answer:
    """Change one bit of what a request uploads, and compare the checksum as S3 does."""
    sent = _body(environ)
    changed = bytes([sent[0] ^ 1]) + sent[1:]
    environ["wsgi.input"] = io.BytesIO(changed)
    checksum = environ.get("HTTP_X_AMZ_CHECKSUM_CRC32")
    if checksum not in (None, b64encode(crc32(changed).to_bytes(4, "big")).decode()):
        return refused("400 Bad Request", "BadDigest")(environ, answer)
    return answer()


def _body(environ: Environ) -> bytes:
    if environ.get("wsgi.input_terminated"):  # sent in chunks
        return bytes(environ["wsgi.input"].read())
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


@contextmanager
def s3_server() -> Iterator[S3]:
    """Run a server that speaks S3 with one bucket, and let the drivers of this process use it."""
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = S3()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (KEYS | {"AWS_ENDPOINT_URL": server.url}).items():
            patch.setenv(name, value)
        _make_bucket("s3")
        yield server
    server.close()


@contextmanager
def google_server() -> Iterator[None]:
    """Run an emulator of Google's store with one bucket; it knows nothing of conditions."""
    emulator = pytest.importorskip("gcp_storage_emulator.server")
    pytest.importorskip("gcsfs")
    server = emulator.create_server("127.0.0.1", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        port = server._api._httpd.server_port
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        yield
    server.stop()


def new_place(protocol: str) -> str:
    """Return the URL of a place in the bucket where nothing is yet."""
    return f"{protocol}://{BUCKET}/{uuid4().hex}"


def _make_bucket(protocol: str) -> None:
    import fsspec

    fsspec.filesystem(protocol).mkdir(BUCKET)


# Looks for hierarchical buckets by a service that the emulator does not have.
os.environ["GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"] = "false"  # read when gcsfs is imported
