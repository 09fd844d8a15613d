"""What needs the Slicer application but no widgets: settings, modules, engine packages."""
