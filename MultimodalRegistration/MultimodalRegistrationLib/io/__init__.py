"""Reading and writing of files, and what is checked on the way."""
