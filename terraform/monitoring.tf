# What is watched: the platform's metrics, an alarm on each, a dashboard, its log and its gateways'. adapters/aws/meter.py publishes the metrics.

locals {
  metrics    = "OpenClawHosted"
  dimensions = { Deployment = var.deployment_name }
}

resource "aws_cloudwatch_log_group" "platform" {
  name              = "/openclaw-hosted/${var.deployment_name}/platform"
  retention_in_days = var.log_retention_days
}

# What users' containers print: warnings and errors, and no conversation.
resource "aws_cloudwatch_log_group" "gateways" {
  name              = "/openclaw-hosted/${var.deployment_name}/gateways"
  retention_in_days = var.log_retention_days
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.deployment_name}-alarms"
  kms_master_key_id = null
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      }
    ]
  })
}

resource "aws_sns_topic_subscription" "alarms" {
  count     = var.alarm_email == "" ? 0 : 1
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

# Also when nothing is heard of the pool any more: then the control plane itself is down. Without spares, that alone is an alarm.
resource "aws_cloudwatch_metric_alarm" "pool_depleted" {
  alarm_name          = "${var.deployment_name}-pool-depleted"
  alarm_description   = "No spare is available, or the control plane tells nothing: new users wait. What to do: docs/runbooks/pool-depleted.md"
  namespace           = local.metrics
  metric_name         = "AvailableMachines"
  dimensions          = local.dimensions
  statistic           = "Maximum"
  comparison_operator = "LessThanThreshold"
  threshold           = min(1, var.pool_spare_count)
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "launch_failures" {
  alarm_name          = "${var.deployment_name}-launch-failures"
  alarm_description   = "EC2 launches no machines, or they do not become ready: capacity, quota, permission or image. What to do: docs/runbooks/launch-failures.md"
  namespace           = local.metrics
  metric_name         = "LaunchFailures"
  dimensions          = local.dimensions
  statistic           = "Sum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = var.launch_failures_alarm
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

resource "aws_cloudwatch_metric_alarm" "crash_loops" {
  alarm_name          = "${var.deployment_name}-crash-loops"
  alarm_description   = "A user's OpenClaw ends again and again. What to do: docs/runbooks/crash-loops.md"
  namespace           = local.metrics
  metric_name         = "CrashLoops"
  dimensions          = local.dimensions
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# Nobody reads what AWS says of machines before it takes them away: then instances move only once their machine is gone.
resource "aws_cloudwatch_metric_alarm" "notices_unread" {
  alarm_name          = "${var.deployment_name}-notices-unread"
  alarm_description   = "Notices of interruptions are not read, so instances move late. What to do: docs/runbooks/notices-unread.md"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateAgeOfOldestMessage"
  dimensions          = { QueueName = aws_sqs_queue.notices.name }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 120
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

locals {
  graphs = [
    { title = "Pool size", stat = "Maximum", names = ["AvailableMachines", "InitializingMachines"] },
    { title = "Assignment latency (seconds from request to running)", stat = "p95", names = ["AssignmentSeconds"] },
    { title = "Container health", stat = "Maximum", names = ["HealthyGateways", "UnhealthyGateways", "CrashLoops"] },
    { title = "Launch failures", stat = "Sum", names = ["LaunchFailures"] },
    { title = "Estimated cost (US dollars a month)", stat = "Maximum", names = ["EstimatedMonthlyCost"] },
  ]
}

locals {
  # From the lines of adapters/aws/health.py. A query is paid for when somebody looks.
  containers = {
    type   = "log"
    x      = 0
    y      = 0
    width  = 24
    height = 6
    properties = {
      title  = "Container health of each instance"
      region = var.aws_region
      view   = "table"
      query = join(" | ", [
        "SOURCE '${aws_cloudwatch_log_group.platform.name}'",
        "filter event = 'container health'",
        "stats latest(health) as health, latest(restarts) as restarts, latest(ref) as machine, latest(@timestamp) as seen by instance",
        "sort health asc, restarts desc",
        "limit 1000",
      ])
    }
  }
}

resource "aws_cloudwatch_dashboard" "platform" {
  dashboard_name = var.deployment_name
  dashboard_body = jsonencode({
    widgets = concat([local.containers], [for number, graph in local.graphs : {
      type   = "metric"
      x      = 12 * (number % 2)
      y      = 6 + 6 * floor(number / 2)
      width  = 12
      height = 6
      properties = {
        title   = graph.title
        region  = var.aws_region
        stat    = graph.stat
        period  = 60
        metrics = [for name in graph.names : [local.metrics, name, "Deployment", var.deployment_name]]
      }
    }])
  })
}
