"""The two services, what they share, and the whole system on one machine."""
