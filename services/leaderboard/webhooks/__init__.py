"""Webhooks: the URLs that are told of events, what each is still to be told, and the telling (Standard Webhooks 1.0)."""
