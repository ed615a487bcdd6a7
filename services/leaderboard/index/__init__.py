"""The ranking index in Redis, its pages, and what keeps both true."""
