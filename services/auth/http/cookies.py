"""The cookies, which hold a refresh token and a device cookie: their names, their attributes, and the check that a browser
sends them for our own page.
"""

from fastapi import Request, Response

from services.auth.errors import CrossSiteRequest
from services.auth.passwords.device_cookies import DeviceCookie

PREFIX = "/auth"

# The prefix makes a browser refuse the cookie unless it is set over TLS, so nobody who can answer plain http in our name
# can plant one. It is refused over http as well, which development uses. `__Host-` would need the path to be `/`.
SECURE_NAME = "__Secure-refresh_token"
PLAIN_NAME = "refresh_token"
SECURE_DEVICE_NAME = "__Secure-device"
PLAIN_DEVICE_NAME = "device"

# Of Sec-Fetch-Site: what our own page does, and what the user does by typing an address.
_OURS = frozenset({"same-origin", "none"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_secure(request: Request) -> bool:
    """Whether the client came over TLS, to us or to the gateway."""
    return bool(request.scope["scheme"] == "https")


def set_refresh_cookie(request: Request, response: Response, token: str, seconds: int) -> None:
    """Hand out a refresh token, to nobody's script and for no other site's requests."""
    _set(request, response, (SECURE_NAME, PLAIN_NAME), token, seconds)


def clear_refresh_cookie(request: Request, response: Response) -> None:
    """Take it back."""
    _clear(request, response, (SECURE_NAME, PLAIN_NAME))


def set_device_cookie(request: Request, response: Response, device: DeviceCookie) -> None:
    """Hand out a device cookie, in the same way. Signing out does not take it back: by it one is known who signs in again."""
    _set(request, response, (SECURE_DEVICE_NAME, PLAIN_DEVICE_NAME), device.value, device.seconds)


def clear_device_cookie(request: Request, response: Response) -> None:
    """Take it back."""
    _clear(request, response, (SECURE_DEVICE_NAME, PLAIN_DEVICE_NAME))


def _set(request: Request, response: Response, names: tuple[str, str], value: str, seconds: int) -> None:
    secure = is_secure(request)
    name = names[0] if secure else names[1]
    response.set_cookie(name, value, max_age=seconds, path=PREFIX, secure=secure, httponly=True, samesite="strict")


def _clear(request: Request, response: Response, names: tuple[str, str]) -> None:
    secure = is_secure(request)
    response.delete_cookie(names[0] if secure else names[1], PREFIX, secure=secure, httponly=True, samesite="strict")


def carries_refresh_cookie(request: Request) -> bool:
    """Whether a browser has added the refresh token, under either name, to the request."""
    return SECURE_NAME in request.cookies or PLAIN_NAME in request.cookies


def require_own_page(request: Request) -> None:
    """Refuse what a browser sends for another site's page. Raises CrossSiteRequest.

    SameSite=Strict lets through what another port or subdomain of our own site asks for; these headers tell it, and no
    script can write them. A client that sends neither is no browser, or an old one that SameSite alone protects.
    """
    if any(site not in _OURS for site in request.headers.getlist("sec-fetch-site")):
        raise CrossSiteRequest("The browser says that another site asks for this. Go to the site itself.")
    scheme = request.scope["scheme"]
    ours = f"{scheme}://{request.headers.get('host', '').lower().removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"
    if any(origin != ours for origin in request.headers.getlist("origin")):
        raise CrossSiteRequest(f"The request comes from a page of another origin than {ours}. Go to the site itself.")
