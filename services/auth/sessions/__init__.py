"""Sessions as they are stored, and the tokens that stand for them."""
