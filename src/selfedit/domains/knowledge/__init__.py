"""Knowledge: read a passage, write notes about it, be asked about it without the passage."""
