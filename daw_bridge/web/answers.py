"""Between Starlette and the handlers: errors as `{"message", "code"}`, bounded JSON bodies, numbers of the query."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from daw_bridge.errors import Busy, DawBridgeError, InputError, OutputError, TemplateError, UsageError
from daw_bridge.web.uploads import AlreadyThere, DiskFull, TooLarge

MAX_BODY_BYTES = 262_144
FOR_GOOD = {"Cache-Control": "private, max-age=31536000, immutable"}
NEVER = {"Cache-Control": "no-store"}

Handler = Callable[[Request], Awaitable[Response]]
_STATUS: tuple[tuple[type[DawBridgeError], int], ...] = (
    (AlreadyThere, 409),
    (TooLarge, 413),
    (DiskFull, 507),
    (Busy, 409),
    (UsageError, 400),
    (TemplateError, 422),
    (InputError, 404),
    (OutputError, 409),
)


def failed(status: int, message: str, code: int) -> JSONResponse:
    """An error as every endpoint says it; `code` is the exit code of docs/cli.md."""
    return JSONResponse({"message": message, "code": code}, status, headers=NEVER)


async def on_error(_request: Request, exc: Exception) -> Response:
    """Errors of the tree as their status."""
    if isinstance(exc, DawBridgeError):
        status = next((number for kind, number in _STATUS if isinstance(exc, kind)), 500)
        return failed(status, str(exc), exc.exit_code)
    if isinstance(exc, HTTPException):
        return failed(exc.status_code, str(exc.detail), UsageError.exit_code)
    if isinstance(exc, ClientDisconnect):
        return Response(status_code=499)
    return failed(500, f"unexpected {type(exc).__name__}: {exc}", DawBridgeError.exit_code)


async def json_body(request: Request) -> dict[str, Any]:
    """The body as a JSON object of bounded size. Raises UsageError."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise UsageError(f"the request has more than {MAX_BODY_BYTES} bytes")
    try:
        data = json.loads(bytes(body) or b"{}")
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"the request is no JSON ({exc})") from exc
    if not isinstance(data, dict):
        raise UsageError("the request is no JSON object")
    return data


def whole(request: Request, name: str) -> int:
    """A whole number of the query. Raises UsageError."""
    text = request.query_params.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise UsageError(f"{name}: a whole number is missing")
    return int(text)


async def in_thread(work: Callable[..., Any], *arguments: object) -> Any:
    """What reads files runs beside the loop."""
    return await run_in_threadpool(work, *arguments)
