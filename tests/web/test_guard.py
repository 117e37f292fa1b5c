"""Who gets in: this machine's own page with its key, and nobody else."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from daw_bridge.control.net.security import AccessPolicy
from daw_bridge.web.access import SECRET_NAME, Tickets, own_secret
from daw_bridge.web.guard import CONTENT_POLICY
from tests.web.conftest import Web


def test_the_page_itself_needs_no_key_and_holds_none(steady_web: Web) -> None:
    answer = steady_web.ask("/", secret="")
    assert answer.status == 200
    assert steady_web.daemon.secret.encode() not in answer.body


@pytest.mark.parametrize("path", ["/api/state", "/api/songs", "/api/models", "/api/songs/x/pcm", "/api/tablet"])
@pytest.mark.parametrize("secret", ["", "wrong", "ä"])
def test_nothing_is_answered_without_the_key(steady_web: Web, path: str, secret: str) -> None:
    answer = steady_web.ask(path, Authorization=None) if not secret else steady_web.ask(path, secret=secret)
    assert answer.status == 401
    assert answer.json()["code"] == 2


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9131", "127.0.0.1.nip.io", "[::1", "a b", "", "localhost:x"]
)
def test_a_rebound_name_is_refused(steady_web: Web, host: str) -> None:
    assert steady_web.ask("/api/state", Host=host).status in (400, 421)


@pytest.mark.parametrize(
    "host", ["localhost:{port}", "127.0.0.1:{port}", "[::1]:{port}", "LOCALHOST:{port}", "192.168.1.9"]
)
def test_an_address_or_an_own_name_is_taken(steady_web: Web, host: str) -> None:
    assert steady_web.ask("/api/state", Host=host.format(port=steady_web.daemon.port)).status == 200


def test_a_name_that_the_user_adds_is_taken(make_web: Callable[..., Web]) -> None:
    web = make_web(names=["studio.lan"])
    assert web.ask("/api/state", Host="studio.lan:9131").status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "http://127.0.0.1:1", "null", "https://localhost", "file://"]
)
def test_another_origin_neither_reads_nor_writes(steady_web: Web, origin: str) -> None:
    assert steady_web.ask("/api/state", Origin=origin).status == 403
    assert steady_web.ask("/api/uploads/a.wav", "PUT", b"x", Origin=origin).status == 403
    assert steady_web.socket(origin=origin, hello=False).closed == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_request_that_another_site_made_is_refused(steady_web: Web, site: str) -> None:
    assert steady_web.ask("/api/state", Sec_Fetch_Site=site).status == 403


def test_whatever_writes_needs_an_origin(steady_web: Web) -> None:
    assert steady_web.ask("/api/uploads/a.wav", "PUT", b"x", Origin=None).status == 403
    assert steady_web.socket(origin="", hello=False).closed == 403


@pytest.mark.parametrize("path", ["/", "/page/nothing.js", "/api/state", "/api/nothing", "/download/nothing"])
def test_every_answer_carries_the_policy(steady_web: Web, path: str) -> None:
    headers = {name.lower(): value for name, value in steady_web.ask(path).headers.items()}
    assert headers["content-security-policy"] == CONTENT_POLICY
    assert "unsafe" not in CONTENT_POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in headers
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("path", ["/page/../app.py", "/page/%2e%2e/app.py", "/page/..%2fapp.py", "/page//etc/passwd"])
def test_nothing_beside_the_page_is_served(steady_web: Web, path: str) -> None:
    assert steady_web.ask(path).status == 404


def test_a_token_of_the_daemon_is_the_key_of_the_page(make_web: Callable[..., Web]) -> None:
    token = "a token of at least 16"  # noqa: S105
    web = make_web(policy=AccessPolicy(token=token))
    assert web.daemon.secret == token
    assert web.ask("/api/state").status == 200


def test_the_key_is_made_once_and_only_its_user_reads_it(tmp_path: Path) -> None:
    first = own_secret(tmp_path / "new")
    assert own_secret(tmp_path / "new") == first
    assert stat.S_IMODE((tmp_path / "new" / SECRET_NAME).stat().st_mode) == 0o600
    assert own_secret(tmp_path / "other") != first


def test_a_ticket_is_good_once_and_for_a_minute() -> None:
    now = [0.0]
    tickets: Tickets[str] = Tickets(clock=lambda: now[0])
    first, second = tickets.issue("a"), tickets.issue("b")
    assert tickets.redeem(first) == "a"
    assert tickets.redeem(first) is None
    now[0] = 61.0
    assert tickets.redeem(second) is None
    many = [tickets.issue(str(number)) for number in range(300)]
    assert tickets.redeem(many[0]) is None
    assert tickets.redeem(many[-1]) == "299"
