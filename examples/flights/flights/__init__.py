"""Will a flight from New York arrive late? A year of real flights, arriving week by week."""
