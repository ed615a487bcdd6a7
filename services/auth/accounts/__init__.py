"""Accounts as they are stored: users, what a username may be, and names that are kept."""
