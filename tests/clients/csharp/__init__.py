"""The C# client, compiled by Mono and driven by lines."""
