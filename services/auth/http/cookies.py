"""The cookies: their names, their attributes, and the check that a browser sends them for our own page.

A browser that is signed in has one with its refresh token, which no script can read, and one that says that it has, which the
page reads. A device cookie says that it signed in before.
"""

from fastapi import Request, Response

from services.auth.errors import CrossSiteRequest
from services.auth.passwords.device_cookies import DeviceCookie

PREFIX = "/auth"

# The prefix makes a browser refuse the cookie unless it is set over TLS, so nobody who can answer plain http in our name
# can plant one. It is refused over http as well, which development uses. `__Host-` would need the path to be `/`.
SECURE_NAME = "__Secure-refresh_token"
SECURE_DEVICE_NAME = "__Secure-device"
SECURE_SIGN_NAME = "__Host-signed_in"
# Without TLS a browser sends a host's cookies to each of its ports: the port in the name tells one system's from another's.
# The name alone is that of before, which is still read.
PLAIN_NAME = "refresh_token"
PLAIN_DEVICE_NAME = "device"
PLAIN_SIGN_NAME = "signed_in"

# Of Sec-Fetch-Site: what our own page does, and what the user does by typing an address.
_OURS = frozenset({"same-origin", "none"})
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def is_secure(request: Request) -> bool:
    """Whether the client came over TLS, to us or to the gateway."""
    return bool(request.scope["scheme"] == "https")


def find_refresh_token(request: Request) -> str | None:
    """The refresh token that a browser has added to the request."""
    return _find(request, SECURE_NAME, PLAIN_NAME)


def find_device_cookie(request: Request) -> str | None:
    """The device cookie that a browser has added to the request; one that is not good is worth no more than none."""
    return _find(request, SECURE_DEVICE_NAME, PLAIN_DEVICE_NAME)


def set_refresh_cookie(request: Request, response: Response, token: str, seconds: int) -> None:
    """Hand out a refresh token, to nobody's script and for no other site's requests; and tell the page that there is one."""
    _set(request, response, SECURE_NAME, PLAIN_NAME, token, seconds)
    secure = is_secure(request)
    name = _name(request, SECURE_SIGN_NAME, PLAIN_SIGN_NAME)
    response.set_cookie(name, "1", max_age=seconds, path="/", secure=secure, httponly=False, samesite="strict")


def clear_refresh_cookie(request: Request, response: Response) -> None:
    """Take it back."""
    _clear(request, response, SECURE_NAME, PLAIN_NAME)
    name = _name(request, SECURE_SIGN_NAME, PLAIN_SIGN_NAME)
    response.delete_cookie(name, "/", secure=is_secure(request), httponly=False, samesite="strict")


def set_device_cookie(request: Request, response: Response, device: DeviceCookie) -> None:
    """Hand out a device cookie, in the same way. Signing out does not take it back: by it one is known who signs in again."""
    _set(request, response, SECURE_DEVICE_NAME, PLAIN_DEVICE_NAME, device.value, device.seconds)


def clear_device_cookie(request: Request, response: Response) -> None:
    """Take it back."""
    _clear(request, response, SECURE_DEVICE_NAME, PLAIN_DEVICE_NAME)


def _name(request: Request, secure: str, plain: str) -> str:
    if is_secure(request):
        return secure
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"{plain}_{port if port.isascii() and port.isdigit() and len(port) <= 5 else 80}"


def _find(request: Request, secure: str, plain: str) -> str | None:
    found = request.cookies.get(_name(request, secure, plain))
    return request.cookies.get(plain) if found is None and not is_secure(request) else found


def _set(request: Request, response: Response, secure_name: str, plain_name: str, value: str, seconds: int) -> None:
    secure, name = is_secure(request), _name(request, secure_name, plain_name)
    response.set_cookie(name, value, max_age=seconds, path=PREFIX, secure=secure, httponly=True, samesite="strict")
    _clear_old(request, response, plain_name)


def _clear(request: Request, response: Response, secure_name: str, plain_name: str) -> None:
    secure, name = is_secure(request), _name(request, secure_name, plain_name)
    response.delete_cookie(name, PREFIX, secure=secure, httponly=True, samesite="strict")
    _clear_old(request, response, plain_name)


def _clear_old(request: Request, response: Response, plain_name: str) -> None:
    """Take back what has the name of before: left there, it would be read again when its successor is gone."""
    if plain_name in request.cookies and not is_secure(request):
        response.delete_cookie(plain_name, PREFIX, secure=False, httponly=True, samesite="strict")


def carries_refresh_cookie(request: Request) -> bool:
    """Whether a browser has added the refresh token, under any of its names, to the request."""
    return not request.cookies.keys().isdisjoint({SECURE_NAME, PLAIN_NAME, _name(request, SECURE_NAME, PLAIN_NAME)})


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
