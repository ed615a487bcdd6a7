"""Live standings: who watches a place is told of each of its changes, without asking."""
