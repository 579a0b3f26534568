"""Requests to addresses that others chose: each goes to an address that was looked up once and checked."""

import ssl
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from domain.errors import InvalidInput
from domain.webhooks import Targets


class CheckedTransport(httpx.AsyncBaseTransport):
    """Connects to what `targets` allows, under the name that was asked for; redirects are the caller's to refuse."""

    def __init__(self, targets: Targets, *, connections: int) -> None:
        self._targets = targets
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        self._transport = httpx.AsyncHTTPTransport(verify=ssl.create_default_context(), limits=limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to the first of the host's addresses that takes a connection."""
        host = request.url.host
        try:
            addresses = await self._targets.addresses(host)
        except InvalidInput as refused:
            raise httpx.ConnectError(refused.message, request=request) from None
        for address in addresses[:-1]:
            try:
                return await self._transport.handle_async_request(_pinned(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._transport.handle_async_request(_pinned(request, addresses[-1]))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()


def _pinned(request: httpx.Request, address: str) -> httpx.Request:
    """Return the request for that address; the Host header and the certificate asked for stay those of the name."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )


def open_client(targets: Targets, *, connections: int, seconds: float) -> httpx.AsyncClient:
    """Return a client for one receiver: no proxy, no redirects, no cookies. `seconds` is for each step of a request.

    Connections are kept by address, and one that was opened under a name must not carry requests to another.
    """
    return httpx.AsyncClient(
        transport=CheckedTransport(targets, connections=connections),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        timeout=httpx.Timeout(seconds, connect=seconds / 3),
        follow_redirects=False,
        trust_env=False,
    )
