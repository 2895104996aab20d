"""A folder for the import path of functions that lack a layer: see its sitecustomize."""
