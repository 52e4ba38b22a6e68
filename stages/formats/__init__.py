"""One module for each artefact on disk: its names, its columns, how it is written, read and checked."""
