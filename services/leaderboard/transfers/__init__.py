"""What leaves the board in bulk and what comes in: exports of standings and of sessions, and imports of sessions."""
