"""Moderation: sessions that are voided, held or reported, players who are banned, and the log of who did what, and why."""
