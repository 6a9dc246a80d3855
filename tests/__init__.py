"""Everything that is tested; a package, so that what a directory shares ends with its last test."""
