"""The pages of a bank for browsers, the files that they need, and signing in to them.

A page is added by an endpoint here: its handler reads the bank in a thread and returns what the
page shows; `_page` makes the HTML of it, or of what went wrong.
"""

from __future__ import annotations

import asyncio
import gzip
import secrets
from collections.abc import Awaitable, Callable
from functools import cache, wraps
from http import HTTPStatus
from mimetypes import guess_type
from typing import Any
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from taskbank.errors import InputError, TaskbankError
from taskbank.pages.bank import bank_page
from taskbank.pages.compare import compare_page
from taskbank.pages.error import ErrorPage
from taskbank.pages.evidence import Asked
from taskbank.pages.filter_words import filter_words
from taskbank.pages.history import history_page
from taskbank.pages.links import ServerLinks, static_bytes, static_digest
from taskbank.pages.opened import OpenedPage
from taskbank.pages.paired_evidence import AskedPairs
from taskbank.pages.render import Frame, Page, render
from taskbank.pages.sign_in import SignInPage
from taskbank.pages.task import Live, task_page
from taskbank.pages.try_page import TryPage
from taskbank.pages.verification import verification_page
from taskbank.pages.verifications import verifications_page
from taskbank.pages.version import version_page
from taskbank.serve.http import trying
from taskbank.serve.http.bodies import read_body
from taskbank.serve.http.json_text import json_bytes
from taskbank.serve.http.one_time_link import OneTimeLink
from taskbank.serve.http.problems import Problem, problem_of
from taskbank.serve.http.routes import Endpoint
from taskbank.serve.http.service import CANARY, Service
from taskbank.serve.http.sessions import SECONDS

COOKIE = "taskbank"  # of a session
FORM_COOKIE = "taskbank-form"  # of a browser that has not signed in yet
LARGEST_FORM = 4096  # bytes
LARGEST_TEXTS = 1 << 18  # bytes of a form with texts to try
COMPRESSED = 1024  # bytes from which compression pays
FOREVER = "public, max-age=31536000, immutable"
HEADERS = {
    "content-security-policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # The origin, which tells forms of this server from those of others, is left out under
    # `no-referrer`.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
Handler = Callable[[Service, Request], Awaitable[Any]]
Shown = Callable[[Service, Request], Awaitable[Page | Response]]


def _page(handler: Shown) -> Handler:
    """Return a handler that answers with the HTML of what another one shows."""

    @wraps(handler)
    async def answer(service: Service, request: Request) -> Response:
        try:
            shown = await handler(service, request)
        except (Problem, TaskbankError) as error:
            return problem_page(
                service, request, error if isinstance(error, Problem) else problem_of(error)
            )
        return shown if isinstance(shown, Response) else await _html(service, request, shown)

    return answer


def problem_page(service: Service, request: Request, problem: Problem) -> Response:
    """Return the page that reports a problem."""
    page = ErrorPage(problem.status, HTTPStatus(problem.status).phrase, problem.detail)
    headers = dict(problem.headers)
    if "hx-request" in request.headers:  # in place of the whole page, not of a part of it
        headers |= {"hx-retarget": "#content", "hx-reselect": "#content", "hx-reswap": "outerHTML"}
    return _response(service, request, page, problem.status, headers)


def sign_in_first(request: Request) -> Response:
    """Return the answer to a request for a page without a session: the way to the form."""
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    query = f"?{request.url.query}" if request.url.query else ""
    target = _links(request).page("sign-in", next=f"{path}{query}")
    if "hx-request" in request.headers:  # or the form would appear within the page
        return Response(None, 401, {**HEADERS, "hx-redirect": target})
    return RedirectResponse(target, 303, HEADERS)


@_page
async def show_bank(service: Service, request: Request) -> Page:
    """Show the bank's tasks."""
    given = request.query_params
    return await asyncio.to_thread(
        bank_page,
        service.bank,
        query=given.get("filter", ""),
        sort=given.get("sort") or "task",
        after=_number(given.get("after"), "after"),
    )


async def send_filter_words(service: Service, _request: Request) -> Response:
    """Send what the filter box offers."""
    words = await asyncio.to_thread(filter_words, service.bank)
    return Response(json_bytes(words), 200, HEADERS, "application/json")


@_page
async def show_task(service: Service, request: Request) -> Page:
    """Show a task, or one of its versions."""
    ref, given = request.path_params["ref"], request.query_params
    if "@" in ref:
        asked = Asked(
            given.get("split") or None,
            given.get("order") or "wrong",  # type: ignore[arg-type]  # read_evidence checks it
            given.get("label"),
            given.get("predicted"),
            _number(given.get("start"), "start") or 0,
        )
        return await asyncio.to_thread(version_page, service.bank, ref, asked)
    baseline = _number(given.get("baseline"), "baseline")
    return await asyncio.to_thread(_task, service, ref, baseline)


@_page
async def show_verifications(service: Service, request: Request) -> Page:
    """Show the bank's verifications."""
    after = _number(request.query_params.get("after"), "after")
    return await asyncio.to_thread(verifications_page, service.bank, after=after)


@_page
async def show_verification(service: Service, request: Request) -> Page:
    """Show what a verification found."""
    given = request.query_params
    number = _number(request.path_params["number"], "the verification's number")
    return await asyncio.to_thread(
        verification_page,
        service.bank,
        number or 0,
        status=given.get("status") or None,
        after=_number(given.get("after"), "after"),
    )


@_page
async def show_history(service: Service, request: Request) -> Page:
    """Show what happened in the bank, or to a task."""
    given = request.query_params
    return await asyncio.to_thread(
        history_page,
        service.bank,
        task=given.get("task", "").strip() or None,
        start=_number(given.get("start"), "start"),
        after=given.get("after") or None,
    )


def _task(service: Service, task: str, baseline: int | None) -> Page:
    options = service.options
    live = Live(
        service.metrics.answered(task),
        options.canary if options.canary and service.tasks.has(f"{task}@{CANARY}") else 0.0,
        options.shadow,
        service.comparisons.of(task),
    )
    return task_page(service.bank, task, baseline=baseline, live=live)


@_page
async def show_comparison(service: Service, request: Request) -> Page:
    """Compare two versions, or two verifications of one."""
    given = request.query_params
    return await asyncio.to_thread(
        compare_page,
        service.bank,
        given.get("a", "").strip(),
        given.get("b", "").strip(),
        verifications=(
            _number(given.get("a_verification"), "a_verification"),
            _number(given.get("b_verification"), "b_verification"),
        ),
        asked=AskedPairs(
            given.get("split") or None,
            given.get("bucket") or None,
            given.get("label") or None,
            given.get("text", ""),
            _number(given.get("start"), "start") or 0,
        ),
        every_setting=given.get("settings") == "all",
    )


@_page
async def show_try(service: Service, request: Request) -> Page:
    """Show the form that takes a text to try."""
    return await trying.empty_page(service, request.query_params.get("task", ""))


@_page
async def answer_try(service: Service, request: Request) -> Response:
    """Answer what was typed into the form."""
    form = await _form(service, request, LARGEST_TEXTS)
    page, problem = await trying.answered_page(service, request, form)
    if problem is None:
        return await _html(service, request, page)
    return _response(service, request, page, problem.status, problem.headers)


async def send_file(_service: Service, request: Request) -> Response:
    """Send a file that pages need; its digest is in its path, so it can be kept forever."""
    name = request.path_params["name"]
    try:
        if request.path_params["digest"] != static_digest(name):
            raise FileNotFoundError(name)
    except FileNotFoundError:
        raise Problem(404, "file", "there is no such file, or another version of it") from None
    headers = {
        "cache-control": FOREVER,
        "x-content-type-options": "nosniff",
        "vary": "accept-encoding",
    }
    content, packed = static_bytes(name), _packed(name)
    if _takes_gzip(request) and len(packed) < len(content):
        content, headers["content-encoding"] = packed, "gzip"
    return Response(content, 200, headers, guess_type(name)[0] or "text/plain")


@_page
async def show_sign_in(service: Service, request: Request) -> Page | Response:
    """Show the form that takes a key."""
    if service.keys is None:
        return RedirectResponse(_links(request).page(), 303, HEADERS)
    following = _inside(request.query_params.get("next", "/"))
    return SignInPage(following, by_link=isinstance(service.keys, OneTimeLink))


@_page
async def open_by_link(service: Service, request: Request) -> Page | Response:
    """Exchange the token of a link for a session, once."""
    given, link = request.query_params, service.keys
    if not isinstance(link, OneTimeLink):
        raise Problem(404, "path", "There is no page /open.")
    # Whoever only asks whether the link works does not use it up.
    key = None if request.method == "HEAD" else link.exchange(given.get("token", ""))
    following = request.scope.get("root_path", "") + _inside(given.get("next", "/"))
    if key is None:
        page = SignInPage(following, "This link was used already, or is not whole.", by_link=True)
        return _response(service, request, page, 403)
    # A redirection would be part of the visit that began elsewhere, without the new cookie.
    headers = {"refresh": f"0; url={quote(following, safe='/%?=&@+')}"}
    response = _response(service, request, OpenedPage(following), 200, headers)
    _set_cookie(
        request, response, cookie_of(service, request), service.sessions.begin(key), SECONDS
    )
    return response


@_page
async def sign_in(service: Service, request: Request) -> Page | Response:
    """Exchange a key for a session."""
    form = await _form(service, request)
    key = service.keys.find(form.get("key", "").strip()) if service.keys is not None else None
    following = _inside(form.get("next", "/"))
    if key is None:
        by_link = isinstance(service.keys, OneTimeLink)
        page = SignInPage(following, "The server has no such key.", by_link)
        return _response(service, request, page, 403)
    response = RedirectResponse(request.scope.get("root_path", "") + following, 303, HEADERS)
    _set_cookie(
        request, response, cookie_of(service, request), service.sessions.begin(key), SECONDS
    )
    return response


@_page
async def sign_out(service: Service, request: Request) -> Page | Response:
    """End a session."""
    await _form(service, request)
    service.sessions.end(request.cookies.get(cookie_of(service, request), ""))
    response = RedirectResponse(_links(request).page("sign-in"), 303, HEADERS)
    response.delete_cookie(cookie_of(service, request), _cookie_path(request))
    return response


ENDPOINTS = (
    Endpoint("/", show_bank),
    Endpoint("/filter-words", send_filter_words),
    Endpoint("/tasks/{ref}", show_task),
    Endpoint("/verifications", show_verifications),
    Endpoint("/verifications/{number}", show_verification),
    Endpoint("/history", show_history),
    Endpoint("/compare", show_comparison),
    Endpoint("/try", show_try),
    Endpoint("/try", answer_try, "POST"),
    Endpoint("/static/{digest}/{name:path}", send_file),
    Endpoint("/open", open_by_link),
    Endpoint("/sign-in", show_sign_in),
    Endpoint("/sign-in", sign_in, "POST"),
    Endpoint("/sign-out", sign_out, "POST"),
)
PLACES = {endpoint.path.split("/")[1] for endpoint in ENDPOINTS}  # first parts of paths


def is_page(path: str) -> bool:
    """Return whether a path is one of the pages or of their files, and not of the API."""
    return path == "/" or path.split("/")[1:2] in [[place] for place in PLACES if place]


def is_open(path: str) -> bool:
    """Return whether a path is needed to sign in, so that it needs no key."""
    return path in ("/sign-in", "/open") or path.startswith("/static/")


def wants_page(request: Request) -> bool:
    """Return whether a person in a browser asks, and not a client of the API."""
    return "text/html" in request.headers.get("accept", "")


def cookie_of(service: Service, request: Request) -> str:
    """Return the name of the cookie of a session.

    Browsers send a cookie to every port of a machine, so servers that are opened beside each other
    each have their own.
    """
    server = request.scope.get("server")
    return f"{COOKIE}-{server[1]}" if isinstance(service.keys, OneTimeLink) and server else COOKIE


async def _html(service: Service, request: Request, page: Page) -> Response:
    return await asyncio.to_thread(_response, service, request, page)


def _response(
    service: Service,
    request: Request,
    page: Page,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    key = getattr(request.state, "key", None)
    name = cookie_of(service, request) if key else FORM_COOKIE
    cookie, fresh = request.cookies.get(name, ""), ""
    if isinstance(page, SignInPage | TryPage) and not key and not cookie:
        cookie = fresh = secrets.token_urlsafe(32)
    frame = Frame(
        None if key is None else key.name,
        service.sessions.token(cookie) if cookie else "",
        f"{request.url.scheme}://{request.headers.get('host', '')}{request.scope['root_path']}",
        api=not isinstance(service.keys, OneTimeLink),
    )
    content = render(page, _links(request), frame).encode("utf-8", "replace")
    sent = {**HEADERS, "vary": "accept-encoding, cookie", **(headers or {})}
    if len(content) >= COMPRESSED and _takes_gzip(request):
        content, sent["content-encoding"] = gzip.compress(content, 5), "gzip"
    response = Response(content, status, sent, "text/html")
    if fresh:
        _set_cookie(request, response, FORM_COOKIE, fresh, SECONDS)
    return response


async def _form(service: Service, request: Request, largest: int = LARGEST_FORM) -> dict[str, str]:
    """Return the fields of a form, after checking that a page of this server sent it.

    Args:
        service: the service.
        request: the request.
        largest: maximum number of bytes.

    Raises:
        Problem: if another site sent it, or it is too large.
    """
    body = await read_body(request, min(largest, service.options.max_body))
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
    except ValueError:
        raise Problem(400, "form", "the form cannot be read") from None
    form = {name: values[0] for name, values in fields.items()}
    signed_in = getattr(request.state, "key", None)
    name = cookie_of(service, request) if signed_in else FORM_COOKIE
    service.sessions.check_form(
        request.headers, request.cookies.get(name, ""), form.get("token", "")
    )
    return form


def _set_cookie(request: Request, response: Response, name: str, value: str, age: int) -> None:
    response.set_cookie(
        name,
        value,
        max_age=age,
        path=_cookie_path(request),
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _cookie_path(request: Request) -> str:
    return request.scope.get("root_path", "") or "/"


def _inside(path: str) -> str:
    """Return a path of this server to go to; anything else becomes the first page."""
    plain = path.isprintable() and "\\" not in path
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"


def _links(request: Request) -> ServerLinks:
    return ServerLinks(request.scope.get("root_path", ""))


def _number(text: str | None, name: str) -> int | None:
    """Return a parameter that is a whole number.

    Raises:
        InputError: if it is another text.
    """
    if not text:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise InputError(f"{name} is {text[:40]!r}: it must be a whole number")
    return int(text)


def _takes_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


@cache
def _packed(name: str) -> bytes:
    return gzip.compress(static_bytes(name), 9, mtime=0)
