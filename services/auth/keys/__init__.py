"""Keys, by which game servers and other programs of the studio's sign in: their names, their secrets, and which are live."""
