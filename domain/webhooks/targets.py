"""Where a webhook may go. Whoever sets one up must not reach through us what only we can reach."""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from domain.errors import InvalidInput
from domain.text import check_text

LONGEST_URL = 2000
LOOKUP_SECONDS = 5.0
PATH = ("url",)
NAT64 = IPv6Network("64:ff9b::/96")
"""Its last 32 bits are an IPv4 address (RFC 6052)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Public addresses over https; where `private`, any address, and plain http too."""

    private: bool

    async def check(self, url: str) -> None:
        """Raise InvalidInput unless a webhook may go to the URL as its host is known now."""
        parts = _parts(check_text(url, path=PATH, longest=LONGEST_URL))
        if parts.scheme != "https" and not (self.private and parts.scheme == "http"):
            raise InvalidInput(message="A webhook goes to an https:// address.", path=PATH)
        if parts.username is not None or parts.password is not None:
            raise InvalidInput(message="A webhook's address holds no user and no password.", path=PATH)
        await self.addresses(parts.hostname or "")

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host, the preferred first.

        Raise InvalidInput where there is none, or one among them that a webhook may not go to. Connect to these and
        look up nothing again: the next answer may be another one.
        """
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise InvalidInput(message=f"The host {host!r} is not known.", path=PATH) from None
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        if not self.private and not all(_public(ip_address(address)) for address in addresses):
            raise InvalidInput(message=f"The host {host!r} is not a public one.", path=PATH)
        return addresses


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        usable = url.isascii() and " " not in url and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidInput(message="This is not a URL, in ASCII, like https://example.com/hook.", path=PATH)
    return parts


def _public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return _public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast
