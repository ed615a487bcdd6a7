"""What `make docs` writes into the pages of docs/: tables of settings, limits and endpoints, made of the code."""
