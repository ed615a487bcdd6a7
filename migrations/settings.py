"""What the migration is told."""

from pydantic import Field, SecretStr
from sqlalchemy import URL

from services.common.mysql.database import database_url
from services.common.settings import LogSettings, MySQLSettings, Seconds


class MigrationSettings(MySQLSettings, LogSettings):
    """The accounts and their passwords. The administrator is needed only to make the database and the accounts."""

    mysql_admin_user: str = Field("root", description="MySQL account that makes the database and the accounts")
    mysql_admin_password: SecretStr = Field(description="password of that account")
    migrate_mysql_user: str = Field("migrate", description="MySQL account that changes the schema")
    migrate_mysql_password: SecretStr = Field(min_length=8, description="password of that account")
    auth_mysql_user: str = Field("auth", description="MySQL account of the auth service")
    auth_mysql_password: SecretStr = Field(min_length=8, description="password of that account")
    leaderboard_mysql_user: str = Field("leaderboard", description="MySQL account of the leaderboard service")
    leaderboard_mysql_password: SecretStr = Field(min_length=8, description="password of that account")
    mysql_start_timeout: Seconds = Field(60.0, description="seconds to wait for MySQL to answer")

    @property
    def admin_url(self) -> URL:
        """Where the administrator finds the server; the database may not be there yet."""
        return self._url(self.mysql_admin_user, self.mysql_admin_password, server=True)

    @property
    def migrate_url(self) -> URL:
        """Where the schema is changed."""
        return self._url(self.migrate_mysql_user, self.migrate_mysql_password)

    def _url(self, account: str, password: SecretStr, *, server: bool = False) -> URL:
        return database_url(self, account, password.get_secret_value(), "pymysql", server=server)
