output "address" {
  description = "What users open"
  value       = local.addresses[0]
}

output "web_environment" {
  description = "The platform's settings, as its machine has them; DATABASE_URL is added there from the database's secret"
  value       = join("\n", [for name, value in local.web_environment : "${name}=${value}"])
}

output "load_balancer_names" {
  description = "AWS's names of the load balancers, in the order of domain_names: what those names have to point at"
  value       = [for number in range(var.load_balancer_count) : aws_lb.shard[tostring(number + 1)].dns_name]
}

output "control_plane_address" {
  description = "Without a load balancer, the IPv4 address that users reach: what the one of domain_names has to point at"
  value       = one(aws_eip.edge[*].public_ip)
}

output "gateway_repository_url" {
  description = "Where the gateway's image is pushed to"
  value       = aws_ecr_repository.this["gateway"].repository_url
}

output "control_plane_repository_url" {
  description = "Where the control plane's image is pushed to"
  value       = aws_ecr_repository.this["control-plane"].repository_url
}

output "control_plane_group_name" {
  description = "The auto scaling group whose one machine runs the control plane"
  value       = aws_autoscaling_group.control_plane.name
}

output "control_plane_role_name" {
  description = "The role of the control plane"
  value       = aws_iam_role.control_plane.name
}

output "alarm_topic_arn" {
  description = "The topic that alarms are published to"
  value       = aws_sns_topic.alarms.arn
}

output "notices_queue_url" {
  description = "The queue of interruptions and changes of state"
  value       = aws_sqs_queue.notices.url
}

output "log_group_name" {
  description = "The log of the platform"
  value       = aws_cloudwatch_log_group.platform.name
}

output "gateway_log_group_name" {
  description = "The log of users' containers, a stream for each machine"
  value       = aws_cloudwatch_log_group.gateways.name
}
