"""Passwords: what one may be, how it is hashed, and how guesses are slowed down."""
