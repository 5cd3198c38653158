"""What every script shares."""
