"""What Conveyor costs beside its peers, measured side by side: `make bench`."""
