"""The number chain, its careful wording, and the exports."""
