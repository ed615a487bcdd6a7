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
        description="rankings read from MySQL at once, at most; a pool of its own, so that reads never keep writes waiting",
    )
    submission_queue: int = Field(
        2000, ge=1, le=1_000_000, description="sessions that wait to be stored, at most; one more is answered 503"
    )
    submission_group: int = Field(200, ge=1, le=200, description="sessions stored in one transaction, at most")
    batch_queue: int = Field(
        20_000,
        ge=1_000,
        le=1_000_000,
        description="sessions of calls with many that wait to be stored, at most; a call that does not fit in is answered 503",
    )
    batch_group: int = Field(
        200, ge=1, le=1_000, description="sessions of such calls that are stored in one transaction, at most"
    )
    submissions_per_second: float = Field(
        20.0, ge=0, le=1_000_000, description="sessions a process stores of one player a second, on average; 0 is no limit"
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
    redis_cluster: bool = Field(False, description="whether REDIS_URL names one node of a Redis Cluster")
    redis_timeout: Seconds = Field(
        0.075,
        description="seconds Redis may take for one answer; after that MySQL answers and Redis is left alone until it is back",
    )
    cache_ttl: Seconds = Field(10.0, description="seconds a rendered page is kept, at most; a new session outdates it at once")
    index_from_players: int = Field(
        200,
        ge=0,
        le=1_000_000_000,
        description="players from which on a board and period has an index in Redis; with fewer MySQL answers, as fast",
    )
    results: int = Field(
        10_000,
        ge=1,
        le=10_000,
        description="players of a period whose results are kept for ever when it is settled, the best first",
    )
    follower_interval: Seconds = Field(
        0.25, description="seconds between two looks for changes that another process could not tell Redis of"
    )
    streams: int = Field(
        5_000, ge=1, le=1_000_000, description="live streams of a process at once, at most; one more is answered 503"
    )
    streams_per_user: int = Field(
        20, ge=1, le=1_000_000, description="those of them that may be of one user; one more is answered 429"
    )
    streams_per_address: int = Field(
        200,
        ge=1,
        le=1_000_000,
        description="those of them that may be of one address, or of one IPv6 network of /64; one more is answered 429",
    )
    webhook_networks: str | None = Field(
        None,
        description="comma-separated networks (CIDR) that webhooks may be in beside public ones, and in which they need no TLS",
    )

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, networks: str | None) -> str | None:
        try:
            parse_networks(networks)
        except InvalidNetworks as error:
            raise ValueError(str(error)) from None
        return networks
