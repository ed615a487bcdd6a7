"""Staff: their roles, their second factors, and their codes for when a device is lost."""
