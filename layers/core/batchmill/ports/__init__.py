"""What the steps need from outside, as small Protocols."""
