"""End-to-end tests: the app in its host, over Azurite and the emulated tenant."""
