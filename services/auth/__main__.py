"""`python -m services.auth` serves the auth service as the environment says."""

from services.auth.settings import AuthSettings
from services.common.http.server import serve
from services.common.settings import load_settings

if __name__ == "__main__":
    serve("services.auth.app:create_app", load_settings(AuthSettings))
