"""The app, module by module."""
