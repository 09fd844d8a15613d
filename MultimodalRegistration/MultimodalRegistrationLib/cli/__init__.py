"""The command `multimodal-registration`: one file for each subcommand."""
