"""What stands behind the emulated API: machines, volumes, load balancers that really do something."""
