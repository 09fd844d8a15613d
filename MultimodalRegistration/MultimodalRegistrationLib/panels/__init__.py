"""The widgets of the modules: what is shown and clicked, and nothing that is computed."""
