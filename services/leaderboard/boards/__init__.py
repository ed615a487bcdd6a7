"""Boards: what they are, how they are made and deleted, and which of them a session counts for."""
