"""Handing out the tokens of a session, in the way that its kind has them."""

from fastapi import Request, Response

from services.auth.http.cookies import set_device_cookie, set_refresh_cookie
from services.auth.http.schemas import Tokens
from services.auth.passwords.device_cookies import DeviceCookie
from services.auth.sessions.beginning import SignedIn
from services.auth.sessions.families import Kind


def kind_of(session: str) -> Kind:
    """The kind of a session that a client asks for as `cookie` or as `token`."""
    return Kind.APP if session == "token" else Kind.BROWSER


def hand_out(
    request: Request, response: Response, signed_in: SignedIn, kind: Kind, device: DeviceCookie | None = None
) -> Tokens:
    """The tokens. Of a browser's session the refresh token is in a cookie, and nowhere else; the device cookie goes with it."""
    tokens = Tokens(access_token=signed_in.access_token, expires_in=signed_in.expires_in)
    if kind is Kind.APP:
        tokens.refresh_token = signed_in.refresh_token
        return tokens
    set_refresh_cookie(request, response, signed_in.refresh_token, signed_in.refresh_expires_in)
    if device is not None:
        set_device_cookie(request, response, device)
    return tokens
