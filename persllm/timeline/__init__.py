"""What a person knows at every stage of its life: the present, what is remembered, and nothing of the future or of what it missed."""
