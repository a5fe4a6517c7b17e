# What AWS tells of machines: interruptions of Spot, recommendations to move, and changes of state, in a queue for the platform.

resource "aws_sqs_queue" "notices" {
  name = "${var.deployment_name}-notices"
  # A notice is worth something for two minutes; one that nobody fetched in an hour tells nothing any more.
  message_retention_seconds  = 3600
  visibility_timeout_seconds = 30
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
}

resource "aws_cloudwatch_event_rule" "machines" {
  name        = "${var.deployment_name}-machines"
  description = "Interruptions and changes of state of EC2 machines"
  event_pattern = jsonencode({
    source = ["aws.ec2"]
    detail-type = [
      "EC2 Spot Instance Interruption Warning",
      "EC2 Instance Rebalance Recommendation",
      "EC2 Instance State-change Notification",
    ]
  })
}

# A retirement or a reboot that AWS has planned, days ahead. AWS Health tells each account of its own machines only.
resource "aws_cloudwatch_event_rule" "maintenance" {
  name        = "${var.deployment_name}-maintenance"
  description = "Maintenance of EC2 machines that AWS has planned"
  event_pattern = jsonencode({
    source      = ["aws.health"]
    detail-type = ["AWS Health Event"]
    detail      = { service = ["EC2"], eventTypeCategory = ["scheduledChange"] }
  })
}

resource "aws_cloudwatch_event_target" "maintenance" {
  rule = aws_cloudwatch_event_rule.maintenance.name
  arn  = aws_sqs_queue.notices.arn
}

resource "aws_cloudwatch_event_target" "notices" {
  rule = aws_cloudwatch_event_rule.machines.name
  arn  = aws_sqs_queue.notices.arn
}

resource "aws_sqs_queue_policy" "notices" {
  queue_url = aws_sqs_queue.notices.id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.notices.arn
        Condition = { ArnEquals = { "aws:SourceArn" = [aws_cloudwatch_event_rule.machines.arn, aws_cloudwatch_event_rule.maintenance.arn] } }
      }
    ]
  })
}
