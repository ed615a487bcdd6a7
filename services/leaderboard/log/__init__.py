"""The log: game sessions, stored in groups and counted exactly once."""
