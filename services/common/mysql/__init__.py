"""MySQL as both services use it: connections, transactions, what is run again, whether it answers."""
