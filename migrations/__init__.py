"""The one history of the one database, and the accounts that use it. `python -m migrations` brings both up to date."""
