"""Secrets in URLs and in texts."""

from __future__ import annotations

import pytest

from taskbank.redaction import redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("s3://key:SECRET@bucket/x failed", "s3://key:***@bucket/x failed"),
        ("s3://key:SEC/RET@bucket/x", "s3://key:***@bucket/x"),
        ("s3://key:SEC RET@bucket/x", "s3://key:***@bucket/x"),
        ("s3://key:SEC@RET@bucket/x", "s3://key:***@bucket/x"),
        ("simplecache::s3://key:SECRET@bucket/x", "simplecache::s3://key:***@bucket/x"),
        ("'ftp://u:SECRET@h' and 'ftp://v:SECRET@h'", "'ftp://u:***@h' and 'ftp://v:***@h'"),
        ("https://SECRET@host/x", "https://***@host/x"),
        ("GET https://h/x?sig=SECRET&sv=1 failed", "GET https://h/x?sig=*** failed"),
        ("https://h/x?a=1&key=SECRET", "https://h/x?a=1&key=***"),
        ("host=h password=SECRET dbname=x", "host=h password=*** dbname=x"),
        ("host=h password='SEC RET' dbname=x", "host=h password=*** dbname=x"),
        ("AWS_ACCESS_KEY_ID=SECRET", "AWS_ACCESS_KEY_ID=***"),
        ("{'secret': 'SECRET', 'anon': False}", "{'secret': ***, 'anon': False}"),
        ('{"aws_session_token": "SECRET"}', '{"aws_session_token": ***}'),
        ("SECRET is wrong", "*** is wrong"),
    ],
)
def test_a_secret_is_hidden_wherever_it_stands(text: str, shown: str) -> None:
    """Passwords in URLs, values of options by their name, and known secrets are hidden."""
    assert redacted(text, ["SECRET"]) == shown
    if "SECRET is" not in text:
        assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "--tag 'novalue' is not KEY=VALUE",
        "postgresql://joe@host:5432/tasks?sslmode=require",
        "abfs://container@account.dfs.core.windows.net/x",
        "task mood@3: 12 tokens, batch_tokens=100, key=value",
        "connected to http://host:80/x as joe@host",
        "C:/banks/bank.db and s3://bucket/folder and mood@production",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """A text without secrets is not changed."""
    assert redacted(text) == text
