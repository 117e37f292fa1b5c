"""What a store's error means, and what to do about it, in one line. obstore hands on what the server wrote."""

from __future__ import annotations

import re

_MEANINGS = (
    (
        r"Unable to rename file: (?:Operation not permitted|Operation not supported|Function not implemented)",
        "this disk knows no hard links, by which an object is put only if it is absent; use one that does, or a bucket",
    ),
    (
        r"169\.254\.169\.254|latest/(?:api/token|meta-data)|metadata\.google|no credential|Missing\w*Key"
        r"|ImdsCredential|could not be signed",
        "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (GCS: "
        "GOOGLE_APPLICATION_CREDENTIALS, Azure: AZURE_STORAGE_ACCOUNT_KEY), or give the machine a role",
    ),
    (r"Account must be specified", "the storage account is not named; set AZURE_STORAGE_ACCOUNT_NAME"),
    (
        r"RequestTimeTooSkewed|RequestExpired|not yet valid",
        "the clock of this machine differs from the store's; set it (NTP), then run again",
    ),
    (
        r"PermanentRedirect|AuthorizationHeaderMalformed|301 Moved|IllegalLocationConstraint",
        "the bucket lies in another region; set AWS_REGION to it",
    ),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|401 Unauthorized",
        "the credentials are not accepted; check them",
    ),
    (r"AccessDenied|403 Forbidden", "access is refused; check what the credentials and the bucket's policy allow"),
    (r"NoSuchBucket|ContainerNotFound|bucket does not exist", "there is no such bucket; check its name"),
    (
        r"NotImplemented|501 ",
        "the store does not know this request (put-if-absent?); use one that does, or an attached disk",
    ),
    (
        r"SlowDown|503 |429 |Too Many Requests",
        "the store asks to slow down and went on doing so; use fewer workers, or more prefixes",
    ),
    (
        r"after \d+ retries|dns error|error sending request|Connection refused|HTTP error",
        "the store does not answer; check the address and the network",
    ),
)
_BAD_PATH = re.compile(
    r'invalid path: .*?Path "(?P<empty>.*?)" contained|invalid path: .*?parsing Path "(?P<odd>.*?)":', re.S
)


def reason(exc: BaseException) -> str:
    """Why, in words where the error is a known one, else the beginning of what it says."""
    text = " ".join(str(exc).split()) or type(exc).__name__
    if (found := _BAD_PATH.search(text)) is not None:
        key = found["empty"] or found["odd"]
        return f"the key {key!r} has an empty part, '.', '..' or a control character in it; rename that object"
    code = re.search(r"<Code>(\w+)</Code>", text)
    for pattern, meaning in _MEANINGS:
        if re.search(pattern, text):
            return f"{meaning} [{code[1]}]" if code else meaning
    return text[:200]
