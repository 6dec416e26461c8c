"""The search for secrets finds them however they are spelled; tests/e2e/test_secrets.py relies on it."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from components.settings import Secret
from tests.support.leaks import NOTING, Keeper, Search, forms
from tests.support.secret_values import VALUES

ONE = Secret.SMTP_PASSWORD
SPELLED: dict[str, Callable[[str], str]] = {
    "as it is": lambda value: value,
    "URL": lambda value: quote(value, safe=""),
    "form": quote_plus,
    "JSON": json.dumps,
    "JSON in JSON": lambda value: json.dumps(json.dumps({"x": value})),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "basic authentication": lambda value: base64.b64encode(f"admin:{value}".encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(f"ab{value}".encode()).decode(),
    "hexadecimal": lambda value: value.encode().hex(),
}


@pytest.mark.parametrize("spelling", SPELLED)
@pytest.mark.parametrize("secret", Secret)
def test_every_secret_is_found_in_every_spelling(secret: Secret, spelling: str) -> None:
    text = f"before {SPELLED[spelling](VALUES[secret])} after"
    assert Search(VALUES).within(text) == {secret}


def test_a_single_line_of_a_key_is_found() -> None:
    lines = VALUES[Secret.TLS_HOSTS_KEY].splitlines()
    for line in lines[1:-2]:
        assert Search(VALUES).within(f"{line}\n") == {Secret.TLS_HOSTS_KEY}
    assert Search(VALUES).within(lines[0]) == set()


def test_what_is_too_short_to_be_searched_for_is_refused() -> None:
    with pytest.raises(ValueError, match="16 letters"):
        forms("hunter2")


def test_it_tells_the_place_and_never_the_value() -> None:
    search = Search(VALUES)
    search.look("label of a container", VALUES[ONE])
    search.look("log of a container", "nothing")
    assert search.report == [f"{ONE} in label of a container"]
    assert search.places == {"label": 1, "log": 1}
    assert VALUES[ONE] not in repr(search)


@pytest.mark.parametrize(("owner", "mode", "found"), [(472, 0o400, 0), (472, 0o444, 1), (0, 0o400, 1)])
def test_a_file_is_for_its_owner_and_no_more_than_0400(owner: int, mode: int, found: int) -> None:
    content = VALUES[ONE].encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("secrets/smtp")
        member.size, member.mode, member.uid = len(content), mode, owner
        archive.addfile(member, io.BytesIO(content))
    search = Search(VALUES)
    search.archive("volume x:", buffer.getvalue(), Keeper(472, 0o400, frozenset({ONE})))
    assert len(search.found) == found
    search.archive("volume y:", buffer.getvalue(), Keeper(472, 0o400, frozenset({Secret.SLACK_URL})))
    assert len(search.found) == found + 1


@pytest.mark.parametrize("place", ["command line", "environment", "file", "file that is left"])
def test_processes_and_temporary_files_are_seen_while_they_are_there(place: str, tmp_path: Path) -> None:
    search = Search({ONE: VALUES[ONE]})
    with search.watching(tmp_path):
        if place == "file":
            (tmp_path / "archive").write_text(VALUES[ONE])
        if place == "file that is left":
            (tmp_path / "private").touch(0o600)
            (tmp_path / "private").write_text(VALUES[ONE])
        words = [VALUES[ONE]] if place == "command line" else []
        more = {"GIVEN": VALUES[ONE]} if place == "environment" else {}
        subprocess.run([sys.executable, "-c", "import time; time.sleep(1)", *words], env=more, check=True)
        if place == "file":
            (tmp_path / "archive").unlink()
    (found,) = search.report
    assert {"command line": "cmdline", "environment": "environ"}.get(place, "temporary file") in found


# Too briefly to be seen by looking at /proc now and then.
START = {
    "argument": 'subprocess.run(["true", secret])',
    "environment": 'subprocess.run(["true"], env={"X": secret})',
    "shell": 'os.system("true " + secret)',
    "the program's own": 'subprocess.run(["true"], env={"PULUMI_CONFIG": secret})',
}
WRITE = """
for name in ("left", "gone"):
    with open(name, "w") as file:
        file.write(secret)
os.unlink("gone")
"""


def noted(code: str, directory: Path) -> list[str]:
    """What is found in the notes of a Python that knows a secret."""
    notes = directory / "notes"
    given = {**os.environ, "PYTHONPATH": str(NOTING), "NOTES": str(notes)}
    words = [sys.executable, "-c", f"import os, subprocess, sys\nsecret = sys.stdin.read()\n{code}"]
    subprocess.run(words, env=given, input=VALUES[ONE][:38], text=True, cwd=directory, check=True)
    search = Search({ONE: VALUES[ONE]})
    search.noted(notes)
    return search.report


@pytest.mark.parametrize("way", START)
def test_processes_are_noted_however_briefly_they_run(way: str, tmp_path: Path) -> None:
    event = "os.system" if way == "shell" else "subprocess.Popen"
    found = [] if "own" in way else [f"{ONE} in process that was started ({event})"]
    assert noted(START[way], tmp_path) == found


def test_files_are_found_wherever_they_were_left(tmp_path: Path) -> None:
    assert noted(WRITE, tmp_path) == [f"{ONE} in written and left: {tmp_path / 'left'}"]


def test_what_the_engine_gives_the_program_is_the_users_own(tmp_path: Path) -> None:
    search = Search({ONE: VALUES[ONE]})
    with search.watching(tmp_path):
        given = {"PULUMI_CONFIG": json.dumps({"x": VALUES[ONE]})}
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.5)"], env=given, check=True)
        time.sleep(0.2)
    assert search.report == []
