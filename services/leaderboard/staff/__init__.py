"""The use cases of staff, and of keys that may: boards, moderation, jobs, webhooks, figures."""
