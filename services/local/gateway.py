"""What the gateway is told beside its files: the other origins that may ask, and the proxies in front of it.

``python -m services.local.gateway FROM TO`` checks both, as the environment names them, and writes the static configuration
that Traefik is to read: that file takes no variables, and beside it Traefik looks at no argument. compose.yaml runs it before
the gateway. It needs nothing but what the services' image has.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from services.common.settings import refused

ANY = "*"
# An origin as browsers write it (RFC 6454, section 6.2). `null` is that of a file, and of a sandboxed frame.
_ORIGIN = re.compile(r"null|file://|[a-z][a-z0-9+.-]*://(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
_DEFAULT_PORTS = ("http", ":80"), ("https", ":443")
_NO_PROXIES = "trustedIPs: []"


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _origins(text: str) -> str:
    """A list of origins as it came, each part without blanks. Raises what pydantic tells as a fault."""
    parts = _parts(text)
    for origin in parts:
        if not _is_origin(origin) and parts != [ANY]:
            form = "{origin} is no origin. Browsers write one as https://game.example, http://localhost:5173 or null; * is all"
            raise PydanticCustomError("origin", form, {"origin": repr(origin)})
    return ",".join(parts)


def _is_origin(text: str) -> bool:
    usual = any(text.startswith(scheme + "://") and text.endswith(port) for scheme, port in _DEFAULT_PORTS)
    return _ORIGIN.fullmatch(text) is not None and not usual


def _networks(text: str) -> str:
    """A list of addresses and networks as it came, each part without blanks. Raises what pydantic tells as a fault."""
    parts = _parts(text)
    for network in parts:
        try:
            everybody = ip_network(network).prefixlen == 0
        except ValueError:
            form = "{network} is no address and no network, such as 10.0.0.5 or 10.0.0.0/24"
            raise PydanticCustomError("network", form, {"network": repr(network)}) from None
        if everybody:
            raise PydanticCustomError(
                "network", "{network} is everybody, each of whom could claim any address", {"network": network}
            )
    return ",".join(parts)


class GatewaySettings(BaseModel):
    """What an operator says of what is around the gateway."""

    allowed_origins: Annotated[str, AfterValidator(_origins)] | None = Field(
        None,
        description="comma-separated origins whose pages may use the API from a browser, as browsers write them: "
        "`https://game.example`, `http://localhost:5173`, `capacitor://localhost`. `*` allows all. `null` is the origin "
        "of files and of sandboxed frames; any page can open such a frame",
    )
    trusted_proxies: Annotated[str, AfterValidator(_networks)] | None = Field(
        None,
        description="comma-separated addresses or networks of all proxies in front. Only they are believed about who asks, "
        "and whether by TLS",
    )
    proxies: int | None = Field(
        None,
        ge=0,
        validate_default=True,
        description="how many proxies a request passes before the gateway. 1 where `TRUSTED_PROXIES` names any",
    )

    @field_validator("proxies")
    @classmethod
    def _agrees(cls, proxies: int | None, others: ValidationInfo) -> int | None:
        trusted = others.data.get("trusted_proxies", proxies)  # nothing more is said where those are not valid
        if proxies and not trusted:
            raise PydanticCustomError("proxies", "where there are proxies in front, TRUSTED_PROXIES must name their addresses")
        if proxies == 0 and trusted:
            raise PydanticCustomError("proxies", "TRUSTED_PROXIES names proxies in front: say how many a request passes")
        return proxies

    @property
    def depth(self) -> int:
        """Which address of X-Forwarded-For is the client's, counted from the end; 0: the connection's."""
        return self.proxies if self.proxies is not None else int(self.trusted_proxies is not None)

    def environment(self) -> dict[str, str]:
        """What the files in gateway/dynamic read."""
        return {"ALLOWED_ORIGINS": self.allowed_origins or "", "PROXIES": str(self.depth)}

    def believed(self, gateway: str) -> str:
        """FORWARDED_ALLOW_IPS of the services behind it: the client is the last in X-Forwarded-For that is none of these."""
        return ",".join([gateway, *self._trusted])

    def static(self, configuration: str) -> str:
        """gateway/traefik.yaml, of which ``configuration`` is the text, with the proxies that are trusted."""
        before, found, after = configuration.partition(_NO_PROXIES)
        assert found, f"gateway/traefik.yaml has no {_NO_PROXIES}"
        return f"{before}trustedIPs: {json.dumps(self._trusted)}{after}"

    @property
    def _trusted(self) -> list[str]:
        return self.trusted_proxies.split(",") if self.trusted_proxies else []


def read_gateway_settings(environment: Mapping[str, str]) -> GatewaySettings:
    """The gateway's settings among all. An empty one counts as none. Raises InvalidSettings, which names each fault."""
    told = {name: value for name in GatewaySettings.model_fields if (value := environment.get(name.upper()))}
    try:
        return GatewaySettings.model_validate(told)
    except ValidationError as error:
        raise refused(error) from None


def main(arguments: list[str]) -> None:
    match arguments:
        case [source, target]:
            settings = read_gateway_settings(os.environ)
            Path(target).write_text(settings.static(Path(source).read_text(encoding="utf-8")), encoding="utf-8")
        case _:
            raise SystemExit("usage: python -m services.local.gateway FROM TO")


if __name__ == "__main__":
    main(sys.argv[1:])
