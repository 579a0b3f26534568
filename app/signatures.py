"""Whether a message is from who shares a secret with us: the signatures of the Standard Webhooks specification."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with
TOLERANCE = timedelta(minutes=5)


def signing_key(secret: str) -> bytes:
    """Return the key that a secret of the form whsec_<base64> stands for; ValueError where it is none."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or not 24 <= len(key) <= 64:  # noqa: PLR2004 - the specification's bounds
        raise ValueError("it has to be whsec_ and 24 to 64 random bytes in base64")
    return key


def genuine(key: bytes, headers: Mapping[str, str], body: bytes, *, now: datetime) -> bool:
    """Say whether a message was signed with the key, less than TOLERANCE ago."""
    name, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not name or not sent.isdecimal() or len(sent) > 12:  # noqa: PLR2004 - seconds for the next 30,000 years
        return False
    if abs(now.timestamp() - int(sent)) > TOLERANCE.total_seconds():
        return False
    digest = hmac.digest(key, f"{name}.{sent}.".encode() + body, "sha256")
    right = b"v1," + base64.b64encode(digest)
    signatures = headers.get("webhook-signature", "").encode("utf-8", "replace").split()
    return any(hmac.compare_digest(each, right) for each in signatures)
