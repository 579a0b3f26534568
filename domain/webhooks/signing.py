"""How a receiver knows that it is us who tell: the signature of the Standard Webhooks specification."""

import base64
import hmac
import secrets
from datetime import datetime

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """Return a secret of 32 random bytes, in the specification's form."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign(secret: str, message_id: str, body: str, *, now: datetime) -> dict[str, str]:
    """Return the headers that name, date and sign a message; sent again it has the same id and another date."""
    timestamp = int(now.timestamp())
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.digest(key, f"{message_id}.{timestamp}.{body}".encode(), "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
