"""Stories of hours and days with a clock that is set: the whole app and the tenant in one process."""
