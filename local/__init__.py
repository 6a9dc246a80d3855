"""What stands in for Azure and for Microsoft 365 on one machine. Never deployed."""
