"""Puts a secret into every place of a URL, and looks for it in all output and all stored bytes.

Bank URLs, blobs URLs and errors of drivers get random secrets with every special character, escaped
and not, in passwords, options, chains of file systems and slips. Each is used on the command line
and from Python. No part of the secret may be shown or stored. With --server, a PostgreSQL server
that ignores passwords, working banks are attacked, too: whatever they print, write and store.

usage: python -m scripts.verification.attacks.secrets [--attempts N] [--seed N] [--server URL]
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import sys
import tempfile
import traceback
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import create_engine, make_url, text

from scripts.shared.arguments import script_parser
from scripts.verification.attacks.outcomes import Outcomes
from taskbank.bank.blobs.remote import Remote
from taskbank.bank.open import bank_exists, create_bank, open_bank
from taskbank.cli.main import run
from taskbank.errors import TaskbankError
from tests.helpers.adapters import new_adapter

PARTS = ("Zq7hunter", "Wx9sword")  # the secret is both, around special characters
SPECIAL = "@/:?#&=%+;,.!$*~^|\\<>[]{}()'\" "
BANKS = (
    "postgresql://joe:{}@127.0.0.1:9/x",
    "postgresql+psycopg://joe:{}@127.0.0.1:9/x?sslmode=disable",
    "postgresql://127.0.0.1:9/x?user=joe&password={}",
    "postgresql://127.0.0.1:9/x?password={}&user=joe",
    "postgresql://joe@127.0.0.1:9/x?sslpassword={}&connect_timeout=1",
    "postgresql://joe@127.0.0.1:9/x?options={}",
    "postgresql://joe@127.0.0.1:9/x?{}",
    "postgresql://joe@127.0.0.1:9/x?passwrd={}",
    "postgresql://joe:{}/x",
    "postgresql:joe:{}@127.0.0.1/x",
    "postgresql:/joe:{}@127.0.0.1/x",
    "postgres://joe:{}@127.0.0.1/x",
    "postgresql+psycopg2://joe:{}@127.0.0.1/x",
    "mysql://root:{}@127.0.0.1/x",
    "host=127.0.0.1 password={}",
    "joe:{}@127.0.0.1/x",
    "//joe:{}@127.0.0.1/x",
    "sqlite://joe:{}@127.0.0.1/x.db",
    "sqlite:///joe:{}@127.0.0.1/x.db",
    "sqlite:///x.db?password={}",
    "sqlite:///x.db?key={}",
    "sqlite+pysqlcipher://:{}@/x.db",
)
BLOBS = (
    "s3://key:{}@bucket/x",
    "s3://bucket/x?secret={}",
    "s3://bucket/x?key=a&secret={}",
    "az://container/x?sv=1&sig={}",
    "abfs://container:{}@account.dfs.core.windows.net/x",
    "https://{}@host/x",
    "ftp://joe:{}@host/x",
    "file://joe:{}@host/x",
    "file:///x?password={}",
    "simplecache::s3://key:{}@bucket/x",
    "filecache::simplecache::s3://bucket/x?secret={}",
    "zip://x::https://joe:{}@host/x.zip",
    "s3:/key:{}@bucket/x",
    "key:{}@bucket/x",
    "memory://x?token={}",
    "nosuchscheme://key:{}@bucket",
)
ERRORS = (
    "connection to s3://key:{}@bucket failed",
    "GET https://host/x?X-Amz-Signature={} failed",
    "denied: aws_secret_access_key={}",
    "bad options {{'secret': '{}'}}",
    "password='{}' is wrong",
)
COMMANDS = (
    ["list"],
    ["list", "--json"],
    ["verify-all", "--level", "integrity", "--junit", "j.xml", "--report", "r.html"],
    ["verify-all", "--level", "integrity", "--json"],
    ["history"],
    ["db", "current"],
    ["db", "upgrade"],
    ["gc", "--confirm"],
    ["show", "missing"],
    ["show", "mood"],
    ["export", "mood", "--output", "exported"],
    ["import", "exported", "--name", "again"],
    ["backup", "copy.db"],
    ["add-task", "x", "--train", "missing.csv"],
)
CALLS = (bank_exists, open_bank, create_bank)


def main() -> int:
    """Run the attack; return 1 if a promise broke."""
    parser = script_parser(__doc__)
    parser.add_argument("--attempts", type=int, default=400, help="number of secrets")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--server", metavar="URL", help="of a PostgreSQL server without passwords")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for _ in range(arguments.attempts):
            attack(outcomes, chance, Path(folder))
        if arguments.server:
            attack_server(outcomes, arguments.server, Path(folder))
    return outcomes.finish()


def attack(outcomes: Outcomes, chance: random.Random, folder: Path) -> None:
    """Use one secret in one bank URL, one blobs URL and one error of a driver."""
    secret = random_secret(chance)
    url = chance.choice(BANKS).format(secret)
    said = command(["--bank", url, *chance.choice(COMMANDS)])
    said += call(lambda: chance.choice(CALLS)(url))
    judge(outcomes, said, folder, f"bank {url}")
    blobs = chance.choice(BLOBS).format(secret)
    options = ["--bank", "new.db", "init", "--backbone", "missing", "--blobs", blobs]
    said = command(options) + call(lambda: create_bank("new.db", blobs))
    judge(outcomes, said, folder, f"blobs {blobs}")
    message = chance.choice(ERRORS).format(secret.replace("'", "").replace('"', "").strip())
    judge(outcomes, fail(message), folder, f"error {message}", spaces=True)


def random_secret(chance: random.Random) -> str:
    """Return a secret with special characters, escaped or not."""
    middle = "".join(chance.choices(SPECIAL, k=chance.randrange(4)))
    secret = PARTS[0] + middle + PARTS[1]
    return quote(secret, safe="") if chance.random() < 0.3 else secret


def command(arguments: list[str]) -> str:
    """Run a command, and return everything that it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = run(arguments)
    return said.getvalue() + ("DEFECT" if code == 70 else "")


def call(function: object) -> str:
    """Call a function, and return the traceback of its error, or what the bank shows of itself."""
    try:
        result = function()  # type: ignore[operator]
    except TaskbankError:
        return traceback.format_exc()
    except Exception:
        return traceback.format_exc() + "DEFECT"
    with contextlib.closing(result) if hasattr(result, "close") else contextlib.nullcontext():
        return repr(result)


def fail(message: str) -> str:
    """Let the driver of a blob store fail with a message; return the traceback."""
    store = Remote("memory://attacked")

    def upload(*_arguments: object) -> None:
        raise RuntimeError(message)

    store.system.pipe_file = upload
    return call(lambda: store.write("blob", b"data"))


def judge(
    outcomes: Outcomes, said: str, folder: Path, attempt: str, *, spaces: bool = False
) -> None:
    """Look for the parts of the secret in what was said and stored."""
    stored = b"".join(
        os.fsencode(path.name) + (path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    )
    # A secret with a space in a free text has no end that can be known.
    parts = PARTS[:1] if spaces else PARTS
    if any(part in said for part in parts):
        outcomes.add("shown", f"{attempt}\n{said}", broken=True)
    elif any(part.encode() in stored for part in PARTS):
        outcomes.add("stored", attempt, broken=True)
    elif "DEFECT" in said:
        outcomes.add("defect", f"{attempt}\n{said}", broken=True)
    else:
        outcomes.add("hidden", attempt)


def attack_server(outcomes: Outcomes, server: str, folder: Path) -> None:
    """Give a working server a password in every place where it takes one."""
    secret = quote("".join((PARTS[0], SPECIAL, PARTS[1])), safe="")
    base = make_url(server)
    for number, place in enumerate(("userinfo", "password", "sslpassword")):
        name = f"attack_secrets_{os.getpid()}_{number}"
        with create_engine(server, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        query = "&".join(f"{key}={quote(str(value))}" for key, value in base.query.items())
        user = f"{base.username}:{secret}" if place == "userinfo" else str(base.username)
        option = "" if place == "userinfo" else f"{place}={secret}"
        port = f":{base.port}" if base.port else ""
        options = "&".join(filter(None, (query, option)))
        url = f"postgresql://{user}@{base.host or ''}{port}/{name}?{options}"
        with create_bank(url, f"{folder}/blobs{number}") as bank:
            said = repr(bank)
            bank.put(new_adapter())
        for arguments in COMMANDS:
            printed = command(["--bank", url, *arguments])
            judge(outcomes, said + printed, folder, f"server, {place}, {' '.join(arguments)}")
        engine = create_engine(base.set(database=name))
        with engine.connect() as connection:
            tables = connection.exec_driver_sql(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            ).scalars()
            rows = [
                str(connection.execute(text(f'SELECT * FROM "{table}"')).all())
                for table in tables.all()
            ]
        judge(outcomes, "".join(rows), folder, f"server, {place}, stored rows")
        engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
