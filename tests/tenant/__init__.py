"""The emulated tenant."""
