"""The leaderboard service: game sessions, standings, exact ranks, and the cache of them."""
