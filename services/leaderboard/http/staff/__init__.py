"""HTTP of what staff do, and keys that may."""
