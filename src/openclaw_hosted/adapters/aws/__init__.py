"""The provider of SEED's system: EC2 Spot machines, Run Command, Secrets Manager, EBS, an Application Load Balancer, ECR."""
