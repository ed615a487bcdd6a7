"""Realistic data, straight into a running system's database: players with names, and the sessions they played."""
