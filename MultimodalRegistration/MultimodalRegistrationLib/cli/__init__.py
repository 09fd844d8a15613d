"""The command ``multimodal-registration``: one file per subcommand."""
