"""The study file: which cases there are, read and checked whole, or made from folders."""
