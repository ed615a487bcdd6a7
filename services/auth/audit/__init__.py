"""The audit log, and the clients that its events come from."""
