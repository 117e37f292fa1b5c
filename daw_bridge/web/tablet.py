"""The link for a tablet or phone: this machine's address in the LAN, the secret behind `#`; text and QR code."""

from __future__ import annotations

import io
import socket

import segno

from daw_bridge.control.net.security import is_loopback


def lan_address() -> str:
    """The address that other devices reach this machine at, as far as the routing table tells; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737
            return str(probe.getsockname()[0])
        except OSError:
            return ""


def page_url(host: str, port: int, secret: str) -> str:
    """The link that opens the page with its key; the part behind `#` never travels."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}/#token={secret}"


def link_view(bind_host: str, port: int, secret: str) -> dict[str, object]:
    """`url` and `qr` (SVG), both empty while the page listens to this machine only."""
    if is_loopback(bind_host):
        return {"url": "", "qr": ""}
    host = lan_address() if bind_host in ("0.0.0.0", "::", "") else bind_host  # noqa: S104  # compared, not bound
    if not host:
        return {"url": "", "qr": ""}
    url = page_url(host, port, secret)
    picture = io.BytesIO()
    segno.make(url, error="m", micro=False).save(picture, kind="svg", scale=6, border=4, xmldecl=False, light="#fff")
    return {"url": url, "qr": picture.getvalue().decode()}
