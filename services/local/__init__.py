"""The whole system on one machine without containers: servers, gateway, page and services as ordinary processes."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout: services run from here, and every path of the project is below it."""
