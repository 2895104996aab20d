"""What plan is made of: pinning the inputs, laying compressed ones anew, sizing and cutting."""
