"""What becomes of periods that are over: their results and rewards, and in time the end of their standings."""
