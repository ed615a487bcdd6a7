"""What operators run, and what they watch."""
