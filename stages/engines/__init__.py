"""The engines behind the three plug points: what they must do, what they say of themselves, and how they are found."""
