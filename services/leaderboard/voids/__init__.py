"""Voiding many sessions at once: which ones a filter finds, and jobs that void them, player by player, and undo that."""
