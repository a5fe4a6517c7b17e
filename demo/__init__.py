"""A platform that has lived: a simulated month of users, machines and two incidents, for the console to show."""
