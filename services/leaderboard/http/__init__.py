"""What the service answers over HTTP: a router a noun, schemas, and what routes are handed."""
