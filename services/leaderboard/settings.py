"""The leaderboard service's settings."""

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from services.common.settings import EncryptionSettings, Seconds, ServiceSettings
from services.leaderboard.rules.networks import InvalidNetworks, parse_networks


class LeaderboardSettings(ServiceSettings, EncryptionSettings):
    """What the leaderboard service is told."""

    leaderboard_mysql_user: str = Field("leaderboard", description="MySQL account of the leaderboard service")
    leaderboard_mysql_password: SecretStr = Field(min_length=8, description="password of that account")
    ranking_pool_size: int = Field(
        6,
        ge=1,
        le=1000,
        description="most rankings that a process reads from MySQL at once. They have a connection pool of their own, so "
        "reads never delay writes",
    )
    submission_queue: int = Field(
        2000, ge=1, le=1_000_000, description="most sessions that wait to be stored. One more is answered 503"
    )
    submission_group: int = Field(200, ge=1, le=200, description="most sessions that are stored in one transaction")
    batch_queue: int = Field(
        20_000,
        ge=1_000,
        le=1_000_000,
        description="most sessions of `/submissions` that wait to be stored. A call that does not fit is answered 503",
    )
    batch_group: int = Field(
        200, ge=1, le=1_000, description="most sessions of `/submissions` that are stored in one transaction"
    )
    submissions_per_second: float = Field(
        20.0,
        ge=0,
        le=1_000_000,
        description="most sessions of one player that a process stores in a second, on average. 0 is no limit",
    )
    submissions_burst: int = Field(
        100, ge=1, le=1_000_000, description="sessions of one player that a process stores at once before that limit holds"
    )
    banned_submissions: Literal["hold", "refuse"] = Field(
        "hold",
        description="what becomes of what banned players submit: hold stores it, to be counted when they are unbanned; refuse "
        "answers 403",
    )

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0", pattern=r"^(rediss?|unix)://", description="where Redis is, without its password"
    )
    redis_user: str = Field("leaderboard", min_length=1, description="user of Redis, where it has a password")
    redis_password: SecretStr | None = Field(None, description="password of that user; none if Redis has no users")
    redis_cluster: bool = Field(False, description="whether `REDIS_URL` names one node of a Redis Cluster")
    redis_timeout: Seconds = Field(
        0.075,
        description="seconds Redis may take for one answer. After that reads fall back to MySQL until Redis is back",
    )
    cache_ttl: Seconds = Field(
        10.0, description="most seconds for which a rendered page is cached. A new session outdates it at once"
    )
    index_from_players: int = Field(
        200,
        ge=0,
        le=1_000_000_000,
        description="least number of players with which a board and period has an index in Redis. With fewer, MySQL is as fast",
    )
    results: int = Field(
        10_000,
        ge=1,
        le=10_000,
        description="players whose results are kept for ever when a period is settled, the best first",
    )
    follower_interval: Seconds = Field(
        0.25, description="seconds between two looks for changes that another process could not write to Redis"
    )
    streams: int = Field(
        5_000, ge=1, le=1_000_000, description="most live streams of a process at once. One more is answered 503"
    )
    streams_per_user: int = Field(
        20, ge=1, le=1_000_000, description="most live streams of one user in a process. One more is answered 429"
    )
    streams_per_address: int = Field(
        200,
        ge=1,
        le=1_000_000,
        description="most live streams of one address, or of one IPv6 network of /64, in a process. One more is answered 429",
    )
    webhook_networks: str | None = Field(
        None,
        description="comma-separated networks (CIDR) in which webhooks may be, beside public addresses. There they need no TLS",
    )

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, networks: str | None) -> str | None:
        try:
            parse_networks(networks)
        except InvalidNetworks as error:
            raise ValueError(str(error)) from None
        return networks
