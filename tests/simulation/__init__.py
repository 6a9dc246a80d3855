"""The app's own code in bad weather, its every step in storage and on the wire scheduled by a seed."""
