"""What both services use. No noun of either service's domain appears here."""
