"""The rules: where players are ranked, how sessions make a standing, who has which rank. Pure, and of nothing else of ours."""
