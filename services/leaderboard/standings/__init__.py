"""Standings as MySQL has them, and as answers."""
