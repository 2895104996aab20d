"""The ports over real libraries, one module a library."""
