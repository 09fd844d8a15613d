"""The panel of the module MultimodalRegistrationQA."""
