"""`make bench`: what the services do in a second, side by side with what their framework could do at most."""
