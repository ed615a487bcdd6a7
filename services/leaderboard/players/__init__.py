"""Players: their names, their leaving, their data."""
