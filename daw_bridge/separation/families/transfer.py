"""The network's part of a download, run by `download` as a process of its own that can be ended at any moment.

A server that sends one byte a second, or nothing, must not keep anybody waiting who wants to stop, and no client
library can be stopped while it waits. One line of JSON on standard input says what to do, one on standard output how
it went. This file imports nothing of daw_bridge, so that the process is there at once.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TIMEOUT_S = 15.0
_MOST_REDIRECTS = 5


def to_file(url: str, part: str, plain_hosts: list[str]) -> dict[str, Any]:
    """What is at `url`, added to what `part` has of it already. Only https, also behind a redirect.

    `plain_hosts` are the origins for which http will do: mirrors of the user's own.
    """
    import httpx2

    def refuse_plain(request: httpx2.Request) -> None:
        origin = f"{request.url.scheme}://{request.url.netloc.decode()}"
        if request.url.scheme != "https" and origin not in plain_hosts:
            raise httpx2.UnsupportedProtocol(f"leads to {request.url.scheme}://{request.url.host}, which is not https")

    path = Path(part)
    have = path.stat().st_size if path.is_file() else 0
    headers = {"User-Agent": "daw-bridge", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    client = httpx2.Client(
        follow_redirects=True,
        max_redirects=_MOST_REDIRECTS,
        timeout=TIMEOUT_S,
        event_hooks={"request": [refuse_plain]},
    )
    with client, client.stream("GET", url, headers=headers) as answer:
        if answer.status_code == httpx2.codes.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return {"resumed": True}  # all of it was there already: the checksum tells
        answer.raise_for_status()
        goes_on = answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        resumed = have > 0 and answer.status_code == httpx2.codes.PARTIAL_CONTENT and goes_on
        with path.open("ab" if resumed else "wb") as handle:
            for block in answer.iter_raw():
                handle.write(block)
    return {"resumed": resumed}


def of_hub(repository: str, names: list[str], endpoint: str) -> dict[str, Any]:
    """Address, size and sha256 of files on the Hugging Face hub, as huggingface_hub finds them."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    found = {}
    for name in names:
        url = hf_hub_url(repository, name, endpoint=endpoint)
        about = get_hf_file_metadata(url, timeout=TIMEOUT_S, endpoint=endpoint)
        found[name] = {"url": url, "sha256": about.etag or "", "size_bytes": about.size or 0}
    return {"files": found}


def main() -> None:
    """One order, one answer."""
    order = json.loads(sys.stdin.readline())
    try:
        answer = of_hub(**order) if "repository" in order else to_file(**order)
    except OSError as exc:
        answer = {"error": exc.strerror or str(exc), "errno": exc.errno}
    except Exception as exc:  # noqa: BLE001  every way in which the network's libraries fail is a reason, told below
        cause = exc.__cause__ if exc.__cause__ is not None and "huggingface" in type(exc).__module__ else exc
        answer = {"error": (str(cause) or type(cause).__name__).splitlines()[0]}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
