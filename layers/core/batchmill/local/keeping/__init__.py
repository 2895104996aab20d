"""The embedded stack's data folder: objects, table items and submissions that outlive its process."""
