"""Scripts that run as processes of their own, in our environment or the peers': implementations of DIN, and their exports."""
