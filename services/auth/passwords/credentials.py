"""A name and a password that somebody chooses for an account."""

from services.auth.accounts import reserved_names
from services.auth.accounts.usernames import InvalidUsername, Username
from services.auth.passwords import rules
from services.common.http.problems import FieldError, InvalidRequest


def choose(username: str, password: str, password_min_length: int) -> tuple[Username, str]:
    """The name, and the normal form of the password. Raises InvalidRequest, which names all that is wrong with either."""
    errors = []
    try:
        name = Username.parse(username)
    except InvalidUsername as error:
        errors.append(FieldError(detail=f"{error}", pointer="#/username"))
    else:
        if reserved_names.is_reserved(name):
            errors.append(FieldError(detail=reserved_names.REFUSAL, pointer="#/username"))
    try:
        normal = rules.new_password(password, password_min_length, [username])
    except rules.InvalidPassword as error:
        errors.append(FieldError(detail=f"{error}", pointer="#/password"))
    if errors:
        raise InvalidRequest("; ".join(each.detail for each in errors), errors=errors)
    return name, normal
