"""`python -m services.leaderboard` serves the leaderboard service as the environment says."""

from services.common.http.server import serve
from services.common.settings import load_settings
from services.leaderboard.settings import LeaderboardSettings

if __name__ == "__main__":
    serve("services.leaderboard.app:create_app", load_settings(LeaderboardSettings))
