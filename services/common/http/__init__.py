"""HTTP as both services speak it: the server, the application around the routes, errors, bodies, tokens in requests."""
