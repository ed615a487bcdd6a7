"""Boards: what they count and how."""
