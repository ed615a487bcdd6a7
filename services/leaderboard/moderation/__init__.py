"""Moderation: sessions that are voided, players who are banned, and the log of who did what, and why."""
