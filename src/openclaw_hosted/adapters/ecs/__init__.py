"""The older system on ECS: services behind a load balancer, state on EFS."""
