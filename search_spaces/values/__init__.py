"""Values a parameter can take: scalars, ranges, choices, and how --set narrows them."""
