"""What the service answers over HTTP: a router a noun, schemas, cookies, and what routes are handed."""
