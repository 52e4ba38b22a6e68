"""What each stage of the pipeline does, with the engines and the files that it is given."""
