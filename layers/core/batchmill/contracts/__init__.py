"""Every shape that crosses a wire, as pydantic models. Checked once, at the border."""
